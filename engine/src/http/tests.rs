//! The door against real servers on loopback: well-behaved, hostile and silent ones.

use std::{io::Write as _, net::SocketAddr, sync::Arc};

use axum::{Router, body::Body as AnswerBody, http::HeaderMap, response::IntoResponse, routing::get};
use engine_api::Secret;
use flate2::{Compression, write::GzEncoder};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "a test's server lives as long as its runtime"
)]
fn background(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    background(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn http(options: Options) -> Http {
    Http::new(options, Clock::real()).unwrap()
}

fn inside() -> Options {
    Options {
        egress: Rule {
            private: true,
            ..Rule::default()
        },
        ..Options::default()
    }
}

fn request(url: &str) -> Request {
    Request::get(url.parse().unwrap()).unwrap()
}

#[tokio::test]
async fn an_answer_is_read_whole_and_unpacked() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"{\"rows\":3}").unwrap();
    let packed = encoder.finish().unwrap();
    let server = serve(Router::new().route(
        "/",
        get(move |headers: HeaderMap| async move {
            assert_eq!(headers["authorization"], "Bearer marker");
            assert!(
                headers["user-agent"]
                    .to_str()
                    .unwrap()
                    .starts_with("zoom-log-engine/")
            );
            (
                StatusCode::TOO_MANY_REQUESTS,
                [("content-encoding", "gzip"), ("retry-after", "7")],
                packed,
            )
        }),
    ))
    .await;
    let request = request(&format!("http://{server}/"))
        .bearer(&Secret::from("marker"))
        .unwrap();
    let response = http(inside()).send(&request).await.unwrap();
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        response.retry_after(),
        Some(RetryAfter::In(Duration::from_secs(7)))
    );
    assert_eq!(response.json::<serde_json::Value>().unwrap()["rows"], 3);
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_cap() {
    let endless = || async {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1024]));
        AnswerBody::from_stream(chunks).into_response()
    };
    let server = serve(
        Router::new()
            .route("/", get(endless))
            .route("/sized", get(|| async { vec![0; 9999] })),
    )
    .await;
    let http = http(inside());
    for path in ["", "sized"] {
        let request = request(&format!("http://{server}/{path}?token=marker")).max_response_bytes(5000);
        let error = http.send(&request).await.unwrap_err();
        assert_eq!(
            error,
            Error::TooLarge {
                origin: format!("http://{server}"),
                limit: 5000
            }
        );
        assert!(!error.is_temporary());
    }
}

#[tokio::test]
async fn redirects_are_reported_without_their_query_and_not_followed() {
    let elsewhere = || async {
        (
            StatusCode::FOUND,
            [("location", "https://elsewhere.example/x?token=marker")],
        )
    };
    let server = serve(Router::new().route("/", get(elsewhere))).await;
    let error = http(inside())
        .send(&request(&format!("http://{server}/")))
        .await
        .unwrap_err();
    let location = "https://elsewhere.example".to_owned();
    assert_eq!(
        error,
        Error::Redirected {
            origin: format!("http://{server}"),
            status: 302,
            location
        }
    );
}

#[tokio::test]
async fn addresses_inside_are_refused_as_literals_and_after_resolution() {
    let server = serve(Router::new().route("/", get(|| async { "inside" }))).await;
    let http = http(Options::default());
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let error = http
            .send(&request(&format!("http://{host}:{}/?marker", server.port())))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::EgressRefused(_)), "{host}: {error:?}");
        let text = error.to_string();
        assert!(
            text.contains("loopback") && text.contains("egress.allow_networks"),
            "{text}"
        );
        assert!(!text.contains("marker"), "{text}");
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let request = request(&format!("http://{server}/?marker")).total_timeout(Duration::from_millis(50));
    let error = http(inside()).send(&request).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    assert!(error.is_temporary() && !error.to_string().contains("marker"));
}

#[tokio::test]
async fn a_server_that_is_away_or_breaks_off_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    background(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            .await
            .unwrap();
    });
    let http = http(inside());
    for _ in ["breaks off", "is away"] {
        let error = http
            .send(&request(&format!("http://{server}/secret-path?marker")))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        assert!(
            !error.to_string().contains("marker") && !error.to_string().contains("secret-path"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn https_works_with_a_trusted_authority_and_with_no_other() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let authority = certificate.der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![authority.clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    background(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client that does not trust us breaks the handshake off.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            stream.shutdown().await.unwrap();
        }
    });

    let request = request(&format!("https://localhost:{port}/"));
    let trusting = http(Options {
        authorities: vec![authority],
        ..inside()
    });
    assert_eq!(trusting.send(&request).await.unwrap().body, "ok");

    let error = http(inside()).send(&request).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("egress.ca_file"), "{error}");
}

