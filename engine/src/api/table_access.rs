//! The routes of tokens and of the audit log, as a part of the one table.

use axum::{
    http::{Method, StatusCode},
    routing::{delete, get, post},
};
use engine_api::{
    AuditEntry, Code, ExchangeRequest, ExchangedToken, Items, NewToken, RenewRequest, Scope, TokenRequest,
    TokenView,
};

use super::{
    audit,
    route::{AFTER, ID, LIMIT, Route, parameter},
    tokens,
};

/// The audit log.
pub(super) fn of_audit() -> Route {
    let filter = |name, text| parameter::<String>("query", name, text);
    Route::new(
        Method::GET,
        "/v1/audit",
        "audit",
        "list_audit",
        "List who changed what, newest first",
        || get(audit::list),
    )
    .needs(Scope::Admin)
    .with(&[
        filter("target", "Only what was done to the object with this id."),
        filter("token_id", "Only what was done with this token."),
        filter(
            "action",
            "Only this, such as `destination.update`, or all of one kind, such as `destination`.",
        ),
        filter("since", "Only from this instant on, in RFC 3339."),
        filter("until", "Only before this instant, in RFC 3339."),
        AFTER,
        LIMIT,
    ])
    .answers::<Items<AuditEntry>>(StatusCode::OK, "One page.")
    .refuses(&[Code::MalformedRequest])
}

/// Tokens: what each may do is said by the tokens themselves, so most of these are open to any of them.
pub(super) fn of_tokens() -> Vec<Route> {
    const ALL: &str = "/v1/tokens";
    const ONE: &str = "/v1/tokens/{id}";
    let new = |method, path: &str, operation: &str, summary: &str, handler| {
        Route::new(method, path, "tokens", operation, summary, handler)
    };
    let location = parameter::<String>("header", "Location", "The token's path.");
    vec![
        new(
            Method::GET,
            ALL,
            "list_tokens",
            "List all tokens, in the order of their ids; ended ones for 30 days",
            || get(tokens::list),
        )
        .needs(Scope::Admin)
        .with(&[AFTER, LIMIT])
        .answers::<Items<TokenView>>(StatusCode::OK, "One page.")
        .refuses(&[Code::MalformedRequest]),
        new(
            Method::POST,
            ALL,
            "create_token",
            "Make a token; without the scope `admin`, one of at most the own scope that ends with the own token",
            || post(tokens::create),
        )
        .needs(Scope::Read)
        .takes::<TokenRequest>()
        .answers::<NewToken>(StatusCode::CREATED, "The token, and the only time that its text is shown.")
        .heading(&[location])
        .refuses(&[Code::InvalidSpec]),
        new(
            Method::POST,
            "/v1/tokens/exchange",
            "exchange_token",
            "Get a short-lived token for what a platform says of a workload, by the rules of `auth.issuers`",
            || post(tokens::exchange),
        )
        .open()
        .takes::<ExchangeRequest>()
        .answers::<ExchangedToken>(StatusCode::OK, "The token, and the only time that its text is shown.")
        .refuses(&[
            Code::InvalidSpec,
            Code::IdentityRefused,
            Code::InsufficientScope,
            Code::IssuerUnavailable,
            Code::TooManyFailures,
            Code::StoreUnavailable,
        ]),
        new(
            Method::GET,
            ONE,
            "get_token",
            "Show one token: with the scope `admin` any, else the own one and those that it made",
            || get(tokens::get),
        )
        .with(&[ID])
        .answers::<TokenView>(StatusCode::OK, "The token without its text.")
        .refuses(&[Code::NotFound]),
        new(
            Method::DELETE,
            ONE,
            "revoke_token",
            "Revoke one token and all that it made: with the scope `admin` any, else the own one and those that it made",
            || delete(tokens::revoke),
        )
        .needs(Scope::Read)
        .with(&[ID])
        .answers_empty(StatusCode::NO_CONTENT, "The next request with it is refused.")
        .refuses(&[Code::NotFound]),
        new(
            Method::POST,
            "/v1/tokens/{id}/renew",
            "renew_token",
            "Let one token last longer: with the scope `admin` any, else one that the own one made",
            || post(tokens::renew),
        )
        .needs(Scope::Read)
        .with(&[ID])
        .takes::<RenewRequest>()
        .answers::<TokenView>(StatusCode::OK, "The token with its new end.")
        .refuses(&[Code::NotFound, Code::InvalidSpec]),
    ]
}
