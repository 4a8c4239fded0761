//! The resources: one implementation for every kind of object that users can declare.
//!
//! The state of a resource is the engine's view of it: the spec without secrets, the id, and the fingerprint of the
//! stored secrets. A read is one request. An update reads the generation first and writes with it. When somebody else
//! writes at that very moment it begins anew, and the configuration wins.

use std::{collections::BTreeMap, fmt, marker::PhantomData, sync::OnceLock};

use async_trait::async_trait;
use engine_api::{
    AlarmChannelId, Code, Consent, DestinationId, SourceId, Spec, View,
    client::{Client, Error},
};
use serde_json::{Map, Value as Json};
use tfplug::{
    diagnostics::Diagnostics,
    private::Private,
    provider::Context,
    resource::{
        CreateRequest, DeleteRequest, PlanRequest, PlanResponse, ReadRequest, Resource, ResourceWithImport,
        ResourceWithModifyPlan, ResourceWithValidate, StateResponse, UpdateRequest,
    },
    schema::{Attribute, Kind, Schema},
    value::Value,
};

use crate::{
    json, judge, problem,
    provider::Engine,
    schema::{self, AUTHORIZATION_URL, FINGERPRINT, ID},
    secrets::{self, APPLIED, Known, Question},
};

/// The attribute of a source that decides whether it needs a consent; the other kinds have none.
const AUTHORIZATION: &str = "authorization";

/// How often an update is tried when the object changes at the very same time.
const UPDATE_TRIES: u32 = 3;

/// The resource for the spec `S`.
pub struct Catalog<S> {
    type_name: &'static str,
    /// The attribute whose change sends secrets.
    version: &'static str,
    schema: OnceLock<Schema>,
    spec: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Catalog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("type_name", &self.type_name)
            .finish_non_exhaustive()
    }
}

impl<S: Spec> Catalog<S> {
    /// Returns the resource with this type name and version attribute.
    pub fn new(type_name: &'static str, version: &'static str) -> Self {
        Self {
            type_name,
            version,
            schema: OnceLock::new(),
            spec: PhantomData,
        }
    }

    fn compiled(&self) -> &Schema {
        self.schema.get_or_init(schema::resource::<S>)
    }

    fn attributes(&self) -> &[Attribute] {
        &self.compiled().attributes
    }

    /// Returns the state that shows what the engine holds.
    fn state(&self, view: &View<S>) -> Value {
        let spec = serde_json::to_value(&view.spec).unwrap_or_default();
        let mut state = json::to_value(&spec, &self.compiled().ty());
        state.set_attribute(ID, view.id.as_str());
        state.set_attribute(FINGERPRINT, view.credential_fingerprint.clone());
        if S::KIND == engine_api::Kind::Source {
            let url = view
                .consent
                .as_ref()
                .map(|consent| consent.authorization_url.clone());
            state.set_attribute(AUTHORIZATION_URL, url);
        }
        state
    }

    /// Warns of a source that waits for somebody's consent: nothing is wrong with its configuration, and yet it collects
    /// nothing.
    fn warn_of_consent(view: &View<S>, diagnostics: &mut Diagnostics) {
        let Some(consent) = &view.consent else { return };
        let (summary, why) = match consent.state {
            Consent::Authorized => return,
            Consent::PendingAuthorization => (
                "The source waits for somebody's consent",
                "Nobody has let it in to Zoom yet (`pending_authorization`)".to_owned(),
            ),
            Consent::ReauthorizationRequired => (
                "Somebody has to consent again",
                "What the last consent gave is void (`reauthorization_required`)".to_owned(),
            ),
        };
        diagnostics.attribute_warning(
            AUTHORIZATION_URL,
            summary,
            format!(
                "{why}, so the source `{}` collects nothing. Open {} in a browser, as an account admin of Zoom or as a \
                 service account with the role's permissions, and consent. See step 8 of the guide \
                 `docs/guides/zoom-app.md`.",
                view.spec.name(),
                consent.authorization_url
            ),
        );
    }

    /// Takes what the engine holds after a write.
    fn written(&self, view: &View<S>, response: &mut StateResponse) {
        remember(view, &mut response.private);
        Self::warn_of_consent(view, &mut response.diagnostics);
        response.state = Some(self.state(view));
    }

    /// Returns the spec to send: the plan, and the secrets of the configuration if they are to be sent.
    fn spec(&self, plan: &Value, config: &Value, with_secrets: bool) -> Json {
        let secrets = if with_secrets { config } else { &Value::Null };
        Json::Object(spec_object(self.attributes(), plan, secrets))
    }