#[test]
fn what_cannot_be_sent_is_refused_without_showing_it() {
    for url in ["ftp://host/", "https://user:marker@host/", "data:marker"] {
        let error = Request::get(url.parse().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(!error.to_string().contains("marker"), "{error}");
    }
    let secret = Secret::from("marker\n");
    let error = request("https://host/")
        .secret_header("x-token", &secret)
        .unwrap_err();
    assert!(
        error.to_string().contains("x-token") && !error.to_string().contains("marker"),
        "{error}"
    );
    let request = request("https://host/marker?marker")
        .basic("user", &Secret::from("marker"))
        .unwrap();
    assert!(!format!("{request:?}").contains("marker"));
    assert!(!format!("{:?}", request.headers).contains("marker"));
    assert_eq!(request.headers["authorization"], "Basic dXNlcjptYXJrZXI=");
}

/// A resolver in the hands of somebody who wants the engine to talk to what is inside: each question takes the next
/// answer, and the last one stays.
#[derive(Debug)]
struct Hostile {
    answers: std::sync::Mutex<Vec<Vec<SocketAddr>>>,
    asked: std::sync::atomic::AtomicUsize,
}

impl Hostile {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let address = |text: &&str| -> SocketAddr { format!("{text}:0").parse().unwrap() };
        let answers = answers
            .iter()
            .rev()
            .map(|answer| answer.iter().map(address).collect());
        Arc::new(Self {
            answers: answers.collect::<Vec<_>>().into(),
            asked: 0.into(),
        })
    }
}

#[async_trait::async_trait]
impl Names for Hostile {
    async fn look_up(&self, _: &str) -> std::io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop()
        } else {
            answers.last().cloned()
        };
        Ok(answer.unwrap_or_default())
    }
}

/// A server inside that must not be reached, and how many have reached it.
async fn inside_server() -> (SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let reached = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    let answer = move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async { "inside" }
    };
    (serve(Router::new().route("/", get(answer))).await, reached)
}

#[tokio::test]
async fn a_name_that_turns_to_an_address_inside_is_not_followed_there() {
    let (server, reached) = inside_server().await;
    let url = format!("http://rebinding.example:{}/", server.port());
    // First an address that answers nobody, then one inside, alone and beside a public one.
    let names = Hostile::new(&[
        &["192.0.2.1"],
        &["127.0.0.1"],
        &["[::ffff:127.0.0.1]"],
        &["[64:ff9b::7f00:1]"],
    ]);
    let open = Options {
        connect_timeout: Duration::from_millis(200),
        // The address of the first answer is one for documents: it stands for a public one that is not there.
        egress: Rule {
            networks: vec![("192.0.2.0".parse().unwrap(), 24)],
            ..Rule::default()
        },
        ..Options::default()
    };
    let http = Http::with_names(open, Clock::real(), names.clone()).unwrap();
    let first = http.send(&request(&url)).await.unwrap_err();
    assert!(first.is_temporary(), "{first:?}");
    for _ in 0..3 {
        let error = http.send(&request(&url)).await.unwrap_err();
        assert!(
            matches!(&error, Error::EgressRefused(refused) if refused.host == "rebinding.example"),
            "{error:?}"
        );
    }
    assert_eq!(
        names.asked.load(std::sync::atomic::Ordering::SeqCst),
        4,
        "each connection is judged by its own answer"
    );
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn only_the_allowed_addresses_of_a_mixed_answer_are_connected_to() {
    let (server, reached) = inside_server().await;
    let url = format!("http://mixed.example:{}/", server.port());
    // The server listens on 127.0.0.1 alone; of the answer only the other address is allowed, and nobody is there.
    let names = Hostile::new(&[&["127.0.0.1", "127.0.0.2"]]);
    let only = |network: &str| Options {
        connect_timeout: Duration::from_millis(500),
        egress: Rule {
            networks: vec![(network.parse().unwrap(), 32)],
            ..Rule::default()
        },
        ..Options::default()
    };
    let http = Http::with_names(only("127.0.0.2"), Clock::real(), names.clone()).unwrap();
    assert!(http.send(&request(&url)).await.is_err());
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 0);
    let http = Http::with_names(only("127.0.0.1"), Clock::real(), names).unwrap();
    assert_eq!(http.send(&request(&url)).await.unwrap().body, "inside");
}

#[tokio::test]
async fn a_redirect_inside_is_not_followed_and_a_bomb_is_not_unpacked() {
    let (server, reached) = inside_server().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let to_inside = format!("http://{server}/");
    let hostile = serve(
        Router::new()
            .route(
                "/away",
                get(move || async move { (StatusCode::TEMPORARY_REDIRECT, [("location", to_inside)]) }),
            )
            .route(
                "/bomb",
                get(move || async move { ([("content-encoding", "gzip")], bomb) }),
            ),
    )
    .await;
    let names = Hostile::new(&[&["127.0.0.1"]]);
    let open = Options {
        egress: Rule {
            hosts: vec!["hostile.example".to_owned()],
            ..Rule::default()
        },
        ..Options::default()
    };
    let http = Http::with_names(open, Clock::real(), names).unwrap();
    let ask = async |path: &str| {
        let url = format!("http://hostile.example:{}/{path}", hostile.port());
        http.send(&request(&url).max_response_bytes(1 << 20))
            .await
            .unwrap_err()
    };
    assert!(matches!(ask("away").await, Error::Redirected { .. }));
    assert!(matches!(ask("bomb").await, Error::TooLarge { .. }));
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 0);
}
