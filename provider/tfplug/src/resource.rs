//! What the author of a managed resource writes.
//!
//! Each operation has a request to read and a response to fill. A response is filled as things come to be, so that what
//! exists is kept whatever happens next: an error after a partial success, a cancellation, even a panic.

use std::fmt;

use async_trait::async_trait;

use crate::{
    diagnostics::Diagnostics,
    identity::Identity,
    model::Codec,
    path::Path,
    private::Private,
    provider::{Context, Deferred},
    schema::Schema,
    value::{CodecError, Type, Value},
};

/// A managed resource. `D` is the provider's [`Data`](crate::provider::Provider::Data).
///
/// This is all that a resource has to do. What it can do beyond is one more trait each, and one more word where the
/// provider [offers](crate::offers::ResourceOffer) it. The documentation of this crate has a complete example.
#[async_trait]
pub trait Resource<D: Send + Sync + 'static>: Send + Sync + 'static {
    /// Its attributes: a struct with `#[derive(Model)]`, or the untyped [`Value`].
    type Model: Codec;

    /// Returns the name of the type, such as `cloud_server`.
    fn type_name(&self) -> &str;

    /// Returns the schema. It is asked once and kept.
    fn schema(&self) -> Schema;

    /// Creates the resource. The response's state is empty at first; set it as soon as something exists.
    async fn create(
        &self,
        context: &Context<D>,
        request: CreateRequest<'_, Self::Model>,
        response: &mut StateResponse<Self::Model>,
    );

    /// Reads the resource. The response's state is the one known so far; take it away if the resource is gone.
    async fn read(
        &self,
        context: &Context<D>,
        request: ReadRequest<'_, Self::Model>,
        response: &mut StateResponse<Self::Model>,
    );

    /// Updates the resource in place. The response's state is the prior one at first.
    async fn update(
        &self,
        context: &Context<D>,
        request: UpdateRequest<'_, Self::Model>,
        response: &mut StateResponse<Self::Model>,
    );

    /// Deletes the resource. It counts as deleted unless there is an error; one that is gone already is no error.
    async fn delete(
        &self,
        context: &Context<D>,
        request: DeleteRequest<'_, Self::Model>,
        diagnostics: &mut Diagnostics,
    );
}

/// A resource whose configurations are checked beyond the validators of single attributes.
///
/// ```
/// # use tfplug::{diagnostics::Diagnostics, model::{Model, Value}, provider::Context, resource::*};
/// # #[derive(Model)]
/// # struct Dog { small: Value<bool>, weight: Value<u32> }
/// # struct Dogs;
/// # tfplug::doc_resource!(Dogs, Dog);
/// #[async_trait::async_trait]
/// impl ResourceWithValidate<()> for Dogs {
///     async fn validate(&self, _: &Context<()>, config: &Dog, diagnostics: &mut Diagnostics) {
///         if config.small.known() == Some(&true) && config.weight.known().is_some_and(|weight| *weight > 20) {
///             diagnostics.attribute_error(Dog::at().weight(), "Too heavy", "A small dog weighs 20 kg at most.");
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait ResourceWithValidate<D: Send + Sync + 'static>: Resource<D> {
    /// Checks a configuration. Values may be unknown, and the provider is not configured yet.
    async fn validate(&self, context: &Context<D>, config: &Self::Model, diagnostics: &mut Diagnostics);
}

/// A resource that has a say in its plans.
///
/// ```
/// # use tfplug::{model::{Model, Value}, provider::Context, resource::*};
/// # #[derive(Model)]
/// # struct Dog { name: Value<String>, #[tf(computed)] tag: Value<String> }
/// # struct Dogs;
/// # tfplug::doc_resource!(Dogs, Dog);
/// #[async_trait::async_trait]
/// impl ResourceWithModifyPlan<()> for Dogs {
///     async fn modify_plan(
///         &self,
///         _: &Context<()>,
///         request: PlanRequest<'_, Dog>,
///         response: &mut PlanResponse<Dog>,
///     ) {
///         // Another name needs another tag.
///         if request.prior.is_some_and(|prior| prior.name != response.plan.name) {
///             response.plan.tag = Value::Unknown;
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait ResourceWithModifyPlan<D: Send + Sync + 'static>: Resource<D> {
    /// Changes the plan of a new or updated resource, after the pipeline. It may change computed values only.
    async fn modify_plan(
        &self,
        context: &Context<D>,
        request: PlanRequest<'_, Self::Model>,
        response: &mut PlanResponse<Self::Model>,
    );

    /// Looks at the plan to delete the resource, to warn of it or to refuse it.
    async fn plan_delete(&self, context: &Context<D>, state: &Self::Model, diagnostics: &mut Diagnostics) {
        let _ = (context, state, diagnostics);
    }
}

