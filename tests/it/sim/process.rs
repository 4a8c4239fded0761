//! `zoom-sim` as a process: its one line, its preloaded account, its end.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
};

use e2e::wait;

struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_serves_what_it_was_told_to_and_ends_when_asked() {
    let child = Command::new(env!("CARGO_BIN_EXE_zoom-sim"))
        .args([
            "--account-id",
            "demo",
            "--client-id",
            "cid",
            "--rows",
            "50",
            "--traffic",
            "20",
        ])
        .env("ZOOM_SIM_CLIENT_SECRET", "demo-secret")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut started = Started(child);
    let mut stdout = BufReader::new(started.0.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let url = line.trim_end().strip_prefix("listening on ").unwrap().to_owned();
    let http = e2e::http::client();
    wait::until(wait::LATE, "live rows", async || {
        let url = format!("{url}/_sim/accounts/demo/operation/summary");
        let summary: serde_json::Value = http.get(url).send().await.unwrap().json().await.unwrap();
        if summary["rows"].as_u64().unwrap() > 50 {
            Ok(())
        } else {
            Err(summary)
        }
    })
    .await;
    let mint = format!("{url}/oauth/token?grant_type=account_credentials&account_id=demo");
    assert_eq!(
        http.post(mint)
            .basic_auth("cid", Some("demo-secret"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    let pid = started.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let status = wait::until_now(wait::LATE, "the process to end", || {
        started.0.try_wait().unwrap().ok_or("still running")
    })
    .await;
    assert!(status.success(), "{status}");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
