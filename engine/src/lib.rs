//! `zoom-log-engine`: collects Zoom's operation and activity logs exactly, stores them, delivers them, and raises an
//! alarm when they stop.
//!
//! The modules stand in levels; each may import those below it (`tests/it/tidy.rs` holds them to it):
//!
//! | level | modules |
//! |---|---|
//! | 0 pure | [`encode`], [`model`], [`retry`], [`worker`] |
//! | 1 doors | [`clock`], [`config`], [`http`], [`store`], [`telemetry`], [`vault`] |
//! | 2 adapters | [`destination`] |
//! | 3 workers | [`alarm`], [`delivery`] |

pub mod alarm;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod destination;
pub mod encode;
pub mod http;
pub mod model;
pub mod retry;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod worker;
