//! Finding what exists: the list resources, one for each kind of object.

use std::{fmt, marker::PhantomData};

use async_trait::async_trait;
use tfplug::{
    diagnostics::Diagnostics,
    list::{Found, ListResource, Results},
    provider::Context,
    schema::Schema,
    value::Value,
};

use super::{Catalog, ObjectIdentity};
use crate::{
    connection::{self, Engine, Kept},
    filter,
};

/// The longest page that the engine gives.
const PAGE: u32 = 500;

/// Lists the objects of a kind.
pub struct Listing<S> {
    objects: Catalog<S>,
    spec: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Listing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").finish_non_exhaustive()
    }
}

impl<S: Kept> Default for Listing<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Kept> Listing<S> {
    /// Returns the list of all objects of this kind.
    pub fn new() -> Self {
        Self {
            objects: Catalog::new(),
            spec: PhantomData,
        }
    }
}

#[async_trait]
impl<S: Kept> ListResource<Engine, Catalog<S>> for Listing<S> {
    type Config = Value;

    fn schema(&self) -> Schema {
        let noun = format!("{}s", S::KIND);
        Schema::new(filter::attributes(self.objects.attributes(), &noun)).describe(format!(
            "Finds the {noun} that the engine has, those made by hand included. `terraform query` lists them, and with \
             `-generate-config-out` writes what imports them; the plan after that import is empty. Secrets are not \
             written: a {} without its secret in the configuration keeps the one that the engine holds.",
            S::KIND
        ))
    }

    async fn list(
        &self,
        context: &Context<Engine>,
        config: &Value,
        results: &mut Results<ObjectIdentity, Value>,
    ) {
        let mut diagnostics = Diagnostics::new();
        let nothing = Value::Null;
        let here = connection::of::<S>(context, &nothing, &mut diagnostics).await;
        let Some((connection, engine)) = here else {
            let _ = results.tell(diagnostics).await;
            return;
        };
        let mut after = None;
        loop {
            // Where a filter leaves some out, more are fetched than are left to send.
            let left = results.left().and_then(|left| u32::try_from(left).ok());
            let length = left.map_or(PAGE, |left| left.clamp(1, PAGE));
            let page = match connection.client().page::<S>(after.as_deref(), length).await {
                Ok(page) => page,
                Err(error) => {
                    self.objects.fails(&error, "list", &Value::Null, &mut diagnostics);
                    let _ = results.tell(diagnostics).await;
                    return;
                }
            };
            for view in page.items {
                let state = self.objects.state(&view, engine);
                if !filter::passes(self.objects.attributes(), config, &state) {
                    continue;
                }
                let mut found = Found::new(ObjectIdentity::of(&state), view.spec.name());
                if results.wants_resource() {
                    found = found.resource(state);
                }
                if results.send(found).await.is_break() {
                    return;
                }
            }
            after = page.next;
            if after.is_none() {
                return;
            }
        }
    }
}
