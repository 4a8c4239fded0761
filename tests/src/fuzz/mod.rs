//! Every parser of what comes from outside, as a function of bytes, and what drives them.
//!
//! A target must not panic, whatever it is given, and asserts what must hold beyond that; it must not take long either.
//! The driver changes inputs of the committed corpus (`tests/fuzz/<target>/`) in ways that parsers dislike. It needs no
//! instrumented compiler: it does not see which branches an input takes, so the corpus is what leads it into them.

mod change;
mod run;
mod targets;

pub use self::{
    run::{Budget, Failure, corpus, run},
    targets::{TARGETS, Target},
};
