//! Raw sockets against the API: slow, large, silent, many.

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use std::time::Duration;

use super::*;
use crate::api::{Entrance, serve};

const GET: &str = "GET /healthz HTTP/1.1\r\nhost: engine\r\n\r\n";

/// Serves a stage while `talk` talks to it.
async fn talk<F: Future>(
    stage: &Stage,
    entrance: Entrance,
    talk: impl FnOnce(std::net::SocketAddr) -> F,
) -> F::Output {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = serve(listener, stage.api.clone(), entrance, stop.clone());
    let talking = talk(address);
    tokio::pin!(serving, talking);
    tokio::select! {
        () = &mut serving => panic!("the API ended"),
        done = &mut talking => done,
    }
}

async fn sent(address: std::net::SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What a connection says until it is closed.
async fn all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has ended, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 16_384];
    let length = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let stage = Stage::set().await;
    tokio::time::pause();
    talk(&stage, Entrance::plain(10, 10), async |address| {
        let slow = sent(address, "GET /healthz HTTP/1.1\r\nhost: eng").await;
        let silent = sent(address, "").await;
        let kept = async {
            let mut kept = sent(address, GET).await;
            assert!(answer(&mut kept).await.starts_with("HTTP/1.1 200"));
            all(kept).await
        };
        let (slow, silent, kept) = tokio::join!(all(slow), all(silent), kept);
        assert!(
            !slow.contains("200") && silent.is_empty() && kept.is_empty(),
            "{slow} {silent} {kept}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let stage = Stage::set().await;
    talk(&stage, Entrance::plain(10, 10), async |address| {
        let long = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(200 << 10));
        let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(500));
        for head in [long, many] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The engine may have closed before all was sent.
            let _ = stream.write_all(head.as_bytes()).await;
            let said = all(stream).await;
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
        }
        let mut stream = sent(address, GET).await;
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    })
    .await;
}

#[tokio::test]
async fn bodies_that_come_slowly_hold_up_nobody_and_are_given_up() {
    let stage = Stage::set().await;
    talk(&stage, Entrance::plain(200, 200), async |address| {
        // More than the requests that are worked on at once; nobody of them has shown a token.
        let head = "POST /v1/tokens/exchange HTTP/1.1\r\nhost: e\r\ncontent-length: 1000\r\n\r\n{\"subject";
        let mut slow = Vec::new();
        for _ in 0..=crate::api::PARALLEL_REQUESTS {
            slow.push(sent(address, head).await);
        }
        let get = format!("GET /v1/sources HTTP/1.1\r\nhost: e\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        let mut other = sent(address, &get).await;
        assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
        while stage.clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        let problem = tokio::join!(answer(&mut slow[0]), async {
            // Until all of them wait, and their time is over.
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            stage.clock.advance(Duration::from_secs(20));
        })
        .0;
        assert!(
            problem.contains("timed_out") && problem.contains("20 seconds"),
            "{problem}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_sooner_where_no_token_was_shown() {
    let stage = Stage::set_with(|parts, _| parts.limits.max_request_bytes = 1 << 20).await;
    talk(&stage, Entrance::plain(10, 10), async |address| {
        let body = "x".repeat(100 << 10);
        let length = body.len();
        let open = format!("POST /v1/tokens/exchange HTTP/1.1\r\nhost: e\r\ncontent-length: {length}\r\n\r\n{body}");
        let mut stream = sent(address, &open).await;
        let said = answer(&mut stream).await;
        assert!(said.contains("body_too_large") && said.contains("65536 bytes"), "{said}");
        let shut = format!("POST /v1/sources HTTP/1.1\r\nhost: e\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {length}\r\n\r\n{body}");
        let mut stream = sent(address, &shut).await;
        assert!(answer(&mut stream).await.contains("malformed_body"));
    })
    .await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_all_together_so_many_more() {
    let stage = Stage::set().await;
    talk(&stage, Entrance::plain(10, 2), async |address| {
        let mut first = sent(address, GET).await;
        let mut second = sent(address, GET).await;
        for stream in [&mut first, &mut second] {
            assert!(answer(stream).await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(
            all(sent(address, "").await).await,
            "",
            "the third is closed at once"
        );
        drop(first);
        wait_for_answer(address).await;
        drop(second);
    })
    .await;
    talk(&stage, Entrance::plain(1, 10), async |address| {
        let mut first = sent(address, GET).await;
        assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
        let mut second = sent(address, GET).await;
        let mut byte = [0];
        assert!(
            second.read(&mut byte).now_or_never().is_none(),
            "it waits for its place"
        );
        drop(first);
        assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
    })
    .await;
}

/// Asks until there is a place: the engine hears of a closed connection a moment later.
async fn wait_for_answer(address: std::net::SocketAddr) {
    loop {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut bytes = [0; 12];
        if stream.write_all(GET.as_bytes()).await.is_ok() && stream.read_exact(&mut bytes).await.is_ok() {
            assert_eq!(&bytes, b"HTTP/1.1 200");
            return;
        }
    }
}

#[tokio::test]
async fn who_asks_and_reads_nothing_is_given_up() {
    let stage = Stage::set().await;
    talk(&stage, Entrance::plain(10, 10), async |address| {
        let mut greedy = TcpStream::connect(address).await.unwrap();
        let get = "GET /openapi.json HTTP/1.1\r\nhost: e\r\n\r\n".repeat(50);
        // The answers fill the system's buffers, and then the engine waits.
        let asking = async { while greedy.write_all(get.as_bytes()).await.is_ok() {} };
        let waiting = async {
            while stage.clock.next_wake() != Some(Duration::from_secs(30)) {
                tokio::task::yield_now().await;
            }
            stage.clock.advance(Duration::from_secs(30));
        };
        tokio::join!(asking, waiting);
    })
    .await;
}
