//! The API's certificate: files that are read at the start, and again whenever they change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::reader::Reader;

const CERT: &str = "server.tls.cert_file";
const KEY: &str = "server.tls.key_file";
const CLIENT_CA: &str = "server.tls.client_ca_file";
/// A chain of certificates and a bundle of authorities are far smaller.
const LARGEST: u64 = 4 << 20;

/// Where the API's certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that lead to its authority, in PEM.
    pub cert_file: PathBuf,
    /// Its key, in PEM.
    pub key_file: PathBuf,
    /// The authorities whose certificates clients must show.
    pub client_ca_file: Option<PathBuf>,
}

/// Why TLS cannot be set up; it holds nothing of the key.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct TlsError {
    /// The configuration's key that names the file.
    key: &'static str,
    why: String,
}

impl TlsError {
    fn of(key: &'static str) -> impl Fn(String) -> Self {
        move |why| Self { key, why }
    }
}

/// What tells one state of the files from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<Option<(u64, u64, i64, i64)>>);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// What is wrong with which file.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let Self {
            cert_file,
            key_file,
            client_ca_file,
        } = self;
        let chain = certificates(cert_file).map_err(TlsError::of(CERT))?;
        let key = private_key(key_file).map_err(TlsError::of(KEY))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::of(CERT)(format!("TLS cannot be set up: {error}")))?;
        let builder = match client_ca_file {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let unfit = |error: &dyn std::fmt::Display| {
                    let why = format!("{} must hold certificate authorities: {error}", file.display());
                    TlsError::of(CLIENT_CA)(why)
                };
                let mut authorities = RootCertStore::empty();
                for authority in certificates(file).map_err(TlsError::of(CLIENT_CA))? {
                    authorities.add(authority).map_err(|error| unfit(&error))?;
                }
                // Probes and browsers have no certificate; who sends a token is asked for it by the API.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| unfit(&error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            TlsError::of(CERT)(format!(
                "the certificate in {} and the key in {} do not fit: {error}",
                cert_file.display(),
                key_file.display()
            ))
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The state that the files are in now. Links are followed, so that what is swapped behind one is seen.
    pub fn stamp(&self) -> Stamp {
        let files = [
            Some(&self.cert_file),
            Some(&self.key_file),
            self.client_ca_file.as_ref(),
        ];
        let stamp = |path: &PathBuf| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
        };
        Stamp(files.into_iter().flatten().map(stamp).collect())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("failed to read {}: {error}", path.display());
    if fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(format!("{} is larger than {LARGEST} bytes", path.display()));
    }
    fs::read(path).map_err(failed)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{} must hold certificates in PEM", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| format!("{} must hold a private key in PEM", path.display()))
}

/// The certificate, where one is configured; outside it `None`, and a problem, where it cannot be used.
#[expect(
    clippy::option_option,
    reason = "every reader of keys answers `None` where something is wrong"
)]
pub(super) fn read_keys(reader: &mut Reader<'_>) -> Option<Option<Tls>> {
    let written = [CERT, KEY, CLIENT_CA].map(|key| !reader.text(key).is_empty());
    if written == [false; 3] {
        return Some(None);
    }
    for (key, written) in [CERT, KEY].into_iter().zip(written) {
        if !written {
            return reader.problem(key, format!("must be set, too: TLS needs `{CERT}` and `{KEY}`"));
        }
    }
    let tls = Tls {
        cert_file: reader.path(CERT)?,
        key_file: reader.path(KEY)?,
        client_ca_file: if written[2] {
            Some(reader.path(CLIENT_CA)?)
        } else {
            None
        },
    };
    match tls.load() {
        Ok(_) => Some(Some(tls)),
        Err(TlsError { key, why }) => reader.problem(key, why),
    }
}
