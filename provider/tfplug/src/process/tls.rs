//! TLS in both directions: our own certificate for this process alone, and the host's, which we were given.
//!
//! The host's certificate is self-signed and claims to be an authority, which the usual verification of a client
//! refuses. There is exactly one certificate to accept, so it is compared byte by byte; the signature in the handshake
//! then proves that the peer has its key.

use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SignatureVerificationAlgorithm, UnixTime,
    pem::PemObject,
};

use super::p521::EcdsaP521;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("read the host's certificate")]
    HostCertificate(#[source] rustls_pki_types::pem::Error),
    #[error("make a certificate")]
    OwnCertificate(#[from] rcgen::Error),
    #[error("configure TLS")]
    Config(#[from] rustls::Error),
}

/// How this process shows itself.
#[derive(Debug)]
pub(super) struct Identity {
    /// Our certificate, for the handshake line.
    pub(super) certificate: Vec<u8>,
    /// The server's side of TLS.
    pub(super) config: ServerConfig,
}

/// Makes a fresh identity that serves only the host whose certificate this is.
pub(super) fn identity(host_pem: &str) -> Result<Identity, Error> {
    let host = CertificateDer::from_pem_slice(host_pem.as_bytes()).map_err(Error::HostCertificate)?;
    // P-256 is quick to make, and the host takes any curve that Go knows.
    let key = KeyPair::generate()?;
    // The host connects to the name `localhost` and insists on finding it.
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.self_signed(&key)?.der().clone();

    let provider = ring::default_provider();
    let verifier = HostOnly {
        host: host.into_owned(),
        algorithms: algorithms(&provider.signature_verification_algorithms),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(
            vec![certificate.clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    // Terraform from 1.12 refuses a server that does not name HTTP/2.
    config.alpn_protocols = vec![b"h2".to_vec()];
    // The host connects once; a ticket would be of no use.
    config.send_tls13_tickets = 0;
    Ok(Identity {
        certificate: certificate.to_vec(),
        config,
    })
}

/// Returns ring's algorithms and P-521. The tables must live as long as the process, as does the one identity in it.
fn algorithms(ring: &WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    static P521: [&dyn SignatureVerificationAlgorithm; 1] = [&EcdsaP521];
    let mut all = ring.all.to_vec();
    all.extend(P521);
    let mut mapping = vec![(SignatureScheme::ECDSA_NISTP521_SHA512, P521.as_slice())];
    mapping.extend(
        ring.mapping
            .iter()
            .filter(|(scheme, _)| *scheme != SignatureScheme::ECDSA_NISTP521_SHA512),
    );
    WebPkiSupportedAlgorithms {
        all: all.leak(),
        mapping: mapping.leak(),
    }
}

/// Accepts the host's certificate and no other, and insists on one.
#[derive(Debug)]
struct HostOnly {
    host: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for HostOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if *end_entity == self.host {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
