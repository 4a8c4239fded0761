//! The resources: one implementation for every kind of object that users can declare.
//!
//! The state of a resource is the engine's view of it: the spec without secrets, the id, and the fingerprint of the
//! stored secrets. Reads go together, see [`crate::reads`]. An update reads the generation first and writes with it. When somebody else
//! writes at that very moment it begins anew, and the configuration wins.

mod import;
mod list;
mod plan;
mod trial;
mod warnings;

use std::{fmt, marker::PhantomData, sync::OnceLock};

use async_trait::async_trait;
use engine_api::{
    Code, View,
    client::{Client, Error},
};
use serde_json::{Map, Value as Json};
use tfplug::{
    diagnostics::Diagnostics,
    private::Private,
    provider::Context,
    resource::{CreateRequest, DeleteRequest, ReadRequest, Resource, StateResponse, UpdateRequest},
    schema::{Attribute, Kind, Schema},
    value::{Type, Value},
};

pub use self::{import::ObjectIdentity, list::Listing};
use crate::{
    connection::{self, Engine, Kept},
    json, problem,
    schema::{self, AUTHORIZATION_URL, ENGINE_ID, FINGERPRINT, ID},
    secrets::APPLIED,
};

/// The attribute of a source that decides whether it needs a consent; the other kinds have none.
const AUTHORIZATION: &str = "authorization";

/// How often an update is tried when the object changes at the very same time.
const UPDATE_TRIES: u32 = 3;

/// The resource for the spec `S`.
pub struct Catalog<S> {
    compiled: OnceLock<Compiled>,
    spec: PhantomData<fn() -> S>,
}

/// A schema and its type, which takes longer to make than a state of it.
struct Compiled {
    schema: Schema,
    ty: Type,
}

impl<S> fmt::Debug for Catalog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl<S: Kept> Default for Catalog<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Kept> Catalog<S> {
    /// Returns the resource.
    pub fn new() -> Self {
        Self {
            compiled: OnceLock::new(),
            spec: PhantomData,
        }
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let schema = schema::resource::<S>();
            let ty = schema.ty();
            Compiled { schema, ty }
        })
    }

    fn attributes(&self) -> &[Attribute] {
        &self.compiled().schema.attributes
    }

    /// Returns the state that shows what the engine of this id holds.
    pub fn state(&self, view: &View<S>, engine: &str) -> Value {
        let spec = serde_json::to_vec(&view.spec).unwrap_or_default();
        let mut state = json::read(&spec, &self.compiled().ty);
        state.set_attribute(ID, view.id.as_str());
        state.set_attribute(ENGINE_ID, engine);
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

    /// Takes what the engine holds after a write.
    fn written(&self, view: &View<S>, engine: &str, response: &mut StateResponse) {
        remember(view, &mut response.private);
        warnings::of_consent(view, &mut response.diagnostics);
        response.state = Some(self.state(view, engine));
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
}

#[async_trait]
impl<S: Kept> Resource<Engine> for Catalog<S> {
    type Model = Value;

    fn type_name(&self) -> &str {
        S::TYPE_NAME
    }

    fn schema(&self) -> Schema {
        self.compiled().schema.clone()
    }

    async fn create(
        &self,
        context: &Context<Engine>,
        request: CreateRequest<'_>,
        response: &mut StateResponse,
    ) {
        // The engine is asked for its id before anything is made, since afterwards nothing may fail.
        let nothing = Value::Null;
        let Some((connection, engine)) =
            connection::of::<S>(context, &nothing, &mut response.diagnostics).await
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
        let _write = S::reads(connection).write();
        match connection.client().create::<S>(&spec, &key).await {
            Ok(view) => self.written(&view, engine, response),
            Err(error) => self.fails(&error, "create", request.config, &mut response.diagnostics),
        }
    }

    async fn read(&self, context: &Context<Engine>, request: ReadRequest<'_>, response: &mut StateResponse) {
        let Some((connection, engine)) =
            connection::of::<S>(context, request.state, &mut response.diagnostics).await
        else {
            return;
        };
        let id = request.state.get(ID).as_str().unwrap_or_default();
        match S::reads(connection).get(connection.client(), id).await {
            Ok(Some(view)) => {
                remember_import(request.state, &view, &mut response.private);
                warnings::of_consent(&view, &mut response.diagnostics);
                warnings::of_trouble(&view, connection, &mut response.diagnostics).await;
                response.state = Some(self.state(&view, engine));
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
        let Some((connection, engine)) =
            connection::of::<S>(context, request.prior, &mut response.diagnostics).await
        else {
            return;
        };
        let id = request.prior.get(ID).as_str().unwrap_or_default();
        let with_secrets = request.plan.get(FINGERPRINT).is_unknown();
        let spec = self.spec(request.plan, request.config, with_secrets);
        let _write = S::reads(connection).write();
        match Self::try_update(connection.client(), id, &spec).await {
            Ok(Some(view)) => self.written(&view, engine, response),
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
        let Some((connection, _)) = connection::of::<S>(context, request.state, diagnostics).await else {
            return;
        };
        let id = request.state.get(ID).as_str().unwrap_or_default();
        let _write = S::reads(connection).write();
        if let Err(error) = connection.client().delete(S::KIND, id).await {
            self.fails(&error, "delete", &Value::Null, diagnostics);
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
