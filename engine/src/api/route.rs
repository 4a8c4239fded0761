//! The one table of routes, from which the router, `/openapi.json` and the tests are made.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{Method, StatusCode},
    middleware,
    routing::{MethodRouter, delete, get, post, put},
};
use engine_api::{
    AlarmChannelSpec, CheckReport, Code, CompareRequest, CompareResult, DestinationSpec, EngineView, Items,
    Kind, SourceSpec, View,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Api, engine, guard, objects, resource::Resource, sources};
use crate::telemetry::Telemetry;

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One route: what answers it, and what is said about it.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    /// Whether it answers without a token.
    pub(super) open: bool,
    pub(super) handler: fn() -> MethodRouter<Api>,
    /// The group it is shown in.
    pub(super) tag: &'static str,
    /// A name that generated clients call it by.
    pub(super) operation: String,
    pub(super) summary: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<SchemaOf>,
    pub(super) answers: Vec<Answer>,
    /// What it may be refused for, beside what any route may.
    pub(super) problems: Vec<Code>,
}

/// Something that a request carries beside its body.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) schema: SchemaOf,
}

/// A good answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: &'static str,
    pub(super) content: Option<(&'static str, SchemaOf)>,
    pub(super) headers: Vec<Parameter>,
}

const JSON: &str = "application/json";

const ID: Parameter = parameter::<String>("path", "id", "The object's id.");
const AFTER: Parameter = parameter::<String>(
    "query",
    "after",
    "Where the last page ended: `next` of its answer.",
);
const LIMIT: Parameter = parameter::<u32>(
    "query",
    "limit",
    "How many items a page has, up to 500; 100 by default.",
);
const IF_MATCH: Parameter = parameter::<String>(
    "header",
    "If-Match",
    "The `ETag` that the object must still have; any, where it is left out.",
);
const ETAG: Parameter = parameter::<String>("header", "ETag", "The object's generation, in quotes.");

const fn parameter<T: JsonSchema>(place: &'static str, name: &'static str, text: &'static str) -> Parameter {
    Parameter {
        place,
        name,
        text,
        schema: schema_of::<T>,
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    fn new(
        method: Method,
        path: impl Into<String>,
        tag: &'static str,
        operation: impl Into<String>,
        summary: impl Into<String>,
        handler: fn() -> MethodRouter<Api>,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            open: false,
            handler,
            tag,
            operation: operation.into(),
            summary: summary.into(),
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn open(mut self) -> Self {
        self.open = true;
        self
    }

    fn with(mut self, parameters: &[Parameter]) -> Self {
        self.parameters.extend_from_slice(parameters);
        self
    }

    fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(schema_of::<T>);
        self.problems.extend([Code::MalformedBody, Code::BodyTooLarge]);
        self
    }

    fn answers<T: JsonSchema>(self, status: StatusCode, text: &'static str) -> Self {
        self.answers_in::<T>(status, text, JSON)
    }

    fn answers_in<T: JsonSchema>(
        mut self,
        status: StatusCode,
        text: &'static str,
        media: &'static str,
    ) -> Self {
        self.answers.push(Answer {
            status,
            text,
            content: Some((media, schema_of::<T>)),
            headers: Vec::new(),
        });
        self
    }

    fn answers_empty(mut self, status: StatusCode, text: &'static str) -> Self {
        self.answers.push(Answer {
            status,
            text,
            content: None,
            headers: Vec::new(),
        });
        self
    }

    /// All answers so far carry these headers.
    fn heading(mut self, headers: &[Parameter]) -> Self {
        for answer in &mut self.answers {
            answer.headers.extend_from_slice(headers);
        }
        self
    }

    fn refuses(mut self, codes: &[Code]) -> Self {
        self.problems.extend_from_slice(codes);
        self
    }
}

/// All routes.
pub(super) fn table() -> &'static [Route] {
    static TABLE: LazyLock<Vec<Route>> = LazyLock::new(|| {
        let mut table = probes();
        table.extend(objects::<SourceSpec>("sources", "source"));
        table.extend(of_sources());
        table.extend(objects::<DestinationSpec>("destinations", "destination"));
        table.extend(objects::<AlarmChannelSpec>("alarm channels", "alarm_channel"));
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
        .open()
        .answers_in::<String>(StatusCode::OK, "It does.", "text/plain"),
        new(
            "/readyz",
            "get_readiness",
            "Whether the store can be written and the workers work",
            || get(engine::readyz),
        )
        .open()
        .answers_in::<String>(StatusCode::OK, "Both do.", "text/plain"),
        new(
            "/metrics",
            "get_metrics",
            "What the engine counts, for Prometheus",
            || get(engine::metrics),
        )
        .open()
        .answers_in::<String>(
            StatusCode::OK,
            "All metrics, as OpenMetrics text.",
            Telemetry::CONTENT_TYPE,
        ),
        new("/openapi.json", "get_openapi", "This document", || {
            get(engine::openapi)
        })
        .open()
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
    let key = parameter::<String>(
        "header",
        "Idempotency-Key",
        "A text of the caller's choice, up to 200 characters. The same key and body make one object, however often they are sent.",
    );
    let location = parameter::<String>("header", "Location", "The object's path.");
    let rules = [
        Code::InvalidSpec,
        Code::UnknownReference,
        Code::MissingSecret,
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
        .with(&[ID])
        .takes::<CompareRequest>()
        .answers::<CompareResult>(StatusCode::OK, "Which candidates equal what is stored.")
        .refuses(&[Code::NotFound]),
    ]
}

/// What a check of a source may find.
const ZOOM_REFUSES: [Code; 12] = [
    Code::ZoomInvalidCredentials,
    Code::ZoomUnknownAccount,
    Code::ZoomAppDisabled,
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
    ]
}

/// The router over the table.
pub fn router(api: &Api) -> Router {
    let mut router = Router::new();
    for route in table() {
        let enter = middleware::from_fn_with_state((api.clone(), route), guard::enter);
        router = router.route(&route.path, (route.handler)().route_layer(enter));
    }
    router
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn_with_state(api.clone(), guard::finish))
        .with_state(api.clone())
}
