//! The simulator against the facts it is made from. What it gets wrong, no other test here can prove.

mod control;
mod faults;
mod limits;
mod oauth;
mod paging;
mod process;
mod report;

use e2e::{
    http::{self, Answer},
    sim::{Bulk, Mix, Report, Sim},
};
use serde_json::Value;

const ACCOUNT: &str = "acc";

/// A client of the simulated Zoom, with no more sense than a test needs.
struct Zoom {
    sim: Sim,
    http: reqwest::Client,
}

impl Zoom {
    async fn start() -> Self {
        let sim = Sim::start().await;
        sim.simple_account(ACCOUNT, "cid", "secret");
        Self {
            sim,
            http: http::client(),
        }
    }

    /// Starts with `rows` rows in each report over the last `span_secs`.
    async fn with_rows(rows: u64, span_secs: u64) -> Self {
        let zoom = Self::start().await;
        for report in Report::ALL {
            zoom.sim.generate(
                ACCOUNT,
                report,
                Bulk {
                    rows,
                    span_secs,
                    mix: Mix::default(),
                },
            );
        }
        zoom
    }

    async fn grant(&self, client_id: &str, secret: &str, form: &[(&str, &str)]) -> Answer {
        let url = format!("{}/oauth/token", self.sim.url());
        let sent = self
            .http
            .post(url)
            .basic_auth(client_id, Some(secret))
            .form(form)
            .send()
            .await
            .unwrap();
        Answer::of(sent).await.unwrap()
    }

    async fn token(&self) -> String {
        let form = [("grant_type", "account_credentials"), ("account_id", ACCOUNT)];
        let answer = self.grant("cid", "secret", &form).await.expect(200).json();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn try_get(
        &self,
        report: Report,
        token: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{}", self.sim.url(), report.path());
        Answer::of(self.http.get(url).bearer_auth(token).query(query).send().await?).await
    }

    async fn get(&self, report: Report, token: &str, query: &[(&str, &str)]) -> Answer {
        self.try_get(report, token, query).await.unwrap()
    }

    /// Asks for today's page of a report, with a token of its own.
    async fn today(&self, report: Report) -> Answer {
        let token = self.token().await;
        let today = self.day(0);
        self.get(
            report,
            &token,
            &[("from", &today), ("to", &today), ("page_size", "300")],
        )
        .await
    }

    /// Returns a day as Zoom's clock has it.
    fn day(&self, back: i64) -> String {
        let then = self.sim.clock().now() - jiff::SignedDuration::from_hours(24 * back);
        then.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
    }

    /// Reads a window to its end, page by page; returns the pages' rows as text.
    async fn read(&self, report: Report, days_back: i64, page_size: u64) -> Vec<Vec<String>> {
        let token = self.token().await;
        let (from, to, size) = (self.day(days_back), self.day(0), page_size.to_string());
        let mut pages = Vec::new();
        let mut next = String::new();
        loop {
            let query = [
                ("from", &*from),
                ("to", &*to),
                ("page_size", &*size),
                ("next_page_token", &*next),
            ];
            let answer = self.get(report, &token, &query).await.expect(200);
            pages.push(rows(&answer, report));
            next = answer.json()["next_page_token"]
                .as_str()
                .unwrap_or_default()
                .into();
            if next.is_empty() {
                return pages;
            }
        }
    }
}

/// Returns the exact text of an answer's rows.
fn rows(answer: &Answer, report: Report) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow, alias = "activity_logs")]
        operation_logs: Vec<&'a serde_json::value::RawValue>,
    }
    let page: Page<'_> = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("{error} in a {report:?} page: {}", answer.text()));
    page.operation_logs
        .iter()
        .map(|row| row.get().to_owned())
        .collect()
}

/// Counts equal rows.
fn multiset(rows: impl IntoIterator<Item = String>) -> std::collections::BTreeMap<Vec<u8>, u64> {
    let mut counts = std::collections::BTreeMap::new();
    for row in rows {
        *counts.entry(row.into_bytes()).or_default() += 1;
    }
    counts
}

/// Holds an error answer against its status and its body's code and message.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: u16, message: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["code"]),
        (status, &Value::from(code)),
        "{body}"
    );
    assert!(body["message"].as_str().unwrap().contains(message), "{body}");
}
