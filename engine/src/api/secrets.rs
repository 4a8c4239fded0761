//! What becomes of an object's secrets: those that a request brings, those that are stored, those that are referred
//! to.
//!
//! The rule, field by field, over the fields that the new spec has: a value replaces what is stored, an empty value
//! removes it, a reference replaces it, and a field that is left out keeps it, if the spec has still room for it.
//!
//! What is kept is kept for the address that it was given for. Whoever may change a destination does not know its
//! secrets, and must not learn them by naming a server of their own: a change of the URL's scheme, host or port needs
//! the secrets again.

use engine_api::{Code, Secret, SecretField, Spec, same_origin};
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::{
    Api,
    failure::{Breach, Failure, vaulted},
};
use crate::{rotation, store::secrets::SealedSecret};

/// The secrets of an object as a request leaves them.
#[derive(Debug)]
pub(super) struct Merged {
    /// What is to be stored. A value that did not change keeps its sealed bytes.
    pub(super) sealed: Vec<SealedSecret>,
    /// The keyed fingerprint over `sealed`; `None` where nothing is stored.
    pub(super) fingerprint: Option<String>,
    /// Every secret that the object can use, stored or referred to.
    usable: Vec<(&'static str, Secret)>,
    /// The fields whose stored value changed.
    changed: Vec<&'static str>,
}

impl Merged {
    /// The secret in a field, wherever it comes from.
    pub(super) fn secret(&self, field: &str) -> Option<&Secret> {
        self.usable
            .iter()
            .find(|(name, _)| *name == field)
            .map(|(_, secret)| secret)
    }

