//! Managed resources without their types: values in, values out.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{
    Given, Told, Validates,
    erased::{Readable, outcome, read},
};
use crate::{
    diagnostics::Diagnostics,
    identity::{Identity, IdentitySchema},
    list::{ListResource, Results, Sent},
    model::Codec,
    provider::Context,
    resource::{
        CreateRequest, DeleteRequest, MoveRequest, PlanRequest, PlanResponse, ReadRequest, Resource,
        ResourceWithGenerateConfig, ResourceWithIdentity, ResourceWithImport, ResourceWithImportByIdentity,
        ResourceWithModifyPlan, ResourceWithMove, ResourceWithUpgrade, ResourceWithUpgradeIdentity,
        StateResponse, StoredState, UpdateRequest, UpgradeRequest,
    },
    schema::{Compiled, Schema},
    server::caught,
    value::{CodecError, Value},
};

/// A managed resource and what it can do.
pub(crate) struct Managed<D> {
    pub(crate) core: Arc<dyn AnyResource<D>>,
    pub(crate) compiled: OnceLock<Compiled>,
    pub(crate) validate: Option<Arc<dyn Validates<D>>>,
    pub(crate) modify_plan: Option<Arc<dyn AnyModifyPlan<D>>>,
    pub(crate) import: Option<Arc<dyn AnyImport<D>>>,
    pub(crate) identity: Option<Arc<dyn AnyIdentity<D>>>,
    pub(crate) import_by_identity: Option<Arc<dyn AnyImportByIdentity<D>>>,
    pub(crate) upgrade_identity: Option<Arc<dyn AnyUpgradeIdentity<D>>>,
    pub(crate) upgrade: Option<Arc<dyn AnyUpgrade<D>>>,
    pub(crate) take_over: Option<Arc<dyn AnyMove<D>>>,
    pub(crate) generate: Option<Arc<dyn AnyGenerate<D>>>,
    pub(crate) list: Option<ListParts<D>>,
}

impl<D> Managed<D> {
    pub(super) fn new(core: Arc<dyn AnyResource<D>>) -> Self {
        Self {
            validate: Some(core.readable()),
            core,
            compiled: OnceLock::new(),
            modify_plan: None,
            import: None,
            identity: None,
            import_by_identity: None,
            upgrade_identity: None,
            upgrade: None,
            take_over: None,
            generate: None,
            list: None,
        }
    }
}

/// A list of a resource type.
pub(crate) struct ListParts<D> {
    pub(crate) list: Arc<dyn AnyList<D>>,
    pub(crate) compiled: OnceLock<Compiled>,
}

