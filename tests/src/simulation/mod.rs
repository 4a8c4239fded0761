//! The engine's real workers over a simulated Zoom, network, clock and disk, under seeds.
//!
//! A seed decides everything: which rows there are and when they appear, what goes wrong with which request, when
//! clocks jump, secrets are replaced, and where the engine dies. The same seed does the same again, on every machine.
//! Days pass in milliseconds, because time moves only when everybody waits. `docs/simulation.md` says what is
//! simulated and what is not.
//!
//! At the end of a seed nothing goes wrong any more and the lists stand still. Then the laws must hold: what was
//! delivered is what Zoom showed, once each; ids are unique; order per feed is the same everywhere; the watermark never
//! moved back; the budget was kept.

mod answer;
mod check;
mod crashes;
mod declare;
mod engine;
mod lives;
mod many;
mod network;
mod one_by_one;
mod plan;
mod receiver;
mod rows;
mod run;
mod scenario;
mod seat;
mod story;
mod template;
mod trace;
mod zoom;

pub use self::{
    many::{Total, run_many},
    run::{Failure, Outcome, run},
    scenario::Scenario,
    template::Template,
};