    /// Whether the stored value of a field is new or gone.
    pub(super) fn changed(&self, field: &str) -> bool {
        self.changed.contains(&field)
    }
}

/// Applies the rule to all fields of a spec.
pub(super) async fn merge<S: Spec>(
    api: &Api,
    id: &str,
    spec: &S,
    spec_before: Option<&S>,
    stored: &[SealedSecret],
) -> Result<Merged, Failure> {
    let moved = spec_before.and_then(|before| moved(spec, before));
    let now = api.clock.now();
    let mut merged = Merged {
        sealed: Vec::new(),
        fingerprint: None,
        usable: Vec::new(),
        changed: Vec::new(),
    };
    let mut missing = Vec::new();
    let mut kept: Vec<&'static str> = Vec::new();
    for field in spec.secrets() {
        let before = stored.iter().find(|secret| secret.field == field.field);
        let after = after(api, id, spec, &field, before, now).await?;
        if let (After::Stored { .. }, None, Some((address, old))) = (&after, field.value, &moved) {
            missing.push(not_resent(field.field, address, old));
            continue;
        }
        if let After::Stored { sealed, secret, .. } = &after {
            kept.push(field.field);
            merged.sealed.push(SealedSecret {
                field: field.field.to_owned(),
                sealed: sealed.clone(),
            });
            merged.usable.push((field.field, secret.clone()));
        }
        let changed = match (&after, before) {
            (After::Stored { same, .. }, _) => !same,
            (After::Referred(_) | After::Absent, before) => before.is_some(),
        };
        if changed {
            merged.changed.push(field.field);
        }
        match after {
            After::Referred(secret) => merged.usable.push((field.field, secret)),
            After::Absent if field.required => missing.push(Breach::new(
                Code::MissingSecret,
                field.field,
                format!(
                    "`{0}` is neither given nor stored: set it, or `{0}_ref`",
                    field.field
                ),
            )),
            After::Absent | After::Stored { .. } => {}
        }
    }
    Failure::all(missing)?;
    if !kept.is_empty() {
        let fields: Vec<_> = merged
            .usable
            .iter()
            .filter(|(field, _)| kept.contains(field))
            .map(|(f, s)| (*f, s))
            .collect();
        merged.fingerprint = Some(api.vault.fingerprint(id, &fields));
    }
    Ok(merged)
}

/// The field of the address and the old address, where the new one is another server.
fn moved<S: Spec>(spec: &S, before: &S) -> Option<(&'static str, String)> {
    let (new, old) = (spec.address()?, before.address()?);
    (!same_origin(new, old)).then(|| (S::ADDRESS.unwrap_or_default(), old.to_owned()))
}

fn not_resent(field: &str, address: &str, old: &str) -> Breach {
    let old = Url::parse(old).map_or_else(
        |_| "another server".to_owned(),
        |url| format!("`{}`", url.origin().ascii_serialization()),
    );
    let detail = format!(
        "`{address}` names another server, and the stored `{field}` was given for {old}: send `{field}` again with the \
         new address, send it empty to remove it, or keep the address"
    );
    Breach::new(Code::SecretNotResent, field, detail)
}

enum After {
    Stored {
        sealed: Vec<u8>,
        secret: Secret,
        same: bool,
    },
    Referred(Secret),
    Absent,
}

async fn after<S: Spec>(
    api: &Api,
    id: &str,
    spec: &S,
    field: &SecretField<'_>,
    before: Option<&SealedSecret>,
    now: Timestamp,
) -> Result<After, Failure> {
    let faulty = |error| vaulted(field.field, &error);
    if let Some(reference) = field.reference {
        return api
            .vault
            .resolve_ref(reference)
            .await
            .map(After::Referred)
            .map_err(faulty);
    }
    match (field.value, before) {
        (Some(value), _) if value.is_empty() => Ok(After::Absent),
        (Some(value), before) => {
            // A stored value that does not open counts as another one, so that setting it again repairs it.
            let same = before.filter(|before| {
                api.vault
                    .open(id, field.field, &before.sealed)
                    .is_ok_and(|stored| api.vault.equal(value, &stored))
            });
            let sealed = if let Some(before) = same {
                before.sealed.clone()
            } else {
                rotation::follow(&api.store, &api.vault).await?;
                api.vault.seal(id, field.field, value).map_err(faulty)?
            };
            Ok(After::Stored {
                sealed,
                secret: value.clone(),
                same: same.is_some(),
            })
        }
        (None, Some(before)) if has_room(spec, field.field, now) => Ok(After::Stored {
            sealed: before.sealed.clone(),
            secret: api.vault.open(id, field.field, &before.sealed).map_err(faulty)?,
            same: true,
        }),
        (None, _) => Ok(After::Absent),
    }
}

/// Whether a spec would break no further rule if it held a value in this field. A stored bearer token has no room
/// beside a newly chosen password for the same header, and is dropped.
fn has_room<S: Spec>(spec: &S, field: &str, now: Timestamp) -> bool {
    let Ok(mut probe) = serde_json::to_value(spec) else {
        return false;
    };
    let (parent, name) = field.rsplit_once('.').unwrap_or(("", field));
    let mut parts = parent.split('.').filter(|part| !part.is_empty());
    let parent = parts.try_fold(&mut probe, |at, part| at.get_mut(part));
    let Some(Value::Object(parent)) = parent else {
        return false;
    };
    parent.insert(name.to_owned(), Value::from("any"));
    serde_json::from_value::<S>(probe)
        .is_ok_and(|probe| probe.validate(now).len() <= spec.validate(now).len())
}

#[cfg(test)]
mod tests {
    use engine_api::DestinationSpec;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stored_secret_has_room_only_beside_what_it_agrees_with() {
        let url = "https://siem.example.com/ingest";
        let spec = |http: Value| -> DestinationSpec {
            serde_json::from_value(json!({ "name": "n", "http": http })).unwrap()
        };
        let plain = spec(json!({ "url": url }));
        assert!(has_room(&plain, "http.bearer_token", Timestamp::UNIX_EPOCH));
        let basic = spec(json!({ "url": url, "basic": { "username": "u" } }));
        assert!(!has_room(&basic, "http.bearer_token", Timestamp::UNIX_EPOCH));
        assert!(has_room(&basic, "http.basic.password", Timestamp::UNIX_EPOCH));
        assert!(has_room(&basic, "http.signing_secret", Timestamp::UNIX_EPOCH));
        assert!(!has_room(&plain, "http.basic.password", Timestamp::UNIX_EPOCH));
        let key = spec(json!({ "url": url, "secret_header": { "name": "x-api-key" } }));
        assert!(has_room(&key, "http.bearer_token", Timestamp::UNIX_EPOCH));
    }
}
