//! Faults on demand, as a client meets them.

use std::{collections::BTreeMap, time::Duration};

use e2e::sim::{Fault, FaultRule, Report};

use super::{ACCOUNT, Zoom, rows};

async fn struck(zoom: &Zoom, fault: Fault) -> Result<e2e::http::Answer, reqwest::Error> {
    let token = zoom.token().await;
    zoom.sim
        .inject(FaultRule::next("/v2/report/operationlogs", fault));
    let (from, to) = (zoom.day(1), zoom.day(0));
    let query = [("from", &*from), ("to", &*to), ("page_size", "100")];
    let answer = zoom.try_get(Report::Operation, &token, &query).await;
    assert_eq!(zoom.sim.faults_left(), 0);
    answer
}

#[tokio::test]
async fn answers_that_are_not_zooms() {
    let zoom = Zoom::with_rows(250, 3_600).await;
    let headers = BTreeMap::from([("retry-after".to_owned(), "3".to_owned())]);
    let fault = Fault::Respond {
        status: 503,
        headers,
        body: "<html>busy".into(),
    };
    let answer = struck(&zoom, fault).await.unwrap();
    assert_eq!(
        (answer.status, answer.header("retry-after"), &*answer.text()),
        (503, "3", "<html>busy")
    );

    let cut = struck(&zoom, Fault::CutJson { after_bytes: 200 }).await.unwrap();
    assert_eq!((cut.status, cut.body.len()), (200, 200));
    let padded = struck(&zoom, Fault::Pad { bytes: 1_000_000 }).await.unwrap();
    assert!(padded.body.len() > 1_000_000);
    assert_eq!(rows(&padded, Report::Operation).len(), 100);
    let gzip = struck(&zoom, Fault::Gzip).await.unwrap();
    assert_eq!(rows(&gzip, Report::Operation).len(), 100);
}

#[tokio::test]
async fn connections_that_break() {
    let zoom = Zoom::with_rows(250, 3_600).await;
    for fault in [
        Fault::Reset,
        Fault::LoseAnswer,
        Fault::ResetBody { after_bytes: 500 },
        Fault::CutBody { after_bytes: 500 },
    ] {
        let broken = struck(&zoom, fault.clone()).await;
        assert!(broken.is_err(), "{fault:?} gave {broken:?}");
    }
    let counters = zoom.sim.counters();
    assert_eq!(
        counters.requests["/v2/report/operationlogs"],
        BTreeMap::from([(0, 2), (200, 2)])
    );
    // The next request is as good as any.
    assert_eq!(zoom.read(Report::Operation, 1, 300).await.concat().len(), 250);
}

#[tokio::test]
async fn answers_that_never_end_and_a_simulator_that_stops() {
    let zoom = Zoom::with_rows(250, 3_600).await;
    for fault in [Fault::Hang, Fault::HangBody { after_bytes: 500 }] {
        let waiting = tokio::time::timeout(Duration::from_millis(300), struck(&zoom, fault)).await;
        assert!(waiting.is_err());
    }
    zoom.sim.clear_faults();
    let token = zoom.token().await;
    zoom.sim.inject(FaultRule::next("activities", Fault::Hang));
    let hanging = zoom.try_get(Report::Activity, &token, &[]);
    let stop = async {
        e2e::wait::until_now(e2e::wait::LATE, "the fault to strike", || {
            match zoom.sim.faults_left() {
                0 => Ok(()),
                left => Err(format!("{left} faults left")),
            }
        })
        .await;
        zoom.sim.stop();
    };
    let (hung, ()) = tokio::join!(hanging, stop);
    assert!(hung.is_err());
    assert!(zoom.try_get(Report::Activity, &token, &[]).await.is_err());
}

#[tokio::test]
async fn pages_that_lead_nowhere() {
    let zoom = Zoom::with_rows(250, 3_600).await;
    let empty = struck(&zoom, Fault::EmptyPage).await.unwrap();
    assert!(rows(&empty, Report::Operation).is_empty());
    let after_empty = empty.json()["next_page_token"].as_str().unwrap().to_owned();
    let token = zoom.token().await;
    let (from, to) = (zoom.day(1), zoom.day(0));
    let follow = async |page: &str| {
        let query = [
            ("from", &*from),
            ("to", &*to),
            ("page_size", "100"),
            ("next_page_token", page),
        ];
        zoom.get(Report::Operation, &token, &query).await.expect(200)
    };
    assert_eq!(rows(&follow(&after_empty).await, Report::Operation).len(), 100);

    zoom.sim.inject(FaultRule {
        skip: 1,
        ..FaultRule::next("next_page_token=", Fault::RepeatToken)
    });
    let second = follow(&after_empty).await.json()["next_page_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let repeated = follow(&second).await;
    assert_eq!(repeated.json()["next_page_token"], second);
}

#[tokio::test]
async fn a_share_of_requests_can_be_struck() {
    let zoom = Zoom::start().await;
    let token = zoom.token().await;
    let fault = Fault::Respond {
        status: 502,
        headers: BTreeMap::new(),
        body: String::new(),
    };
    zoom.sim.inject(FaultRule {
        percent: 50.0,
        ..FaultRule::times("", 1_000, fault)
    });
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.limits = Some(e2e::sim::Limits::none());
    });
    for _ in 0..100 {
        zoom.get(Report::Activity, &token, &[]).await;
    }
    let struck = zoom.sim.counters().with_status(502);
    assert!((25..75).contains(&struck), "{struck} of 100");
}
