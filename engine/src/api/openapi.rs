//! `/openapi.json`: an OpenAPI 3.1 document, made from the table of routes and from the types themselves.

use std::{collections::BTreeMap, sync::OnceLock};

use axum::{
    http::header,
    response::{IntoResponse as _, Response},
};
use engine_api::{Code, Problem};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::route::{Answer, Parameter, Route};

/// What any route may answer.
const ALWAYS: [Code; 2] = [Code::Internal, Code::TimedOut];
/// What any route behind the token may answer beside that.
const GUARDED: [Code; 4] = [
    Code::Unauthorized,
    Code::InsufficientScope,
    Code::TooManyFailures,
    Code::StoreUnavailable,
];
const TOKEN: &str = "token";

/// Answers with the document over the one table, which is the same for the whole life of the process.
pub(super) fn answer(table: &[Route]) -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document(table).to_string());
    ([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}

/// The document over a table of routes.
pub(super) fn document(table: &[Route]) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in table {
        let method = route.method.as_str().to_lowercase();
        paths
            .entry(&route.path)
            .or_default()
            .insert(method, operation(route, &mut generator));
    }
    let mut tags: Vec<&str> = Vec::new();
    for route in table {
        if !tags.contains(&route.tag) {
            tags.push(route.tag);
        }
    }
    let tags: Vec<_> = tags.into_iter().map(|tag| json!({ "name": tag })).collect();
    // Named by every error answer below.
    generator.subschema_for::<Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "zoom-log-engine",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Collects Zoom's operation and activity logs exactly, delivers them, and raises an alarm when \
                they stop. Every error is `application/problem+json` with a code that programs can branch on.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "security": [{ TOKEN: [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                TOKEN: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token with the scope that the operation names, made with `POST /v1/tokens`; or the admin \
                        token, from the file that `auth.admin_token_file` names.",
                },
            },
            "schemas": generator.take_definitions(true),
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let request_id = json!({
        "name": "X-Request-Id", "in": "header", "required": false, "schema": { "type": "string" },
        "description": "A name for the request in the engine's log: up to 128 letters, digits, `-`, `_`, `.` and `/`. One is made \
            where it is left out or another text.",
    });
    let mut parameters: Vec<Value> = route
        .parameters
        .iter()
        .map(|parameter| parameter_object(parameter, generator))
        .collect();
    parameters.push(request_id);
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": parameters,
        "responses": responses(route, generator),
    });
    if let Some(body) = route.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body(generator) } } });
    }
    operation["security"] = if route.open {
        json!([])
    } else {
        json!([{ TOKEN: [route.scope] }])
    };
    operation
}

fn parameter_object(parameter: &Parameter, generator: &mut SchemaGenerator) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.text,
        "schema": (parameter.schema)(generator),
    })
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for answer in &route.answers {
        responses.insert(
            answer.status.as_u16().to_string(),
            answer_object(answer, generator),
        );
    }
    let guarded: &[Code] = if route.open { &[] } else { &GUARDED };
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for &code in route.problems.iter().chain(&ALWAYS).chain(guarded) {
        let codes = by_status.entry(code.status()).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    for (status, codes) in by_status {
        let told: Vec<_> = codes
            .iter()
            .map(|code| format!("`{code}`: {}.", code.title()))
            .collect();
        let content = if route.is_page() {
            json!({ "text/html": { "schema": { "type": "string" } } })
        } else {
            json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
        };
        let problem = json!({
            "description": told.join(" "),
            "headers": { "X-Request-Id": request_id_header() },
            "content": content,
        });
        responses.insert(status.to_string(), problem);
    }
    json!(responses)
}

fn answer_object(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let mut headers = Map::new();
    headers.insert("X-Request-Id".to_owned(), request_id_header());
    for header in &answer.headers {
        let schema = (header.schema)(generator);
        headers.insert(
            header.name.to_owned(),
            json!({ "description": header.text, "schema": schema }),
        );
    }
    let mut object = json!({ "description": answer.text, "headers": headers });
    if let Some((media, schema)) = answer.content {
        object["content"] = json!({ media: { "schema": schema(generator) } });
    }
    object
}

fn request_id_header() -> Value {
    json!({ "description": "Names the request in the engine's log.", "schema": { "type": "string" } })
}
