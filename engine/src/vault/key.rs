//! Master keys: how they are written, and the keys that are derived from each.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use engine_api::Secret;
use ring::{
    aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey},
    error::Unspecified,
    hkdf,
};
use zeroize::Zeroizing;

use super::{Error, hex, random};

/// The length of a master key, a data key, and the fingerprint key.
pub(super) const KEY_LEN: usize = 32;
/// How many bytes of the check value name the key in each sealed secret, so that old and new can be told apart.
pub(super) const KEY_ID_LEN: usize = 4;
const CHECK_LEN: usize = 16;
/// More keys at a time than two are only there by mistake, and each costs a derivation at start.
const MOST_KEYS: usize = 16;

pub(super) type KeyId = [u8; KEY_ID_LEN];

/// What is derived from one master key.
pub(super) struct Keys {
    /// Seals whole secrets: how they were stored before each had a data key of its own.
    pub(super) sealing: LessSafeKey,
    /// Wraps data keys.
    pub(super) wrapping: LessSafeKey,
    /// What the fingerprint key of an installation is that began with this master key.
    pub(super) fingerprint: Zeroizing<[u8; KEY_LEN]>,
    /// The text that names the key and does not help to find it.
    pub(super) check: String,
    pub(super) id: KeyId,
}

/// A new master key as it is written. Base64, because text survives every way in which operators carry secrets.
///
/// # Errors
///
/// [`Error::Crypto`] where the system has no random numbers to give.
pub fn generate_key() -> Result<Secret, Error> {
    let key = Zeroizing::new(random::<KEY_LEN>()?);
    let text = Zeroizing::new(STANDARD.encode(key.as_slice()));
    Ok(Secret::from(text.as_str()))
}

/// A raw key as a line of text.
pub(super) fn in_base64(key: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", STANDARD.encode(key)))
}

/// Reads master keys: 32 raw bytes where `raw` allows it, else keys in base64, separated by white space or commas, and
/// comments from `#` to the end of a line. `None` where it is something else, or holds no key.
pub(super) fn parse(bytes: &[u8], raw: bool) -> Option<Vec<Keys>> {
    if raw && bytes.len() == KEY_LEN {
        return Keys::derive(bytes).ok().map(|keys| vec![keys]);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let mut found: Vec<Keys> = Vec::new();
    for line in text.lines() {
        let written = line.split('#').next().unwrap_or_default();
        for word in written.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            let key = Zeroizing::new(STANDARD.decode(word).ok()?);
            if key.len() != KEY_LEN || found.len() == MOST_KEYS {
                return None;
            }
            let keys = Keys::derive(&key).ok()?;
            if found.iter().all(|other| other.check != keys.check) {
                found.push(keys);
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

impl Keys {
    fn derive(key: &[u8]) -> Result<Self, Unspecified> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"zoom-log-engine vault v1").extract(key);
        let cipher = |purpose: &[u8]| -> Result<LessSafeKey, Unspecified> {
            let key = UnboundKey::from(root.expand(&[purpose], &CHACHA20_POLY1305)?);
            Ok(LessSafeKey::new(key))
        };
        let mut fingerprint = Zeroizing::new([0; KEY_LEN]);
        root.expand(&[b"fingerprint"], Length(KEY_LEN))?
            .fill(fingerprint.as_mut_slice())?;
        let mut check = [0; CHECK_LEN];
        root.expand(&[b"check"], Length(CHECK_LEN))?.fill(&mut check)?;
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&check[..KEY_ID_LEN]);
        Ok(Self {
            sealing: cipher(b"seal")?,
            wrapping: cipher(b"wrap")?,
            fingerprint,
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
