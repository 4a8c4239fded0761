//! The one table of routes, from which the router, `/openapi.json` and the tests are made.

use std::sync::LazyLock;

use axum::{
    http::{Method, StatusCode},
    routing::{MethodRouter, delete, get, post, put},
};
use engine_api::{
    AlarmChannelSpec, BackfillRequest, BackfillView, ChannelStatus, CheckReport, Code, CompareAllRequest,
    CompareAllResult, CompareRequest, CompareResult, DeadLetterView, DestinationSpec, DestinationStatus,
    EngineView, FeedTrouble, Items, Kind, ReplayRequest, ReplayResult, Scope, SourceSpec, SourceStatus,
    SourceTrial, View,
};
use schemars::JsonSchema;

use super::{
    Api, backfills, consent, dead_letters, engine, objects, openapi,
    resource::Resource,
    route::{AFTER, ID, LIMIT, Parameter, Route, conditions, idempotency_key, parameter, parameter_as},
    sources, status, table_access,
};
use crate::{credential::CALLBACK_PATH, telemetry::Telemetry};

const IF_MATCH: Parameter = parameter_as(
    "header",
    "If-Match",
    "The `ETag` that the object must still have; any, where it is left out.",
    conditions,
);
const ETAG: Parameter = parameter::<String>("header", "ETag", "The object's generation, in quotes.");

/// All routes.
pub(super) fn table() -> &'static [Route] {
    static TABLE: LazyLock<Vec<Route>> = LazyLock::new(|| {
        let mut table = probes();
        table.extend(objects::<SourceSpec>("sources", "source"));
        table.extend(of_sources());
        table.extend(of_backfills());
        table.push(status_of::<SourceStatus>(Kind::Source, "source", || {
            get(status::source)
        }));
        table.extend(objects::<DestinationSpec>("destinations", "destination"));
        table.push(status_of::<DestinationStatus>(
            Kind::Destination,
            "destination",
            || get(status::destination),
        ));
        table.extend(objects::<AlarmChannelSpec>("alarm channels", "alarm_channel"));
        table.push(status_of::<ChannelStatus>(
            Kind::AlarmChannel,
            "alarm_channel",
            || get(status::channel),
        ));
        table.extend(of_dead_letters());
        table.extend(of_consents());
        table.extend(table_access::of_tokens());
        table.push(table_access::of_audit());
        table
    });
    &TABLE
}

fn probes() -> Vec<Route> {
    let new = |path: &str, operation: &str, summary: &str, handler| {
        Route::new(Method::GET, path, "engine", operation, summary, handler)
    };
    vec![
        new("/healthz", "get_health", "Whether the process answers", || {
            get(engine::healthz)
        })
        .probe()
        .answers_in::<String>(StatusCode::OK, "It does.", "text/plain"),
        new(
            "/readyz",
            "get_readiness",
            "Whether the store can be written and the workers work",
            || get(engine::readyz),
        )
        .probe()
        .answers_in::<String>(StatusCode::OK, "Both do.", "text/plain"),
        new(
            "/metrics",
            "get_metrics",
            "What the engine counts, for Prometheus",
            || get(engine::metrics),
        )
        .probe()
        .answers_in::<String>(
            StatusCode::OK,
            "All metrics, as OpenMetrics text.",
            Telemetry::CONTENT_TYPE,
        ),
        new("/openapi.json", "get_openapi", "This document", || {
            get(async || openapi::answer(table()))
        })
        .probe()
        .answers::<serde_json::Map<String, serde_json::Value>>(StatusCode::OK, "An OpenAPI 3.1 document."),
        new("/v1/engine", "get_engine", "The engine itself", || {
            get(engine::view)
        })
        .answers::<EngineView>(StatusCode::OK, "Its id, version and URL."),
    ]
}

