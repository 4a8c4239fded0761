//! The API over TLS: its certificate, a new one, a broken one, and clients with and without one of their own.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    api::{Entrance, serve},
    config::Config,
};

/// An authority that signs certificates for `localhost`.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self) -> (CertificateDer<'static>, KeyPair, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        (signed.der().clone(), key, signed.pem())
    }

    /// Writes a new certificate and its key for the engine.
    fn write(&self, dir: &Path) -> CertificateDer<'static> {
        let (der, key, pem) = self.sign();
        std::fs::write(dir.join("cert.pem"), pem).unwrap();
        std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        der
    }
}

fn config(dir: &Path, more: &str) -> Result<Config, String> {
    let text = format!(
        "data_dir = \"{0}\"\n[server]\nlisten = \"0.0.0.0:8420\"\n\
         tls = {{ cert_file = \"cert.pem\", key_file = \"key.pem\"{more} }}\n",
        dir.display()
    );
    Config::parse(Some(("engine.toml", &text)), []).map_err(|invalid| invalid.to_string())
}

struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    fn new(trusted: &Authority, own: Option<&Authority>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let (certificate, key, _) = authority.sign();
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        Self {
            config: Arc::new(config),
        }
    }

    /// Asks for a path with the token, and answers the engine's certificate and what it said.
    async fn get(
        &self,
        address: SocketAddr,
        path: &str,
    ) -> std::io::Result<(CertificateDer<'static>, String)> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::clone(&self.config))
            .connect(name, stream)
            .await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned();
        let get = format!(
            "GET {path} HTTP/1.1\r\nhost: e\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(get.as_bytes()).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        Ok((shown, said))
    }
}

async fn served<F: Future>(stage: &Stage, config: &Config, talk: impl FnOnce(SocketAddr) -> F) -> F::Output {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let entrance = Entrance::new(&config.server).unwrap();
    let serving = serve(listener, stage.api.clone(), entrance, CancellationToken::new());
    let talking = talk(address);
    tokio::pin!(serving, talking);
    tokio::select! {
        () = &mut serving => panic!("the API ended"),
        done = &mut talking => done,
    }
}

