//! What the provider says of itself: schemas, names, capabilities.

use std::collections::HashMap;

use super::{Inner, begin::Parts, convert};
use crate::{
    diagnostics::Diagnostics,
    offers::{Managed, Named},
    provider::Provider,
    schema::{self, Compiled, Role},
    wire::tfplugin6 as wire,
};

impl<P: Provider> Inner<P> {
    fn capabilities(&self) -> wire::ServerCapabilities {
        wire::ServerCapabilities {
            // So that authors can warn of a deletion or refuse it.
            plan_destroy: true,
            get_provider_schema_optional: true,
            move_resource_state: self
                .offers
                .resources
                .values()
                .any(|parts| parts.take_over.is_some()),
            generate_resource_config: true,
        }
    }

    pub(super) fn provider_schema(
        &self,
        _: wire::get_provider_schema::Request,
    ) -> wire::get_provider_schema::Response {
        let mut check = Check::default();
        for problem in &self.offers.problems {
            check.0.error("Provider bug", format!("{problem}."));
        }
        let offers = &self.offers;
        let list_resource_schemas = offers
            .resources
            .iter()
            .filter_map(|(name, parts)| Some((name.clone(), check.write(name, list_of(parts)?, Role::List))))
            .collect();
        wire::get_provider_schema::Response {
            provider: Some(check.write("provider", self.config(), Role::Provider)),
            resource_schemas: check.all(&offers.resources, Role::Resource),
            data_source_schemas: check.all(&offers.data_sources, Role::DataSource),
            ephemeral_resource_schemas: check.all(&offers.ephemerals, Role::Ephemeral),
            list_resource_schemas,
            action_schemas: check
                .all(&offers.actions, Role::Action)
                .into_iter()
                .map(|(name, schema)| (name, wire::ActionSchema { schema: Some(schema) }))
                .collect(),
            functions: self.functions(),
            diagnostics: convert::diagnostics(check.0),
            server_capabilities: Some(self.capabilities()),
            ..Default::default()
        }
    }

    pub(super) fn metadata(&self, _: wire::get_metadata::Request) -> wire::get_metadata::Response {
        use wire::get_metadata::{
            ActionMetadata, DataSourceMetadata, EphemeralMetadata, FunctionMetadata, ListResourceMetadata,
            ResourceMetadata,
        };
        fn names<T, M>(things: &Named<T>, name: fn(String) -> M) -> Vec<M> {
            things.keys().cloned().map(name).collect()
        }
        let offers = &self.offers;
        wire::get_metadata::Response {
            server_capabilities: Some(self.capabilities()),
            resources: names(&offers.resources, |type_name| ResourceMetadata { type_name }),
            data_sources: names(&offers.data_sources, |type_name| DataSourceMetadata { type_name }),
            ephemeral_resources: names(&offers.ephemerals, |type_name| EphemeralMetadata { type_name }),
            actions: names(&offers.actions, |type_name| ActionMetadata { type_name }),
            functions: names(&offers.functions, |name| FunctionMetadata { name }),
            list_resources: offers
                .resources
                .iter()
                .filter(|(_, parts)| parts.list.is_some())
                .map(|(name, _)| ListResourceMetadata {
                    type_name: name.clone(),
                })
                .collect(),
            ..Default::default()
        }
    }
}

/// Returns the schema of the list of a resource type, where it has one.
pub(super) fn list_of<D>(parts: &Managed<D>) -> Option<&Compiled> {
    let list = parts.list.as_ref()?;
    Some(list.compiled.get_or_init(|| Compiled::new(list.list.schema())))
}

/// Writes schemas, and collects what is wrong with them while the provider is being developed.
#[derive(Default)]
struct Check(Diagnostics);

impl Check {
    fn all<D, T: Parts<D>>(&mut self, things: &Named<T>, role: Role) -> HashMap<String, wire::Schema> {
        things
            .iter()
            .map(|(name, parts)| (name.clone(), self.write(name, parts.compiled(), role)))
            .collect()
    }

    fn write(&mut self, name: &str, compiled: &Compiled, role: Role) -> wire::Schema {
        if cfg!(debug_assertions) {
            for problem in schema::problems(&compiled.schema, role) {
                self.0.error(
                    "Provider bug",
                    format!("The schema of `{name}` is invalid. {problem}."),
                );
            }
        }
        convert::schema(&compiled.schema)
    }
}
