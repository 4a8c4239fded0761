//! What is asked beside the life of a resource: lists, imports, generated configurations, actions.

use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use super::{CAPABILITIES, Driver, encode, status_error};
use crate::{
    conformance::{Violation, exchange},
    path::Path,
    value::Value,
    wire::tfplugin6::{self as wire, invoke_action::event::Type as Event},
};

/// One resource of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What names it.
    pub identity: Value,
    /// What it is called in the list.
    pub display_name: String,
    /// All of it, where that was asked for.
    pub resource: Option<Value>,
}

/// How an action went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Invoked {
    /// What it told on its way.
    pub progress: Vec<String>,
    /// Its errors, each as one text of summary and detail.
    pub errors: Vec<String>,
}

fn texts(told: &[wire::Diagnostic]) -> Vec<String> {
    told.iter()
        .filter(|diagnostic| diagnostic.severity() != wire::diagnostic::Severity::Warning)
        .map(|diagnostic| format!("{}: {}", diagnostic.summary, diagnostic.detail))
        .collect()
}

impl<T> Driver<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Lists up to `limit` resources, whole or by their identities only: L1, L2.
    pub async fn list(
        &mut self,
        type_name: &str,
        config: &Value,
        whole: bool,
        limit: u32,
    ) -> Option<Vec<Listed>> {
        let schema = self.lists.get(type_name).cloned()?;
        let contract = self.resources.get(type_name).cloned()?;
        let asked = wire::validate_list_resource_config::Request {
            type_name: type_name.to_owned(),
            config: encode(config, &schema.ty()),
            ..Default::default()
        };
        let answer = self.client.validate_list_resource_config(asked).await;
        let checked = self.take(type_name, "ValidateListResourceConfig", answer)?;
        self.accept(type_name, "ValidateListResourceConfig", &checked.diagnostics)?;
        let request = wire::list_resource::Request {
            type_name: type_name.to_owned(),
            config: encode(config, &schema.ty()),
            include_resource_object: whole,
            limit: limit.into(),
        };
        let answer = self.client.list_resource(request).await;
        let mut stream = self.take(type_name, "ListResource", answer)?;
        let mut listed = Vec::new();
        loop {
            let event = match stream.message().await {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(status) => {
                    self.find(type_name, "ListResource", [status_error(&status)]);
                    return None;
                }
            };
            self.accept(type_name, "ListResource", &event.diagnostic)?;
            self.find(
                type_name,
                "ListResource",
                exchange::listed(&contract, &event, whole),
            );
            let identity = event
                .identity
                .as_ref()
                .and_then(|data| data.identity_data.as_ref());
            let ty = contract.identity.clone()?;
            let whole = event.resource_object.as_ref();
            listed.push(Listed {
                identity: exchange::decode(identity, &ty, "L1").ok()?,
                display_name: event.display_name,
                resource: match whole {
                    None => None,
                    Some(_) => Some(exchange::decode(whole, &contract.schema.ty(), "L2").ok()?),
                },
            });
        }
        if listed.len() > limit as usize {
            let many = Violation::new("L2", &Path::root(), "more was listed than was asked for");
            self.find(type_name, "ListResource", [many]);
        }
        Some(listed)
    }

    /// Imports a resource by its identity, and returns its state, before any read of it.
    ///
    /// # Errors
    ///
    /// What the provider says against it.
    pub async fn import(&mut self, type_name: &str, identity: &Value) -> Result<Value, Vec<String>> {
        let unknown = || vec!["There is no such resource type with an identity.".to_owned()];
        let contract = self.resources.get(type_name).cloned().ok_or_else(unknown)?;
        let ty = contract.identity.clone().ok_or_else(unknown)?;
        let request = wire::import_resource_state::Request {
            type_name: type_name.to_owned(),
            identity: Some(wire::ResourceIdentityData {
                identity_data: encode(identity, &ty),
            }),
            client_capabilities: CAPABILITIES,
            ..Default::default()
        };
        let answer = self.client.import_resource_state(request.clone()).await;
        let answer = self
            .take(type_name, "ImportResourceState", answer)
            .ok_or_else(|| vec!["There was no answer.".to_owned()])?;
        let errors = texts(&answer.diagnostics);
        if !errors.is_empty() {
            return Err(errors);
        }
        self.find(
            type_name,
            "ImportResourceState",
            exchange::import(&contract, &request, &answer),
        );
        let imported = answer.imported_resources.first();
        let state = imported.and_then(|imported| imported.state.as_ref());
        exchange::decode(state, &contract.schema.ty(), "I4").map_err(|broken| vec![broken.sentence])
    }

    /// Generates the configuration for a state: G1.
    pub async fn generate(&mut self, type_name: &str, state: &Value) -> Option<Value> {
        let schema = self.resources.get(type_name)?.schema.clone();
        let request = wire::generate_resource_config::Request {
            type_name: type_name.to_owned(),
            state: encode(state, &schema.ty()),
        };
        let answer = self.client.generate_resource_config(request).await;
        let answer = self.take(type_name, "GenerateResourceConfig", answer)?;
        self.accept(type_name, "GenerateResourceConfig", &answer.diagnostics)?;
        self.find(
            type_name,
            "GenerateResourceConfig",
            exchange::generated(&schema, &answer),
        );
        exchange::decode(answer.config.as_ref(), &schema.ty(), "G1").ok()
    }

    /// Validates, plans and invokes an action. Where `stop` is cancelled, the provider is stopped as Terraform does it
    /// when somebody interrupts it.
    pub async fn invoke(
        &mut self,
        type_name: &str,
        config: &Value,
        stop: &CancellationToken,
    ) -> Option<Invoked> {
        let schema = self.actions.get(type_name).cloned()?;
        let config = encode(config, &schema.ty());
        let asked = wire::validate_action_config::Request {
            type_name: type_name.to_owned(),
            config: config.clone(),
        };
        let answer = self.client.validate_action_config(asked).await;
        let checked = self.take(type_name, "ValidateActionConfig", answer)?;
        let mut invoked = Invoked {
            errors: texts(&checked.diagnostics),
            ..Invoked::default()
        };
        if !invoked.errors.is_empty() {
            return Some(invoked);
        }
        let asked = wire::plan_action::Request {
            action_type: type_name.to_owned(),
            config: config.clone(),
            client_capabilities: CAPABILITIES,
        };
        let answer = self.client.plan_action(asked).await;
        let planned = self.take(type_name, "PlanAction", answer)?;
        self.accept(type_name, "PlanAction", &planned.diagnostics)?;
        let asked = wire::invoke_action::Request {
            action_type: type_name.to_owned(),
            config,
            client_capabilities: CAPABILITIES,
        };
        let answer = self.client.invoke_action(asked).await;
        let mut stream = self.take(type_name, "InvokeAction", answer)?;
        let mut stopped = false;
        loop {
            let event = tokio::select! {
                event = stream.message() => event,
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    let answer = self.client.stop_provider(wire::stop_provider::Request {}).await;
                    self.take("provider", "StopProvider", answer)?;
                    continue;
                }
            };
            match event.map(|event| event.and_then(|event| event.r#type)) {
                Ok(Some(Event::Progress(line))) => invoked.progress.push(line.message),
                Ok(Some(Event::Completed(end))) => {
                    invoked.errors = texts(&end.diagnostics);
                    return Some(invoked);
                }
                Ok(None) => {
                    let broken = Violation::new("X9", &Path::root(), "the stream ended without an outcome");
                    self.find(type_name, "InvokeAction", [broken]);
                    return None;
                }
                Err(status) => {
                    self.find(type_name, "InvokeAction", [status_error(&status)]);
                    return None;
                }
            }
        }
    }
}
