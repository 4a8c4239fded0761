//! Terraform plugin protocol 6 for any provider.
//!
//! A provider is a type that implements [`Provider`](provider::Provider) and [offers](offers::Offers) managed
//! [resources](resource), [data sources](data_source), [ephemeral resources](ephemeral), [lists](list),
//! [actions](action) and [functions](function). The attributes of each are the fields of a struct with
//! `#[derive(Model)]` ([`model`]), from which follow the schema, the plan, the checks, and the registry pages; the author
//! writes what to do. [`run`] makes a program of it that Terraform and OpenTofu start.
//!
//! # Layers
//!
//! | modules | what |
//! |---|---|
//! | [`wire`] | messages and services, generated |
//! | [`value`], [`path`], [`diagnostics`], [`schema`], [`private`] | the words of Terraform, without the wire |
//! | [`plan`], [`conformance`] | pure: how a plan is made, and what core will refuse |
//! | [`model`], [`provider`], [`resource`], [`data_source`], [`ephemeral`], [`list`], [`action`], [`function`] | what the author writes |
//! | [`offers`] | the author's types, without their types |
//! | [`server`] | wire messages in, the author's code in the middle, checked messages out |
//! | `process` | handshake, TLS, signals, the end |
//! | [`docs`], [`log`] | registry pages; log lines that Terraform shows |
//!
//! # A provider
//!
//! ```no_run
//! use std::{collections::BTreeMap, process::ExitCode, sync::Mutex};
//!
//! use async_trait::async_trait;
//! use tfplug::{
//!     About,
//!     diagnostics::Diagnostics,
//!     model::{Model, Value},
//!     offers::Offers,
//!     provider::{ConfigureRequest, Context, Provider},
//!     resource::{
//!         CreateRequest, DeleteRequest, ReadRequest, Resource, ResourceWithImport, StateResponse, UpdateRequest,
//!     },
//!     schema::Schema,
//! };
//!
//! /// What stands for a remote API.
//! #[derive(Default)]
//! struct Shelf(Mutex<BTreeMap<String, Book>>);
//!
//! /// Keeps books.
//! #[derive(Model)]
//! struct Settings {}
//!
//! struct Library;
//!
//! #[async_trait]
//! impl Provider for Library {
//!     type Data = Shelf;
//!     type Model = Settings;
//!
//!     fn schema(&self) -> Schema {
//!         Settings::schema()
//!     }
//!
//!     async fn configure(&self, _: ConfigureRequest<'_, Settings>, _: &mut Diagnostics) -> Option<Shelf> {
//!         Some(Shelf::default())
//!     }
//!
//!     fn offer(&self, offers: &mut Offers<Shelf>) {
//!         offers.resource(Books).with_import();
//!     }
//! }
//!
//! /// A book.
//! #[derive(Clone, Default, Model)]
//! struct Book {
//!     /// The book's id.
//!     #[tf(computed)]
//!     id: Value<String>,
//!     /// The book's title.
//!     #[tf(required, requires_replace)]
//!     title: Value<String>,
//!     /// How many there are.
//!     #[tf(default = 1)]
//!     copies: Value<u32>,
//! }
//!
//! struct Books;
//!
//! impl Books {
//!     /// Puts a book on the shelf.
//!     fn put(context: &Context<Shelf>, book: Book, response: &mut StateResponse<Book>) {
//!         let Some(shelf) = context.data() else { return };
//!         match shelf.0.lock() {
//!             Ok(mut books) => {
//!                 books.insert(book.id.as_deref().unwrap_or_default().to_owned(), book.clone());
//!                 response.state = Some(book);
//!             }
//!             Err(_) => response.diagnostics.error("The shelf is broken", "No book can be put on it."),
//!         }
//!     }
//! }
//!
//! #[async_trait]
//! impl Resource<Shelf> for Books {
//!     type Model = Book;
//!
//!     fn type_name(&self) -> &str {
//!         "library_book"
//!     }
//!
//!     fn schema(&self) -> Schema {
//!         Book::schema()
//!     }
//!
//!     async fn create(
//!         &self,
//!         context: &Context<Shelf>,
//!         request: CreateRequest<'_, Book>,
//!         response: &mut StateResponse<Book>,
//!     ) {
//!         let id = request.plan.title.as_deref().map(str::to_lowercase);
//!         Self::put(context, Book { id: id.into(), ..request.plan.clone() }, response);
//!     }
//!
//!     async fn read(
//!         &self,
//!         context: &Context<Shelf>,
//!         request: ReadRequest<'_, Book>,
//!         response: &mut StateResponse<Book>,
//!     ) {
//!         let id = request.state.id.as_deref().unwrap_or_default();
//!         if let Some(Ok(books)) = context.data().map(|shelf| shelf.0.lock()) {
//!             response.state = books.get(id).cloned();
//!         }
//!     }
//!
//!     async fn update(
//!         &self,
//!         context: &Context<Shelf>,
//!         request: UpdateRequest<'_, Book>,
//!         response: &mut StateResponse<Book>,
//!     ) {
//!         Self::put(context, request.plan.clone(), response);
//!     }
//!
//!     async fn delete(&self, context: &Context<Shelf>, request: DeleteRequest<'_, Book>, _: &mut Diagnostics) {
//!         let id = request.state.id.as_deref().unwrap_or_default();
//!         if let Some(Ok(mut books)) = context.data().map(|shelf| shelf.0.lock()) {
//!             books.remove(id);
//!         }
//!     }
//! }
//!
//! #[async_trait]
//! impl ResourceWithImport<Shelf> for Books {
//!     async fn import(&self, _: &Context<Shelf>, id: &str, response: &mut StateResponse<Book>) {
//!         response.state = Some(Book { id: id.into(), ..Book::default() });
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     tfplug::run(Library, About { address: "registry.terraform.io/example/library", version: "1.0.0" })
//! }
//! ```

