//! The engine: polls Zoom's reports, stores every new event durably, delivers it, and raises alarms.

pub mod clock;
pub mod config;
pub mod http;
pub mod telemetry;
pub mod vault;
