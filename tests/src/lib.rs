//! The end-to-end harness: a Zoom simulator, a recording receiver, and handles on the real engine and the real
//! Terraform.
//!
//! Nothing here is linked into a shipped binary; `zoom-sim` alone runs outside tests, for the demo and for
//! benchmarks. Everything that a harness starts, it stops when it is dropped.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a harness that cannot do its work must fail loudly and at once, not hand an error to a test"
)]

pub mod bench;
pub mod binaries;
pub mod browser;
pub mod delivered;
pub mod disk;
pub mod engine;
pub mod fleet;
pub mod fuzz;
pub mod http;
pub mod issuer;
pub mod kills;
pub mod leak;
pub mod plugin;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod rng;
pub mod sim;
pub mod simulation;
pub mod terraform;
pub mod visitor;
pub mod wait;
mod wire;
