//! Leads things through their lives as core does, and checks every answer.
//!
//! The driver speaks to any provider: in this process, where the transport is the service itself, or over the real
//! handshake, through `host`.
//!
//! ```
//! use tfplug::{
//!     conformance::driver::{Driver, Step},
//!     server::Server,
//!     value::Value,
//!     wire::tfplugin6::provider_server::ProviderServer,
//! };
//!
//! # async fn check(provider: impl tfplug::provider::Provider, dog: Value, older: Value) {
//! let mut driver = Driver::begin(ProviderServer::new(Server::new(provider))).await;
//! driver.configure(&Value::object([("directory", "/tmp/dogs".into())])).await;
//! driver.live("kennel_dog", &[Step::known(dog), Step::known(older)]).await;
//! assert_eq!(driver.findings(), []);
//! # }
//! ```

mod functions;
mod life;
mod others;

use functions::Signature;
pub use others::{Invoked, Listed};

use std::{collections::BTreeMap, fmt};

use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use super::{
    Violation,
    exchange::{self, Contract},
    identity_from_wire, schema_from_wire,
};
use crate::{
    path::Path,
    schema::{Schema, visit},
    value::{Type, Value},
    wire::tfplugin6::{self as wire, provider_client::ProviderClient},
};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The type it is about, or `provider`.
    pub type_name: String,
    /// What was asked.
    pub operation: &'static str,
    /// What is wrong with the answer.
    pub violation: Violation,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { rule, path, sentence } = &self.violation;
        write!(
            f,
            "{} of {}: {rule}: {path}: {sentence}",
            self.operation, self.type_name
        )
    }
}

/// A configuration: as it is while Terraform plans, and as it is when the plan is applied. Attributes that are left out
/// are null.
#[derive(Debug, Clone)]
pub struct Step {
    /// While planned; values may be unknown.
    pub planned: Value,
    /// When applied; wholly known, and equal wherever the other is known.
    pub applied: Value,
}

impl Step {
    /// Returns a configuration that is known from the beginning.
    pub fn known(config: Value) -> Self {
        Self {
            planned: config.clone(),
            applied: config,
        }
    }
}

/// What Terraform 1.14 can do.
const CAPABILITIES: Option<wire::ClientCapabilities> = Some(wire::ClientCapabilities {
    deferral_allowed: false,
    write_only_attributes_allowed: true,
    store_planned_private: false,
    computed_blocks_allowed: false,
});

/// A provider that is being checked.
#[derive(Debug)]
pub struct Driver<T> {
    client: ProviderClient<T>,
    own: Type,
    resources: BTreeMap<String, Contract>,
    data_sources: BTreeMap<String, Schema>,
    ephemerals: BTreeMap<String, Schema>,
    lists: BTreeMap<String, Schema>,
    actions: BTreeMap<String, Schema>,
    functions: BTreeMap<String, Signature>,
    /// Summaries of errors that applying may end with: failures of what is behind the provider, which core survives.
    failures: Vec<String>,
    /// Write-only values that were sent, none of which may come back.
    secrets: Vec<String>,
    findings: Vec<Finding>,
}

