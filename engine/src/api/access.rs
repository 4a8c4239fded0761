//! Who asks, and whether they may.
//!
//! A token that the engine made names itself: its text holds its id, so it is found by the id, and only the digest of
//! its text is compared, in constant time. It is read from the store at each request, and so a revoked one is refused
//! by the next request. Any other text can only be the admin token's; since an operator may have chosen that one, it
//! is not even compared once too many wrong ones came from an address. The tokens that the engine made hold 256 random
//! bits and cannot be guessed, so nobody can lock them out.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use engine_api::{Code, Identity, Scope, Secret, TokenId};
use jiff::Timestamp;
use tracing::warn;

use super::{Api, failure::Failure, route::Route, throttle::network};
use crate::{store::tokens::TokenRow, vault};

/// Whoever sent a request, as far as their token tells.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The token; `None` where it is the admin token.
    pub(super) token: Option<TokenId>,
    /// The token's name.
    pub(super) name: String,
    /// The workload that it was given to.
    pub(super) identity: Option<Identity>,
    /// What it may do.
    pub(super) scope: Scope,
    /// When it ends.
    pub(super) expires_at: Option<Timestamp>,
}

impl Caller {
    /// Whether a token of this maker is this caller's own to renew and revoke.
    pub(super) fn rules(&self, made_by: Option<&TokenId>) -> bool {
        self.scope == Scope::Admin || (self.token.is_some() && self.token.as_ref() == made_by)
    }
}

/// The address that a connection came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Marks a request of a connection whose client showed a certificate of an authority that the configuration names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Certified;

/// Refuses whoever has no certificate, where one is asked for.
pub(super) fn certified(api: &Api, shown: Option<Certified>) -> Result<(), Failure> {
    if api.limits.client_certificates && shown.is_none() {
        return Err(Failure::new(
            Code::Unauthorized,
            "no client certificate was shown: connect with one of an authority in `server.tls.client_ca_file`, beside \
             the token",
        ));
    }
    Ok(())
}

/// Finds out who sends a request to a route, and whether they may.
pub(super) async fn authorize(
    api: &Api,
    route: &Route,
    headers: &HeaderMap,
    peer: Option<Peer>,
) -> Result<Caller, Failure> {
    let Some(shown) = bearer(headers) else {
        return Err(Failure::new(
            Code::Unauthorized,
            "no token was sent: send the header `Authorization: Bearer` with a token of this engine",
        ));
    };
    let caller = match made_by_us(api, &shown).await? {
        Some(row) => live(api, row).await?,
        None => admin(api, &shown, peer).await?,
    };
    if caller.scope < route.scope {
        return Err(Failure::new(
            Code::InsufficientScope,
            format!(
                "this request needs the scope `{}`, and the token `{}` has `{}`: use a token with more, or have one made \
                 with `POST /v1/tokens`",
                route.scope, caller.name, caller.scope
            ),
        ));
    }
    Ok(caller)
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::from(token.trim()))
}

async fn made_by_us(api: &Api, shown: &Secret) -> Result<Option<TokenRow>, Failure> {
    let Some(id) = vault::token_id(shown) else {
        return Ok(None);
    };
    let found = api.store.token(&id).await?;
    Ok(found.filter(|row| api.vault.is_token(shown, &row.digest)))
}

async fn live(api: &Api, row: TokenRow) -> Result<Caller, Failure> {
    let now = api.clock.now();
    let view = &row.view;
    let ended = match (view.revoked_at, view.expires_at) {
        (Some(at), _) => Some(format!("was revoked at {at}")),
        (None, Some(at)) if at <= now => Some(format!("ended at {at}")),
        _ => None,
    };
    if let Some(ended) = ended {
        let detail = format!("the token `{}` {ended}: have another one made", view.name);
        return Err(Failure::new(Code::Unauthorized, detail));
    }
    if row.use_is_news(now)
        && let Err(error) = api.store.note_token_use(&view.id).await
    {
        // Not knowing when a token was used is no reason to refuse what it is used for.
        warn!(error = error.chain(), "cannot note that a token was used");
    }
    Ok(Caller {
        token: Some(row.view.id),
        name: row.view.name,
        identity: row.view.identity,
        scope: row.view.scope,
        expires_at: row.view.expires_at,
    })
}

/// Refuses what comes from an address that sent too many wrong tokens.
pub(super) fn not_throttled(api: &Api, address: Option<IpAddr>) -> Result<(), Failure> {
    let wait = address.and_then(|address| api.throttle().wait(&network(address), api.clock.monotonic()));
    wait.map_or(Ok(()), |wait| {
        let detail = "too many wrong tokens came from this address: wait, and then send the right one";
        Err(Failure::new(Code::TooManyFailures, detail).retry_after(wait))
    })
}

/// Notes that an address sent a wrong token.
pub(super) fn note_failure(api: &Api, address: Option<IpAddr>) {
    if let Some(address) = address {
        api.throttle().failed(network(address), api.clock.monotonic());
    }
}

/// Refuses a reader who has been wrong about an object's secrets too often. Who may write needs no guesses: a new secret
/// takes the place of any.
pub(super) fn may_guess(api: &Api, caller: &Caller, object: &str) -> Result<(), Failure> {
    let reader = caller.scope == Scope::Read;
    let wait = reader.then(|| api.guesses().wait(&object.to_owned(), api.clock.monotonic()));
    wait.flatten().map_or(Ok(()), |wait| {
        let detail = "too many wrong secrets were tried on this object with tokens of the scope `read`: wait, or use a \
                      token with the scope `write`";
        Err(Failure::new(Code::TooManyFailures, detail).retry_after(wait))
    })
}

/// Notes that a caller was wrong about a secret of an object.
pub(super) fn note_guess(api: &Api, caller: &Caller, object: &str) {
    if caller.scope == Scope::Read {
        api.guesses().failed(object.to_owned(), api.clock.monotonic());
    }
}

async fn admin(api: &Api, shown: &Secret, peer: Option<Peer>) -> Result<Caller, Failure> {
    let address = peer.map(|peer| peer.0);
    not_throttled(api, address)?;
    if !api.vault.equal(shown, &api.token) {
        note_failure(api, address);
        return Err(Failure::new(
            Code::Unauthorized,
            "the token is not one of this engine's: the admin token is in the file that `auth.admin_token_file` names",
        ));
    }
    if api.limits.admin_token_only_bootstraps && api.store.has_admin_token().await? {
        return Err(Failure::new(
            Code::Unauthorized,
            "the admin token only bootstraps (`auth.admin_token_only_bootstraps`), and there is a token with the scope \
             `admin`: use that one",
        ));
    }
    Ok(Caller {
        token: None,
        name: "admin token".to_owned(),
        identity: None,
        scope: Scope::Admin,
        expires_at: None,
    })
}
