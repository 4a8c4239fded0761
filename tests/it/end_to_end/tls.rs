//! Terraform and an engine that is served over TLS and asks for a client certificate.

use std::fs;

use e2e::{receiver::Receiver, terraform::Terraform};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{Hcl, SECRET, Stage};

/// An authority of its own, in PEM, and what it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for this machine, and its key.
    fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (
            params.signed_by(&key, &self.issuer).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

#[tokio::test]
async fn a_run_over_tls_shows_its_certificate_and_outlives_the_engines() {
    let mut stage = Stage::set().await;
    let authority = Authority::new();
    let (certificate, key) = authority.sign();
    let (own, own_key) = authority.sign();
    let dir = stage.engine.data_dir().to_owned();
    let write = |name: &str, text: &str| {
        fs::write(dir.join(name), text).unwrap();
        dir.join(name).to_string_lossy().into_owned()
    };
    let ca_file = write("ca.pem", &authority.pem);
    let own_file = write("own.pem", &format!("{own}{own_key}"));
    stage.engine.stop().await;
    for (setting, name, text) in [
        ("server.tls.cert_file", "tls.crt", &certificate),
        ("server.tls.key_file", "tls.key", &key),
        ("server.tls.client_ca_file", "ca.pem", &authority.pem),
    ] {
        stage.engine.set(setting, &write(name, text));
    }
    stage.engine.trust(&authority.pem, &format!("{own}{own_key}"));
    stage.engine.start_again().await;
    assert!(
        stage.engine.url().starts_with("https://127.0.0.1:"),
        "{}",
        stage.engine.url()
    );

    let hook = Receiver::start().await;
    let channel = Receiver::start().await;
    let mut terraform = Terraform::new(stage.engine.url(), &stage.engine.token());
    terraform.variable("zoom_client_secret", SECRET);
    terraform.write("main.tf", &Hcl::new(&hook, &channel).text());
    // Neither the authority nor the certificate is known: each is asked for in its turn.
    let refused = terraform.try_apply().await;
    assert!(
        refused.code != Some(0) && refused.all().contains("certificate"),
        "{}",
        refused.all()
    );
    terraform.set("ZOOM_LOG_ENGINE_CA_FILE", &ca_file);
    let refused = terraform.try_apply().await;
    assert!(
        refused.code != Some(0) && refused.all().contains("client_ca_file"),
        "{}",
        refused.all()
    );
    terraform.set("ZOOM_LOG_ENGINE_CLIENT_CERTIFICATE_FILE", &own_file);
    terraform.apply().await;
    let health = stage.engine.command(&["health"]).output().unwrap();
    assert!(
        health.status.success(),
        "{}",
        String::from_utf8_lossy(&health.stderr)
    );

    // A new certificate of the engine's, and the run after it.
    let (certificate, key) = authority.sign();
    write("tls.key", &key);
    write("tls.crt", &certificate);
    e2e::wait::until_now(super::LATE, "the new certificate", || {
        let log = stage.engine.log();
        if log.contains("certificate was read again") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert!(terraform.plan().await.is_empty());
}
