//! The process contract, held by a host of our own and by the installed Terraform.
//!
//! Each test starts the small provider in `examples/kennel` as a host does, speaks to it over its socket, and looks
//! at what it answers and how it ends.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod codec;
mod conformance;
mod contract;
mod golden;
mod host;
mod kinds;
mod provider;
mod stored;
mod terraform;
