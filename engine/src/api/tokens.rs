//! Tokens: made, listed, renewed, revoked.
//!
//! Any token may make lesser ones: of at most its own scope, and ending with it at the latest. They are revoked with
//! it. So a pipeline can hand a short-lived token on, and nothing that it hands on outlives or exceeds what it holds.

use axum::{
    Extension, Json as Answer,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};
use engine_api::{
    Code, ExchangeRequest, ExchangedToken, Identity, Items, NewToken, RenewRequest, Scope, TokenId,
    TokenRequest, TokenView,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tracing::info;

use super::{
    Api,
    access::{self, Caller},
    acting::{Acting, Visit},
    body::{Json, Query},
    failure::{Breach, Failure},
    objects::page_length,
};
use crate::vault;

/// Which page of the tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    after: Option<TokenId>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<ListQuery>,
) -> Result<Answer<Items<TokenView>>, Failure> {
    let limit = page_length(query.limit);
    let mut items = api.store.tokens(query.after.as_ref(), limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|token| token.id.to_string());
    Ok(Answer(Items { items, next }))
}

pub(super) async fn create(
    Acting(api): Acting,
    Extension(caller): Extension<Caller>,
    body: Json<TokenRequest>,
) -> Result<Response, Failure> {
    let (request, now) = (body.value, api.clock.now());
    let mut breaches: Vec<_> = request.validate(now).into_iter().map(Breach::from).collect();
    if request.scope > caller.scope {
        let detail = format!(
            "is more than the token `{}` has, which is `{}`: ask for less, or use a token with more",
            caller.name, caller.scope
        );
        breaches.push(Breach::new(Code::InvalidSpec, "scope", detail));
    }
    Failure::all(breaches)?;
    let expires_at = end(&caller, request.end(now));
    let wanted = Wanted {
        name: request.name,
        scope: request.scope,
        created_by: caller.token,
        identity: None,
        expires_at,
    };
    let made = issue(&api, wanted).await?;
    let mut headers = HeaderMap::new();
    let path = format!("/v1/tokens/{}", made.view.id);
    headers.extend(HeaderValue::try_from(path).ok().map(|path| (LOCATION, path)));
    Ok((StatusCode::CREATED, headers, Answer(made)).into_response())
}

/// Lets a workload in by what its platform says of it.
pub(super) async fn exchange(
    State(api): State<Api>,
    visit: Visit,
    body: Json<ExchangeRequest>,
) -> Result<Answer<ExchangedToken>, Failure> {
    let request = body.value;
    Failure::all(request.validate().into_iter().map(Breach::from).collect())?;
    access::not_throttled(&api, visit.address)?;
    let now = api.clock.now();
    let admitted = api
        .identities()
        .admit(&request.subject_token, request.scope, now)
        .await
        .inspect_err(|failure| {
            if failure.problem.code() == Some(Code::IdentityRefused) {
                access::note_failure(&api, visit.address);
            }
        })?;
    let rule = admitted.rule;
    let ttl = request
        .ttl
        .map_or(rule.max_ttl, |ttl| ttl.get().min(rule.max_ttl));
    let end = now.saturating_add(SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX));
    let identity = Identity {
        issuer: rule.issuer.clone(),
        subject: admitted.subject,
    };
    let acting = api.acting(visit.by_workload(&rule.name, identity.clone()));
    let wanted = Wanted {
        name: rule.name.clone(),
        scope: request.scope.unwrap_or(rule.scope),
        created_by: None,
        identity: Some(identity),
        expires_at: Some(end.unwrap_or(Timestamp::MAX)),
    };
    let made = issue(&acting, wanted).await?;
    Ok(Answer(ExchangedToken {
        access_token: made.token,
        issued_token_type: "urn:ietf:params:oauth:token-type:access_token".to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: ttl.as_secs(),
        scope: made.view.scope,
        id: made.view.id,
    }))
}

/// What a token is to be.
struct Wanted {
    name: String,
    scope: Scope,
    created_by: Option<TokenId>,
    identity: Option<Identity>,
    expires_at: Option<Timestamp>,
}

async fn issue(api: &Api, wanted: Wanted) -> Result<NewToken, Failure> {
    let Wanted {
        name,
        scope,
        created_by,
        identity,
        expires_at,
    } = wanted;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(error.to_string()))?;
    let id = TokenId::from_bytes(bytes);
    let minted = vault::mint_token(&id).map_err(|error| Failure::internal(error.to_string()))?;
    let view = TokenView {
        id,
        name,
        scope,
        created_at: api.clock.now(),
        created_by,
        identity,
        expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    api.store.add_token(&view, &minted.digest).await?;
    info!(token = %view.id, scope = %scope, "token made");
    Ok(NewToken {
        token: minted.text,
        view,
    })
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Answer<TokenView>, Failure> {
    visible(&api, &caller, &id).await.map(Answer)
}

pub(super) async fn renew(
    Acting(api): Acting,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Json<RenewRequest>,
) -> Result<Answer<TokenView>, Failure> {
    let breaches = body.value.validate().into_iter().map(Breach::from);
    Failure::all(breaches.collect())?;
    let token = visible(&api, &caller, &id).await?;
    if !caller.rules(token.created_by.as_ref()) {
        return Err(Failure::new(
            Code::InsufficientScope,
            "a token cannot renew itself: the token that made it can, or one with the scope `admin`",
        ));
    }
    let now = api.clock.now();
    if token.expires_at.is_some_and(|end| end <= now) {
        return Err(gone(&token));
    }
    let end = end(&caller, Some(body.value.end(now))).unwrap_or(Timestamp::MAX);
    match api.store.renew_token(&token.id, end).await? {
        Some(renewed) => Ok(Answer(renewed)),
        None => Err(gone(&token)),
    }
}

pub(super) async fn revoke(
    Acting(api): Acting,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let token = visible(&api, &caller, &id).await?;
    let revoked = api.store.revoke_token(&token.id).await?;
    info!(token = %token.id, revoked, "token revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// A token that the caller may know of: any with the scope `admin`, else its own and those that it made.
async fn visible(api: &Api, caller: &Caller, id: &str) -> Result<TokenView, Failure> {
    let found = match id.parse::<TokenId>() {
        Ok(id) => api.store.token(&id).await?.map(|row| row.view),
        // What is no id at all is the id of nothing.
        Err(_) => None,
    };
    found
        .filter(|token| caller.rules(token.created_by.as_ref()) || caller.token.as_ref() == Some(&token.id))
        .ok_or_else(|| {
            let detail =
                "no token has this id that this token may see: it ended more than 30 days ago, or never was";
            Failure::new(Code::NotFound, detail)
        })
}

/// The end of a token that a caller makes or renews: a lesser token ends with its maker's.
fn end(caller: &Caller, wanted: Option<Timestamp>) -> Option<Timestamp> {
    match (caller.scope, caller.expires_at, wanted) {
        (Scope::Read | Scope::Write, Some(own), Some(wanted)) => Some(own.min(wanted)),
        (Scope::Read | Scope::Write, Some(own), None) => Some(own),
        (_, _, wanted) => wanted,
    }
}

fn gone(token: &TokenView) -> Failure {
    let detail = format!(
        "the token `{}` has ended or was revoked: make another one",
        token.name
    );
    Failure::new(Code::NotFound, detail)
}
