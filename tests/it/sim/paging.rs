//! Pages: their order, their tokens, and what happens to them while rows arrive.

use e2e::sim::{Drip, EndToken, Mix, Order, PageTokens, Report, TokenLifeFrom};
use jiff::SignedDuration;

use super::{ACCOUNT, Zoom, multiset, refused, rows};

const THREE_DAYS: u64 = 3 * 86_400;

#[tokio::test]
async fn a_quiet_list_reads_completely_in_every_mode() {
    let zoom = Zoom::with_rows(1_000, THREE_DAYS).await;
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for page_tokens in [PageTokens::Live, PageTokens::Snapshot] {
            zoom.sim.tune(ACCOUNT, |behaviour| {
                behaviour.order = order;
                behaviour.page_tokens = page_tokens;
            });
            for report in Report::ALL {
                let pages = zoom.read(report, 3, 300).await;
                assert_eq!(
                    pages.iter().map(Vec::len).collect::<Vec<_>>(),
                    [300, 300, 300, 100]
                );
                assert_eq!(multiset(pages.concat()), zoom.sim.ledger(ACCOUNT, report));
            }
        }
    }
    let newest = zoom.read(Report::Activity, 3, 300).await.concat();
    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.order = Order::NewestFirst);
    let mut oldest = zoom.read(Report::Activity, 3, 293).await.concat();
    oldest.reverse();
    assert_eq!(newest, oldest);
}

#[tokio::test]
async fn rows_that_arrive_between_pages_shift_a_live_read_and_not_a_snapshot() {
    let zoom = Zoom::with_rows(1_000, THREE_DAYS).await;
    let report = Report::Operation;
    let drip = Drip {
        rows_per_page: 7,
        rows: 1_000,
        mix: Mix {
            seed: 5,
            late_percent: 30.0,
            ..Mix::default()
        },
    };
    let before = zoom.sim.ledger(ACCOUNT, report);
    zoom.sim.drip(ACCOUNT, report, Some(drip));

    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.page_tokens = PageTokens::Snapshot);
    let snapshot = zoom.read(report, 4, 300).await.concat();
    assert_eq!(multiset(snapshot), before);

    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.page_tokens = PageTokens::Live);
    let there = zoom.sim.row_count(ACCOUNT, report);
    let live = zoom.read(report, 4, 300).await.concat();
    // One for one: what was pushed over an edge came twice, and what pushed it was not seen.
    let (read, ledger) = (multiset(live.clone()), zoom.sim.ledger(ACCOUNT, report));
    assert!(live.len() as u64 >= there);
    assert!(
        read.iter().any(|(row, times)| ledger[row] < *times),
        "no row came twice"
    );
    assert!(
        ledger
            .iter()
            .any(|(row, times)| read.get(row).is_none_or(|seen| seen < times)),
        "none was missed"
    );
}

