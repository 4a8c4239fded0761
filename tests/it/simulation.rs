//! The simulation: a fixed set of seeds, and that a seed does the same each time.

use std::collections::BTreeSet;

use e2e::{
    sim::Report,
    simulation::{Outcome, Scenario, Template, run, run_many},
};
use zoom_log_engine::crash;

/// Enough seeds to pass every crash point, few enough for each run of the tests; `make sim` runs thousands.
const SEEDS: u64 = 24;

/// Seeds that die where none of those does.
const RARE: [u64; 3] = [25, 26, 36];

/// Seeds with one engine and with three, all of which die.
const ALONE: u64 = 13;
const SHARED: u64 = 26;

/// Points that only the real process passes: they stand on threads that a simulation does not see.
const REAL_ONLY: [&str; 1] = ["file.half_written"];
/// Points of a command beside the engine, which dies at each of them in a test of its own.
const OF_THE_ROTATION: &str = "rotation.";

async fn apart<T: Send + 'static>(work: impl FnOnce(&Template) -> T + Send + 'static) -> T {
    let template = Template::make().await;
    // Seeds have runtimes of their own, which must not begin inside of this one.
    tokio::task::spawn_blocking(move || work(&template))
        .await
        .unwrap()
}

#[tokio::test]
async fn the_laws_hold_under_a_fixed_set_of_seeds_that_passes_every_crash_point() {
    let totals = apart(|template| {
        let rare = RARE.map(|seed| run_many(template, seed, 1, 1, |_| {}));
        let mut totals = vec![run_many(template, 1, SEEDS, 1, |_| {})];
        totals.extend(rare);
        totals
    })
    .await;
    if let Some(failure) = totals.iter().find_map(|total| total.failures.first()) {
        panic!(
            "seed {}: {}\nThe last lines:\n{}\nReplay it with `make sim SEED={}`.",
            failure.seed, failure.what, failure.trace, failure.seed
        );
    }
    let total = &totals[0];
    assert_eq!(total.seeds, SEEDS);
    assert!(
        total.rows > 1_000 && total.lives > SEEDS && total.notices > 0,
        "{total:?}"
    );
    // Several engines over one store, and those that were paused found their feeds taken over.
    let several: Vec<u64> = totals.iter().map(|total| total.shared).collect();
    assert!(several[0] > SEEDS / 3 && several[0] < SEEDS, "{several:?}");
    assert!(total.pauses > 10 && total.fenced > 4, "{total:?}");
    let real_only = BTreeSet::from(REAL_ONLY);
    let all = totals.iter().flat_map(|total| &total.died_at);
    let died: BTreeSet<&str> = all.chain(&real_only).copied().collect();
    let missed: Vec<&&str> = crash::POINTS
        .iter()
        .filter(|point| !died.contains(**point) && !point.starts_with(OF_THE_ROTATION))
        .collect();
    assert!(
        missed.is_empty(),
        "the engine died at every crash point but {missed:?}"
    );
}

#[tokio::test]
async fn a_seed_does_the_same_each_time() {
    // Both with crashes, faults and several copies of the workers; the second with several engines.
    for (seed, engines) in [(ALONE, 1), (SHARED, 3)] {
        let outcomes = apart(move |template| {
            [seed, seed].map(|seed| match run(seed, template, false) {
                Ok(outcome) => outcome,
                Err(failure) => panic!("{failure:?}"),
            })
        })
        .await;
        let [one, two] =
            outcomes.map(|outcome| (outcome.digest, outcome.lives, outcome.rows, outcome.engines));
        assert_eq!(one, two);
        assert_eq!(one.3, engines);
        assert!(one.1 > 4, "engines died in that seed: {one:?}");
    }
}

