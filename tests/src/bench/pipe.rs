//! The bare pipe: pages into a file, with nothing kept. It shows what the simulator and the client can do at most.

use std::{
    borrow::Cow,
    fs::File,
    hint,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::{
    flow::{ACCOUNT, CLIENT, Days, PAGE},
    simulator::SECRET,
};
use crate::sim::Report;

/// What is done with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Its token is found, and nothing else looked at: what the simulator can send at most.
    Fetch,
    /// It is parsed into its rows and those into their fields, and each row is written as a line.
    Parse,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, alias = "operation_logs", alias = "activity_logs")]
    rows: Vec<&'a RawValue>,
}

/// The fields of both reports.
#[derive(Deserialize)]
#[expect(dead_code, reason = "the work is to read them")]
struct Row<'a> {
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(borrow, default, alias = "email")]
    operator: Cow<'a, str>,
    #[serde(borrow, default, alias = "type")]
    category_type: Cow<'a, str>,
    #[serde(borrow, default, alias = "ip_address")]
    action: Cow<'a, str>,
    #[serde(borrow, default, alias = "client_type")]
    operation_detail: Cow<'a, str>,
    #[serde(borrow, default)]
    version: Cow<'a, str>,
}

/// One report of the simulator, and the file that it goes to.
struct Pipe {
    http: reqwest::Client,
    url: String,
    token: String,
    days: Days,
    depth: Depth,
    file: PathBuf,
}

/// Reads both reports side by side, each page after page, into one file a report; returns the bytes that were written
/// and the time.
pub(super) async fn run(zoom: &str, days: &Days, folder: &Path, depth: Depth) -> (u64, Duration) {
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
            depth,
            file: folder.join(report.word()),
        };
        pipes.spawn(pipe.run());
    }
    let bytes = pipes.join_all().await.iter().sum();
    (bytes, began.elapsed())
}

impl Pipe {
    async fn run(self) -> u64 {
        let file = File::create(&self.file).expect("create a file");
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut bytes = 0;
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
            next_page_token(&body).clone_into(&mut page_token);
            if self.depth == Depth::Parse {
                bytes += write(&body, &mut file);
            }
            if page_token.is_empty() {
                break;
            }
        }
        file.flush().expect("write the last rows");
        bytes
    }
}

/// Writes the rows of a page, and returns how many bytes they take.
fn write(body: &[u8], file: &mut impl Write) -> u64 {
    let page: Page<'_> = serde_json::from_slice(body)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(body)));
    let mut bytes = 0;
    for text in page.rows {
        let row: Row<'_> = serde_json::from_str(text.get()).expect("a row");
        // Nobody reads the fields, and the compiler must not find out.
        hint::black_box(&row);
        file.write_all(text.get().as_bytes()).expect("write a row");
        file.write_all(b"\n").expect("write a row");
        bytes += text.get().len() as u64;
    }
    bytes
}

/// The simulator names the next page before the rows.
fn next_page_token(body: &[u8]) -> &str {
    const NAME: &[u8] = b"\"next_page_token\":\"";

    let head = &body[..body.len().min(1_000)];
    let start = head.windows(NAME.len()).position(|name| name == NAME);
    let rest = start.map_or(&[][..], |start| &head[start + NAME.len()..]);
    let token = rest.split(|byte| *byte == b'"').next().unwrap_or_default();
    str::from_utf8(token).expect("a token")
}
