//! What a route is.

use axum::{
    http::{Method, StatusCode},
    routing::MethodRouter,
};
use engine_api::{Code, Scope};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Api;

pub(super) const ID: Parameter = parameter::<String>("path", "id", "The object's id.");
pub(super) const AFTER: Parameter = parameter::<String>(
    "query",
    "after",
    "Where the last page ended: `next` of its answer.",
);
pub(super) const LIMIT: Parameter = parameter_as(
    "query",
    "limit",
    "How many items a page has, up to 500; 100 by default.",
    page_length,
);

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One route: what answers it, and what is said about it.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: String,
    /// Whether it answers without a token.
    pub(super) open: bool,
    /// What a token must be good for, where it is not open.
    pub(super) scope: Scope,
    /// Whether it answers without waiting for a turn.
    pub(super) probe: bool,
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

pub(super) const fn parameter<T: JsonSchema>(
    place: &'static str,
    name: &'static str,
    text: &'static str,
) -> Parameter {
    Parameter {
        place,
        name,
        text,
        schema: schema_of::<T>,
    }
}

/// A parameter whose texts are of a certain form.
pub(super) const fn parameter_as(
    place: &'static str,
    name: &'static str,
    text: &'static str,
    schema: SchemaOf,
) -> Parameter {
    Parameter {
        place,
        name,
        text,
        schema,
    }
}

/// How long a page may be asked to be; what is longer than pages are is taken for the longest.
fn page_length(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
}

/// One or several `ETag`s as the engine writes them, or any.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r#"^(\*|"[0-9]{1,19}"( ?, ?"[0-9]{1,19}")*)$"# })
}

/// A text that HTTP carries as it is.
pub(super) fn idempotency_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$" })
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    /// A route that needs the scope `read` where it only shows something, and `write` otherwise, unless it says what else
    /// it [needs](Route::needs).
    pub(super) fn new(
        method: Method,
        path: impl Into<String>,
        tag: &'static str,
        operation: impl Into<String>,
        summary: impl Into<String>,
        handler: fn() -> MethodRouter<Api>,
    ) -> Self {
        let scope = if method == Method::GET {
            Scope::Read
        } else {
            Scope::Write
        };
        Self {
            method,
            path: path.into(),
            open: false,
            scope,
            probe: false,
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

    /// Whether it answers people: its errors are pages, too.
    pub(super) fn is_page(&self) -> bool {
        self.answers.iter().any(|answer| {
            answer
                .content
                .is_some_and(|(media, _)| media.starts_with("text/html"))
        })
    }

    pub(super) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    pub(super) fn needs(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(super) fn probe(mut self) -> Self {
        self.probe = true;
        self.open()
    }

    pub(super) fn with(mut self, parameters: &[Parameter]) -> Self {
        self.parameters.extend_from_slice(parameters);
        self
    }

    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(schema_of::<T>);
        self.problems.extend([Code::MalformedBody, Code::BodyTooLarge]);
        self
    }

    pub(super) fn answers<T: JsonSchema>(self, status: StatusCode, text: &'static str) -> Self {
        self.answers_in::<T>(status, text, JSON)
    }

    pub(super) fn answers_in<T: JsonSchema>(
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

    pub(super) fn answers_empty(mut self, status: StatusCode, text: &'static str) -> Self {
        self.answers.push(Answer {
            status,
            text,
            content: None,
            headers: Vec::new(),
        });
        self
    }

    /// All answers so far carry these headers.
    pub(super) fn heading(mut self, headers: &[Parameter]) -> Self {
        for answer in &mut self.answers {
            answer.headers.extend_from_slice(headers);
        }
        self
    }

    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.problems.extend_from_slice(codes);
        self
    }
}
