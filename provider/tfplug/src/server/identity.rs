//! Identities: their schemas, their upgrade, and what is asked after every operation.

use super::{Inner, begin::Begun, convert};
use crate::{
    conformance::rules,
    diagnostics::Diagnostics,
    offers::Managed,
    provider::Provider,
    resource::StoredState,
    value::{Type, Value},
    wire::tfplugin6 as wire,
};

/// What an identity may do after an operation.
pub(super) struct Leave {
    /// It may be another one than before: for what is new, replaced, or just imported.
    pub(super) change: bool,
    /// It may be unknown in part: in a plan of what is new or replaced.
    pub(super) unknown: bool,
}

impl<P: Provider> Inner<P> {
    pub(super) fn identity_schemas(
        &self,
        _: wire::get_resource_identity_schemas::Request,
    ) -> wire::get_resource_identity_schemas::Response {
        let identity_schemas = self
            .offers
            .resources
            .iter()
            .filter_map(|(name, parts)| {
                let schema = parts.identity.as_ref()?.schema();
                Some((name.clone(), convert::identity_schema(&schema)))
            })
            .collect();
        wire::get_resource_identity_schemas::Response {
            identity_schemas,
            diagnostics: Vec::new(),
        }
    }

    pub(super) async fn upgrade_identity(
        &self,
        request: wire::upgrade_resource_identity::Request,
    ) -> wire::upgrade_resource_identity::Response {
        let mut diagnostics = Diagnostics::new();
        let upgraded = self.upgrade_identity_into(&request, &mut diagnostics).await;
        wire::upgrade_resource_identity::Response {
            upgraded_identity: upgraded,
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    async fn upgrade_identity_into(
        &self,
        request: &wire::upgrade_resource_identity::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::ResourceIdentityData> {
        let begun = self.begin(&self.offers.resources, &request.type_name, None, diagnostics)?;
        let Some(identity) = &begun.parts.identity else {
            diagnostics.error(
                "Identity is not supported",
                format!("The resource type `{}` has no identity.", request.type_name),
            );
            return None;
        };
        let schema = identity.schema();
        let stored = request
            .raw_identity
            .as_ref()
            .map(|raw| raw.json.as_slice())
            .unwrap_or_default();
        let upgraded = if request.version == schema.version {
            match Value::from_stored_json(stored, &schema.ty()) {
                Ok(identity) => Some(identity),
                Err(error) => {
                    diagnostics.error(
                        "Identity cannot be read",
                        format!("The stored identity does not fit the provider's schema: {error}."),
                    );
                    return None;
                }
            }
        } else if let Some(upgrades) = &begun.parts.upgrade_identity {
            upgrades
                .upgrade(request.version, StoredState(stored), diagnostics)
                .await
        } else {
            None
        };
        let Some(upgraded) = upgraded else {
            if !diagnostics.has_errors() {
                diagnostics.error(
                    "Identity cannot be upgraded",
                    format!(
                        "The identity of this `{}` was written with version {} of its schema, from which this version \
                         of the provider knows no way to its own.",
                        request.type_name, request.version
                    ),
                );
            }
            return None;
        };
        Some(encode(&upgraded, &schema.ty(), diagnostics))
    }
}

impl<D: Send + Sync + 'static> Begun<'_, D, Managed<D>> {
    /// Reads an identity that the host keeps. One that cannot be read, or is empty, is none: an earlier version of a
    /// provider may have stored anything.
    pub(super) fn known_identity(&self, kept: Option<&wire::ResourceIdentityData>) -> Option<Value> {
        let ty = self.parts.identity.as_ref()?.schema().ty();
        let data = kept?.identity_data.as_ref()?;
        let value = convert::decode(Some(data), &ty, "identity", &mut Diagnostics::new())?;
        (!is_empty(&value)).then_some(value)
    }

    /// Asks for the identity of a resource in this state, and holds it against the one before. Where there is an error,
    /// or no identity at all, what the host keeps stays.
    pub(super) async fn identify(
        &self,
        type_name: &str,
        state: &Value,
        kept: Option<&wire::ResourceIdentityData>,
        leave: &Leave,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::ResourceIdentityData> {
        let Some(names) = &self.parts.identity else {
            return kept.cloned();
        };
        let ty = names.schema().ty();
        let Some(identity) = names.identity(&self.context, state, diagnostics).await else {
            return kept.cloned();
        };
        let before = self.known_identity(kept);
        let before = before.as_ref().filter(|_| !leave.change);
        let broken = rules::identity_stays(&ty, before, &identity, leave.unknown);
        if broken.is_empty() {
            // Core takes an identity that is unknown in part, but `terraform show -json` then cannot write the plan
            // (seen with 1.15.5). None at all is as good until it is known.
            return identity
                .is_wholly_known()
                .then(|| encode(&identity, &ty, diagnostics));
        }
        // An error already says what went wrong; that the identity is not there yet follows from it.
        if !diagnostics.has_errors() {
            rules::report(type_name, "named", &broken, diagnostics);
        }
        kept.cloned()
    }
}

/// Returns whether nothing of an identity is set.
pub(super) fn is_empty(identity: &Value) -> bool {
    identity
        .entries()
        .is_none_or(|entries| entries.values().all(Value::is_null))
}

pub(super) fn encode(
    identity: &Value,
    ty: &Type,
    diagnostics: &mut Diagnostics,
) -> wire::ResourceIdentityData {
    wire::ResourceIdentityData {
        identity_data: Some(convert::encode(identity, ty, "identity", diagnostics)),
    }
}