#[tokio::test]
async fn a_certificate_is_taken_when_it_is_replaced_and_a_broken_one_is_not() {
    let stage = Stage::set().await;
    let (dir, authority) = (stage.dir.path(), Authority::new());
    let first = authority.write(dir);
    let config = config(dir, "").unwrap();
    let client = Client::new(&authority, None);
    served(&stage, &config, async |address| {
        let (shown, said) = client.get(address, "/v1/engine").await.unwrap();
        assert!(shown == first && said.starts_with("HTTP/1.1 200"), "{said}");
        // Somebody who speaks no TLS gets no HTTP, and nobody else is held up by who says nothing.
        let silent = TcpStream::connect(address).await.unwrap();
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: e\r\n\r\n")
            .await
            .unwrap();
        let mut said = Vec::new();
        let _ = plain.read_to_end(&mut said).await;
        assert!(!said.starts_with(b"HTTP/1.1"));

        let next = async |what: &str, good: &dyn Fn(&CertificateDer<'_>) -> bool| {
            for _ in 0..200 {
                stage.clock.advance(Duration::from_secs(2));
                let (shown, _) = client.get(address, "/healthz").await.unwrap();
                if good(&shown) {
                    return shown;
                }
            }
            panic!("{what}")
        };
        // The key alone does not fit the old certificate: the pair before stays until the other half is there.
        let (second, key, pem) = authority.sign();
        std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        for _ in 0..3 {
            assert_eq!(next("a certificate", &|_| true).await, first);
        }
        std::fs::write(dir.join("cert.pem"), pem).unwrap();
        next("the second certificate", &|shown| *shown == second).await;
        std::fs::write(dir.join("cert.pem"), "no certificate").unwrap();
        for _ in 0..3 {
            assert_eq!(next("a certificate", &|_| true).await, second);
        }
        std::fs::remove_file(dir.join("cert.pem")).unwrap();
        assert_eq!(next("a certificate", &|_| true).await, second);
        let third = authority.write(dir);
        next("the third certificate", &|shown| *shown == third).await;
        drop(silent);
    })
    .await;
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_wherever_a_token_is() {
    let stage = Stage::set_with(|parts, _| parts.limits.client_certificates = true).await;
    let (dir, authority, clients) = (stage.dir.path(), Authority::new(), Authority::new());
    authority.write(dir);
    std::fs::write(dir.join("clients.pem"), clients.certificate.pem()).unwrap();
    let config = config(dir, ", client_ca_file = \"clients.pem\"").unwrap();
    assert!(crate::api::Limits::from(&config).client_certificates);
    served(&stage, &config, async |address| {
        let known = Client::new(&authority, Some(&clients));
        let (_, said) = known.get(address, "/v1/engine").await.unwrap();
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        // Probes and browsers have no certificate.
        let bare = Client::new(&authority, None);
        let (_, said) = bare.get(address, "/healthz").await.unwrap();
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        let (_, said) = bare.get(address, "/v1/engine").await.unwrap();
        assert!(
            said.starts_with("HTTP/1.1 401") && said.contains("client_ca_file"),
            "{said}"
        );
        // One of somebody else's authority does not get as far as HTTP.
        let stranger = Client::new(&authority, Some(&authority));
        assert!(stranger.get(address, "/healthz").await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let stage = Stage::set().await;
    Authority::new().write(stage.dir.path());
    let config = config(stage.dir.path(), "").unwrap();
    served(&stage, &config, async |address| {
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        let closed = silent.read(&mut byte);
        tokio::pin!(closed);
        loop {
            tokio::select! {
                closed = &mut closed => return assert_eq!(closed.unwrap_or(0), 0),
                () = tokio::task::yield_now() => stage.clock.advance(Duration::from_millis(10)),
            }
        }
    })
    .await;
}

#[test]
fn what_is_wrong_with_the_files_is_said_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (Authority::new(), Authority::new());
    let wrong = |text: &str, more: &str| {
        let error = config(dir.path(), more).unwrap_err();
        assert!(
            error.contains(text) && error.contains("server.tls"),
            "{text}: {error}"
        );
        assert!(!error.contains("PRIVATE KEY"), "{error}");
    };
    wrong("cert.pem", "");
    one.write(dir.path());
    std::fs::write(dir.path().join("key.pem"), other.sign().1.serialize_pem()).unwrap();
    wrong("do not fit", "");
    std::fs::write(dir.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----\nAA==\n").unwrap();
    wrong("private key in PEM", "");
    wrong("`server.tls.key_file`", "");
    one.write(dir.path());
    wrong("nothing.pem", ", client_ca_file = \"nothing.pem\"");
    wrong(
        "`server.tls.client_ca_file`",
        ", client_ca_file = \"nothing.pem\"",
    );
    config(dir.path(), "").unwrap();

    let half = "[server.tls]\ncert_file = \"/x\"\n";
    let error = Config::parse(Some(("engine.toml", half)), [("HOME".into(), "/h".into())]).unwrap_err();
    assert!(error.to_string().contains("`server.tls.key_file`"), "{error}");
    for (listen, plain, good) in [
        ("127.0.0.1:1", false, true),
        ("[::1]:1", false, true),
        ("0.0.0.0:1", false, false),
        ("[::]:1", false, false),
        ("192.168.1.2:1", false, false),
        ("0.0.0.0:1", true, true),
    ] {
        let text = format!("[server]\nlisten = \"{listen}\"\nallow_plain_http = {plain}\n");
        let parsed = Config::parse(Some(("engine.toml", &text)), [("HOME".into(), "/h".into())]);
        assert_eq!(parsed.is_ok(), good, "{listen}");
        if let Err(error) = parsed {
            let error = error.to_string();
            assert!(
                error.contains("server.tls.cert_file") && error.contains("allow_plain_http"),
                "{error}"
            );
        }
    }
}
