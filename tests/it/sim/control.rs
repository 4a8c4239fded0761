//! The control door, as the demo and benchmarks use it.

use e2e::{
    http::Answer,
    sim::{Counters, Report, Sim},
    wait,
};
use reqwest::Method;
use serde_json::{Value, json};

struct Door {
    sim: Sim,
    http: reqwest::Client,
}

impl Door {
    async fn start() -> Self {
        Self {
            sim: Sim::start().await,
            http: e2e::http::client(),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self
            .http
            .request(method, format!("{}/_sim{path}", self.sim.url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request.send().await.unwrap()).await.unwrap()
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await.expect(200)
    }
}

#[tokio::test]
async fn an_account_is_made_filled_and_read_back() {
    let door = Door::start().await;
    door.put("/accounts/a", json!({"plan": "pro", "page_tokens": "snapshot"}))
        .await
        .expect(200);
    let changed = door
        .put("/accounts/a", json!({"gzip": true}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["plan"], &changed["gzip"]),
        (&json!("pro"), &json!(true))
    );
    door.put("/accounts/a/apps/cid", json!({"client_secret": "s"}))
        .await
        .expect(204);
    door.put("/accounts/a/apps/cid", json!({"disabled": true}))
        .await
        .expect(204);
    door.put("/accounts/a", json!({"colour": "blue"}))
        .await
        .expect(400);
    door.put("/accounts/a/apps/other", json!({})).await.expect(400);

    // As text, since the row's own spacing must survive.
    let body = r#"{"rows":[{"row":{"time":"2026-01-02T00:00:00Z",  "x":1},"copies":2},{"row":{"late":true},"at":"2026-01-01T00:00:00Z"}]}"#;
    let url = format!("{}/_sim/accounts/a/operation/rows", door.sim.url());
    let sent = door
        .http
        .post(url)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        Answer::of(sent).await.unwrap().expect(200).json(),
        json!({"added": 3})
    );
    let ledger = door.get("/accounts/a/operation/rows").await.text();
    let twin = r#"{"time":"2026-01-02T00:00:00Z",  "x":1}"#;
    assert_eq!(ledger, format!("{{\"late\":true}}\n{twin}\n{twin}\n"));
    let summary = door.get("/accounts/a/operation/summary").await.json();
    assert_eq!(
        summary,
        json!({"rows": 3, "distinct": 2, "bytes": 13 + 2 * twin.len()})
    );

    let bulk = json!({"rows": 500, "span_secs": 86_400, "mix": {"seed": 4, "twin_percent": 5}});
    door.post("/accounts/a/activity/generate", bulk).await.expect(200);
    assert_eq!(door.sim.row_count("a", Report::Activity), 500);
    door.post(
        "/accounts/none/activity/generate",
        json!({"rows": 1, "span_secs": 1}),
    )
    .await
    .expect(404);
}

#[tokio::test]
async fn traffic_runs_to_its_limit_and_stops_when_told() {
    let door = Door::start().await;
    door.put("/accounts/a", json!({})).await.expect(200);
    let mix = json!({"seed": 2, "twin_percent": 10, "late_percent": 10, "late_secs": 600});
    door.put(
        "/accounts/a/traffic",
        json!({"rate": 2000, "limit": 300, "mix": mix}),
    )
    .await
    .expect(204);
    wait::until_now(wait::LATE, "traffic to end", || {
        if door.sim.has_traffic("a") {
            Err("still running")
        } else {
            Ok(())
        }
    })
    .await;
    assert_eq!(door.sim.row_count("a", Report::Operation), 300);
    assert_eq!(door.sim.row_count("a", Report::Activity), 300);
    assert!(door.sim.summary("a", Report::Operation).distinct < 300);

    door.put("/accounts/a/traffic", json!({"rate": 100}))
        .await
        .expect(204);
    let stopped = door
        .ask(Method::DELETE, "/accounts/a/traffic", None)
        .await
        .expect(200)
        .json();
    assert_eq!(stopped, json!({"was_running": true}));
    assert!(!door.sim.has_traffic("a"));
}

#[tokio::test]
async fn faults_clock_tokens_and_counters_are_within_reach() {
    let door = Door::start().await;
    door.put("/accounts/a", json!({})).await.expect(200);
    door.put("/accounts/a/apps/cid", json!({"client_secret": "s"}))
        .await
        .expect(204);
    let rule = json!({"on": "/oauth/token", "fault": {"kind": "respond", "status": 500, "body": "oops"}});
    door.post("/faults", rule).await.expect(204);
    assert_eq!(door.get("/faults").await.json()[0]["times"], 1);
    let mint = async || {
        let url = format!(
            "{}/oauth/token?grant_type=account_credentials&account_id=a",
            door.sim.url()
        );
        door.http
            .post(url)
            .basic_auth("cid", Some("s"))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!((mint().await, mint().await), (500, 200));
    door.post("/faults", json!({"fault": {"kind": "unheard_of"}}))
        .await
        .expect(422);

    assert_eq!(
        door.post("/revoke", json!({"client_id": "cid"}))
            .await
            .expect(200)
            .json(),
        json!({"revoked": 1})
    );
    door.post("/void-page-tokens", json!({})).await.expect(204);
    door.post("/accounts/a/spend", json!({"requests": 12}))
        .await
        .expect(204);
    let drip = json!({"rows_per_page": 1, "rows": 5});
    door.put("/accounts/a/activity/drip", drip).await.expect(204);
    door.put("/accounts/a/activity/drip", Value::Null)
        .await
        .expect(204);

    let body = door.get("/counters").await.json();
    let counters: Counters = serde_json::from_value(body["counters"].clone()).unwrap();
    assert_eq!((counters.to("/oauth"), counters.access_tokens_minted), (2, 1));
    assert_eq!(body["used_today"], json!({"a": 12}));
    assert_eq!(door.get("/recent").await.json()[0]["status"], 500);
    door.ask(Method::DELETE, "/counters", None).await.expect(204);
    assert_eq!(door.sim.counters().to("/"), 0);

    let set = json!({"standing": true, "set": "2026-02-28T00:00:00Z", "advance_secs": 86_400});
    let moved = door
        .ask(Method::PATCH, "/clock", Some(set))
        .await
        .expect(200)
        .json();
    assert_eq!(moved["now"], "2026-03-01T00:00:00Z");
}
