//! The operations on managed resources while they live: read, plan, apply.

use std::collections::BTreeSet;

use super::{Inner, begin::Begun, convert, identity::Leave};
use crate::{
    conformance::rules,
    diagnostics::Diagnostics,
    log,
    offers::{Given, Managed},
    path::Path,
    plan,
    private::{Key, Private},
    provider::{Deferred, Provider},
    resource::{PlanResponse, StateResponse},
    schema::{Compiled, Schema},
    value::Value,
    wire::tfplugin6 as wire,
};

/// Remembered from an import until the read that follows it, which may complete the identity.
pub(super) const IMPORTED: Key<bool> = Key::new(".imported");

/// Null, where there is nothing to give.
static NOTHING: Value = Value::Null;

/// What an operation answers beside its diagnostics.
struct Answer {
    state: Option<wire::DynamicValue>,
    private: Vec<u8>,
    identity: Option<wire::ResourceIdentityData>,
    deferred: Option<Deferred>,
    replace: BTreeSet<Path>,
}

impl Answer {
    /// Returns what is answered as long as nothing was done: what the host knows already.
    fn unchanged(private: &[u8], identity: Option<&wire::ResourceIdentityData>) -> Self {
        Self {
            state: None,
            private: private.to_vec(),
            identity: identity.cloned(),
            deferred: None,
            replace: BTreeSet::new(),
        }
    }
}

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_resource(
        &self,
        request: wire::validate_resource_config::Request,
    ) -> wire::validate_resource_config::Response {
        // A host that does not say what it can do is one that cannot.
        let client = Some(request.client_capabilities.unwrap_or_default());
        let (name, config) = (&request.type_name, request.config.as_ref());
        wire::validate_resource_config::Response {
            diagnostics: self.validate(&self.offers.resources, name, config, client).await,
        }
    }

    pub(super) async fn read_resource(
        &self,
        request: wire::read_resource::Request,
    ) -> wire::read_resource::Response {
        let mut diagnostics = Diagnostics::new();
        let mut answer = Answer::unchanged(&request.private, request.current_identity.as_ref());
        self.read_into(&request, &mut answer, &mut diagnostics).await;
        wire::read_resource::Response {
            new_state: Some(answer.state.unwrap_or_else(convert::null)),
            diagnostics: convert::diagnostics(diagnostics),
            private: answer.private,
            deferred: convert::deferred(answer.deferred),
            new_identity: answer.identity,
        }
    }

    async fn read_into(
        &self,
        request: &wire::read_resource::Request,
        answer: &mut Answer,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let type_name = &request.type_name;
        let begun = self.begin(
            &self.offers.resources,
            type_name,
            request.client_capabilities,
            diagnostics,
        )?;
        let current = begun.decode(request.current_state.as_ref(), "state", diagnostics)?;
        if current.is_null() {
            return None;
        }
        let mut private = Private::read(&request.private);
        let imported = private.get(&IMPORTED).is_some();
        private.remove(&IMPORTED);
        let given = Given {
            prior: &current,
            config: &NOTHING,
            plan: &NOTHING,
            private: &private,
        };
        let mut response = StateResponse {
            state: Some(current.clone()),
            private: private.clone(),
            ..StateResponse::default()
        };
        begun.parts.core.read(&begun.context, given, &mut response).await;
        answer.private = response.private.write_after(&request.private);
        answer.deferred = response.deferred;
        diagnostics.extend(response.diagnostics);
        let Some(mut state) = response.state else {
            log::debug("a resource is gone", &[("type", type_name)]);
            return None;
        };
        plan::keep_spelling(&begun.compiled.schema, &current, &mut state);
        let leave = Leave {
            change: imported,
            unknown: response.deferred.is_some(),
        };
        answer.identity = begun
            .identify(
                type_name,
                &state,
                request.current_identity.as_ref(),
                &leave,
                diagnostics,
            )
            .await;
        let rules = ["R1", "R2", "R3"];
        answer.state = Some(finish(
            begun.compiled,
            type_name,
            "read",
            state,
            rules,
            diagnostics,
        ));
        Some(())
    }

    pub(super) async fn plan_resource(
        &self,
        request: wire::plan_resource_change::Request,
    ) -> wire::plan_resource_change::Response {
        let mut diagnostics = Diagnostics::new();
        let mut answer = Answer::unchanged(&request.prior_private, request.prior_identity.as_ref());
        self.plan_into(&request, &mut answer, &mut diagnostics).await;
        wire::plan_resource_change::Response {
            planned_state: Some(answer.state.unwrap_or_else(convert::null)),
            requires_replace: answer.replace.iter().map(convert::attribute_path).collect(),
            planned_private: answer.private,
            diagnostics: convert::diagnostics(diagnostics),
            planned_identity: answer.identity,
            deferred: convert::deferred(answer.deferred),
            ..Default::default()
        }
    }

    async fn plan_into(
        &self,
        request: &wire::plan_resource_change::Request,
        answer: &mut Answer,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let type_name = &request.type_name;
        let begun = self.begin(
            &self.offers.resources,
            type_name,
            request.client_capabilities,
            diagnostics,
        )?;
        let prior = begun.decode(request.prior_state.as_ref(), "prior state", diagnostics)?;
        let proposed = begun.decode(request.proposed_new_state.as_ref(), "proposed state", diagnostics)?;
        let config = begun.config(request.config.as_ref(), diagnostics)?;
        if proposed.is_null() {
            if let Some(plans) = &begun.parts.modify_plan {
                plans.plan_delete(&begun.context, &prior, diagnostics).await;
            }
            return None;
        }
        let schema = &begun.compiled.schema;
        let private = Private::read(&request.prior_private);
        let mut response = PlanResponse {
            plan: plan::prepare(schema, &prior, &config, proposed, diagnostics),
            requires_replace: Vec::new(),
            private: private.clone(),
            deferred: None,
            diagnostics: Diagnostics::new(),
        };
        if let Some(plans) = &begun.parts.modify_plan {
            let given = Given {
                prior: &prior,
                config: &config,
                plan: &NOTHING,
                private: &private,
            };
            plans.modify_plan(&begun.context, given, &mut response).await;
        }
        let mut plan = response.plan;
        diagnostics.extend(response.diagnostics);
        schema.null_write_only(&mut plan);
        if diagnostics.has_errors() {
            return None;
        }
        let mut replace: BTreeSet<Path> = plan::replacements(schema, &prior, &config, &plan)
            .into_iter()
            .collect();
        if !prior.is_null() {
            replace.extend(response.requires_replace.iter().map(Path::sayable));
        }
        let broken = if response.deferred.is_some() {
            Vec::new()
        } else {
            let mut broken = rules::plan_follows(schema, &prior, &config, &plan);
            broken.extend(rules::replacements_exist(&prior, &plan, &replace));
            broken
        };
        rules::report(type_name, "planned", &broken, diagnostics);
        if !broken.is_empty() {
            return None;
        }
        let renewed = prior.is_null() || !replace.is_empty();
        let leave = Leave {
            change: renewed,
            unknown: renewed || response.deferred.is_some(),
        };
        answer.identity = begun
            .identify(
                type_name,
                &plan,
                request.prior_identity.as_ref(),
                &leave,
                diagnostics,
            )
            .await;
        answer.private = response.private.write_after(&request.prior_private);
        answer.deferred = response.deferred;
        answer.state = Some(convert::encode(&plan, &begun.compiled.ty, "plan", diagnostics));
        answer.replace = replace;
        Some(())
    }

    pub(super) async fn apply_resource(
        &self,
        request: wire::apply_resource_change::Request,
    ) -> wire::apply_resource_change::Response {
        let mut diagnostics = Diagnostics::new();
        let mut answer = Answer::unchanged(&request.planned_private, request.planned_identity.as_ref());
        self.apply_into(&request, &mut answer, &mut diagnostics).await;
        wire::apply_resource_change::Response {
            // Without a schema or a readable request nothing was done, and the prior state still stands.
            new_state: answer
                .state
                .or(request.prior_state)
                .or_else(|| Some(convert::null())),
            private: answer.private,
            diagnostics: convert::diagnostics(diagnostics),
            new_identity: answer.identity,
            ..Default::default()
        }
    }

    async fn apply_into(
        &self,
        request: &wire::apply_resource_change::Request,
        answer: &mut Answer,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let type_name = &request.type_name;
        let begun = self.begin(&self.offers.resources, type_name, None, diagnostics)?;
        let prior = begun.decode(request.prior_state.as_ref(), "prior state", diagnostics)?;
        let plan = begun.decode(request.planned_state.as_ref(), "plan", diagnostics)?;
        let config = begun.config(request.config.as_ref(), diagnostics)?;
        let private = Private::read(&request.planned_private);
        let given = Given {
            config: &config,
            prior: &prior,
            plan: &plan,
            private: &private,
        };
        if plan.is_null() {
            begun.parts.core.delete(&begun.context, given, diagnostics).await;
            let left = if diagnostics.has_errors() {
                &prior
            } else {
                &NOTHING
            };
            answer.state = Some(convert::encode(left, &begun.compiled.ty, "state", diagnostics));
            return Some(());
        }
        let mut response = StateResponse {
            private: private.clone(),
            ..StateResponse::default()
        };
        let core = &begun.parts.core;
        let operation = if prior.is_null() {
            core.create(&begun.context, given, &mut response).await;
            "created"
        } else {
            response.state = Some(prior.clone());
            core.update(&begun.context, given, &mut response).await;
            "updated"
        };
        answer.private = response.private.write_after(&request.planned_private);
        diagnostics.extend(response.diagnostics);
        let Some(mut state) = response.state else {
            if !diagnostics.has_errors() {
                lost(operation, type_name, diagnostics);
            }
            answer.state = Some(convert::null());
            return Some(());
        };
        plan::keep_spelling(&begun.compiled.schema, &plan, &mut state);
        answer.identity = Self::applied_identity(&begun, request, &state, diagnostics).await;
        let failed = diagnostics.has_errors();
        let rules = ["A2", "A8", "A9"];
        answer.state = Some(finish(
            begun.compiled,
            type_name,
            operation,
            state.clone(),
            rules,
            diagnostics,
        ));
        // After an error the state is whatever exists, so it need not be what was planned.
        if !failed {
            let broken = rules::result_agrees(&plan, &state);
            rules::report(type_name, operation, &broken, diagnostics);
        }
        Some(())
    }

    /// Returns the identity after a change. What the plan knew of it stays, so an unknown part is all that may differ.
    async fn applied_identity(
        begun: &Begun<'_, P::Data, Managed<P::Data>>,
        request: &wire::apply_resource_change::Request,
        state: &Value,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::ResourceIdentityData> {
        let planned = begun.known_identity(request.planned_identity.as_ref());
        let leave = Leave {
            change: planned.is_none_or(|planned| !planned.is_wholly_known()),
            unknown: false,
        };
        begun
            .identify(
                &request.type_name,
                state,
                request.planned_identity.as_ref(),
                &leave,
                diagnostics,
            )
            .await
            .filter(|identity| is_storable(begun, identity))
    }
}

