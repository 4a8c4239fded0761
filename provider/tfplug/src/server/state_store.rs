//! State stores, which Terraform has as an experiment: this library offers none, and says so in each answer.

use super::convert;
use crate::{diagnostics::Diagnostics, wire::tfplugin6 as wire};

/// Returns the diagnostics of every answer about a state store of this type.
fn refusal(type_name: &str) -> Vec<wire::Diagnostic> {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(
        "State stores are not supported",
        format!("This provider has no state store `{type_name}`: it keeps no state. Use a backend instead."),
    );
    convert::diagnostics(diagnostics)
}

/// Answers a request for something of a state store.
macro_rules! refuse {
    ($($function:ident, $message:ident;)*) => {$(
        pub(super) fn $function(request: &wire::$message::Request) -> wire::$message::Response {
            wire::$message::Response {
                diagnostics: refusal(&request.type_name),
                ..Default::default()
            }
        }
    )*};
}

refuse! {
    configure, configure_state_store;
    read, read_state_bytes;
    lock, lock_state;
    list, get_states;
}

pub(super) fn validate(
    request: &wire::validate_state_store::Request,
) -> wire::validate_state_store::Response {
    wire::validate_state_store::Response {
        diagnostics: refusal(&request.type_name),
    }
}

pub(super) fn unlock(request: &wire::unlock_state::Request) -> wire::unlock_state::Response {
    wire::unlock_state::Response {
        diagnostics: refusal(&request.type_name),
    }
}

pub(super) fn delete(request: &wire::delete_state::Request) -> wire::delete_state::Response {
    wire::delete_state::Response {
        diagnostics: refusal(&request.type_name),
    }
}

/// Answers the first part of a state to be written; the rest is not read.
pub(super) fn write(
    first: Option<&wire::write_state_bytes::RequestChunk>,
) -> wire::write_state_bytes::Response {
    let type_name = first
        .and_then(|chunk| chunk.meta.as_ref())
        .map(|meta| meta.type_name.as_str())
        .unwrap_or_default();
    wire::write_state_bytes::Response {
        diagnostics: refusal(type_name),
    }
}
