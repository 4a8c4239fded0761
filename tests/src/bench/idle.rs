//! Thousands of feeds without a new event: what they cost, how evenly they are polled, and how quickly the API answers
//! meanwhile.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;

use super::{
    Series, Table,
    machine::{count, memory, processor_seconds},
    simulator::Simulator,
    table::whole,
};
use crate::{
    engine::Engine,
    sim::{Counters, Seen},
    wait,
};

/// How many requests ask the API at once.
const PARALLEL: usize = 8;
/// How long it may take until each feed was polled.
const LATE: Duration = Duration::from_mins(10);

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many sources, of two feeds each; one table for each number.
    pub sources: Vec<u32>,
    /// Seconds from poll to poll, and the length of each window that is looked at.
    pub seconds: u32,
    /// Whether it need only be seen to work: feeds are then not waited for to be as they will be, and the API is asked for
    /// a moment only.
    pub hasty: bool,
}

/// How requests came over a window.
struct Spread {
    requests: usize,
    busiest: f64,
    mean: f64,
}

/// Takes the figures for each number of sources.
///
/// # Panics
///
/// When a feed is not polled, or the API does not answer.
pub async fn measure(options: &Options) -> Table {
    let Options {
        sources,
        seconds,
        hasty,
    } = options;
    let mut table = Table::new(format!(
        "f. Feeds without a new event, polled every {seconds} s, for {seconds} s each"
    ));
    for sources in sources {
        one(&mut table, *sources, *seconds, *hasty).await;
    }
    table.note("Busiest second: report requests at the simulator, of the mean of all seconds of the window.");
    table.note(format!(
        "API: {PARALLEL} requests at once, one after the other by turns; pages have 100 sources."
    ));
    table
}

async fn one(table: &mut Table, sources: u32, seconds: u32, hasty: bool) {
    let window = Duration::from_secs(seconds.into());
    let zoom = Simulator::start("idle", "app", &[("--accounts", sources.into())]).await;
    let mut engine = Engine::start_with(&zoom.url, &[("log.level", "info")]).await;
    let pid = engine.pid().expect("the engine runs");
    let empty = memory(pid, "VmRSS");
    let began = Instant::now();
    let destination = json!({"name": "lake", "file": {"path": "lake"}});
    let destination = engine.create("destinations", destination).await;
    let more = json!({"destination_ids": [destination], "poll_interval": format!("{seconds}s")});
    let ids = zoom.declare(&engine, sources, &more).await;
    let declared = began.elapsed();
    let feeds = u64::from(sources) * 2;
    polled(&zoom, feeds).await;
    if !hasty {
        // From the second poll on it is as it will be.
        tokio::time::sleep(window + window / 4).await;
    }

    let (worked, since) = (processor_seconds(pid), Timestamp::now());
    tokio::time::sleep(window).await;
    let worked = (processor_seconds(pid) - worked) / window.as_secs_f64();
    let idle = spread(&zoom, since, window).await;
    assert!(
        idle.requests as u64 >= feeds * 9 / 10,
        "{} of {feeds} feeds were polled in {window:?}",
        idle.requests
    );
    let resident = memory(pid, "VmRSS");
    let answers = load(&engine, &ids, if hasty { window / 10 } else { window / 2 }).await;

    // Everything is due at once.
    engine.stop().await;
    engine.set("clock.ahead", &format!("{}s", 2 * seconds));
    let since = Timestamp::now();
    engine.start_again().await;
    let window = if hasty { window / 3 } else { window };
    tokio::time::sleep(window).await;
    let herd = spread(&zoom, since, window).await;
    let pid = engine.pid().expect("the engine runs");
    let (peak, again) = (memory(pid, "VmHWM"), memory(pid, "VmRSS"));
    engine.stop().await;

    let name = |what: &str| format!("{} feeds: {what}", whole(feeds));
    let mut line = |what: &str, value: f64, unit| table.line(name(what), &once(value), unit);
    line("memory (VmRSS)", resident, "MiB");
    line(
        "memory a feed, above an empty engine's",
        (resident - empty).max(0.0) * 1024.0 / count(feeds),
        "KiB",
    );
    line("memory after a restart (VmRSS)", again, "MiB");
    line("memory after a restart, at most (VmHWM)", peak, "MiB");
    line("time of a core", worked * 100.0, "% of one");
    line("busiest second", idle.busiest / idle.mean, "of the mean");
    line(
        "busiest second after a restart, all due",
        herd.busiest / herd.mean,
        "of the mean",
    );
    line(
        "sources declared",
        f64::from(sources) / declared.as_secs_f64(),
        "a second",
    );
    for (what, series) in answers {
        line(&format!("{what}, median"), series.median(), "ms");
        line(&format!("{what}, 99 of 100 within"), series.percentile(99), "ms");
    }
}

fn once(value: f64) -> Series {
    [value].into_iter().collect()
}

/// Asks the API for as long; answers how long each kind of answer took, in milliseconds.
async fn load(engine: &Engine, ids: &[String], length: Duration) -> BTreeMap<&'static str, Series> {
    let until = Instant::now() + length;
    let worker = |number: usize| async move {
        let mut took = BTreeMap::<&'static str, Series>::new();
        let mut turn = number;
        while Instant::now() < until {
            turn = turn.wrapping_mul(7_919).wrapping_add(PARALLEL);
            let id = &ids[turn % ids.len()];
            for (what, path) in [
                ("a page of sources", format!("/v1/sources?limit=100&after={id}")),
                ("a source", format!("/v1/sources/{id}")),
                ("a source's status", format!("/v1/sources/{id}/status")),
            ] {
                let began = Instant::now();
                engine.ask(Method::GET, &path, None).await.expect(200);
                took.entry(what).or_default().push_millis(began.elapsed());
            }
        }
        took
    };
    let workers = futures_util::future::join_all((0..PARALLEL).map(worker)).await;
    let mut all = BTreeMap::<&'static str, Series>::new();
    for (what, series) in workers.into_iter().flatten() {
        all.entry(what).or_default().extend(&series);
    }
    all
}

/// Waits until so many pages were served.
async fn polled(zoom: &Simulator, pages: u64) {
    wait::until(LATE, "each feed to be polled", async || {
        // The answer names each account: it is not asked for often.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let counters: serde_json::Value =
            serde_json::from_slice(&zoom.ask("counters").await).unwrap_or_default();
        let counters: Counters = serde_json::from_value(counters["counters"].clone()).unwrap_or_default();
        let served = counters.to("/v2/report");
        if served >= pages {
            Ok(())
        } else {
            Err(format!("{served} of {pages} pages"))
        }
    })
    .await;
}

/// How the report requests came in the seconds of a window; what was asked before it began counts for none.
async fn spread(zoom: &Simulator, since: Timestamp, window: Duration) -> Spread {
    let recent: Vec<Seen> = serde_json::from_slice(&zoom.ask("recent").await).expect("the latest requests");
    let seconds = usize::try_from(window.as_secs()).unwrap_or_default();
    let mut by_second = vec![0_u32; seconds];
    for seen in recent.iter().filter(|seen| seen.path.starts_with("/v2/report")) {
        let at = seen.at.duration_since(since);
        if at >= SignedDuration::ZERO
            && let Some(second) = usize::try_from(at.as_secs())
                .ok()
                .and_then(|at| by_second.get_mut(at))
        {
            *second += 1;
        }
    }
    let requests: u32 = by_second.iter().sum();
    Spread {
        requests: requests as usize,
        busiest: f64::from(by_second.iter().copied().max().unwrap_or_default()),
        mean: f64::from(requests.max(1)) / count(seconds as u64),
    }
}