impl<T> Driver<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Reads the schemas, and checks them: the S rules.
    pub async fn begin(transport: T) -> Self {
        Self::with_client(ProviderClient::new(transport)).await
    }

    /// Reads the schemas through a client, and checks them: the S rules.
    pub async fn with_client(client: ProviderClient<T>) -> Self {
        let mut driver = Self {
            client: client
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX),
            own: Type::object::<String>([]),
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            lists: BTreeMap::new(),
            actions: BTreeMap::new(),
            functions: BTreeMap::new(),
            failures: Vec::new(),
            secrets: Vec::new(),
            findings: Vec::new(),
        };
        driver.read_schemas().await;
        driver
    }

    /// Returns what was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Says that applying may fail with this summary, through no fault of the provider. What it then answers is held to
    /// rule X6, and the change is made again as core makes it.
    pub fn expect_failures(&mut self, summary: &str) {
        self.failures.push(summary.to_owned());
    }

    /// Whether an answer tells of failures that are expected, and of nothing else.
    fn failed_as_expected(&self, told: &[wire::Diagnostic]) -> bool {
        let mut errors = told
            .iter()
            .filter(|diagnostic| diagnostic.severity() != wire::diagnostic::Severity::Warning);
        exchange::failed(told) && errors.all(|error| self.failures.contains(&error.summary))
    }

    /// Returns what the provider says of a resource type.
    pub fn contract(&self, type_name: &str) -> Option<&Contract> {
        self.resources.get(type_name)
    }

    async fn read_schemas(&mut self) {
        let answer = self
            .client
            .get_provider_schema(wire::get_provider_schema::Request {})
            .await;
        let Some(schemas) = self.take("provider", "GetProviderSchema", answer) else {
            return;
        };
        self.accept("provider", "GetProviderSchema", &schemas.diagnostics);
        if let Some(schema) = schemas
            .provider
            .and_then(|schema| self.schema("provider", &schema))
        {
            self.own = schema.ty();
        }
        let answer = self
            .client
            .get_resource_identity_schemas(wire::get_resource_identity_schemas::Request {})
            .await;
        let mut identities = self
            .take("provider", "GetResourceIdentitySchemas", answer)
            .map(|answer| answer.identity_schemas)
            .unwrap_or_default();
        // In the order of the names, so that findings are always the same.
        for (name, schema) in schemas.resource_schemas.into_iter().collect::<BTreeMap<_, _>>() {
            let identity = identities
                .remove(&name)
                .and_then(|schema| match identity_from_wire(&schema) {
                    Ok(ty) => Some(ty),
                    Err(broken) => {
                        self.find(&name, "GetResourceIdentitySchemas", broken);
                        None
                    }
                });
            if let Some(schema) = self.schema(&name, &schema) {
                self.resources.insert(name, Contract { schema, identity });
            }
        }
        for (name, schema) in schemas
            .data_source_schemas
            .into_iter()
            .collect::<BTreeMap<_, _>>()
        {
            let schema = self.schema(&name, &schema);
            self.data_sources.extend(schema.map(|schema| (name, schema)));
        }
        for (name, schema) in schemas
            .ephemeral_resource_schemas
            .into_iter()
            .collect::<BTreeMap<_, _>>()
        {
            let schema = self.schema(&name, &schema);
            self.ephemerals.extend(schema.map(|schema| (name, schema)));
        }
        for (name, schema) in schemas
            .list_resource_schemas
            .into_iter()
            .collect::<BTreeMap<_, _>>()
        {
            let listed = self
                .resources
                .get(&name)
                .is_some_and(|contract| contract.identity.is_some());
            if !listed {
                let broken =
                    Violation::new("L1", &Path::root(), "it lists no resource type with an identity");
                self.find(&name, "GetProviderSchema", [broken]);
            }
            let schema = self.schema(&name, &schema);
            self.lists.extend(schema.map(|schema| (name, schema)));
        }
        self.read_functions(schemas.functions).await;
        for (name, schema) in schemas.action_schemas.into_iter().collect::<BTreeMap<_, _>>() {
            let schema = schema.schema.and_then(|schema| self.schema(&name, &schema));
            self.actions.extend(schema.map(|schema| (name, schema)));
        }
    }

    fn schema(&mut self, name: &str, schema: &wire::Schema) -> Option<Schema> {
        match schema_from_wire(schema) {
            Ok(schema) => Some(schema),
            Err(broken) => {
                self.find(name, "GetProviderSchema", broken);
                None
            }
        }
    }

    /// Configures the provider.
    pub async fn configure(&mut self, config: &Value) {
        let config = encode(config, &self.own);
        let asked = wire::validate_provider_config::Request {
            config: config.clone(),
        };
        let answer = self.client.validate_provider_config(asked).await;
        if let Some(answer) = self.take("provider", "ValidateProviderConfig", answer) {
            self.accept("provider", "ValidateProviderConfig", &answer.diagnostics);
        }
        let asked = wire::configure_provider::Request {
            terraform_version: "1.14.0".to_owned(),
            config,
            client_capabilities: CAPABILITIES,
        };
        let answer = self.client.configure_provider(asked).await;
        if let Some(answer) = self.take("provider", "ConfigureProvider", answer) {
            self.accept("provider", "ConfigureProvider", &answer.diagnostics);
        }
    }

    /// Reads a data source twice, and returns what it is: the D rules.
    pub async fn read_data_source(&mut self, type_name: &str, config: &Value) -> Option<Value> {
        let schema = self.data_sources.get(type_name).cloned()?;
        let request = wire::read_data_source::Request {
            type_name: type_name.to_owned(),
            config: encode(config, &schema.ty()),
            client_capabilities: CAPABILITIES,
            ..Default::default()
        };
        let answer = self.client.read_data_source(request).await;
        let answer = self.take(type_name, "ReadDataSource", answer)?;
        self.accept(type_name, "ReadDataSource", &answer.diagnostics)?;
        self.find(
            type_name,
            "ReadDataSource",
            exchange::data_source(&schema, &answer),
        );
        exchange::decode(answer.state.as_ref(), &schema.ty(), "D1").ok()
    }

    /// Opens an ephemeral resource, renews it where it asks for that, closes it, and returns what it was: E1.
    pub async fn open(&mut self, type_name: &str, config: &Value) -> Option<Value> {
        let schema = self.ephemerals.get(type_name).cloned()?;
        let request = wire::open_ephemeral_resource::Request {
            type_name: type_name.to_owned(),
            config: encode(config, &schema.ty()),
            client_capabilities: CAPABILITIES,
        };
        let asked = wire::validate_ephemeral_resource_config::Request {
            type_name: type_name.to_owned(),
            config: request.config.clone(),
        };
        let answer = self.client.validate_ephemeral_resource_config(asked).await;
        let checked = self.take(type_name, "ValidateEphemeralResourceConfig", answer)?;
        self.accept(type_name, "ValidateEphemeralResourceConfig", &checked.diagnostics)?;
        let answer = self.client.open_ephemeral_resource(request.clone()).await;
        let opened = self.take(type_name, "OpenEphemeralResource", answer)?;
        self.accept(type_name, "OpenEphemeralResource", &opened.diagnostics)?;
        self.find(
            type_name,
            "OpenEphemeralResource",
            exchange::open(&schema, &request, &opened),
        );
        let mut private = opened.private.clone();
        if opened.renew_at.is_some() {
            let asked = wire::renew_ephemeral_resource::Request {
                type_name: type_name.to_owned(),
                private: private.clone(),
            };
            let answer = self.client.renew_ephemeral_resource(asked).await;
            let renewed = self.take(type_name, "RenewEphemeralResource", answer)?;
            self.accept(type_name, "RenewEphemeralResource", &renewed.diagnostics)?;
            private = renewed.private;
        }
        let asked = wire::close_ephemeral_resource::Request {
            type_name: type_name.to_owned(),
            private,
        };
        let answer = self.client.close_ephemeral_resource(asked).await;
        let closed = self.take(type_name, "CloseEphemeralResource", answer)?;
        self.accept(type_name, "CloseEphemeralResource", &closed.diagnostics)?;
        exchange::decode(opened.result.as_ref(), &schema.ty(), "E1").ok()
    }

    /// Takes an answer, or finds that there is none: X9.
    fn take<A>(
        &mut self,
        type_name: &str,
        operation: &'static str,
        answer: Result<tonic::Response<A>, Status>,
    ) -> Option<A> {
        match answer {
            Ok(answer) => Some(answer.into_inner()),
            Err(status) => {
                self.find(type_name, operation, [status_error(&status)]);
                None
            }
        }
    }

    /// Goes on where nothing is refused. What the driver asks for is valid, so a refusal is a finding.
    fn accept(&mut self, type_name: &str, operation: &'static str, told: &[wire::Diagnostic]) -> Option<()> {
        let refusals = told
            .iter()
            .filter(|diagnostic| diagnostic.severity() != wire::diagnostic::Severity::Warning)
            .map(|diagnostic| {
                let sentence = format!("it is refused: {}: {}", diagnostic.summary, diagnostic.detail);
                Violation::new("refused", &Path::root(), sentence)
            });
        self.find(type_name, operation, refusals.collect::<Vec<_>>());
        (!exchange::failed(told)).then_some(())
    }

    fn find(
        &mut self,
        type_name: &str,
        operation: &'static str,
        violations: impl IntoIterator<Item = Violation>,
    ) {
        self.findings
            .extend(violations.into_iter().map(|violation| Finding {
                type_name: type_name.to_owned(),
                operation,
                violation,
            }));
    }

    /// Remembers the secrets of a configuration, to look for them in answers.
    fn remember_secrets(&mut self, schema: &Schema, config: &Value) {
        visit(
            &schema.attributes,
            config,
            &mut Path::root(),
            &mut |_, attribute, value| {
                // What is very short stands in any answer by chance.
                if attribute.write_only
                    && let Some(text) = value.as_str().filter(|text| text.len() >= 8)
                    && !self.secrets.iter().any(|known| known == text)
                {
                    self.secrets.push(text.to_owned());
                }
            },
        );
    }
}

