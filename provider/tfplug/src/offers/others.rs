//! Data sources, ephemeral resources, actions and functions without their types.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::{
    Told, Validates,
    erased::{Readable, outcome, read},
};
use crate::{
    action::{Action, ActionWithPlan, PlanActionResponse, Progress},
    data_source::DataSource,
    diagnostics::Diagnostics,
    ephemeral::{
        EphemeralResource, EphemeralResourceWithClose, EphemeralResourceWithRenew, OpenResponse,
        RenewResponse,
    },
    function::{Argument, Arguments, Function, FunctionError, Parameter},
    model::Codec,
    private::Private,
    provider::Context,
    resource::StateResponse,
    schema::{Compiled, Schema},
    server::caught,
    value::{Type, Value},
};

/// A data source and what it can do.
pub(crate) struct DataSourceParts<D> {
    pub(crate) core: Arc<dyn AnyDataSource<D>>,
    pub(crate) compiled: OnceLock<Compiled>,
    pub(crate) validate: Option<Arc<dyn Validates<D>>>,
}

impl<D> DataSourceParts<D> {
    pub(super) fn new(core: Arc<dyn AnyDataSource<D>>) -> Self {
        Self {
            validate: Some(core.readable()),
            core,
            compiled: OnceLock::new(),
        }
    }
}