#[tokio::test]
async fn equal_times_change_places_only_when_the_account_is_that_way() {
    let zoom = Zoom::start().await;
    let time = zoom.sim.clock().now();
    for number in 0..50 {
        zoom.sim.add_text(
            ACCOUNT,
            Report::Activity,
            &format!(r#"{{"email":"{number}","time":"{time:.0}"}}"#),
        );
    }
    let stable = zoom.read(Report::Activity, 1, 300).await;
    assert_eq!(stable, zoom.read(Report::Activity, 1, 300).await);
    zoom.sim.tune(ACCOUNT, |behaviour| behaviour.unstable_ties = true);
    let unstable = zoom.read(Report::Activity, 1, 300).await;
    assert_ne!(unstable, zoom.read(Report::Activity, 1, 300).await);
    assert_eq!(multiset(unstable.concat()), multiset(stable.concat()));
}

#[tokio::test]
async fn a_page_token_is_bound_to_its_query_and_ends() {
    let zoom = Zoom::with_rows(700, THREE_DAYS).await;
    let token = zoom.token().await;
    let (from, to, today) = (zoom.day(3), zoom.day(1), zoom.day(0));
    let first = async || {
        let query = [("from", &*from), ("to", &*to), ("page_size", "100")];
        let answer = zoom.get(Report::Operation, &token, &query).await.expect(200);
        answer.json()["next_page_token"].as_str().unwrap().to_owned()
    };
    let follow = async |report, to: &str, size: &str, page: &str| {
        let query = [
            ("from", &*from),
            ("to", to),
            ("page_size", size),
            ("next_page_token", page),
        ];
        zoom.get(report, &token, &query).await
    };
    let page = first().await;
    follow(Report::Operation, &to, "100", &page).await.expect(200);
    let invalid = "The next page token is invalid or expired.";
    refused(
        &follow(Report::Operation, &to, "99", &page).await,
        400,
        300,
        invalid,
    );
    refused(
        &follow(Report::Operation, &today, "100", &page).await,
        400,
        300,
        invalid,
    );
    refused(
        &follow(Report::Activity, &to, "100", &page).await,
        400,
        300,
        invalid,
    );
    refused(
        &follow(Report::Operation, &to, "100", "made-up").await,
        400,
        300,
        invalid,
    );

    zoom.sim.clock().advance(SignedDuration::from_mins(14));
    follow(Report::Operation, &to, "100", &page).await.expect(200);
    zoom.sim.clock().advance(SignedDuration::from_mins(2));
    refused(
        &follow(Report::Operation, &to, "100", &page).await,
        400,
        300,
        invalid,
    );

    let page = first().await;
    zoom.sim.void_page_tokens();
    refused(
        &follow(Report::Operation, &to, "100", &page).await,
        400,
        300,
        invalid,
    );
}

#[tokio::test]
async fn a_page_token_may_live_from_the_first_page_on() {
    let zoom = Zoom::with_rows(700, THREE_DAYS).await;
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.page_token_life_from = TokenLifeFrom::FirstPage;
    });
    let token = zoom.token().await;
    let (from, to) = (zoom.day(3), zoom.day(0));
    let page = async |next: &str| {
        let query = [
            ("from", &*from),
            ("to", &*to),
            ("page_size", "100"),
            ("next_page_token", next),
        ];
        zoom.get(Report::Operation, &token, &query).await
    };
    let next = async |next: &str| {
        let answer = page(next).await.expect(200);
        answer.json()["next_page_token"].as_str().unwrap().to_owned()
    };
    let second = next("").await;
    zoom.sim.clock().advance(SignedDuration::from_mins(8));
    let third = next(&second).await;
    zoom.sim.clock().advance(SignedDuration::from_mins(8));
    refused(
        &page(&third).await,
        400,
        300,
        "The next page token is invalid or expired.",
    );
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.page_token_life_from = TokenLifeFrom::ThatPage;
    });
    let third = next(&next("").await).await;
    zoom.sim.clock().advance(SignedDuration::from_mins(14));
    page(&third).await.expect(200);
}

#[tokio::test]
async fn a_page_may_be_short_and_the_end_may_be_told_in_three_ways() {
    let zoom = Zoom::with_rows(20, 3_600).await;
    zoom.sim.tune(ACCOUNT, |behaviour| behaviour.page_cap = Some(9));
    let pages = zoom.read(Report::Operation, 1, 300).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [9, 9, 2]);
    for (end_token, present) in [
        (EndToken::Empty, true),
        (EndToken::Null, true),
        (EndToken::Missing, false),
    ] {
        zoom.sim.tune(ACCOUNT, |behaviour| {
            behaviour.page_cap = None;
            behaviour.end_token = end_token;
            behaviour.echo_instants = true;
        });
        let token = zoom.token().await;
        let (from, to) = (zoom.day(1), zoom.day(0));
        let answer = zoom
            .get(Report::Activity, &token, &[("from", &from), ("to", &to)])
            .await
            .expect(200);
        assert_eq!(rows(&answer, Report::Activity).len(), 20);
        assert_eq!(answer.json().get("next_page_token").is_some(), present);
        assert_eq!(answer.json()["from"], format!("{from}T00:00:00Z"));
    }
}

#[tokio::test]
async fn a_page_of_a_large_report_costs_no_more_than_one_of_a_small() {
    let zoom = Zoom::with_rows(200_000, 20 * 86_400).await;
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.limits = Some(e2e::sim::Limits::none());
    });
    let started = std::time::Instant::now();
    let rows = zoom.read(Report::Operation, 20, 300).await.concat().len();
    let a_second = 200_000.0 / started.elapsed().as_secs_f64();
    assert_eq!(rows, 200_000);
    // Far below what it does, so that a busy machine does not fail it; a scan per page would be far below this.
    assert!(a_second > 10_000.0, "{a_second:.0} rows a second");
}
