//! The simulation: a fixed set of seeds, and that a seed does the same each time.

use std::collections::BTreeSet;

use e2e::simulation::{Template, run, run_many};
use zoom_log_engine::crash;

/// Enough seeds to pass every crash point, few enough for each run of the tests; `make sim` runs thousands.
const SEEDS: u64 = 24;

/// Points that only the real process passes: they stand on threads that a simulation does not see.
const REAL_ONLY: [&str; 1] = ["file.half_written"];

async fn apart<T: Send + 'static>(work: impl FnOnce(&Template) -> T + Send + 'static) -> T {
    let template = Template::make().await;
    // Seeds have runtimes of their own, which must not begin inside of this one.
    tokio::task::spawn_blocking(move || work(&template))
        .await
        .unwrap()
}

#[tokio::test]
async fn the_laws_hold_under_a_fixed_set_of_seeds_that_passes_every_crash_point() {
    let total = apart(|template| run_many(template, 1, SEEDS, 1, |_| {})).await;
    if let Some(failure) = total.failures.first() {
        panic!(
            "seed {}: {}\nThe last lines:\n{}\nReplay it with `make sim SEED={}`.",
            failure.seed, failure.what, failure.trace, failure.seed
        );
    }
    assert_eq!(total.seeds, SEEDS);
    assert!(
        total.rows > 1_000 && total.lives > SEEDS && total.notices > 0,
        "{total:?}"
    );
    let real_only = BTreeSet::from(REAL_ONLY);
    let died: BTreeSet<&str> = total.died_at.union(&real_only).copied().collect();
    let missed: Vec<&&str> = crash::POINTS
        .iter()
        .filter(|point| !died.contains(**point))
        .collect();
    assert!(
        missed.is_empty(),
        "the engine died at every crash point but {missed:?}"
    );
}

#[tokio::test]
async fn a_seed_does_the_same_each_time() {
    // One with crashes, faults and several copies of the workers.
    let digests = apart(|template| {
        [1, 1].map(|seed| match run(seed, template, false) {
            Ok(outcome) => (outcome.digest, outcome.lives, outcome.rows),
            Err(failure) => panic!("{failure:?}"),
        })
    })
    .await;
    assert_eq!(digests[0], digests[1]);
    assert!(digests[0].1 > 2, "the engine died in that seed: {digests:?}");
}