/// The routes that every kind of object has.
fn objects<S: Resource>(tag: &'static str, name: &str) -> Vec<Route> {
    let noun = S::KIND.noun();
    let path = format!("/v1/{}", S::KIND.path());
    let one = format!("{path}/{{id}}");
    let new = |method, path: &str, operation: String, summary: String, handler| {
        Route::new(method, path, tag, operation, summary, handler)
    };
    let by_name = parameter::<String>("query", "name", "Only the object with exactly this name.");
    let key = parameter_as(
        "header",
        "Idempotency-Key",
        "A text of the caller's choice, up to 200 characters. The same key and body make one object, however often they are sent.",
        idempotency_key,
    );
    let location = parameter::<String>("header", "Location", "The object's path.");
    let rules = [
        Code::InvalidSpec,
        Code::UnknownReference,
        Code::MissingSecret,
        Code::SecretNotResent,
        Code::SecretRefRefused,
        Code::SecretRefUnreadable,
        Code::PathRefused,
        Code::AddressRefused,
        Code::NameTaken,
        Code::MalformedRequest,
    ];
    let zoom: &[Code] = match S::KIND {
        Kind::Source => &ZOOM_REFUSES,
        Kind::Destination | Kind::AlarmChannel => &[],
    };
    let shown = "The object as it is now, without its secrets.";
    vec![
        new(
            Method::GET,
            &path,
            format!("list_{name}s"),
            format!("List {noun}s, in the order of their ids"),
            || get(objects::list::<S>),
        )
        .with(&[by_name, AFTER, LIMIT])
        .answers::<Items<View<S>>>(StatusCode::OK, "One page.")
        .refuses(&[Code::MalformedRequest]),
        new(
            Method::POST,
            &path,
            format!("create_{name}"),
            format!("Create a new {noun}"),
            || post(objects::create::<S>),
        )
        .with(&[key])
        .takes::<S>()
        .answers::<View<S>>(StatusCode::CREATED, "It was created.")
        .answers::<View<S>>(
            StatusCode::OK,
            "The same request created it before; nothing was done.",
        )
        .heading(&[ETAG, location])
        .refuses(&rules)
        .refuses(&[Code::IdempotencyConflict])
        .refuses(zoom),
        new(
            Method::GET,
            &one,
            format!("get_{name}"),
            format!("Show one {noun}"),
            || get(objects::get::<S>),
        )
        .with(&[ID])
        .answers::<View<S>>(StatusCode::OK, shown)
        .heading(&[ETAG])
        .refuses(&[Code::NotFound]),
        new(
            Method::PUT,
            &one,
            format!("replace_{name}"),
            format!("Replace the spec of one {noun}; stored secrets that the spec leaves out are kept"),
            || put(objects::replace::<S>),
        )
        .with(&[ID, IF_MATCH])
        .takes::<S>()
        .answers::<View<S>>(StatusCode::OK, shown)
        .heading(&[ETAG])
        .refuses(&rules)
        .refuses(&[Code::NotFound, Code::GenerationConflict])
        .refuses(zoom),
        new(
            Method::DELETE,
            &one,
            format!("delete_{name}"),
            format!("Delete one {noun} and all that belongs to it"),
            || delete(objects::remove::<S>),
        )
        .with(&[ID, IF_MATCH])
        .answers_empty(StatusCode::NO_CONTENT, "It is deleted.")
        .refuses(&[
            Code::NotFound,
            Code::InUse,
            Code::GenerationConflict,
            Code::MalformedRequest,
        ]),
        new(
            Method::POST,
            &format!("{one}/compare"),
            format!("compare_{name}"),
            format!("Compare candidates with the stored secrets of one {noun}"),
            || post(objects::compare::<S>),
        )
        // It changes nothing, and a plan needs it.
        .needs(Scope::Read)
        .with(&[ID])
        .takes::<CompareRequest>()
        .answers::<CompareResult>(StatusCode::OK, "Which candidates equal what is stored.")
        .refuses(&[Code::NotFound, Code::TooManyFailures]),
        new(
            Method::POST,
            &format!("{path}:compare"),
            format!("compare_{name}s"),
            format!("Compare candidates with the stored secrets of several {noun}s"),
            || post(objects::compare_all::<S>),
        )
        .needs(Scope::Read)
        .takes::<CompareAllRequest>()
        .answers::<CompareAllResult>(
            StatusCode::OK,
            "Of each object, which candidates equal what is stored.",
        ),
    ]
}

