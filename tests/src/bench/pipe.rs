//! The bare pipe: pages into a file, with nothing kept. It shows what the simulator and the client can do at most.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::flow::{ACCOUNT, CLIENT, Days, PAGE, SECRET};
use crate::sim::Report;

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, alias = "operation_logs", alias = "activity_logs")]
    rows: Vec<&'a RawValue>,
    #[serde(default)]
    next_page_token: String,
}

/// One report of the simulator, and the file that it goes to.
struct Pipe {
    http: reqwest::Client,
    url: String,
    token: String,
    days: Days,
    file: PathBuf,
}

/// Reads both reports side by side, each page after page, into one file a report; returns the rows and the time.
pub(super) async fn run(zoom: &str, days: &Days, folder: &Path) -> (u64, Duration) {
    let began = Instant::now();
    let http = crate::http::client();
    let mint = format!("{zoom}/oauth/token?grant_type=account_credentials&account_id={ACCOUNT}");
    let answer = http.post(mint).basic_auth(CLIENT, Some(SECRET)).send().await;
    let token: Token = answer
        .expect("an answer to a token request")
        .json()
        .await
        .expect("a token");
    let mut pipes = JoinSet::new();
    for report in Report::ALL {
        let pipe = Pipe {
            http: http.clone(),
            url: format!("{zoom}{}", report.path()),
            token: token.access_token.clone(),
            days: days.clone(),
            file: folder.join(report.word()),
        };
        pipes.spawn(pipe.run());
    }
    let rows = pipes.join_all().await.iter().sum();
    (rows, began.elapsed())
}

impl Pipe {
    async fn run(self) -> u64 {
        let file = File::create(&self.file).expect("create a file");
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut rows = 0;
        let mut page_token = String::new();
        loop {
            let query = [
                ("from", &*self.days.from),
                ("to", &self.days.to),
                ("page_size", PAGE),
                ("next_page_token", &page_token),
            ];
            let request = self.http.get(&self.url).query(&query);
            let answer = request.bearer_auth(&self.token).send().await;
            let body = answer.expect("an answer").bytes().await.expect("a whole answer");
            let page: Page<'_> = serde_json::from_slice(&body)
                .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&body)));
            for row in &page.rows {
                file.write_all(row.get().as_bytes()).expect("write a row");
                file.write_all(b"\n").expect("write a row");
            }
            rows += page.rows.len() as u64;
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        file.flush().expect("write the last rows");
        rows
    }
}