fn status_error(status: &Status) -> Violation {
    let sentence = format!(
        "a gRPC error instead of diagnostics: {:?} {}",
        status.code(),
        status.message()
    );
    Violation::new("X9", &Path::root(), sentence)
}

/// Writes a value as Terraform does: attributes that are left out are null. One that is not of the type is sent as null
/// itself, which the provider then refuses.
fn encode(value: &Value, ty: &Type) -> Option<wire::DynamicValue> {
    let msgpack = whole(value, ty).to_msgpack(ty).ok()?;
    Some(wire::DynamicValue {
        msgpack: msgpack.into(),
        json: Vec::new().into(),
    })
}

/// Returns a value with every attribute of its type.
fn whole(value: &Value, ty: &Type) -> Value {
    let each = |elements: &[Value], ty: &Type| elements.iter().map(|element| whole(element, ty)).collect();
    match (value, ty) {
        (Value::Object(given), Type::Object(attributes)) => {
            let mut object = given.clone();
            for (name, ty) in attributes {
                let value = given.get(name).map_or(Value::Null, |value| whole(value, ty));
                object.insert(name.clone(), value);
            }
            Value::Object(object)
        }
        (Value::List(elements), Type::List(ty)) => Value::List(each(elements, ty)),
        (Value::Set(elements), Type::Set(ty)) => Value::Set(each(elements, ty)),
        (Value::Map(entries), Type::Map(ty)) => Value::Map(
            entries
                .iter()
                .map(|(key, entry)| (key.clone(), whole(entry, ty)))
                .collect(),
        ),
        _ => value.clone(),
    }
}
