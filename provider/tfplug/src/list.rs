//! What the author of a list resource writes: finding what exists, for `terraform query` from 1.14.

use std::ops::ControlFlow;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    diagnostics::Diagnostics,
    identity::Identity,
    model::Codec,
    provider::Context,
    resource::{Resource, ResourceWithIdentity},
    schema::Schema,
    value::Value,
};

/// Lists the resources of a type. It is offered at the resource that it lists, which has an identity.
///
/// ```
/// # use tfplug::{identity::Identity, list::{Found, ListResource, Results}, model::{Model, Value}, provider::Context};
/// # use tfplug::{resource::{Resource, ResourceWithIdentity}, schema::Schema, value};
/// #[derive(Model)]
/// struct Filter {
///     /// How the names begin.
///     prefix: Value<String>,
/// }
///
/// struct Lister;
///
/// #[async_trait::async_trait]
/// impl<R> ListResource<Vec<String>, R> for Lister
/// where
///     R: ResourceWithIdentity<Vec<String>, Identity = DogIdentity>,
/// {
///     type Config = Filter;
///
///     fn schema(&self) -> Schema {
///         Filter::schema()
///     }
///
///     async fn list(
///         &self,
///         context: &Context<Vec<String>>,
///         config: &Filter,
///         results: &mut Results<DogIdentity, R::Model>,
///     ) {
///         let prefix = config.prefix.as_deref().unwrap_or_default();
///         for dog in context.data().into_iter().flat_map(|dogs| dogs.iter()) {
///             let found = Found::new(DogIdentity { id: dog.as_str().into() }, dog);
///             if dog.starts_with(prefix) && results.send(found).await.is_break() {
///                 return;
///             }
///         }
///     }
/// }
/// # #[derive(Identity)]
/// # struct DogIdentity {
/// #     /// The id.
/// #     id: Value<String>,
/// # }
/// ```
#[async_trait]
pub trait ListResource<D: Send + Sync + 'static, R: ResourceWithIdentity<D>>: Send + Sync + 'static {
    /// The attributes of its `config` block: a struct with `#[derive(Model)]`, or the untyped [`Value`].
    type Config: Codec;

    /// Returns the schema of its `config` block. It is asked once and kept.
    fn schema(&self) -> Schema;

    /// Checks a configuration beyond the validators of single attributes. Values may be unknown, and the provider is
    /// not configured yet.
    async fn validate(&self, context: &Context<D>, config: &Self::Config, diagnostics: &mut Diagnostics) {
        let _ = (context, config, diagnostics);
    }

    /// Finds what exists, and sends each as it is found, until sending says to stop.
    async fn list(
        &self,
        context: &Context<D>,
        config: &Self::Config,
        results: &mut Results<R::Identity, <R as Resource<D>>::Model>,
    );
}

/// One resource that was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found<I, M> {
    /// What it is.
    pub identity: I,
    /// What to call it in a list.
    pub display_name: String,
    /// All of it, which is left out unless [`Results::wants_resource`].
    pub resource: Option<M>,
    /// What to tell the practitioner about it. An error ends the list.
    pub diagnostics: Diagnostics,
}

impl<I, M> Found<I, M> {
    /// Returns a resource of which the identity is known.
    pub fn new(identity: I, display_name: impl Into<String>) -> Self {
        Self {
            identity,
            display_name: display_name.into(),
            resource: None,
            diagnostics: Diagnostics::new(),
        }
    }

    /// Adds all of it.
    #[must_use]
    pub fn resource(mut self, resource: M) -> Self {
        self.resource = Some(resource);
        self
    }
}

/// What goes to the host: a resource that was found, or something to tell.
#[derive(Debug)]
pub(crate) enum Sent {
    Found(Box<Found<Value, Value>>),
    Told(Diagnostics),
}

/// Where a list sends what it finds.
#[derive(Debug)]
pub struct Results<I, M> {
    sender: mpsc::Sender<Sent>,
    wants_resource: bool,
    /// How many more the host reads; none is any number.
    left: Option<u64>,
    kind: std::marker::PhantomData<fn(I, M)>,
}

impl<I: Identity, M: Codec> Results<I, M> {
    pub(crate) fn new(sender: mpsc::Sender<Sent>, wants_resource: bool, limit: Option<u64>) -> Self {
        Self {
            sender,
            wants_resource,
            left: limit,
            kind: std::marker::PhantomData,
        }
    }

    /// Returns whether the host asks for whole resources.
    pub fn wants_resource(&self) -> bool {
        self.wants_resource
    }

    /// Returns how many more the host reads, where it has a limit: for the size of a page.
    pub fn left(&self) -> Option<u64> {
        self.left
    }

    /// Sends one that was found. It waits while the host is slow to read. `Break` means that the host reads no more.
    ///
    /// # Cancel safety
    ///
    /// Where the future is dropped, the result may be lost.
    pub async fn send(&mut self, found: Found<I, M>) -> ControlFlow<()> {
        if self.left == Some(0) {
            return ControlFlow::Break(());
        }
        let failed = found.diagnostics.has_errors();
        let erased = Found {
            identity: found.identity.write(),
            display_name: found.display_name,
            resource: found.resource.map(|model| model.write()),
            diagnostics: found.diagnostics,
        };
        let sent = self.sender.send(Sent::Found(Box::new(erased))).await;
        self.left = self.left.map(|left| left - 1);
        if sent.is_err() || failed || self.left == Some(0) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Tells the practitioner something that is about no single result. An error ends the list.
    ///
    /// # Cancel safety
    ///
    /// Where the future is dropped, what was told may be lost.
    pub async fn tell(&mut self, diagnostics: Diagnostics) -> ControlFlow<()> {
        let failed = diagnostics.has_errors();
        let sent = self.sender.send(Sent::Told(diagnostics)).await;
        if sent.is_err() || failed {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
