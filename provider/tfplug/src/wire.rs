//! Wire code, generated from `proto/`, checked in under `gen/`, and held against the definitions by
//! `tests/bootstrap.rs`.
//!
//! Only `server` and `process` name these types; they are public so that a test can act as the host.

/// Messages and service of the provider protocol.
#[rustfmt::skip]
#[allow(
    clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, missing_docs, unreachable_pub,
    missing_debug_implementations, unused_lifetimes,
    reason = "generated"
)]
#[path = "gen/tfplugin6.rs"]
pub mod tfplugin6;

/// Messages and services of the plugin host: controller, forwarded output, broker.
#[rustfmt::skip]
#[allow(
    clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, missing_docs, unreachable_pub,
    missing_debug_implementations, unused_lifetimes,
    reason = "generated"
)]
#[path = "gen/plugin.rs"]
pub mod plugin;
