//! What a plan says beyond the schema: the engine's own rules, secrets that differ, credentials that Zoom refuses.

use async_trait::async_trait;
use tfplug::{
    diagnostics::Diagnostics,
    provider::Context,
    resource::{PlanRequest, PlanResponse, ResourceWithModifyPlan, ResourceWithValidate},
    value::Value,
};

use super::{AUTHORIZATION, Catalog, trial};
use crate::{
    connection::{Connection, Engine, Kept},
    judge,
    schema::{AUTHORIZATION_URL, ENGINE_ID, FINGERPRINT, ID},
    secrets::{self, APPLIED, Known, Question},
};

#[async_trait]
impl<S: Kept> ResourceWithValidate<Engine> for Catalog<S> {
    async fn validate(&self, _: &Context<Engine>, config: &Value, diagnostics: &mut Diagnostics) {
        judge::judge::<S>(self.attributes(), config, None, diagnostics);
    }
}

#[async_trait]
impl<S: Kept> ResourceWithModifyPlan<Engine> for Catalog<S> {
    async fn modify_plan(
        &self,
        context: &Context<Engine>,
        request: PlanRequest<'_>,
        response: &mut PlanResponse,
    ) {
        judge::judge::<S>(
            self.attributes(),
            request.config,
            Some(request.prior.unwrap_or(&Value::Null)),
            &mut response.diagnostics,
        );
        // Without an engine nobody can tell about secrets, so the plan leaves them open.
        let connection = match context.data().map(AsRef::as_ref) {
            Some(Engine::Known(connection)) => Some(&**connection),
            Some(Engine::Unknown) | None => None,
        };
        if response.diagnostics.has_errors() {
            return;
        }
        if let Some(prior) = request.prior {
            self.compare_secrets(connection, prior, &request, response).await;
        }
        if let Some(connection) = connection
            && S::KIND == engine_api::Kind::Source
            && !response.diagnostics.has_errors()
        {
            let applied = request.private.get(&APPLIED);
            let stored = request.prior.and_then(|prior| prior.get(FINGERPRINT).as_str());
            let change = trial::Change {
                prior: request.prior,
                config: request.config,
                plan: &response.plan,
                drifted: applied.is_some() && applied.as_deref() != stored,
            };
            trial::try_out(connection, self.attributes(), change, &mut response.diagnostics).await;
        }
    }

    async fn plan_delete(&self, context: &Context<Engine>, state: &Value, diagnostics: &mut Diagnostics) {
        if let Some(Engine::Known(connection)) = context.data().map(AsRef::as_ref) {
            let engine = state.get(ENGINE_ID).as_str();
            connection.serves::<S>(engine, diagnostics).await;
        }
    }
}

impl<S: Kept> Catalog<S> {
    /// Plans the fingerprint of a resource that exists: as unknown, where its secrets will be others.
    async fn compare_secrets(
        &self,
        connection: Option<&Connection>,
        prior: &Value,
        request: &PlanRequest<'_>,
        response: &mut PlanResponse,
    ) {
        if let Some(connection) = connection {
            let engine = prior.get(ENGINE_ID).as_str();
            if connection
                .serves::<S>(engine, &mut response.diagnostics)
                .await
                .is_none()
            {
                return;
            }
        }
        if prior.get(AUTHORIZATION) != response.plan.get(AUTHORIZATION) {
            // Of a source that takes up the one kind of authorization, or the other.
            response.plan.set_attribute(AUTHORIZATION_URL, Value::Unknown);
        }
        let applied = request.private.get(&APPLIED);
        let known = Known {
            attributes: self.attributes(),
            version: S::VERSION,
            address: S::ADDRESS,
            prior,
            config: request.config,
            plan: &response.plan,
            applied: applied.as_deref(),
            stored: prior.get(FINGERPRINT).as_str(),
        };
        let keep = match (secrets::question(&known), connection) {
            (Question::Keep, _) => true,
            (Question::Send, _) | (Question::Compare(_), None) => false,
            (Question::Compare(candidates), Some(connection)) => {
                let id = prior.get(ID).as_str().unwrap_or_default();
                let compared = S::compares(connection).all_match(connection.client(), id, &candidates);
                match compared.await {
                    Ok(all) => all,
                    Err(error) => {
                        let diagnostics = &mut response.diagnostics;
                        self.fails(&error, "compare the secrets of", request.config, diagnostics);
                        return;
                    }
                }
            }
        };
        if !keep {
            response.plan.set_attribute(FINGERPRINT, Value::Unknown);
        }
    }
}