/// A resource that can be imported by a text, such as its id.
///
/// ```
/// # use tfplug::{model::{Model, Value}, provider::Context, resource::*};
/// # #[derive(Model, Default)]
/// # struct Dog { id: Value<String>, name: Value<String> }
/// # struct Dogs;
/// # tfplug::doc_resource!(Dogs, Dog);
/// #[async_trait::async_trait]
/// impl ResourceWithImport<()> for Dogs {
///     async fn import(&self, _: &Context<()>, id: &str, response: &mut StateResponse<Dog>) {
///         response.state = Some(Dog { id: id.into(), ..Dog::default() });
///     }
/// }
/// ```
#[async_trait]
pub trait ResourceWithImport<D: Send + Sync + 'static>: Resource<D> {
    /// Finds an existing resource by the text that the practitioner gave. Set what [`Resource::read`] needs to find it
    /// again; a read follows. No state means that there is none.
    async fn import(&self, context: &Context<D>, id: &str, response: &mut StateResponse<Self::Model>);
}

/// A resource with an identity: what names it for good, apart from its attributes.
///
/// The identity is a function of the state, so that no operation can forget it. The server asks after each, and refuses
/// an identity that changes during the life of a resource, or that is empty.
///
/// ```
/// # use tfplug::{identity::Identity, model::{Model, Value}, provider::Context, resource::*};
/// # #[derive(Model)]
/// # struct Dog { #[tf(computed)] id: Value<String> }
/// # struct Dogs;
/// # tfplug::doc_resource!(Dogs, Dog);
/// #[derive(Identity)]
/// struct DogIdentity {
///     /// The dog's id.
///     id: Value<String>,
/// }
///
/// impl ResourceWithIdentity<()> for Dogs {
///     type Identity = DogIdentity;
///
///     fn identity(&self, _: &Context<()>, state: &Dog) -> DogIdentity {
///         DogIdentity { id: state.id.clone() }
///     }
/// }
/// ```
pub trait ResourceWithIdentity<D: Send + Sync + 'static>: Resource<D> {
    /// What names it.
    type Identity: Identity;

    /// Returns the identity of a resource in this state. In a plan, what it is made of may be unknown, and so is it then.
    fn identity(&self, context: &Context<D>, state: &Self::Model) -> Self::Identity;
}

/// A resource that can be imported by its identity.
#[async_trait]
pub trait ResourceWithImportByIdentity<D: Send + Sync + 'static>: ResourceWithIdentity<D> {
    /// Finds an existing resource by its identity, in which optional parts may be null. A read follows. No state means
    /// that there is none.
    async fn import_by_identity(
        &self,
        context: &Context<D>,
        identity: &Self::Identity,
        response: &mut StateResponse<Self::Model>,
    );
}

/// A resource whose identities have an older schema, too.
#[async_trait]
pub trait ResourceWithUpgradeIdentity<D: Send + Sync + 'static>: ResourceWithIdentity<D> {
    /// Brings a stored identity of an older version of its schema to the current one.
    async fn upgrade_identity(
        &self,
        version: i64,
        stored: StoredState<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self::Identity>;
}

/// A resource whose state has an older schema, too.
///
/// ```
/// # use tfplug::{model::{Model, Value}, provider::Context, resource::*, value::Type};
/// # #[derive(Model, Default)]
/// # struct Dog { id: Value<String>, name: Value<String> }
/// # struct Dogs;
/// # tfplug::doc_resource!(Dogs, Dog);
/// #[async_trait::async_trait]
/// impl ResourceWithUpgrade<()> for Dogs {
///     async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse<Dog>) {
///         // In version 0, the name was the id.
///         let then = Type::object([("id", Type::String)]);
///         match request.stored.decode(&then) {
///             Ok(state) => {
///                 let name = state.get("id").as_str();
///                 response.state = Some(Dog { id: name.map(str::to_lowercase).into(), name: name.map(str::to_owned).into() });
///             }
///             Err(error) => response.diagnostics.error("State cannot be read", error.to_string()),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait ResourceWithUpgrade<D: Send + Sync + 'static>: Resource<D> {
    /// Brings stored state of an older schema version to the current one. No state and no error means that this
    /// version knows no way.
    async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse<Self::Model>);
}

/// A resource that takes over the state of another type, after a `moved` block.
///
/// ```
/// # use tfplug::{model::{Model, Value}, provider::Context, resource::*, value::Type};
/// # #[derive(Model, Default)]
/// # struct Dog { id: Value<String>, name: Value<String> }
/// # struct Dogs;
/// # tfplug::doc_resource!(Dogs, Dog);
/// #[async_trait::async_trait]
/// impl ResourceWithMove<()> for Dogs {
///     async fn take_over(&self, request: MoveRequest<'_>, response: &mut StateResponse<Dog>) {
///         if request.type_name != "kennel_puppy" {
///             return;
///         }
///         match request.stored.decode(&Type::object([("id", Type::String)])) {
///             Ok(puppy) => {
///                 let id = puppy.get("id").as_str().map(str::to_owned);
///                 response.state = Some(Dog { id: id.into(), ..Dog::default() });
///             }
///             Err(error) => response.diagnostics.error("State cannot be read", error.to_string()),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait ResourceWithMove<D: Send + Sync + 'static>: Resource<D> {
    /// Makes state of this type from the stored state of another. No state and no error means that it takes over
    /// nothing from that type. The provider is not configured yet.
    async fn take_over(&self, request: MoveRequest<'_>, response: &mut StateResponse<Self::Model>);
}