    fn fails(&self, error: &Error, doing: &str, config: &Value, diagnostics: &mut Diagnostics) {
        let doing = format!("{doing} the {}", S::KIND);
        problem::report(error, &doing, self.attributes(), config, diagnostics);
    }

    /// Asks the engine whether all the candidates equal the stored secrets.
    async fn all_match(
        client: &Client,
        id: &str,
        candidates: &BTreeMap<String, String>,
    ) -> Result<bool, Error> {
        let candidates = candidates
            .iter()
            .map(|(field, secret)| (field.clone(), Json::from(secret.as_str())))
            .collect();
        let result = client.compare(S::KIND, id, &Json::Object(candidates)).await?;
        Ok(result.matches.values().all(|matches| *matches))
    }

    async fn try_update(client: &Client, id: &str, spec: &Json) -> Result<Option<View<S>>, Error> {
        let mut tries = 0;
        loop {
            let Some(current) = client.get::<S>(id).await? else {
                return Ok(None);
            };
            tries += 1;
            match client.update::<S>(id, current.generation, spec).await {
                Err(Error::Problem(problem))
                    if problem.code() == Some(Code::GenerationConflict) && tries < UPDATE_TRIES => {}
                other => return other.map(Some),
            }
        }
    }

    /// Finds what an import names: an id, or else a name.
    async fn find(client: &Client, wanted: &str) -> Result<Option<View<S>>, Error> {
        let prefix = match S::KIND {
            engine_api::Kind::Source => SourceId::PREFIX,
            engine_api::Kind::Destination => DestinationId::PREFIX,
            engine_api::Kind::AlarmChannel => AlarmChannelId::PREFIX,
        };
        if wanted.starts_with(prefix)
            && let Some(view) = client.get::<S>(wanted).await?
        {
            return Ok(Some(view));
        }
        let found = client.list::<S>(Some(wanted), None).await?;
        Ok(found.items.into_iter().find(|view| view.spec.name() == wanted))
    }
}

#[async_trait]
impl<S: Spec> Resource<Engine> for Catalog<S> {
    type Model = Value;

    fn type_name(&self) -> &str {
        self.type_name
    }

    fn schema(&self) -> Schema {
        self.compiled().clone()
    }

    async fn create(
        &self,
        context: &Context<Engine>,
        request: CreateRequest<'_>,
        response: &mut StateResponse,
    ) {
        let Some(client) = context
            .data()
            .and_then(|engine| engine.client(&mut response.diagnostics))
        else {
            return;
        };
        let key = match idempotency_key() {
            Ok(key) => key,
            Err(error) => {
                response
                    .diagnostics
                    .error("No random numbers", format!("The system gives none: {error}."));
                return;
            }
        };
        let spec = self.spec(request.plan, request.config, true);
        match client.create::<S>(&spec, &key).await {
            Ok(view) => self.written(&view, response),
            Err(error) => self.fails(&error, "create", request.config, &mut response.diagnostics),
        }
    }

    async fn read(&self, context: &Context<Engine>, request: ReadRequest<'_>, response: &mut StateResponse) {
        let Some(client) = context
            .data()
            .and_then(|engine| engine.client(&mut response.diagnostics))
        else {
            return;
        };
        let id = request.state.get(ID).as_str().unwrap_or_default();
        match client.get::<S>(id).await {
            Ok(Some(view)) => {
                remember_import(request.state, &view, &mut response.private);
                Self::warn_of_consent(&view, &mut response.diagnostics);
                response.state = Some(self.state(&view));
            }
            Ok(None) => response.state = None,
            Err(error) => self.fails(&error, "read", &Value::Null, &mut response.diagnostics),
        }
    }

    async fn update(
        &self,
        context: &Context<Engine>,
        request: UpdateRequest<'_>,
        response: &mut StateResponse,
    ) {
        let Some(client) = context
            .data()
            .and_then(|engine| engine.client(&mut response.diagnostics))
        else {
            return;
        };
        let id = request.prior.get(ID).as_str().unwrap_or_default();
        let with_secrets = request.plan.get(FINGERPRINT).is_unknown();
        let spec = self.spec(request.plan, request.config, with_secrets);
        match Self::try_update(client, id, &spec).await {
            Ok(Some(view)) => self.written(&view, response),
            Ok(None) => {
                response.state = None;
                response.diagnostics.error(
                    format!("The {} is gone", S::KIND),
                    format!(
                        "The {} was deleted at the engine after this plan was made. Plan again.",
                        S::KIND
                    ),
                );
            }
            Err(error) => self.fails(&error, "update", request.config, &mut response.diagnostics),
        }
    }

