//! What all erased things share: reading models, running the author's code, and taking what it left.

use std::{marker::PhantomData, sync::Arc};

use async_trait::async_trait;

use crate::{
    action::ActionWithValidate,
    data_source::DataSourceWithValidate,
    diagnostics::Diagnostics,
    ephemeral::EphemeralResourceWithValidate,
    log,
    model::Codec,
    private::Private,
    provider::Context,
    resource::{ResourceWithValidate, StateResponse},
    server::caught,
    value::Value,
};

/// What an operation on a managed resource works with; what it has none of is null.
pub(crate) struct Given<'a> {
    pub(crate) config: &'a Value,
    pub(crate) prior: &'a Value,
    pub(crate) plan: &'a Value,
    pub(crate) private: &'a Private,
}

/// Nothing, where the reason is among the diagnostics.
pub(crate) type Told<T> = Option<T>;

/// Reads a model, or says where the value is not one. A number that is too large is a mistake of the configuration.
pub(crate) fn read<M: Codec>(value: &Value, diagnostics: &mut Diagnostics) -> Told<M> {
    match M::read(value) {
        Ok(model) => Some(model),
        Err(error) => {
            let place = error.path.to_string();
            let subject = if place.is_empty() {
                "The value".to_owned()
            } else {
                format!("The value of `{place}`")
            };
            diagnostics.attribute_error(
                error.path,
                "Invalid value",
                format!(
                    "{subject} is not one that the provider can use: {}.",
                    error.reason
                ),
            );
            None
        }
    }
}

/// Takes the outcome of the author's code, or reports its panic.
pub(crate) fn outcome<T>(doing: &str, caught: Result<T, String>, diagnostics: &mut Diagnostics) -> Told<T> {
    match caught {
        Ok(value) => Some(value),
        Err(note) => {
            log::error("panicked", &[("while", doing)]);
            diagnostics.error(
                "Provider bug",
                format!("The provider panicked while {doing}: {note}. This is a bug in the provider. Please report it."),
            );
            None
        }
    }
}

impl<M: Codec> StateResponse<M> {
    /// Hands on what the author's code left, whether it ended or panicked.
    pub(super) fn settle(
        self,
        doing: &str,
        caught: Result<(), String>,
        response: &mut StateResponse,
    ) -> Told<()> {
        response.state = self.state.map(|state| state.write());
        response.private = self.private;
        response.deferred = self.deferred;
        response.diagnostics.extend(self.diagnostics);
        outcome(doing, caught, &mut response.diagnostics)
    }
}

/// What checks configurations.
#[async_trait]
pub(crate) trait Validates<D>: Send + Sync {
    async fn validate(&self, context: &Context<D>, config: &Value, diagnostics: &mut Diagnostics);
}

/// A thing of a kind. The kind tells implementations of [`Validates`] apart.
pub(super) struct Of<T, K>(Arc<T>, PhantomData<fn() -> K>);

impl<T, K> Of<T, K> {
    pub(super) fn new(thing: &Arc<T>) -> Self {
        Self(Arc::clone(thing), PhantomData)
    }
}

macro_rules! validates {
    ($($kind:ident, $with:ident;)*) => {$(
        pub(super) struct $kind;

        #[async_trait]
        impl<D: Send + Sync + 'static, T: $with<D>> Validates<D> for Of<T, $kind> {
            async fn validate(&self, context: &Context<D>, config: &Value, diagnostics: &mut Diagnostics) {
                let Some(config) = read(config, diagnostics) else { return };
                let caught = caught::run($with::validate(self.0.as_ref(), context, &config, diagnostics)).await;
                outcome("validating a configuration", caught, diagnostics);
            }
        }
    )*};
}

validates! {
    ResourceKind, ResourceWithValidate;
    DataSourceKind, DataSourceWithValidate;
    EphemeralKind, EphemeralResourceWithValidate;
    ActionKind, ActionWithValidate;
}

/// What checks configurations of a model only by reading them: whether each value is one that its type can hold.
pub(crate) struct Readable<M>(PhantomData<fn() -> M>);

impl<M: Codec> Readable<M> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<D: Send + Sync + 'static, M: Codec> Validates<D> for Readable<M> {
    async fn validate(&self, _: &Context<D>, config: &Value, diagnostics: &mut Diagnostics) {
        let _: Told<M> = read(config, diagnostics);
    }
}
