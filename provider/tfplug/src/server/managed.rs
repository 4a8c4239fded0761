//! The operations on managed resources.

use std::collections::BTreeSet;

use super::{Compiled, Inner, caught, convert, refuse_write_only, run_validators};
use crate::{
    diagnostics::Diagnostics,
    log,
    path::Path,
    plan,
    private::Private,
    provider::Provider,
    resource::{
        CreateRequest, DeleteRequest, PlanRequest, PlanResponse, ReadRequest, StateResponse, StoredState,
        UpdateRequest, UpgradeRequest,
    },
    rules,
    value::Value,
    wire::tfplugin6 as wire,
};

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_resource(
        &self,
        request: wire::validate_resource_config::Request,
    ) -> wire::validate_resource_config::Response {
        let mut diagnostics = Diagnostics::new();
        self.validate_resource_into(&request, &mut diagnostics).await;
        wire::validate_resource_config::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    async fn validate_resource_into(
        &self,
        request: &wire::validate_resource_config::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let (resource, compiled) = self.resource(&request.type_name, diagnostics)?;
        let config = convert::decode(
            request.config.as_ref(),
            &compiled.ty,
            "configuration",
            diagnostics,
        )?;
        let context = self.context(request.client_capabilities);
        if !context.client().write_only {
            refuse_write_only(&compiled.schema, &config, diagnostics);
        }
        run_validators(&compiled.schema.attributes, &config, diagnostics);
        let caught = caught::run(resource.validate(&context, &config, diagnostics)).await;
        convert::report_panic("validating a configuration", caught, diagnostics)
    }

    pub(super) async fn upgrade_resource(
        &self,
        request: wire::upgrade_resource_state::Request,
    ) -> wire::upgrade_resource_state::Response {
        let mut diagnostics = Diagnostics::new();
        let state = self.upgrade_resource_into(&request, &mut diagnostics).await;
        wire::upgrade_resource_state::Response {
            upgraded_state: Some(state.unwrap_or_else(convert::null)),
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    async fn upgrade_resource_into(
        &self,
        request: &wire::upgrade_resource_state::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let (resource, compiled) = self.resource(&request.type_name, diagnostics)?;
        let stored = request
            .raw_state
            .as_ref()
            .map(|raw| raw.json.as_slice())
            .unwrap_or_default();
        if stored.is_empty() {
            diagnostics.error(
                "State cannot be read",
                "The state was written by a Terraform before 0.12 and has no form that this provider reads.",
            );
            return None;
        }
        let state = if request.version == compiled.schema.version {
            match Value::from_stored_json(stored, &compiled.ty) {
                Ok(state) => state,
                Err(error) => {
                    diagnostics.error(
                        "State cannot be read",
                        format!("The stored state does not fit the provider's schema: {error}."),
                    );
                    return None;
                }
            }
        } else {
            let upgrade = UpgradeRequest {
                version: request.version,
                stored: StoredState(stored),
            };
            let mut response = StateResponse::default();
            let caught = caught::run(resource.upgrade(upgrade, &mut response)).await;
            diagnostics.extend(response.diagnostics);
            convert::report_panic("upgrading a state", caught, diagnostics)?;
            response.state?
        };
        Some(finish(
            compiled,
            &request.type_name,
            "upgraded",
            state,
            ["U2", "U1", "U3"],
            diagnostics,
        ))
    }

    pub(super) async fn read_resource(
        &self,
        request: wire::read_resource::Request,
    ) -> wire::read_resource::Response {
        let mut diagnostics = Diagnostics::new();
        let mut private = Private::read(&request.private);
        let state = self
            .read_resource_into(&request, &mut private, &mut diagnostics)
            .await;
        wire::read_resource::Response {
            new_state: Some(state.unwrap_or_else(convert::null)),
            diagnostics: convert::diagnostics(diagnostics),
            private: private.write(),
            new_identity: request.current_identity,
            deferred: None,
        }
    }

    async fn read_resource_into(
        &self,
        request: &wire::read_resource::Request,
        private: &mut Private,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let (resource, compiled) = self.resource(&request.type_name, diagnostics)?;
        let current = convert::decode(request.current_state.as_ref(), &compiled.ty, "state", diagnostics)?;
        if current.is_null() {
            return None;
        }
        let context = self.context(request.client_capabilities);
        let mut response = StateResponse {
            state: Some(current.clone()),
            private: private.clone(),
            ..StateResponse::default()
        };
        let reading = ReadRequest {
            state: &current,
            private,
        };
        let caught = caught::run(resource.read(&context, reading, &mut response)).await;
        *private = response.private;
        diagnostics.extend(response.diagnostics);
        convert::report_panic("reading a resource", caught, diagnostics);
        let Some(mut state) = response.state else {
            log::debug("a resource is gone", &[("type", &request.type_name)]);
            return None;
        };
        plan::keep_spelling(&compiled.schema, &current, &mut state);
        Some(finish(
            compiled,
            &request.type_name,
            "read",
            state,
            ["R1", "R2", "R3"],
            diagnostics,
        ))
    }

    pub(super) async fn plan_resource(
        &self,
        request: wire::plan_resource_change::Request,
    ) -> wire::plan_resource_change::Response {
        let mut diagnostics = Diagnostics::new();
        let outcome = self.plan_resource_into(&request, &mut diagnostics).await;
        let (planned, replace) = outcome.unwrap_or_else(|| (convert::null(), BTreeSet::new()));
        wire::plan_resource_change::Response {
            planned_state: Some(planned),
            requires_replace: replace.iter().map(convert::attribute_path).collect(),
            planned_private: request.prior_private,
            diagnostics: convert::diagnostics(diagnostics),
            planned_identity: request.prior_identity,
            ..Default::default()
        }
    }

    async fn plan_resource_into(
        &self,
        request: &wire::plan_resource_change::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<(wire::DynamicValue, BTreeSet<Path>)> {
        let (resource, compiled) = self.resource(&request.type_name, diagnostics)?;
        let decode = |wire, what, diagnostics: &mut Diagnostics| {
            convert::decode(wire, &compiled.ty, what, diagnostics)
        };
        let prior = decode(request.prior_state.as_ref(), "prior state", diagnostics)?;
        let proposed = decode(request.proposed_new_state.as_ref(), "proposed state", diagnostics)?;
        let config = decode(request.config.as_ref(), "configuration", diagnostics)?;
        let context = self.context(request.client_capabilities);
        if proposed.is_null() {
            let caught = caught::run(resource.plan_delete(&context, &prior, diagnostics)).await;
            convert::report_panic("planning to delete a resource", caught, diagnostics);
            return None;
        }
        let schema = &compiled.schema;
        let plan = plan::prepare(schema, &prior, &config, proposed, diagnostics);
        let private = Private::read(&request.prior_private);
        let question = PlanRequest {
            prior: &prior,
            config: &config,
            private: &private,
        };
        let mut response = PlanResponse {
            plan,
            requires_replace: Vec::new(),
            diagnostics: Diagnostics::new(),
        };
        let caught = caught::run(resource.modify_plan(&context, question, &mut response)).await;
        let PlanResponse {
            mut plan,
            requires_replace,
            diagnostics: told,
        } = response;
        diagnostics.extend(told);
        convert::report_panic("planning a resource", caught, diagnostics);
        schema.null_write_only(&mut plan);
        if diagnostics.has_errors() {
            return None;
        }
        let broken = rules::plan_follows(schema, &prior, &config, &plan);
        rules::report(&request.type_name, "planned", &broken, diagnostics);
        if !broken.is_empty() {
            return None;
        }
        let mut replace: BTreeSet<Path> = plan::replacements(schema, &prior, &config, &plan)
            .into_iter()
            .collect();
        if !prior.is_null() {
            replace.extend(requires_replace.iter().map(Path::sayable));
        }
        Some((convert::encode(&plan, &compiled.ty, "plan", diagnostics), replace))
    }

    pub(super) async fn apply_resource(
        &self,
        request: wire::apply_resource_change::Request,
    ) -> wire::apply_resource_change::Response {
        let mut diagnostics = Diagnostics::new();
        let mut private = Private::read(&request.planned_private);
        let state = self
            .apply_resource_into(&request, &mut private, &mut diagnostics)
            .await;
        wire::apply_resource_change::Response {
            // Without a schema or a readable request nothing was done, and the prior state still stands.
            new_state: state.or(request.prior_state).or_else(|| Some(convert::null())),
            private: private.write(),
            diagnostics: convert::diagnostics(diagnostics),
            new_identity: request.planned_identity,
            ..Default::default()
        }
    }

    async fn apply_resource_into(
        &self,
        request: &wire::apply_resource_change::Request,
        private: &mut Private,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let (resource, compiled) = self.resource(&request.type_name, diagnostics)?;
        let decode = |wire, what, diagnostics: &mut Diagnostics| {
            convert::decode(wire, &compiled.ty, what, diagnostics)
        };
        let prior = decode(request.prior_state.as_ref(), "prior state", diagnostics)?;
        let plan = decode(request.planned_state.as_ref(), "plan", diagnostics)?;
        let config = decode(request.config.as_ref(), "configuration", diagnostics)?;
        let context = self.context(None);

        if plan.is_null() {
            let deletion = DeleteRequest { state: &prior };
            let caught = caught::run(resource.delete(&context, deletion, diagnostics)).await;
            convert::report_panic("deleting a resource", caught, diagnostics);
            let left = if diagnostics.has_errors() {
                prior
            } else {
                Value::Null
            };
            return Some(convert::encode(&left, &compiled.ty, "state", diagnostics));
        }

        let mut response = StateResponse::default();
        let (operation, caught) = if prior.is_null() {
            let creation = CreateRequest {
                config: &config,
                plan: &plan,
            };
            (
                "created",
                caught::run(resource.create(&context, creation, &mut response)).await,
            )
        } else {
            response.state = Some(prior.clone());
            response.private.clone_from(private);
            let update = UpdateRequest {
                config: &config,
                prior: &prior,
                plan: &plan,
                private,
            };
            (
                "updated",
                caught::run(resource.update(&context, update, &mut response)).await,
            )
        };
        *private = response.private;
        diagnostics.extend(response.diagnostics);
        convert::report_panic("changing a resource", caught, diagnostics);

        let Some(mut state) = response.state else {
            if !diagnostics.has_errors() {
                diagnostics.error(
                    "Provider bug",
                    format!(
                        "A10: the provider {operation} `{}` and returned no state. It may exist although Terraform \
                         does not know it. This is a bug in the provider. Please report it.",
                        request.type_name
                    ),
                );
            }
            return Some(convert::null());
        };
        plan::keep_spelling(&compiled.schema, &plan, &mut state);
        let failed = diagnostics.has_errors();
        let encoded = finish(
            compiled,
            &request.type_name,
            operation,
            state.clone(),
            ["A2", "A8", "A9"],
            diagnostics,
        );
        // After an error the state is whatever exists, so it need not be what was planned.
        if !failed {
            let broken = rules::result_agrees(&plan, &state);
            rules::report(&request.type_name, operation, &broken, diagnostics);
        }
        Some(encoded)
    }

    pub(super) async fn import_resource(
        &self,
        request: wire::import_resource_state::Request,
    ) -> wire::import_resource_state::Response {
        let mut diagnostics = Diagnostics::new();
        let mut private = Private::default();
        let state = self
            .import_resource_into(&request, &mut private, &mut diagnostics)
            .await;
        let imported_resources = state
            .map(|state| wire::import_resource_state::ImportedResource {
                type_name: request.type_name.clone(),
                state: Some(state),
                private: private.write(),
                identity: request.identity,
            })
            .into_iter()
            .collect();
        wire::import_resource_state::Response {
            imported_resources,
            diagnostics: convert::diagnostics(diagnostics),
            deferred: None,
        }
    }

    async fn import_resource_into(
        &self,
        request: &wire::import_resource_state::Request,
        private: &mut Private,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let (resource, compiled) = self.resource(&request.type_name, diagnostics)?;
        let context = self.context(request.client_capabilities);
        let mut response = StateResponse::default();
        let caught = caught::run(resource.import(&context, &request.id, &mut response)).await;
        *private = response.private;
        let failed = response.diagnostics.has_errors();
        diagnostics.extend(response.diagnostics);
        convert::report_panic("importing a resource", caught, diagnostics)?;
        if failed {
            return None;
        }
        let Some(found) = response.state.filter(Value::is_known) else {
            diagnostics.error(
                "Nothing to import",
                format!(
                    "There is no `{}` for the import id that was given.",
                    request.type_name
                ),
            );
            return None;
        };
        let mut state = compiled.schema.null_object();
        if let (Value::Object(all), Value::Object(found)) = (&mut state, found) {
            all.extend(found);
        }
        Some(finish(
            compiled,
            &request.type_name,
            "imported",
            state,
            ["I2", "I4", "I3"],
            diagnostics,
        ))
    }
}

/// Checks a state and writes it: without write-only values, and with null for what is still unknown, as core would
/// save it.
fn finish(
    compiled: &Compiled,
    type_name: &str,
    operation: &str,
    mut state: Value,
    rules: [&'static str; 3],
    diagnostics: &mut Diagnostics,
) -> wire::DynamicValue {
    // A write-only value in a state is taken out rather than reported: authors may return the plan with the
    // configuration laid over it.
    compiled.schema.null_write_only(&mut state);
    let broken = rules::settled(&compiled.schema, &state, rules);
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
