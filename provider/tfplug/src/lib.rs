//! Terraform plugin protocol 6 for any provider.
//!
//! A provider is a type that implements [`Provider`](provider::Provider) and offers
//! [`Resource`](resource::Resource)s and [`DataSource`](data_source::DataSource)s. Each has a [`Schema`](schema::Schema)
//! of [`Attribute`](schema::Attribute)s, from which follow the plan, the checks, and the registry pages; the author
//! writes what to do, and reads and returns [`Value`](value::Value)s. [`run`] makes a program of it that Terraform and
//! OpenTofu start.
//!
//! # Layers
//!
//! | modules | what |
//! |---|---|
//! | [`wire`] | messages and services, generated |
//! | [`value`], [`path`], [`diagnostics`], [`schema`], [`private`] | the words of Terraform, without the wire |
//! | [`plan`], [`rules`] | pure: how a plan is made, and what core will refuse |
//! | [`provider`], [`resource`], [`data_source`] | what the author writes |
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
//!     provider::{ConfigureRequest, Context, Provider},
//!     resource::{CreateRequest, DeleteRequest, ReadRequest, Resource, StateResponse, UpdateRequest},
//!     schema::{Attribute, Schema},
//!     value::Value,
//! };
//!
//! /// What stands for a remote API.
//! #[derive(Default)]
//! struct Shelf(Mutex<BTreeMap<String, Value>>);
//!
//! struct Library;
//!
//! #[async_trait]
//! impl Provider for Library {
//!     type Data = Shelf;
//!
//!     fn schema(&self) -> Schema {
//!         Schema::new([]).describe("Keeps books.")
//!     }
//!
//!     async fn configure(&self, _: ConfigureRequest<'_>, _: &mut Diagnostics) -> Option<Shelf> {
//!         Some(Shelf::default())
//!     }
//!
//!     fn resources(&self) -> Vec<Box<dyn Resource<Shelf>>> {
//!         vec![Box::new(Book)]
//!     }
//! }
//!
//! struct Book;
//!
//! impl Book {
//!     /// Puts the book as planned on the shelf, with what only the provider knows.
//!     fn put(context: &Context<Shelf>, id: &str, plan: &Value, response: &mut StateResponse) {
//!         let Some(shelf) = context.data() else { return };
//!         let mut book = plan.clone();
//!         book.set_attribute("id", id);
//!         match shelf.0.lock() {
//!             Ok(mut books) => {
//!                 books.insert(id.to_owned(), book.clone());
//!                 response.state = Some(book);
//!             }
//!             Err(_) => response.diagnostics.error("The shelf is broken", "No book can be put on it."),
//!         }
//!     }
//! }
//!
//! #[async_trait]
//! impl Resource<Shelf> for Book {
//!     fn type_name(&self) -> &str {
//!         "library_book"
//!     }
//!
//!     fn schema(&self) -> Schema {
//!         Schema::new([
//!             Attribute::string("id").computed().describe("The book's id."),
//!             Attribute::string("title").required().describe("The book's title.").requires_replace(),
//!             Attribute::number("copies").default(1_i64).describe("How many there are."),
//!         ])
//!         .describe("A book.")
//!     }
//!
//!     async fn create(&self, context: &Context<Shelf>, request: CreateRequest<'_>, response: &mut StateResponse) {
//!         let id = request.plan.get("title").as_str().unwrap_or_default().to_lowercase();
//!         Self::put(context, &id, request.plan, response);
//!     }
//!
//!     async fn read(&self, context: &Context<Shelf>, request: ReadRequest<'_>, response: &mut StateResponse) {
//!         let id = request.state.get("id").as_str().unwrap_or_default();
//!         if let Some(Ok(books)) = context.data().map(|shelf| shelf.0.lock()) {
//!             response.state = books.get(id).cloned();
//!         }
//!     }
//!
//!     async fn update(&self, context: &Context<Shelf>, request: UpdateRequest<'_>, response: &mut StateResponse) {
//!         let id = request.prior.get("id").as_str().unwrap_or_default();
//!         Self::put(context, id, request.plan, response);
//!     }
//!
//!     async fn delete(&self, context: &Context<Shelf>, request: DeleteRequest<'_>, _: &mut Diagnostics) {
//!         let id = request.state.get("id").as_str().unwrap_or_default();
//!         if let Some(Ok(mut books)) = context.data().map(|shelf| shelf.0.lock()) {
//!             books.remove(id);
//!         }
//!     }
//!
//!     async fn import(&self, _: &Context<Shelf>, id: &str, response: &mut StateResponse) {
//!         response.state = Some(Value::object([("id", Value::from(id))]));
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     tfplug::run(Library, About { address: "registry.terraform.io/example/library", version: "1.0.0" })
//! }
//! ```

#![warn(missing_docs)]

pub mod data_source;
pub mod diagnostics;
pub mod docs;
pub mod log;
pub mod path;
pub mod plan;
pub mod private;
mod process;
pub mod provider;
pub mod resource;
pub mod rules;
mod run;
pub mod schema;
pub mod server;
pub mod value;
pub mod wire;

pub use run::{About, run};
