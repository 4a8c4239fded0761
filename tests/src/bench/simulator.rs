//! A simulator as a process of its own, what its accounts owe, and the sources that collect them.

use std::process::Command;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::{binaries::Binary, delivered::Multiset, engine::Engine, process::Process, sim::Report};

/// The client secret of every app.
pub(super) const SECRET: &str = "bench-secret";
/// How many requests create sources at once.
const PARALLEL: usize = 8;

/// A simulator whose limits let everything pass.
pub(super) struct Simulator {
    pub(super) url: String,
    process: Process,
    http: reqwest::Client,
    /// The name of the one account, or what the names of several begin with.
    account: &'static str,
    client: &'static str,
}

impl Simulator {
    /// One with an account and an app of it; `more` says what else it is to be started with.
    pub(super) async fn start(account: &'static str, client: &'static str, more: &[(&str, u64)]) -> Self {
        let mut command = Command::new(Binary::Simulator.path());
        command
            .args(["--account-id", account, "--client-id", client, "--no-limits"])
            .env("ZOOM_SIM_CLIENT_SECRET", SECRET);
        for (option, value) in more {
            command.args([*option, &value.to_string()]);
        }
        let mut process = Process::spawn("the simulator", &mut command);
        let line = process.line_with("listening on http").await;
        Self {
            url: line.trim_start_matches("listening on ").trim().to_owned(),
            process,
            http: crate::http::client(),
            account,
            client,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks it about itself.
    pub(super) async fn ask(&self, path: &str) -> Vec<u8> {
        let answer = self.http.get(format!("{}/_sim/{path}", self.url)).send().await;
        let body = answer.expect("the simulator answers").bytes().await;
        body.expect("a whole answer").to_vec()
    }

    /// All rows of an account, by its full name.
    pub(super) async fn ledger(&self, account: &str) -> Multiset {
        let mut rows = Multiset::new();
        for report in Report::ALL {
            let ledger = self
                .ask(&format!("accounts/{account}/{}/rows", report.word()))
                .await;
            for row in ledger.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()) {
                *rows.entry(row.to_vec()).or_default() += 1;
            }
        }
        rows
    }

    /// Declares a source for each of several accounts, without a look at their credentials, as a large configuration
    /// does; `more` is what else their specs say. Answers their ids.
    pub(super) async fn declare(&self, engine: &Engine, accounts: u32, more: &Value) -> Vec<String> {
        let create = |number| async move {
            let mut source = json!({
                "name": format!("source {number}"),
                "account_id": format!("{}-{number}", self.account),
                "client_id": format!("{}-{number}", self.client),
                "client_secret": SECRET,
                "verify": false,
            });
            let spec = source.as_object_mut().expect("an object");
            spec.extend(more.as_object().expect("an object").clone());
            engine.create("sources", source).await
        };
        stream::iter(0..accounts)
            .map(create)
            .buffer_unordered(PARALLEL)
            .collect()
            .await
    }
}