/// What a check of a source may find.
const ZOOM_REFUSES: [Code; 15] = [
    Code::ZoomInvalidCredentials,
    Code::ZoomUnknownAccount,
    Code::ZoomAppDisabled,
    Code::ZoomOwnerGone,
    Code::ZoomTokenRefused,
    Code::ZoomReadRestarted,
    Code::ZoomWrongAppType,
    Code::ZoomMissingScope,
    Code::ZoomMissingPermission,
    Code::ZoomPlanTooLow,
    Code::ZoomRefused,
    Code::ZoomMalformed,
    Code::ZoomRateLimited,
    Code::BudgetExhausted,
    Code::ZoomUnavailable,
];

fn of_sources() -> Vec<Route> {
    let new = |what: &str, summary: &str, handler| {
        let path = format!("/v1/sources/{{id}}/{what}");
        Route::new(
            Method::POST,
            path,
            "sources",
            format!("{what}_source"),
            summary,
            handler,
        )
        .with(&[ID])
        .refuses(&[Code::NotFound])
    };
    vec![
        new(
            "check",
            "Ask Zoom now whether each log type of one source can be read",
            || post(sources::check),
        )
        .answers::<CheckReport>(StatusCode::OK, "What Zoom answered, for each log type.")
        .refuses(&[
            Code::MissingSecret,
            Code::SecretRefRefused,
            Code::SecretRefUnreadable,
        ]),
        new("poll", "Poll one source now instead of at its next turn", || {
            post(sources::poll)
        })
        .answers_empty(StatusCode::ACCEPTED, "It will be polled at once.")
        .refuses(&[Code::InvalidSpec]),
        Route::new(
            Method::POST,
            "/v1/sources:try",
            "sources",
            "try_source",
            "Check a source's spec and credentials as a create or a replace would, and store nothing",
            || post(sources::try_out),
        )
        // It changes nothing, and a plan needs it.
        .needs(Scope::Read)
        .takes::<SourceTrial>()
        .answers_empty(StatusCode::NO_CONTENT, "It would be accepted.")
        .refuses(&[
            Code::InvalidSpec,
            Code::NotFound,
            Code::TooManyFailures,
            Code::MissingSecret,
            Code::SecretRefRefused,
            Code::SecretRefUnreadable,
        ])
        .refuses(&ZOOM_REFUSES),
        Route::new(
            Method::GET,
            "/v1/sources:troubles",
            "sources",
            "list_source_troubles",
            "List what keeps log types from being collected, over all sources, in the order of their ids",
            || get(status::troubles),
        )
        .with(&[AFTER, LIMIT])
        .answers::<Items<FeedTrouble>>(StatusCode::OK, "One page; `limit` counts sources.")
        .refuses(&[Code::MalformedRequest]),
    ]
}

fn of_backfills() -> Vec<Route> {
    let all = "/v1/sources/{id}/backfills";
    let new = |method, path: &str, operation: &str, summary: &str, handler| {
        Route::new(method, path, "sources", operation, summary, handler).refuses(&[Code::NotFound])
    };
    let backfill = parameter::<String>("path", "backfill", "The backfill's id.");
    let location = parameter::<String>("header", "Location", "The backfill's path.");
    vec![
        new(
            Method::GET,
            all,
            "list_backfills",
            "List the backfills of one source with their progress, in the order of their ids",
            || get(backfills::list),
        )
        .with(&[ID, AFTER, LIMIT])
        .answers::<Items<BackfillView>>(StatusCode::OK, "One page.")
        .refuses(&[Code::MalformedRequest]),
        new(
            Method::POST,
            all,
            "create_backfill",
            "Collect a range of days; of days that were collected before, only what is missing",
            || post(backfills::create),
        )
        .with(&[ID])
        .takes::<BackfillRequest>()
        .answers::<BackfillView>(
            StatusCode::CREATED,
            "It will be read behind what is new, oldest day first.",
        )
        .heading(&[location])
        .refuses(&[Code::InvalidSpec, Code::MalformedRequest]),
        new(
            Method::GET,
            &format!("{all}/{{backfill}}"),
            "get_backfill",
            "Show how far one backfill is",
            || get(backfills::get),
        )
        .with(&[ID, backfill])
        .answers::<BackfillView>(StatusCode::OK, "Its progress in each log type."),
        new(
            Method::POST,
            &format!("{all}/{{backfill}}/cancel"),
            "cancel_backfill",
            "End one backfill where it stands; what it collected stays",
            || post(backfills::cancel),
        )
        .with(&[ID, backfill])
        .answers::<BackfillView>(StatusCode::OK, "It goes no further."),
    ]
}

