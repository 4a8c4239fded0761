//! Terraform provider for `zoom-log-engine`: Zoom's audit logs as code.
//!
//! A noun that users can write is defined once, in `engine-api`. This crate turns the JSON Schema of each spec into a
//! Terraform schema ([`schema`]), and one generic resource ([`catalog`]) creates, reads, updates, deletes, imports and
//! lists all of them through the engine's API. What changes by itself, such as health and positions, lives in a data source
//! ([`status`]) and never in a resource, so that an untouched configuration plans nothing.
//!
//! | module | what |
//! |---|---|
//! | [`provider`] | the provider's configuration, and what it offers |
//! | [`settings`] | the provider's own settings, and the environment |
//! | `identity` | the pipeline's identity, and the token that the engine gives for it |
//! | [`connection`] | the engine as the operations of one run reach it |
//! | [`reads`], [`compares`] | reads that go together, and comparisons of secrets |
//! | [`schema`] | JSON Schema to Terraform schema |
//! | [`about`] | what the pages of the resources say beside what the specs say of themselves |
//! | [`json`] | values to JSON and back |
//! | [`catalog`] | the resources: their life, plans, imports, identities and lists |
//! | [`filter`] | filters over what exists, made from the schema |
//! | [`secrets`] | which secrets to compare and to send, and what that means for the plan |
//! | [`judge`] | the engine's own rules at plan time, where unknown values allow it |
//! | [`problem`] | errors of the engine as diagnostics at their attributes |
//! | [`sources`], [`status`], [`engine`] | the data sources |
//! | [`actions`], [`functions`] | the actions and the functions |
//! | [`token`] | the ephemeral resource |

pub mod about;
pub mod actions;
pub mod catalog;
pub mod compares;
pub mod connection;
pub mod engine;
pub mod filter;
pub mod functions;
mod identity;
pub mod json;
pub mod judge;
pub mod problem;
pub mod provider;
pub mod reads;
pub mod schema;
pub mod secrets;
pub mod settings;
pub mod sources;
pub mod status;
pub mod token;

pub use provider::Zoom;
