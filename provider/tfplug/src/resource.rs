//! What the author of a managed resource writes.
//!
//! Each operation has a request to read and a response to fill. A response is filled as things come to be, so that what
//! exists is kept whatever happens next: an error after a partial success, a cancellation, even a panic.

use std::fmt;

use async_trait::async_trait;

use crate::{
    diagnostics::Diagnostics,
    path::Path,
    private::Private,
    provider::Context,
    schema::Schema,
    value::{CodecError, Type, Value},
};

/// A managed resource. `D` is the provider's [`Data`](crate::provider::Provider::Data).
#[async_trait]
pub trait Resource<D: Send + Sync + 'static>: Send + Sync {
    /// Returns the name of the type, such as `cloud_server`.
    fn type_name(&self) -> &str;

    /// Returns the schema. It is asked once and kept.
    fn schema(&self) -> Schema;

    /// Checks a configuration beyond the validators of single attributes. Values may be unknown, and the provider is
    /// not configured yet.
    async fn validate(&self, context: &Context<D>, config: &Value, diagnostics: &mut Diagnostics) {
        let _ = (context, config, diagnostics);
    }

    /// Changes the plan of a new or updated resource, after the pipeline. It may change computed values only.
    async fn modify_plan(&self, context: &Context<D>, request: PlanRequest<'_>, response: &mut PlanResponse) {
        let _ = (context, request, response);
    }

    /// Looks at the plan to delete the resource, to warn of it or to refuse it.
    async fn plan_delete(&self, context: &Context<D>, state: &Value, diagnostics: &mut Diagnostics) {
        let _ = (context, state, diagnostics);
    }

    /// Creates the resource. The response's state is empty at first; set it as soon as something exists.
    async fn create(&self, context: &Context<D>, request: CreateRequest<'_>, response: &mut StateResponse);

    /// Reads the resource. The response's state is the one known so far; take it away if the resource is gone.
    async fn read(&self, context: &Context<D>, request: ReadRequest<'_>, response: &mut StateResponse);

    /// Updates the resource in place. The response's state is the prior one at first.
    async fn update(&self, context: &Context<D>, request: UpdateRequest<'_>, response: &mut StateResponse);

    /// Deletes the resource. It counts as deleted unless there is an error; one that is gone already is no error.
    async fn delete(&self, context: &Context<D>, request: DeleteRequest<'_>, diagnostics: &mut Diagnostics);

    /// Finds an existing resource by the text that the practitioner gave. Set what [`Resource::read`] needs to find it
    /// again; attributes that are left out are null. A read follows.
    async fn import(&self, context: &Context<D>, id: &str, response: &mut StateResponse) {
        let _ = (context, id);
        response.diagnostics.error(
            "Import is not supported",
            format!("The resource type `{}` cannot be imported.", self.type_name()),
        );
    }

    /// Brings stored state of an older schema version to the current one.
    async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse) {
        response.diagnostics.error(
            "State cannot be upgraded",
            format!(
                "The state of this `{}` was written with schema version {}, from which this version of the provider \
                 knows no way to its own.",
                self.type_name(),
                request.version
            ),
        );
    }
}

/// What [`Resource::modify_plan`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlanRequest<'a> {
    /// The prior state; null for a new resource.
    pub prior: &'a Value,
    /// The configuration, the only place with write-only values.
    pub config: &'a Value,
    /// What earlier operations remembered.
    pub private: &'a Private,
}

impl PlanRequest<'_> {
    /// Returns whether the resource is new.
    pub fn is_create(&self) -> bool {
        self.prior.is_null()
    }
}

/// What [`Resource::modify_plan`] changes.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlanResponse {
    /// The plan.
    pub plan: Value,
    /// Changes that replace the resource, beyond those that the schema declares.
    pub requires_replace: Vec<Path>,
    /// What to tell the practitioner.
    pub diagnostics: Diagnostics,
}

/// What [`Resource::create`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct CreateRequest<'a> {
    /// The configuration, wholly known, the only place with write-only values.
    pub config: &'a Value,
    /// The plan.
    pub plan: &'a Value,
}

/// What [`Resource::read`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadRequest<'a> {
    /// The state known so far.
    pub state: &'a Value,
    /// What earlier operations remembered.
    pub private: &'a Private,
}

/// What [`Resource::update`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpdateRequest<'a> {
    /// The configuration, wholly known, the only place with write-only values.
    pub config: &'a Value,
    /// The prior state.
    pub prior: &'a Value,
    /// The plan.
    pub plan: &'a Value,
    /// What earlier operations remembered.
    pub private: &'a Private,
}

/// What [`Resource::delete`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeleteRequest<'a> {
    /// The state.
    pub state: &'a Value,
}

/// What [`Resource::upgrade`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpgradeRequest<'a> {
    /// The schema version that wrote the state.
    pub version: i64,
    /// The state as stored.
    pub stored: StoredState<'a>,
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
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct StateResponse {
    /// What exists; none if nothing does.
    pub state: Option<Value>,
    /// What to remember: at first what earlier operations did. Upgrades and data sources remember nothing.
    pub private: Private,
    /// What to tell the practitioner.
    pub diagnostics: Diagnostics,
}
