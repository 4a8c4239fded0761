//! Taking over what exists: by id, by name, by identity.

use async_trait::async_trait;
use engine_api::{
    View,
    client::{Client, Error},
};
use tfplug::{
    identity::Identity,
    model,
    provider::Context,
    resource::{ResourceWithIdentity, ResourceWithImport, ResourceWithImportByIdentity, StateResponse},
    value::Value,
};

use super::Catalog;
use crate::{
    connection::{self, Engine, Kept},
    schema::{ENGINE_ID, ID},
};

/// What names an object for good: its id, and the engine that gave it.
#[derive(Debug, Identity)]
pub struct ObjectIdentity {
    /// The id that the engine gave the object.
    pub id: model::Value<String>,
    /// The id of the engine; the engine that the provider is configured for, where an import leaves it out.
    #[tf(optional)]
    pub engine_id: model::Value<String>,
}

impl ObjectIdentity {
    /// Returns the identity of an object in this state.
    pub fn of(state: &Value) -> Self {
        let part = |name: &str| match state.get(name) {
            Value::Unknown => model::Value::Unknown,
            value => value.as_str().map(str::to_owned).into(),
        };
        Self {
            id: part(ID),
            engine_id: part(ENGINE_ID),
        }
    }
}

impl<S: Kept> ResourceWithIdentity<Engine> for Catalog<S> {
    type Identity = ObjectIdentity;

    fn identity(&self, _: &Context<Engine>, state: &Value) -> ObjectIdentity {
        ObjectIdentity::of(state)
    }
}

impl<S: Kept> Catalog<S> {
    /// Finds what an import names: an id, or else a name.
    async fn find(client: &Client, wanted: &str) -> Result<Option<View<S>>, Error> {
        if wanted.starts_with(S::ID_PREFIX)
            && let Some(view) = client.get::<S>(wanted).await?
        {
            return Ok(Some(view));
        }
        let found = client.list::<S>(Some(wanted), None).await?;
        Ok(found.items.into_iter().find(|view| view.spec.name() == wanted))
    }

    /// Fills the state with what an import found.
    fn take_over(
        &self,
        found: Result<Option<View<S>>, Error>,
        engine: &str,
        wanted: &str,
        response: &mut StateResponse,
    ) {
        match found {
            Ok(Some(view)) => response.state = Some(self.state(&view, engine)),
            Ok(None) => response.diagnostics.error(
                format!("No such {}", S::KIND),
                format!("The engine has no {} with the {wanted}.", S::KIND),
            ),
            Err(error) => self.fails(&error, "find", &Value::Null, &mut response.diagnostics),
        }
    }
}

#[async_trait]
impl<S: Kept> ResourceWithImport<Engine> for Catalog<S> {
    async fn import(&self, context: &Context<Engine>, id: &str, response: &mut StateResponse) {
        let nothing = Value::Null;
        let Some((connection, engine)) =
            connection::of::<S>(context, &nothing, &mut response.diagnostics).await
        else {
            return;
        };
        let found = Self::find(connection.client(), id).await;
        self.take_over(found, engine, &format!("id or name `{id}`"), response);
    }
}

#[async_trait]
impl<S: Kept> ResourceWithImportByIdentity<Engine> for Catalog<S> {
    async fn import_by_identity(
        &self,
        context: &Context<Engine>,
        identity: &ObjectIdentity,
        response: &mut StateResponse,
    ) {
        let named = identity.write();
        let Some((connection, engine)) =
            connection::of::<S>(context, &named, &mut response.diagnostics).await
        else {
            return;
        };
        let id = identity.id.as_deref().unwrap_or_default();
        let found = connection.client().get::<S>(id).await;
        self.take_over(found, engine, &format!("id `{id}`"), response);
    }
}
