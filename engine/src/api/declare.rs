//! From a spec and its secrets to a stored object.
//!
//! Everything about the object is checked before anything is written: the rules of its spec, what this engine may
//! reach, its references to secrets, and, for a source, Zoom itself. The checks take time, so the write names the
//! generation that they were made on; who came in between is not overwritten.

use std::collections::BTreeMap;

use engine_api::{AlarmChannelId, CompareResult, DestinationId, Kind, Secret, SourceId, View};
use jiff::Timestamp;
use serde_json::Value;
use tracing::info;

use super::{
    Api,
    failure::{Breach, Failure, refused},
    resource::Resource,
    secrets::{self, Merged},
    stored,
};
use crate::store::catalog::{Content, Created, Idempotency, Object, Reference, Refusal};

/// How often an unconditional replace is begun anew because somebody else was quicker.
const REPLACE_TRIES: u32 = 3;

/// Creates an object.
pub(super) async fn create<S: Resource>(
    api: &Api,
    spec: &S,
    idempotency: Option<&Idempotency>,
) -> Result<Created, Failure> {
    let refused = |refusal| refused(S::KIND, refusal);
    if let Some(idempotency) = idempotency
        && let Some(before) = api.store.created_before(S::KIND, idempotency).await?
    {
        return before.map(Created::Before).map_err(refused);
    }
    check(api, spec, None).await?;
    if let Some(holder) = api.store.name_holder(S::KIND, spec.name()).await? {
        return Err(refused(Refusal::NameTaken { holder }));
    }
    let _alone = spec.alone(api).await;
    Failure::all(spec.taken(api, None).await?.into_iter().collect())?;
    let id = new_id(S::KIND)?;
    let secrets = secrets::merge(api, &id, spec, None, &[]).await?;
    spec.verify(api, &id, None, &secrets).await?;
    let content = content(spec, secrets)?;
    let created = api
        .store
        .create_object(S::KIND, &id, &content, idempotency)
        .await?
        .map_err(refused)?;
    if let Created::New(object) = &created {
        info!(kind = S::KIND.noun(), id = object.id, "object created");
        (api.wake)();
    }
    Ok(created)
}

/// Replaces the spec of an object that has one of the expected generations; of any, where none is named.
pub(super) async fn replace<S: Resource>(
    api: &Api,
    id: &str,
    spec: &S,
    expected: Option<&[u64]>,
) -> Result<Object, Failure> {
    let refused = |refusal| refused(S::KIND, refusal);
    let mut tries = REPLACE_TRIES;
    loop {
        tries -= 1;
        let found = api.store.object_with_secrets(S::KIND, id).await?;
        let (before, stored) = found.ok_or_else(|| refused(Refusal::Absent))?;
        let generation = before.generation;
        if expected.is_some_and(|expected| !expected.contains(&generation)) {
            return Err(refused(Refusal::Changed { generation }));
        }
        let spec_before: S = stored::spec(&before)?;
        check(api, spec, Some(&spec_before)).await?;
        if let Some(holder) = api.store.name_holder(S::KIND, spec.name()).await?
            && holder != id
        {
            return Err(refused(Refusal::NameTaken { holder }));
        }
        let _alone = spec.alone(api).await;
        let taken = spec.taken(api, Some((id, &spec_before))).await?;
        Failure::all(taken.into_iter().collect())?;
        let secrets = secrets::merge(api, id, spec, Some(&spec_before), &stored).await?;
        spec.verify(api, id, Some(&spec_before), &secrets).await?;
        let content = content(spec, secrets)?;
        let departure = if spec.ends_consent(&spec_before) {
            S::departure(api, id).await
        } else {
            None
        };
        match api
            .store
            .replace_object(S::KIND, id, generation, &content)
            .await?
        {
            Ok(object) => {
                if object.generation != generation {
                    info!(
                        kind = S::KIND.noun(),
                        id,
                        generation = object.generation,
                        "object changed"
                    );
                    (api.wake)();
                }
                if let Some(departure) = departure {
                    api.consents.revoke(departure).await;
                }
                return Ok(object);
            }
            Err(Refusal::Changed { .. }) if expected.is_none() && tries > 0 => {}
            Err(refusal) => return Err(refused(refusal)),
        }
    }
}

