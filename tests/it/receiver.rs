//! The recording receiver: what it keeps, and what it can be told to answer.

use std::{io::Write as _, time::Duration};

use e2e::receiver::{Receiver, Reply};
use flate2::{Compression, write::GzEncoder};

#[tokio::test]
async fn it_records_plain_and_compressed_bodies() {
    let receiver = Receiver::start().await;
    let http = e2e::http::client();
    http.post(format!("{}/ingest?x=1", receiver.url()))
        .body("{\"a\":1}\n{\"a\":2}\n")
        .send()
        .await
        .unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"[{\"a\":1}, {\"a\": 2}]").unwrap();
    let gzip = encoder.finish().unwrap();
    let request = http
        .put(receiver.url())
        .header("content-encoding", "gzip")
        .header("x-team", "secops");
    request.body(gzip.clone()).send().await.unwrap();
    let received = receiver.wait_for(2).await;
    assert_eq!(
        (&*received[0].method, &*received[0].path),
        ("POST", "/ingest?x=1")
    );
    assert_eq!(received[0].rows(), [b"{\"a\":1}", b"{\"a\":2}"]);
    assert_eq!(
        (received[1].header("x-team"), received[1].raw.as_ref()),
        ("secops", gzip.as_slice())
    );
    assert_eq!(
        received[1].rows(),
        [b"{\"a\":1}".to_vec(), b"{\"a\": 2}".to_vec()]
    );
}

#[tokio::test]
async fn it_answers_by_script_and_then_by_rule() {
    let receiver = Receiver::start().await;
    let http = e2e::http::client();
    let post = async || http.post(receiver.url()).body("x").send().await;
    receiver.script([
        Reply::retry_after(429, "7"),
        Reply::Reset,
        Reply::Delay(Duration::from_millis(5), 202),
    ]);
    receiver.always(Reply::status(500));
    let first = post().await.unwrap();
    assert_eq!(
        (
            first.status().as_u16(),
            first.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    assert!(post().await.is_err());
    assert_eq!(post().await.unwrap().status(), 202);
    assert_eq!(post().await.unwrap().status(), 500);
    assert_eq!(receiver.accepted().len(), 1);
    receiver.script([Reply::Hang]);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), post())
            .await
            .is_err()
    );
    assert_eq!(receiver.received().len(), 5);
}
