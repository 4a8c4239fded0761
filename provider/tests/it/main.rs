//! The provider with the installed Terraform and a stand-in for the engine.
//!
//! The whole path with the real engine and a simulated Zoom is tested in the crate `e2e`; here stands what only the
//! provider decides: plans, drift, secrets, import, diagnostics.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod engine;
mod functions;
mod life;
mod reads;
mod schema;
mod secrets;
mod terraform;
mod truth;
mod way;