/// Returns whether an identity can be stored: what a failed creation leaves of the planned one may be unknown.
fn is_storable<D: Send + Sync + 'static>(
    begun: &Begun<'_, D, Managed<D>>,
    identity: &wire::ResourceIdentityData,
) -> bool {
    begun
        .known_identity(Some(identity))
        .is_some_and(|identity| identity.is_wholly_known())
}

fn lost(operation: &str, type_name: &str, diagnostics: &mut Diagnostics) {
    diagnostics.error(
        "Provider bug",
        format!(
            "A10: the provider {operation} `{type_name}` and returned no state. It may exist although Terraform does \
             not know it. This is a bug in the provider. Please report it."
        ),
    );
}

/// Checks a state and writes it: without write-only values, and with null for what is still unknown, as core would
/// save it.
pub(super) fn finish(
    compiled: &Compiled,
    type_name: &str,
    operation: &str,
    mut state: Value,
    rules: [&'static str; 3],
    diagnostics: &mut Diagnostics,
) -> wire::DynamicValue {
    let schema: &Schema = &compiled.schema;
    // A write-only value in a state is taken out rather than reported: authors may return the plan with the
    // configuration laid over it.
    schema.null_write_only(&mut state);
    let broken = rules::settled(schema, &state, rules);
    rules::report(type_name, operation, &broken, diagnostics);
    null_unknown(&mut state);
    convert::encode(&state, &compiled.ty, "state", diagnostics)
}

fn null_unknown(value: &mut Value) {
    match value {
        Value::Unknown => *value = Value::Null,
        Value::List(elements) | Value::Set(elements) | Value::Tuple(elements) => {
            elements.iter_mut().for_each(null_unknown);
        }
        Value::Map(entries) | Value::Object(entries) => entries.values_mut().for_each(null_unknown),
        Value::Dynamic(dynamic) => null_unknown(&mut dynamic.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
