//! Every end-to-end test, in one binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as loudly as tests do")]

mod bench;
mod cases;
mod end_to_end;
mod fuzz;
mod harness;
mod pages;
mod receiver;
mod sim;
mod simulation;
mod tidy;
