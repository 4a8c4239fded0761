//! Errors: how whatever goes wrong inside becomes a problem body.
//!
//! A [`Failure`] carries two texts: the problem, which the caller sees, and the cause, which only the log sees. The
//! guard writes both out, each once.

use std::{sync::Arc, time::Duration};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use engine_api::{Code, FieldError, Kind, Problem, Violation};

use crate::{
    rotation,
    store::{
        self,
        catalog::{Needs, Refusal},
    },
    vault,
};

/// What [`Result`]s of handlers hold.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) problem: Box<Problem>,
    /// For the log only.
    pub(super) cause: Option<Arc<str>>,
    /// How long to wait before the next try, where that is known.
    pub(super) retry_after: Option<Duration>,
}

/// A rule of this engine that a field breaks.
#[derive(Debug, Clone)]
pub(super) struct Breach {
    pub(super) code: Code,
    pub(super) field: String,
    pub(super) detail: String,
}

impl Breach {
    pub(super) fn new(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: field.into(),
            detail: detail.into(),
        }
    }
}

impl From<Violation> for Breach {
    fn from(violation: Violation) -> Self {
        Self::new(Code::InvalidSpec, violation.field, violation.message)
    }
}

impl Failure {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    pub(super) fn at(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).at(field).into()
    }

    /// A fault of the engine itself. The caller is pointed to the log.
    pub(super) fn internal(cause: impl Into<Arc<str>>) -> Self {
        Self::new(
            Code::Internal,
            "the engine failed to answer; its log says why, under this request's id",
        )
        .caused_by(cause)
    }

    pub(super) fn absent(kind: Kind) -> Self {
        Self::new(
            Code::NotFound,
            format!("no {kind} has this id: it was deleted, or belongs to another engine"),
        )
    }

    fn caused_by(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same failure, with how long to wait before the next try.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// All breaches in one problem: the first one names it, and where there are several each is listed.
    pub(super) fn all(breaches: Vec<Breach>) -> Result<(), Self> {
        let Some(first) = breaches.first() else {
            return Ok(());
        };
        let mut problem = Problem::new(first.code, sentence(first));
        if !first.field.is_empty() {
            problem = problem.at(&first.field);
        }
        if breaches.len() > 1 {
            let errors = breaches.into_iter().map(|breach| FieldError {
                field: breach.field,
                code: breach.code.as_str().to_owned(),
                detail: breach.detail,
            });
            problem.errors = errors.collect();
        }
        Err(problem.into())
    }
}

/// Rules of specs are fragments that stand behind the field's name; all others are sentences of their own.
fn sentence(breach: &Breach) -> String {
    match breach.code {
        Code::InvalidSpec if !breach.field.is_empty() => format!("`{}` {}", breach.field, breach.detail),
        _ => breach.detail.clone(),
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            cause: None,
            retry_after: None,
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        match &error {
            store::Error::Unavailable(_) => Self::new(
                Code::StoreUnavailable,
                "the engine's store cannot be used now: try again, or see the engine's log under this request's id",
            )
            .caused_by(error.chain()),
            store::Error::KeyRetired => Self::new(
                Code::StoreUnavailable,
                "the engine's master key was replaced in this very moment: try again",
            ),
            store::Error::Refused(_) | store::Error::Damaged(_) | store::Error::Open(_) => {
                Self::internal(error.chain())
            }
        }
    }
}

impl From<rotation::Error> for Failure {
    fn from(error: rotation::Error) -> Self {
        match error {
            rotation::Error::Store(error) => error.into(),
            rotation::Error::Vault(error @ vault::Error::KeyNotHeld { .. }) => {
                Self::new(Code::StoreUnavailable, error.to_string())
            }
            error => Self::internal(error.to_string()),
        }
    }
}

/// What the catalog refuses, for an object of a kind.
pub(super) fn refused(kind: Kind, refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Absent => Failure::absent(kind),
        Refusal::NameTaken { holder } => Failure::at(
            Code::NameTaken,
            "name",
            format!("the {kind} `{holder}` has this name already: choose another one, or import that {kind}"),
        ),
        Refusal::UnknownReferences(missing) => {
            let breaches = missing.into_iter().map(|reference| {
                let detail = format!("no object has the id `{}`", reference.id);
                Breach::new(Code::UnknownReference, reference.field, detail)
            });
            match Failure::all(breaches.collect()) {
                Err(failure) => failure,
                Ok(()) => Failure::internal("a reference was refused without a name"),
            }
        }
        Refusal::KeyReused => Failure::new(
            Code::IdempotencyConflict,
            "this idempotency key was sent with another body before: use a new key for a new object",
        ),
        Refusal::Changed { generation } => Failure::new(
            Code::GenerationConflict,
            format!(
                "the {kind} has changed since it was read (it is at generation {generation}): read it again"
            ),
        ),
        Refusal::InUse { by, count } => Failure::new(
            Code::InUse,
            format!(
                "the {kind} is still used by {}: take it out of there first",
                users(&by, count)
            ),
        ),
    }
}

fn users(by: &[Needs], count: u64) -> String {
    let mut named: Vec<_> = by
        .iter()
        .map(|needs| format!("the {} `{}`", needs.kind, needs.name))
        .collect();
    let unnamed = count.saturating_sub(by.len() as u64);
    if unnamed > 0 {
        named.push(format!("{unnamed} more"));
    }
    named.join(", ")
}

/// What the vault refuses, about the secret in `field`.
pub(super) fn vaulted(field: &str, error: &vault::Error) -> Failure {
    let at_reference = format!("{field}_ref");
    match error {
        vault::Error::ReferenceMalformed { .. } => {
            Failure::at(Code::InvalidSpec, at_reference, error.to_string())
        }
        vault::Error::ReferenceForbidden { .. } => {
            Failure::at(Code::SecretRefRefused, at_reference, error.to_string())
        }
        vault::Error::ReferenceUnreadable { .. } => {
            Failure::at(Code::SecretRefUnreadable, at_reference, error.to_string())
        }
        vault::Error::KeyNotHeld { .. } => Failure::new(Code::StoreUnavailable, error.to_string()),
        vault::Error::Unsealable { .. } => Failure::at(Code::MissingSecret, field, error.to_string()),
        _ => Failure::internal(error.to_string()),
    }
}

impl IntoResponse for Failure {
    /// Only marks the answer; the guard writes the body, since it knows the request's id.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
