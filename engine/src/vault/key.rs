//! The key file and the keys that are derived from it.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey},
    error::Unspecified,
    hkdf, hmac,
};
use zeroize::Zeroizing;

use super::{Error, hex, random};

const KEY_LEN: usize = 32;
/// How many bytes of the check value name the key in each sealed secret, so that a rotation can tell old from new.
pub(super) const KEY_ID_LEN: usize = 4;
const CHECK_LEN: usize = 16;
const EXPECTED: &str = "a key file (32 bytes, raw or in base64)";

/// The keys that are derived from the one in the key file.
pub(super) struct Keys {
    pub(super) sealing: LessSafeKey,
    pub(super) fingerprint: hmac::Key,
    pub(super) check: String,
    pub(super) id: [u8; KEY_ID_LEN],
}

/// The content of a new key file. Base64, because text survives every way in which operators carry secrets.
pub(super) fn generate() -> Result<Zeroizing<String>, Error> {
    let key = Zeroizing::new(random::<KEY_LEN>()?);
    Ok(Zeroizing::new(format!("{}\n", STANDARD.encode(key.as_slice()))))
}

impl Keys {
    pub(super) fn parse(path: &Path, file: &[u8]) -> Result<Self, Error> {
        let malformed = || Error::Malformed {
            path: path.to_owned(),
            expected: EXPECTED,
        };
        let decoded;
        let key = if file.len() == KEY_LEN {
            file
        } else {
            decoded = Zeroizing::new(STANDARD.decode(file.trim_ascii()).map_err(|_| malformed())?);
            decoded.as_slice()
        };
        if key.len() != KEY_LEN {
            return Err(malformed());
        }
        Self::derive(key).map_err(|_| Error::Crypto {
            action: "derive keys",
        })
    }

    fn derive(key: &[u8]) -> Result<Self, Unspecified> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"zoom-log-engine vault v1").extract(key);
        let sealing = root.expand(&[b"seal"], &CHACHA20_POLY1305)?;
        let fingerprint = root.expand(&[b"fingerprint"], hmac::HMAC_SHA256)?;
        let mut check = [0; CHECK_LEN];
        root.expand(&[b"check"], Length(CHECK_LEN))?.fill(&mut check)?;
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&check[..KEY_ID_LEN]);
        Ok(Self {
            sealing: LessSafeKey::new(UnboundKey::from(sealing)),
            fingerprint: hmac::Key::from(fingerprint),
            check: hex(&check),
            id,
        })
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
