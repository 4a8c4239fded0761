//! Specs as they are stored.

use engine_api::Spec;

use super::failure::Failure;
use crate::store::{self, catalog::Object};

/// Reads a stored spec.
pub(super) fn spec<S: Spec>(object: &Object) -> Result<S, Failure> {
    serde_json::from_str(&object.spec)
        .map_err(|error| store::Error::Damaged(format!("the spec of `{}`: {error}", object.id)).into())
}