#[async_trait]
pub(crate) trait AnyResource<D>: Send + Sync {
    fn schema(&self) -> Schema;
    fn readable(&self) -> Arc<dyn Validates<D>>;
    async fn create(&self, context: &Context<D>, given: Given<'_>, response: &mut StateResponse) -> Told<()>;
    async fn read(&self, context: &Context<D>, given: Given<'_>, response: &mut StateResponse) -> Told<()>;
    async fn update(&self, context: &Context<D>, given: Given<'_>, response: &mut StateResponse) -> Told<()>;
    async fn delete(&self, context: &Context<D>, given: Given<'_>, diagnostics: &mut Diagnostics)
    -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: Resource<D>> AnyResource<D> for R {
    fn schema(&self) -> Schema {
        Resource::schema(self)
    }

    fn readable(&self) -> Arc<dyn Validates<D>> {
        Arc::new(Readable::<R::Model>::new())
    }

    async fn create(&self, context: &Context<D>, given: Given<'_>, response: &mut StateResponse) -> Told<()> {
        let config: R::Model = read(given.config, &mut response.diagnostics)?;
        let plan: R::Model = read(given.plan, &mut response.diagnostics)?;
        let mut typed = StateResponse {
            private: given.private.clone(),
            ..StateResponse::default()
        };
        let request = CreateRequest {
            config: &config,
            plan: &plan,
            private: given.private,
        };
        let caught = caught::run(Resource::create(self, context, request, &mut typed)).await;
        typed.settle("creating a resource", caught, response)
    }

    async fn read(&self, context: &Context<D>, given: Given<'_>, response: &mut StateResponse) -> Told<()> {
        let state: R::Model = read(given.prior, &mut response.diagnostics)?;
        let mut typed = StateResponse {
            state: read(given.prior, &mut response.diagnostics),
            private: given.private.clone(),
            ..StateResponse::default()
        };
        let request = ReadRequest {
            state: &state,
            private: given.private,
        };
        let caught = caught::run(Resource::read(self, context, request, &mut typed)).await;
        typed.settle("reading a resource", caught, response)
    }

    async fn update(&self, context: &Context<D>, given: Given<'_>, response: &mut StateResponse) -> Told<()> {
        let config: R::Model = read(given.config, &mut response.diagnostics)?;
        let prior: R::Model = read(given.prior, &mut response.diagnostics)?;
        let plan: R::Model = read(given.plan, &mut response.diagnostics)?;
        let mut typed = StateResponse {
            state: read(given.prior, &mut response.diagnostics),
            private: given.private.clone(),
            ..StateResponse::default()
        };
        let request = UpdateRequest {
            config: &config,
            prior: &prior,
            plan: &plan,
            private: given.private,
        };
        let caught = caught::run(Resource::update(self, context, request, &mut typed)).await;
        typed.settle("updating a resource", caught, response)
    }

    async fn delete(
        &self,
        context: &Context<D>,
        given: Given<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Told<()> {
        let state: R::Model = read(given.prior, diagnostics)?;
        let request = DeleteRequest {
            state: &state,
            private: given.private,
        };
        let caught = caught::run(Resource::delete(self, context, request, diagnostics)).await;
        outcome("deleting a resource", caught, diagnostics)
    }
}

#[async_trait]
pub(crate) trait AnyModifyPlan<D>: Send + Sync {
    async fn modify_plan(
        &self,
        context: &Context<D>,
        given: Given<'_>,
        response: &mut PlanResponse,
    ) -> Told<()>;
    async fn plan_delete(
        &self,
        context: &Context<D>,
        state: &Value,
        diagnostics: &mut Diagnostics,
    ) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithModifyPlan<D>> AnyModifyPlan<D> for R {
    async fn modify_plan(
        &self,
        context: &Context<D>,
        given: Given<'_>,
        response: &mut PlanResponse,
    ) -> Told<()> {
        let config: R::Model = read(given.config, &mut response.diagnostics)?;
        let prior: Option<R::Model> = if given.prior.is_null() {
            None
        } else {
            Some(read(given.prior, &mut response.diagnostics)?)
        };
        let mut typed = PlanResponse {
            plan: read(&response.plan, &mut response.diagnostics)?,
            requires_replace: Vec::new(),
            private: given.private.clone(),
            deferred: None,
            diagnostics: Diagnostics::new(),
        };
        let request = PlanRequest {
            prior: prior.as_ref(),
            config: &config,
            private: given.private,
        };
        let caught = caught::run(ResourceWithModifyPlan::modify_plan(
            self, context, request, &mut typed,
        ))
        .await;
        response.plan = typed.plan.write();
        response.requires_replace.extend(typed.requires_replace);
        response.private = typed.private;
        response.deferred = typed.deferred;
        response.diagnostics.extend(typed.diagnostics);
        outcome("planning a resource", caught, &mut response.diagnostics)
    }

    async fn plan_delete(
        &self,
        context: &Context<D>,
        state: &Value,
        diagnostics: &mut Diagnostics,
    ) -> Told<()> {
        let state = read(state, diagnostics)?;
        let caught = caught::run(ResourceWithModifyPlan::plan_delete(
            self,
            context,
            &state,
            diagnostics,
        ))
        .await;
        outcome("planning to delete a resource", caught, diagnostics)
    }
}

#[async_trait]
pub(crate) trait AnyImport<D>: Send + Sync {
    async fn import(&self, context: &Context<D>, id: &str, response: &mut StateResponse) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithImport<D>> AnyImport<D> for R {
    async fn import(&self, context: &Context<D>, id: &str, response: &mut StateResponse) -> Told<()> {
        let mut typed = StateResponse::default();
        let caught = caught::run(ResourceWithImport::import(self, context, id, &mut typed)).await;
        typed.settle("importing a resource", caught, response)
    }
}

#[async_trait]
pub(crate) trait AnyIdentity<D>: Send + Sync {
    fn schema(&self) -> IdentitySchema;
    async fn identity(
        &self,
        context: &Context<D>,
        state: &Value,
        diagnostics: &mut Diagnostics,
    ) -> Told<Value>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithIdentity<D>> AnyIdentity<D> for R {
    fn schema(&self) -> IdentitySchema {
        R::Identity::schema()
    }

    async fn identity(
        &self,
        context: &Context<D>,
        state: &Value,
        diagnostics: &mut Diagnostics,
    ) -> Told<Value> {
        let state = read(state, diagnostics)?;
        let caught =
            caught::run(async { ResourceWithIdentity::identity(self, context, &state).write() }).await;
        outcome("naming a resource", caught, diagnostics)
    }
}

#[async_trait]
pub(crate) trait AnyImportByIdentity<D>: Send + Sync {
    async fn import(&self, context: &Context<D>, identity: &Value, response: &mut StateResponse) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithImportByIdentity<D>> AnyImportByIdentity<D> for R {
    async fn import(&self, context: &Context<D>, identity: &Value, response: &mut StateResponse) -> Told<()> {
        let identity = identity_of::<R::Identity>(R::Identity::read(identity), &mut response.diagnostics)?;
        let mut typed = StateResponse::default();
        let caught = caught::run(self.import_by_identity(context, &identity, &mut typed)).await;
        typed.settle("importing a resource", caught, response)
    }
}

fn identity_of<I>(read: Result<I, CodecError>, diagnostics: &mut Diagnostics) -> Told<I> {
    match read {
        Ok(identity) => Some(identity),
        Err(error) => {
            diagnostics.error(
                "Identity cannot be read",
                format!("The identity is not one of this resource type: {error}."),
            );
            None
        }
    }
}

#[async_trait]
pub(crate) trait AnyUpgradeIdentity<D>: Send + Sync {
    async fn upgrade(
        &self,
        version: i64,
        stored: StoredState<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Told<Value>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithUpgradeIdentity<D>> AnyUpgradeIdentity<D> for R {
    async fn upgrade(
        &self,
        version: i64,
        stored: StoredState<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Told<Value> {
        let caught = caught::run(self.upgrade_identity(version, stored, diagnostics)).await;
        let identity = outcome("upgrading an identity", caught, diagnostics)??;
        Some(identity.write())
    }
}

#[async_trait]
pub(crate) trait AnyUpgrade<D>: Send + Sync {
    async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithUpgrade<D>> AnyUpgrade<D> for R {
    async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse) -> Told<()> {
        let mut typed = StateResponse::default();
        let caught = caught::run(ResourceWithUpgrade::upgrade(self, request, &mut typed)).await;
        typed.settle("upgrading a state", caught, response)
    }
}

#[async_trait]
pub(crate) trait AnyMove<D>: Send + Sync {
    async fn take_over(&self, request: MoveRequest<'_>, response: &mut StateResponse) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithMove<D>> AnyMove<D> for R {
    async fn take_over(&self, request: MoveRequest<'_>, response: &mut StateResponse) -> Told<()> {
        let mut typed = StateResponse::default();
        let caught = caught::run(ResourceWithMove::take_over(self, request, &mut typed)).await;
        typed.settle("moving a state", caught, response)
    }
}

#[async_trait]
pub(crate) trait AnyGenerate<D>: Send + Sync {
    async fn generate(&self, state: &Value, config: &mut Value, diagnostics: &mut Diagnostics) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, R: ResourceWithGenerateConfig<D>> AnyGenerate<D> for R {
    async fn generate(&self, state: &Value, config: &mut Value, diagnostics: &mut Diagnostics) -> Told<()> {
        let state: R::Model = read(state, diagnostics)?;
        let mut typed: R::Model = read(config, diagnostics)?;
        let caught = caught::run(self.generate_config(&state, &mut typed, diagnostics)).await;
        *config = typed.write();
        outcome("generating a configuration", caught, diagnostics)
    }
}

/// What a list is asked for.
pub(crate) struct Wanted {
    pub(crate) resource: bool,
    pub(crate) limit: Option<u64>,
}

#[async_trait]
pub(crate) trait AnyList<D>: Send + Sync {
    fn schema(&self) -> Schema;
    async fn validate(&self, context: &Context<D>, config: &Value, diagnostics: &mut Diagnostics)
    -> Told<()>;
    async fn list(
        &self,
        context: &Context<D>,
        config: &Value,
        wanted: Wanted,
        sender: mpsc::Sender<Sent>,
        diagnostics: &mut Diagnostics,
    ) -> Told<()>;
}

/// A list, which alone does not say of what.
struct Lists<L, R>(L, std::marker::PhantomData<fn() -> R>);

/// Erases a list of the resource type `R`.
pub(super) fn list<D, R, L>(list: L) -> ListParts<D>
where
    D: Send + Sync + 'static,
    R: ResourceWithIdentity<D>,
    L: ListResource<D, R>,
{
    ListParts {
        list: Arc::new(Lists::<L, R>(list, std::marker::PhantomData)),
        compiled: OnceLock::new(),
    }
}

#[async_trait]
impl<D, R, L> AnyList<D> for Lists<L, R>
where
    D: Send + Sync + 'static,
    R: ResourceWithIdentity<D>,
    L: ListResource<D, R>,
{
    fn schema(&self) -> Schema {
        self.0.schema()
    }

    async fn validate(
        &self,
        context: &Context<D>,
        config: &Value,
        diagnostics: &mut Diagnostics,
    ) -> Told<()> {
        let config = read(config, diagnostics)?;
        let caught = caught::run(self.0.validate(context, &config, diagnostics)).await;
        outcome("validating a configuration", caught, diagnostics)
    }

    async fn list(
        &self,
        context: &Context<D>,
        config: &Value,
        wanted: Wanted,
        sender: mpsc::Sender<Sent>,
        diagnostics: &mut Diagnostics,
    ) -> Told<()> {
        let config = read(config, diagnostics)?;
        let mut results = Results::new(sender, wanted.resource, wanted.limit);
        let caught = caught::run(self.0.list(context, &config, &mut results)).await;
        outcome("listing resources", caught, diagnostics)
    }
}
