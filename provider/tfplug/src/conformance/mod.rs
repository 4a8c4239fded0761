//! The rules that core holds a provider to, as named checks.
//!
//! Core finds the same mistakes, but only in front of users, and its words blame "the provider" and name no reason. Each
//! check here names the rule, the place, and what is wrong, and never a value.
//!
//! * [`rules`] judges values: what is planned, made, read. The server of this library runs them on its own answers.
//! * [`exchange`] judges an answer against its request, as messages, whoever wrote the provider.
//! * [`driver`] leads resources through their lives as core does: validate, plan, apply, read, import, upgrade, generate,
//!   destroy, with every check on every answer.
//! * `host`, behind the feature `host`, starts a provider's program as Terraform does, with mutual TLS; `versions` says
//!   which Terraform can do what, for tests that run on several.
//!
//! | rules | of |
//! |---|---|
//! | S | a schema |
//! | P, Q | a plan; the plan again when it is applied |
//! | A | the result of applying |
//! | R, U, I, M | read, upgrade, import, move |
//! | D, E | a data source, an ephemeral resource |
//! | G, L | a generated configuration, a list |
//! | X | what core does not check, and users notice |

pub mod driver;
pub mod exchange;
#[cfg(feature = "host")]
pub mod host;
mod proposed;
pub mod rules;
mod schema;
#[cfg(feature = "host")]
pub mod versions;

#[cfg(test)]
mod tests;

pub use proposed::proposed_new;
pub use rules::Violation;
pub use schema::{identity_from_wire, schema_from_wire};