#[tokio::test]
async fn three_engines_ask_no_more_than_one_would_and_lose_nothing_though_they_are_paused() {
    let day = Scenario::quiet(2).day(1);
    let outcome = played(|| Scenario::quiet(2).busy(300).engines(3, 2.0)).await;
    assert!(outcome.rows > 1_000 && outcome.pauses > 20, "{outcome:?}");
    assert!(outcome.fenced > 0, "{outcome:?}");
    for (report, requests) in outcome.requests_on(day) {
        assert!((1_200..2_500).contains(&requests), "{report:?}: {requests}");
    }
}

async fn played(scenario: impl FnOnce() -> Scenario + Send + 'static) -> Outcome {
    let outcome = apart(move |template| scenario().run(template)).await;
    outcome.unwrap_or_else(|failure| panic!("{}\nThe last lines:\n{}", failure.what, failure.trace))
}

#[tokio::test]
async fn a_day_of_two_thousand_events_a_feed_at_one_minute_polls_takes_less_than_2500_requests_a_feed() {
    let day = Scenario::quiet(2).day(1);
    let outcome = played(|| Scenario::quiet(2).busy(2_000)).await;
    assert!(outcome.rows > 7_000, "{}", outcome.rows);
    let requests = outcome.requests_on(day);
    println!("report requests of a busy day: {requests:?}");
    assert_eq!(requests.len(), 2);
    for (report, requests) in requests {
        assert!((1_440..2_500).contains(&requests), "{report:?}: {requests}");
    }
}

#[tokio::test]
async fn an_idle_day_takes_one_request_a_feed_a_poll_and_the_sweeps() {
    let day = Scenario::quiet(2).day(1);
    let outcome = played(|| Scenario::quiet(2)).await;
    let requests = outcome.requests_on(day);
    println!("report requests of an idle day: {requests:?}");
    assert_eq!(requests.len(), 2);
    for (report, requests) in requests {
        assert!((1_400..=1_440 + 24).contains(&requests), "{report:?}: {requests}");
    }
}

#[tokio::test]
async fn no_request_is_made_beyond_the_budget_though_tokens_are_superseded() {
    // The run itself fails where a day's requests exceed the budget.
    let outcome = played(|| Scenario::quiet(4).busy(20).superseded(54, 3_600)).await;
    let spent: Vec<u64> = (0..4)
        .map(|day| outcome.requests_on(Scenario::quiet(4).day(day)).values().sum())
        .collect();
    assert!(spent.iter().all(|spent| *spent <= 54), "{spent:?}");
    assert!(spent.contains(&54), "the budget was never used up: {spent:?}");
}

#[tokio::test]
async fn a_source_whose_only_destination_takes_nothing_for_days_is_not_polled_and_catches_up_afterwards() {
    let scenario = || Scenario::quiet(6).busy(40).down(6, 4 * 24 + 6);
    let days: Vec<_> = (0..6).map(|day| scenario().day(day)).collect();
    let outcome = played(scenario).await;
    let of = |day: usize| outcome.requests_on(days[day]).values().sum::<u64>();
    assert!(of(0) > 2_000, "{:?}", outcome.requests);
    assert_eq!(
        (of(2), of(3)),
        (0, 0),
        "blocked since the morning of the first day"
    );
    assert!(of(4) > 1_000 && of(5) > 2_000, "{:?}", outcome.requests);
    assert!(outcome.rows > 400, "all of them were delivered: {}", outcome.rows);
}

/// Such a day was read first by each poll, and the sweeps, the tail's rhythm and the backfills waited for it.
#[tokio::test]
async fn a_day_behind_the_sweeps_that_zoom_fails_at_holds_nothing_up_and_is_confirmed_afterwards() {
    let day = Scenario::quiet(4).day(3);
    let outcome = played(|| Scenario::quiet(4).unreadable()).await;
    // The tries of one poll, before each sweep of half a day.
    assert!(
        (9..=13 * 3).contains(&outcome.unreadable),
        "{}",
        outcome.unreadable
    );
    let requests = outcome.requests_on(day)[&Report::Operation];
    // A poll every five minutes, and the reads that twins kept apart.
    assert!((288..288 + 150).contains(&requests), "{requests}");
    assert_eq!(outcome.rows, 130, "each twin, exactly once");
}