#![warn(missing_docs)]

// The derives name this crate by its own name, and it uses them, too.
extern crate self as tfplug;

pub mod action;
pub mod conformance;
pub mod data_source;
pub mod diagnostics;
pub mod docs;
pub mod ephemeral;
pub mod function;
pub mod identity;
pub mod list;
pub mod log;
pub mod model;
pub mod offers;
pub mod path;
pub mod plan;
pub mod private;
mod process;
pub mod provider;
pub mod resource;
mod run;
pub mod schema;
pub mod server;
pub mod timeouts;
pub mod value;
pub mod wire;

pub use run::{About, run};

/// Implements [`resource::Resource`] with operations that do nothing, for examples of what stands beside it.
#[doc(hidden)]
#[macro_export]
macro_rules! doc_resource {
    ($resource:ty, $model:ty) => {
        #[async_trait::async_trait]
        impl Resource<()> for $resource {
            type Model = $model;

            fn type_name(&self) -> &str {
                "kennel_dog"
            }

            fn schema(&self) -> tfplug::schema::Schema {
                <$model as tfplug::model::Model>::schema()
            }

            async fn create(
                &self,
                _: &tfplug::provider::Context<()>,
                _: CreateRequest<'_, $model>,
                _: &mut StateResponse<$model>,
            ) {
            }

            async fn read(
                &self,
                _: &tfplug::provider::Context<()>,
                _: ReadRequest<'_, $model>,
                _: &mut StateResponse<$model>,
            ) {
            }

            async fn update(
                &self,
                _: &tfplug::provider::Context<()>,
                _: UpdateRequest<'_, $model>,
                _: &mut StateResponse<$model>,
            ) {
            }

            async fn delete(
                &self,
                _: &tfplug::provider::Context<()>,
                _: DeleteRequest<'_, $model>,
                _: &mut tfplug::diagnostics::Diagnostics,
            ) {
            }
        }
    };
}