/// Removes an object that has one of the expected generations; any, where none is named.
pub(super) async fn remove<S: Resource>(
    api: &Api,
    id: &str,
    expected: Option<&[u64]>,
) -> Result<(), Failure> {
    let refused = |refusal| refused(S::KIND, refusal);
    let generation = match expected {
        None => None,
        Some(expected) => {
            let found = api.store.object(S::KIND, id).await?;
            let generation = found.ok_or_else(|| refused(Refusal::Absent))?.generation;
            if !expected.contains(&generation) {
                return Err(refused(Refusal::Changed { generation }));
            }
            Some(generation)
        }
    };
    let departure = S::departure(api, id).await;
    api.store
        .remove_object(S::KIND, id, generation)
        .await?
        .map_err(refused)?;
    info!(kind = S::KIND.noun(), id, "object removed");
    S::forget(api, id);
    (api.wake)();
    if let Some(departure) = departure {
        api.consents.revoke(departure).await;
    }
    Ok(())
}

/// Which of the candidates equal the stored secrets of an object; `None` where it does not exist.
pub(super) async fn compare<S: Resource>(
    api: &Api,
    id: &str,
    secrets: &BTreeMap<String, Secret>,
) -> Result<Option<CompareResult>, Failure> {
    let Some((object, stored)) = api.store.object_with_secrets(S::KIND, id).await? else {
        return Ok(None);
    };
    let matches = secrets.iter().map(|(field, candidate)| {
        let equal = match stored.iter().find(|secret| secret.field == *field) {
            None => candidate.is_empty(),
            // One that does not open equals nothing: it is then set again, and so repaired.
            Some(secret) => api
                .vault
                .open(id, field, &secret.sealed)
                .is_ok_and(|stored| api.vault.equal(candidate, &stored)),
        };
        (field.clone(), equal)
    });
    Ok(Some(CompareResult {
        matches: matches.collect(),
        credential_fingerprint: object.fingerprint,
    }))
}

/// What the API shows of an object.
pub(super) async fn view<S: Resource>(api: &Api, object: Object) -> Result<View<S>, Failure> {
    let spec: S = stored::spec(&object)?;
    Ok(View {
        consent: spec.consent(api, &object.id).await?,
        spec,
        id: object.id,
        generation: object.generation,
        credential_fingerprint: object.fingerprint,
        created_at: object.created_at,
        updated_at: object.updated_at,
    })
}

/// Every rule that can be judged without asking anybody outside.
pub(super) async fn check<S: Resource>(api: &Api, spec: &S, before: Option<&S>) -> Result<(), Failure> {
    let now = api.clock.now();
    let mut broken = spec.validate(now);
    if let Some(before) = before {
        broken.extend(spec.frozen(before));
        let stale = stale_fields(spec, before, now)?;
        broken.retain(|violation| !stale.contains(&violation.field));
    }
    let mut breaches: Vec<Breach> = broken.into_iter().map(Breach::from).collect();
    if breaches.is_empty() {
        breaches = spec.out_of_reach(api).await?;
    }
    Failure::all(breaches)
}

/// The fields whose rule only time has broken: what is written there was accepted once and was not touched. A
/// `start_from` that has become older than what Zoom keeps must not stand in the way of every other change.
fn stale_fields<S: Resource>(spec: &S, before: &S, now: Timestamp) -> Result<Vec<String>, Failure> {
    let broken_before = before.validate(now);
    if broken_before.is_empty() {
        return Ok(Vec::new());
    }
    let shown = |spec: &S| serde_json::to_value(spec).map_err(|error| Failure::internal(error.to_string()));
    let (now, then) = (shown(spec)?, shown(before)?);
    let same = |field: &str| {
        let value = field_of(&now, field);
        value.is_some() && value == field_of(&then, field)
    };
    Ok(broken_before
        .into_iter()
        .map(|violation| violation.field)
        .filter(|field| same(field))
        .collect())
}

fn field_of<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(value, |value, part| value.get(part))
}

fn content<S: Resource>(spec: &S, secrets: Merged) -> Result<Content, Failure> {
    let references = spec.references().into_iter();
    Ok(Content {
        name: spec.name().to_owned(),
        spec: serde_json::to_string(spec).map_err(|error| Failure::internal(error.to_string()))?,
        fingerprint: secrets.fingerprint,
        secrets: secrets.sealed,
        references: references.map(|(field, id)| Reference { field, id }).collect(),
    })
}

pub(super) fn new_id(kind: Kind) -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(match kind {
        Kind::Source => SourceId::from_bytes(bytes).into(),
        Kind::Destination => DestinationId::from_bytes(bytes).into(),
        Kind::AlarmChannel => AlarmChannelId::from_bytes(bytes).into(),
    })
}
