//! `zoom-log-engine key rotate` and `key status`.

use std::io::Write;

use super::{Error, noted, operator, sealed};
use crate::{
    crash,
    store::{
        Store,
        consents::TOKEN_FIELD,
        keys::{KeyState, SealedRow},
    },
    vault::{self, Sealed, Vault, key_name},
};

/// So many secrets are wrapped anew in one transaction: engines that want to write meanwhile wait for one such step.
const STEP: u32 = 100;

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name of the key that is in use from now on.
    pub key: String,
    /// The name of the key that nothing needs any more.
    pub former: String,
    /// How many secrets were wrapped anew by this run.
    pub rewrapped: u64,
}

/// Puts a new master key in the place of the one in use, or finishes what an earlier run began.
///
/// # Errors
///
/// [`Error`]; both keys are needed until a later run ends well.
///
/// # Cancel safety
///
/// As after a crash: the next run goes on.
pub async fn rotate(store: &Store, vault: &Vault, out: &mut (dyn Write + Send)) -> Result<Report, Error> {
    let state = store.key_state().await?.ok_or(Error::Unused)?;
    let next = begin(store, vault, &state, out).await?;
    let (former, key) = (key_name(&state.active), key_name(&next));
    let mut rewrapped = 0;
    loop {
        rewrapped += rewrap_all(store, vault).await?;
        crash::point("rotation.before_switch").await;
        let header = vault.header();
        let switched = store
            .acting(operator())
            .switch_key(&state, &next, &header)
            .await?;
        if switched.is_ok() {
            break;
        }
        // An engine stored something meanwhile that was sealed before it heard of the new key.
    }
    crash::point("rotation.switched").await;
    noted("the master key was replaced", &key);
    writeln!(
        out,
        "done: {rewrapped} secrets were wrapped anew, and all need the master key {key} alone.\n\
         The former key {former} may be thrown away as soon as no copy of the store from before now is to be restored; \
         keep {key} safe."
    )?;
    Ok(Report {
        key,
        former,
        rewrapped,
    })
}

/// Decides on the new key, and lets the store name it; answers its check value.
pub(super) async fn begin(
    store: &Store,
    vault: &Vault,
    state: &KeyState,
    out: &mut (dyn Write + Send),
) -> Result<String, Error> {
    let active = key_name(&state.active);
    if let Some(next) = &state.next {
        writeln!(
            out,
            "going on with the rotation from {active} to {}",
            key_name(next)
        )?;
        return Ok(next.clone());
    }
    let known = |key: &String| *key == state.active || state.retired.contains(key);
    let mut new: Vec<String> = vault.keys().into_iter().filter(|key| !known(key)).collect();
    let next = match (new.pop(), new.is_empty()) {
        (Some(next), true) => next,
        (None, _) => {
            let next = vault.add_key()?;
            crash::point("rotation.key_added").await;
            writeln!(
                out,
                "the new master key {} was written beside {active}",
                key_name(&next)
            )?;
            next
        }
        (Some(last), false) => {
            new.push(last);
            let keys = new.iter().map(|key| key_name(key)).collect();
            return Err(Error::Ambiguous { keys, active });
        }
    };
    let turned = Sealed {
        next: Some(&next),
        ..sealed(state)
    };
    vault.follow(turned)?;
    let kept = store
        .announce_key(&next, &vault.sealed_fingerprint(turned)?)
        .await?;
    if kept != next {
        // Somebody else began at the same moment with another key; theirs is the one that engines know of.
        super::follow(store, vault).await?;
    }
    crash::point("rotation.announced").await;
    noted(
        "secrets are being wrapped under a new master key",
        &key_name(&kept),
    );
    writeln!(
        out,
        "wrapping from {active} to {}; engines go on meanwhile",
        key_name(&kept)
    )?;
    Ok(kept)
}

/// Wraps anew whatever is not under the key that seals now; answers how many.
async fn rewrap_all(store: &Store, vault: &Vault) -> Result<u64, Error> {
    let header = vault.header();
    let mut rewrapped = 0;
    let mut broken = Vec::new();
    let mut last = (String::new(), String::new());
    loop {
        let rows = store.sealed_otherwise(&header, (&last.0, &last.1), STEP).await?;
        let Some(end) = rows.last() else { break };
        last = (end.owner.clone(), end.field.clone().unwrap_or_default());
        rewrapped += rewrap(store, vault, rows, &mut broken).await?;
    }
    last = (String::new(), String::new());
    loop {
        let rows = store.tokens_otherwise(&header, &last.0, STEP).await?;
        let Some(end) = rows.last() else { break };
        last.0.clone_from(&end.owner);
        rewrapped += rewrap(store, vault, rows, &mut broken).await?;
    }
    if broken.is_empty() {
        Ok(rewrapped)
    } else {
        Err(Error::Unsealable { secrets: broken })
    }
}

async fn rewrap(
    store: &Store,
    vault: &Vault,
    rows: Vec<SealedRow>,
    broken: &mut Vec<String>,
) -> Result<u64, Error> {
    let mut step = Vec::with_capacity(rows.len());
    for row in rows {
        let field = row.field.as_deref().unwrap_or(TOKEN_FIELD);
        match vault.rewrap(&row.owner, field, &row.sealed) {
            Ok(sealed) => step.push((row, sealed)),
            Err(vault::Error::Unsealable { .. } | vault::Error::KeyNotHeld { .. }) => {
                broken.push(format!("`{field}` of {}", row.owner));
            }
            Err(error) => return Err(error.into()),
        }
    }
    store.rewrap(&step).await?;
    crash::point("rotation.rewrapped").await;
    Ok(step.len() as u64)
}

/// Says which master keys there are, and how many secrets need each.
///
/// # Errors
///
/// [`Error`].
pub async fn status(store: &Store, vault: &Vault, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    let state = store.key_state().await?.ok_or(Error::Unused)?;
    let secrets = store.secrets_by_key().await?;
    let at_hand: Vec<String> = vault.keys().iter().map(|key| key_name(key)).collect();
    let (active, next) = (key_name(&state.active), state.next.as_deref().map(key_name));
    let mut names = at_hand.clone();
    names.extend(secrets.iter().map(|(name, _)| name.clone()));
    names.extend(next.clone());
    names.sort_unstable();
    names.dedup();
    for name in names {
        let needed = secrets
            .iter()
            .find(|(key, _)| *key == name)
            .map_or(0, |(_, count)| *count);
        let part = if name == active {
            "in use"
        } else if Some(&name) == next.as_ref() {
            "takes the place of the one in use: run `zoom-log-engine key rotate` to finish"
        } else if state.retired.iter().any(|key| key_name(key) == name) {
            "was in use before; may be thrown away as soon as no older copy of the store is to be restored"
        } else {
            "not in use"
        };
        let here = if at_hand.contains(&name) {
            ""
        } else {
            "; NOT AT HAND"
        };
        writeln!(out, "{name}  {needed} secrets  {part}{here}")?;
    }
    Ok(())
}