fn status_of<T: JsonSchema>(kind: Kind, name: &str, handler: fn() -> MethodRouter<Api>) -> Route {
    let tag = match kind {
        Kind::Source => "sources",
        Kind::Destination => "destinations",
        Kind::AlarmChannel => "alarm channels",
    };
    let path = format!("/v1/{}/{{id}}/status", kind.path());
    let summary = format!("How one {kind} is doing");
    Route::new(
        Method::GET,
        path,
        tag,
        format!("get_{name}_status"),
        summary,
        handler,
    )
    .with(&[ID])
    .answers::<T>(StatusCode::OK, "What changes by itself.")
    .refuses(&[Code::NotFound])
}

fn of_dead_letters() -> Vec<Route> {
    let new = |method, path: &str, operation: &str, summary: &str, handler| {
        Route::new(method, path, "dead letters", operation, summary, handler)
    };
    let destination = parameter::<String>("query", "destination_id", "Only those of this destination.");
    let source = parameter::<String>("query", "source_id", "Only those of this source.");
    vec![
        new(
            Method::GET,
            "/v1/dead-letters",
            "list_dead_letters",
            "List events that a destination refused for good",
            || get(dead_letters::list),
        )
        .with(&[destination, source, AFTER, LIMIT])
        .answers::<Items<DeadLetterView>>(StatusCode::OK, "One page.")
        .refuses(&[Code::MalformedRequest]),
        new(
            Method::POST,
            "/v1/dead-letters/replay",
            "replay_dead_letters",
            "Send dead letters again",
            || post(dead_letters::replay),
        )
        .takes::<ReplayRequest>()
        .answers::<ReplayResult>(StatusCode::OK, "How many are queued."),
        new(
            Method::POST,
            "/v1/dead-letters/{id}/replay",
            "replay_dead_letter",
            "Send one dead letter again",
            || post(dead_letters::replay_one),
        )
        .with(&[ID])
        .answers::<ReplayResult>(StatusCode::OK, "It is queued.")
        .refuses(&[Code::NotFound]),
    ]
}

/// What a page about a consent may tell beside what Zoom itself may refuse.
const CONSENT_ENDS: [Code; 9] = [
    Code::NotFound,
    Code::MissingSecret,
    Code::ConsentDenied,
    Code::ConsentMismatch,
    Code::ConsentExpired,
    Code::ConsentUsed,
    Code::ZoomCodeRefused,
    Code::ZoomRedirectMismatch,
    Code::ZoomOtherAccount,
];

/// The pages for people; their errors are pages, too.
fn of_consents() -> Vec<Route> {
    let new = |path: &str, operation: &str, summary: &str, handler| {
        Route::new(Method::GET, path, "consents", operation, summary, handler).open()
    };
    let sent = |name, text| parameter::<String>("query", name, text);
    vec![
        new(
            "/sources/{id}/authorize",
            "begin_consent",
            "The page on which somebody lets a source in to Zoom",
            || get(consent::authorize),
        )
        .with(&[ID])
        .answers_in::<String>(StatusCode::OK, "A page with the way to Zoom.", "text/html")
        .refuses(&[Code::NotFound]),
        new(
            CALLBACK_PATH,
            "end_consent",
            "The page to which Zoom sends the browser back",
            || get(consent::callback),
        )
        .with(&[
            sent("state", "What the consent was begun with."),
            sent("code", "What Zoom gives, where somebody consented."),
            sent("error", "What Zoom says, where nobody did."),
            sent("error_description", "The same in words."),
        ])
        .answers_in::<String>(StatusCode::OK, "A page that says what was verified.", "text/html")
        .refuses(&CONSENT_ENDS)
        .refuses(&ZOOM_REFUSES),
    ]
}