#[async_trait]
pub(crate) trait AnyDataSource<D>: Send + Sync {
    fn schema(&self) -> Schema;
    fn readable(&self) -> Arc<dyn Validates<D>>;
    async fn read(&self, context: &Context<D>, config: &Value, response: &mut StateResponse) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, S: DataSource<D>> AnyDataSource<D> for S {
    fn schema(&self) -> Schema {
        DataSource::schema(self)
    }

    fn readable(&self) -> Arc<dyn Validates<D>> {
        Arc::new(Readable::<S::Model>::new())
    }

    async fn read(&self, context: &Context<D>, config: &Value, response: &mut StateResponse) -> Told<()> {
        let config = read(config, &mut response.diagnostics)?;
        let mut typed = StateResponse::default();
        let caught = caught::run(DataSource::read(self, context, &config, &mut typed)).await;
        typed.settle("reading a data source", caught, response)
    }
}

/// An ephemeral resource and what it can do.
pub(crate) struct EphemeralParts<D> {
    pub(crate) core: Arc<dyn AnyEphemeral<D>>,
    pub(crate) compiled: OnceLock<Compiled>,
    pub(crate) validate: Option<Arc<dyn Validates<D>>>,
    pub(crate) renew: Option<Arc<dyn AnyRenew<D>>>,
    pub(crate) close: Option<Arc<dyn AnyClose<D>>>,
}

impl<D> EphemeralParts<D> {
    pub(super) fn new(core: Arc<dyn AnyEphemeral<D>>) -> Self {
        Self {
            validate: Some(core.readable()),
            core,
            compiled: OnceLock::new(),
            renew: None,
            close: None,
        }
    }
}

#[async_trait]
pub(crate) trait AnyEphemeral<D>: Send + Sync {
    fn schema(&self) -> Schema;
    fn readable(&self) -> Arc<dyn Validates<D>>;
    async fn open(&self, context: &Context<D>, config: &Value, response: &mut OpenResponse) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, E: EphemeralResource<D>> AnyEphemeral<D> for E {
    fn schema(&self) -> Schema {
        EphemeralResource::schema(self)
    }

    fn readable(&self) -> Arc<dyn Validates<D>> {
        Arc::new(Readable::<E::Model>::new())
    }

    async fn open(&self, context: &Context<D>, config: &Value, response: &mut OpenResponse) -> Told<()> {
        let config = read(config, &mut response.diagnostics)?;
        let mut typed = OpenResponse::default();
        let caught = caught::run(EphemeralResource::open(self, context, &config, &mut typed)).await;
        response.result = typed.result.map(|result: E::Model| result.write());
        response.renew_at = typed.renew_at;
        response.private = typed.private;
        response.deferred = typed.deferred;
        response.diagnostics.extend(typed.diagnostics);
        outcome("opening an ephemeral resource", caught, &mut response.diagnostics)
    }
}

#[async_trait]
pub(crate) trait AnyRenew<D>: Send + Sync {
    async fn renew(&self, context: &Context<D>, private: &Private, response: &mut RenewResponse) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, E: EphemeralResourceWithRenew<D>> AnyRenew<D> for E {
    async fn renew(&self, context: &Context<D>, private: &Private, response: &mut RenewResponse) -> Told<()> {
        let caught = caught::run(EphemeralResourceWithRenew::renew(
            self, context, private, response,
        ))
        .await;
        outcome(
            "renewing an ephemeral resource",
            caught,
            &mut response.diagnostics,
        )
    }
}

#[async_trait]
pub(crate) trait AnyClose<D>: Send + Sync {
    async fn close(&self, context: &Context<D>, private: &Private, diagnostics: &mut Diagnostics)
    -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, E: EphemeralResourceWithClose<D>> AnyClose<D> for E {
    async fn close(
        &self,
        context: &Context<D>,
        private: &Private,
        diagnostics: &mut Diagnostics,
    ) -> Told<()> {
        let caught = caught::run(EphemeralResourceWithClose::close(
            self,
            context,
            private,
            diagnostics,
        ))
        .await;
        outcome("closing an ephemeral resource", caught, diagnostics)
    }
}

/// An action and what it can do.
pub(crate) struct ActionParts<D> {
    pub(crate) core: Arc<dyn AnyAction<D>>,
    pub(crate) compiled: OnceLock<Compiled>,
    pub(crate) validate: Option<Arc<dyn Validates<D>>>,
    pub(crate) plan: Option<Arc<dyn AnyActionPlan<D>>>,
}

impl<D> ActionParts<D> {
    pub(super) fn new(core: Arc<dyn AnyAction<D>>) -> Self {
        Self {
            validate: Some(core.readable()),
            core,
            compiled: OnceLock::new(),
            plan: None,
        }
    }
}

#[async_trait]
pub(crate) trait AnyAction<D>: Send + Sync {
    fn schema(&self) -> Schema;
    fn readable(&self) -> Arc<dyn Validates<D>>;
    async fn invoke(
        &self,
        context: &Context<D>,
        config: &Value,
        progress: Progress,
        diagnostics: &mut Diagnostics,
    ) -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, A: Action<D>> AnyAction<D> for A {
    fn schema(&self) -> Schema {
        Action::schema(self)
    }

    fn readable(&self) -> Arc<dyn Validates<D>> {
        Arc::new(Readable::<A::Model>::new())
    }

    async fn invoke(
        &self,
        context: &Context<D>,
        config: &Value,
        progress: Progress,
        diagnostics: &mut Diagnostics,
    ) -> Told<()> {
        let config = read(config, diagnostics)?;
        let caught = caught::run(Action::invoke(self, context, &config, &progress, diagnostics)).await;
        outcome("invoking an action", caught, diagnostics)
    }
}

#[async_trait]
pub(crate) trait AnyActionPlan<D>: Send + Sync {
    async fn plan(&self, context: &Context<D>, config: &Value, response: &mut PlanActionResponse)
    -> Told<()>;
}

#[async_trait]
impl<D: Send + Sync + 'static, A: ActionWithPlan<D>> AnyActionPlan<D> for A {
    async fn plan(
        &self,
        context: &Context<D>,
        config: &Value,
        response: &mut PlanActionResponse,
    ) -> Told<()> {
        let config = read(config, &mut response.diagnostics)?;
        let caught = caught::run(ActionWithPlan::plan(self, context, &config, response)).await;
        outcome("planning an action", caught, &mut response.diagnostics)
    }
}

/// A function.
pub(crate) struct FunctionParts {
    pub(crate) core: Box<dyn AnyFunction>,
}

impl FunctionParts {
    pub(super) fn new(core: Box<dyn AnyFunction>) -> Self {
        Self { core }
    }
}

/// What a function is, for schema and documentation.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) variadic: Option<Parameter>,
    pub(crate) returns: Type,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) deprecation: Option<String>,
}

#[async_trait]
pub(crate) trait AnyFunction: Send + Sync {
    fn signature(&self) -> Signature;
    async fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError>;
}

#[async_trait]
impl<F: Function> AnyFunction for F {
    fn signature(&self) -> Signature {
        let (parameters, variadic) = F::Arguments::parameters();
        Signature {
            parameters,
            variadic,
            returns: F::Output::ty(),
            summary: self.summary().to_owned(),
            description: self.description().to_owned(),
            deprecation: self.deprecation().map(str::to_owned),
        }
    }

    async fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let arguments = F::Arguments::read(arguments)?;
        let caught = caught::run(async { Function::call(self, arguments) }).await;
        match caught {
            Ok(result) => result.map(|output| output.write()),
            Err(note) => Err(FunctionError::new(format!(
                "The function panicked: {note}. This is a bug in the provider. Please report it."
            ))),
        }
    }
}