/// A resource that has a say in the configuration that Terraform generates for it.
#[async_trait]
pub trait ResourceWithGenerateConfig<D: Send + Sync + 'static>: Resource<D> {
    /// Changes the configuration generated for a state. It leaves out already what is computed only, deprecated or
    /// write-only, and what has its default.
    async fn generate_config(
        &self,
        state: &Self::Model,
        config: &mut Self::Model,
        diagnostics: &mut Diagnostics,
    );
}

/// What [`ResourceWithModifyPlan::modify_plan`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlanRequest<'a, M = Value> {
    /// The prior state; none for a new resource.
    pub prior: Option<&'a M>,
    /// The configuration, the only place with write-only values.
    pub config: &'a M,
    /// What earlier operations remembered.
    pub private: &'a Private,
}

impl<M> PlanRequest<'_, M> {
    /// Returns whether the resource is new.
    pub fn is_create(&self) -> bool {
        self.prior.is_none()
    }
}

/// What [`ResourceWithModifyPlan::modify_plan`] changes.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlanResponse<M = Value> {
    /// The plan.
    pub plan: M,
    /// Changes that replace the resource, beyond those that the schema declares.
    pub requires_replace: Vec<Path>,
    /// What to remember until the plan is applied: at first what earlier operations did.
    pub private: Private,
    /// What the plan waits for, where the host allows it.
    pub deferred: Option<Deferred>,
    /// What to tell the practitioner.
    pub diagnostics: Diagnostics,
}

/// What [`Resource::create`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct CreateRequest<'a, M = Value> {
    /// The configuration, wholly known, the only place with write-only values.
    pub config: &'a M,
    /// The plan.
    pub plan: &'a M,
    /// What the plan remembered.
    pub private: &'a Private,
}

/// What [`Resource::read`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadRequest<'a, M = Value> {
    /// The state known so far.
    pub state: &'a M,
    /// What earlier operations remembered.
    pub private: &'a Private,
}

/// What [`Resource::update`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpdateRequest<'a, M = Value> {
    /// The configuration, wholly known, the only place with write-only values.
    pub config: &'a M,
    /// The prior state.
    pub prior: &'a M,
    /// The plan.
    pub plan: &'a M,
    /// What earlier operations remembered.
    pub private: &'a Private,
}

/// What [`Resource::delete`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeleteRequest<'a, M = Value> {
    /// The state.
    pub state: &'a M,
    /// What earlier operations remembered.
    pub private: &'a Private,
}

/// What [`ResourceWithUpgrade::upgrade`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpgradeRequest<'a> {
    /// The schema version that wrote the state.
    pub version: i64,
    /// The state as stored.
    pub stored: StoredState<'a>,
}

/// What [`ResourceWithMove::take_over`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct MoveRequest<'a> {
    /// The address of the provider that wrote the state, such as `registry.terraform.io/example/cloud`.
    pub provider_address: &'a str,
    /// The type that the resource had.
    pub type_name: &'a str,
    /// The version of that type's schema.
    pub schema_version: i64,
    /// The state as stored.
    pub stored: StoredState<'a>,
    /// The identity as stored, where it has one.
    pub identity: Option<StoredState<'a>>,
    /// What was remembered, if this library wrote it.
    pub private: &'a Private,
}

/// State as stored, of an older schema.
#[derive(Clone, Copy)]
pub struct StoredState<'a>(pub(crate) &'a [u8]);

impl StoredState<'_> {
    /// Reads the state as a value of the type that it had then. What that type does not have is dropped.
    ///
    /// # Errors
    ///
    /// Where the state is not of that type.
    pub fn decode(&self, ty: &Type) -> Result<Value, CodecError> {
        Value::from_stored_json(self.0, ty)
    }
}

impl fmt::Debug for StoredState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredState({} bytes)", self.0.len())
    }
}

/// The state after an operation.
#[derive(Debug)]
#[non_exhaustive]
pub struct StateResponse<M = Value> {
    /// What exists; none if nothing does.
    pub state: Option<M>,
    /// What to remember: at first what earlier operations did. Upgrades and data sources remember nothing.
    pub private: Private,
    /// What the operation waits for, where the host allows it.
    pub deferred: Option<Deferred>,
    /// What to tell the practitioner.
    pub diagnostics: Diagnostics,
}

impl<M> Default for StateResponse<M> {
    fn default() -> Self {
        Self {
            state: None,
            private: Private::default(),
            deferred: None,
            diagnostics: Diagnostics::new(),
        }
    }
}
