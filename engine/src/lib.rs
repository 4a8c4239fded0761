//! `zoom-log-engine`: collects Zoom's operation and activity logs exactly, stores them, delivers them, and raises an
//! alarm when they stop.
//!
//! The modules stand in levels; each may import those below it (`tests/it/tidy.rs` holds them to it):
//!
//! | level | modules |
//! |---|---|
//! | 0 pure | [`model`] |
//! | 1 doors | [`clock`], [`config`], [`http`], [`store`], [`telemetry`], [`vault`] |

pub mod api;
pub mod clock;
pub mod config;
pub mod http;
pub mod intake;
pub mod model;
pub mod retry;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod vault;
pub mod worker;
pub mod zoom;