    async fn delete(
        &self,
        context: &Context<Engine>,
        request: DeleteRequest<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        let Some(client) = context.data().and_then(|engine| engine.client(diagnostics)) else {
            return;
        };
        let id = request.state.get(ID).as_str().unwrap_or_default();
        if let Err(error) = client.delete(S::KIND, id).await {
            self.fails(&error, "delete", &Value::Null, diagnostics);
        }
    }
}

#[async_trait]
impl<S: Spec> ResourceWithValidate<Engine> for Catalog<S> {
    async fn validate(&self, _: &Context<Engine>, config: &Value, diagnostics: &mut Diagnostics) {
        judge::judge::<S>(self.attributes(), config, None, diagnostics);
    }
}

#[async_trait]
impl<S: Spec> ResourceWithModifyPlan<Engine> for Catalog<S> {
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
        let Some(prior) = request.prior.filter(|_| !response.diagnostics.has_errors()) else {
            return;
        };
        if prior.get(AUTHORIZATION) != response.plan.get(AUTHORIZATION) {
            // Of a source that takes up the one kind of authorization, or the other.
            response.plan.set_attribute(AUTHORIZATION_URL, Value::Unknown);
        }
        let applied = request.private.get(&APPLIED);
        let known = Known {
            attributes: self.attributes(),
            version: self.version,
            address: S::ADDRESS,
            prior,
            config: request.config,
            plan: &response.plan,
            applied: applied.as_deref(),
            stored: prior.get(FINGERPRINT).as_str(),
        };
        let keep = match secrets::question(&known) {
            Question::Keep => true,
            Question::Send => false,
            Question::Compare(candidates) => {
                let id = prior.get(ID).as_str().unwrap_or_default();
                match context.data().map(AsRef::as_ref) {
                    Some(Engine::Known(client)) => match Self::all_match(client, id, &candidates).await {
                        Ok(all) => all,
                        Err(error) => {
                            self.fails(
                                &error,
                                "compare the secrets of",
                                request.config,
                                &mut response.diagnostics,
                            );
                            return;
                        }
                    },
                    // Without the engine nobody can tell, so the plan leaves it open.
                    Some(Engine::Unknown) | None => false,
                }
            }
        };
        if !keep {
            response.plan.set_attribute(FINGERPRINT, Value::Unknown);
        }
    }
}

#[async_trait]
impl<S: Spec> ResourceWithImport<Engine> for Catalog<S> {
    async fn import(&self, context: &Context<Engine>, id: &str, response: &mut StateResponse) {
        let Some(client) = context
            .data()
            .and_then(|engine| engine.client(&mut response.diagnostics))
        else {
            return;
        };
        match Self::find(client, id).await {
            Ok(Some(view)) => response.state = Some(self.state(&view)),
            Ok(None) => response.diagnostics.error(
                format!("No such {}", S::KIND),
                format!("The engine has no {} with the id or name `{id}`.", S::KIND),
            ),
            Err(error) => self.fails(&error, "find", &Value::Null, &mut response.diagnostics),
        }
    }
}

/// Remembers the fingerprint that the engine shows.
fn remember<S>(view: &View<S>, private: &mut Private) {
    match &view.credential_fingerprint {
        Some(fingerprint) => private.set(&APPLIED, fingerprint),
        None => private.remove(&APPLIED),
    }
}

/// Remembers the fingerprint with which a resource was imported, so that a later change of it is seen as one.
fn remember_import<S>(state: &Value, view: &View<S>, private: &mut Private) {
    let as_known = state.get(FINGERPRINT).as_str() == view.credential_fingerprint.as_deref();
    if private.get(&APPLIED).is_none() && as_known {
        remember(view, private);
    }
}

/// Writes the attributes that a spec has: what the engine computes is left out, and secrets come from `secrets`.
fn spec_object(attributes: &[Attribute], plan: &Value, secrets: &Value) -> Map<String, Json> {
    let mut object = Map::new();
    for attribute in attributes.iter().filter(|attribute| attribute.is_configurable()) {
        let name = &attribute.name;
        let planned = if attribute.write_only {
            secrets.get(name)
        } else {
            plan.get(name)
        };
        let json = match (&attribute.kind, planned) {
            (_, Value::Null | Value::Unknown) => continue,
            (Kind::Nested(_, inner), Value::Object(_)) => {
                Json::Object(spec_object(inner, planned, secrets.get(name)))
            }
            _ => json::from_value(planned),
        };
        object.insert(name.clone(), json);
    }
    object
}

/// Returns a key by which the engine recognises a repeated request to create.
fn idempotency_key() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
