//! Envelopes: each secret under a data key of its own, and that key wrapped under the master key.
//!
//! ```text
//! 2 | master key's id (4) | nonce (12) | wrapped data key (32 + 16) | nonce (12) | sealed text + tag (16)
//! 1 | master key's id (4) | nonce (12) | sealed text + tag (16)
//! ```
//!
//! The second form is how secrets were sealed before; it is opened, and a rotation writes it anew in the first one.
//! Both ciphers are ChaCha20-Poly1305, and both are bound to the version, the owner and the field: neither a secret nor
//! its wrapped key opens in another row. A rotation replaces the wrapping and leaves the rest as it is.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{
    Error,
    key::{KEY_ID_LEN, KEY_LEN, KeyId, Keys},
    random,
};

const WHOLE: u8 = 1;
const ENVELOPE: u8 = 2;
const HEADER_LEN: usize = 1 + KEY_ID_LEN;
const TAG_LEN: usize = 16;
const WRAPPED_LEN: usize = NONCE_LEN + KEY_LEN + TAG_LEN;

/// What a sealed secret is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) owner: &'a str,
    pub(super) field: &'a str,
}

/// How what is sealed under a key begins, so that the store can tell it without opening anything.
pub(super) fn header(key: KeyId) -> [u8; HEADER_LEN] {
    let mut header = [ENVELOPE; HEADER_LEN];
    header[1..].copy_from_slice(&key);
    header
}

/// The master key that a sealed secret needs; `None` where it is none.
pub(super) fn key_of(sealed: &[u8]) -> Option<KeyId> {
    let (version, rest) = sealed.split_first()?;
    matches!(*version, WHOLE | ENVELOPE)
        .then(|| rest.first_chunk().copied())
        .flatten()
}

pub(super) fn seal(keys: &Keys, row: Row<'_>, text: &[u8]) -> Result<Vec<u8>, Error> {
    let data_key = Zeroizing::new(random::<KEY_LEN>()?);
    let body = encrypt(
        &cipher(data_key.as_slice())?,
        &row.bound_to(ENVELOPE, "text"),
        text,
    )?;
    join(keys, row, data_key.as_slice(), &body)
}

/// The text of a sealed secret; `None` where it was sealed for another row, under another key, or was altered.
pub(super) fn open(keys: &Keys, row: Row<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (header, rest) = sealed.split_at_checked(HEADER_LEN)?;
    if header[1..] != keys.id {
        return None;
    }
    match header[0] {
        WHOLE => decrypt(&keys.sealing, &row.bound_to_whole(), rest),
        ENVELOPE => {
            let (wrapped, body) = rest.split_at_checked(WRAPPED_LEN)?;
            let data_key = decrypt(&keys.wrapping, &row.bound_to(ENVELOPE, "key"), wrapped)?;
            decrypt(&cipher(&data_key).ok()?, &row.bound_to(ENVELOPE, "text"), body)
        }
        _ => None,
    }
}

/// The same secret under another master key; `None` where it does not open.
pub(super) fn rewrap(from: &Keys, to: &Keys, row: Row<'_>, sealed: &[u8]) -> Option<Result<Vec<u8>, Error>> {
    // Opened whole, and not its data key alone: what is damaged must come to light while the old key is still there.
    let text = open(from, row, sealed)?;
    if sealed[0] == WHOLE {
        return Some(seal(to, row, &text));
    }
    let (wrapped, body) = sealed[HEADER_LEN..].split_at_checked(WRAPPED_LEN)?;
    let data_key = decrypt(&from.wrapping, &row.bound_to(ENVELOPE, "key"), wrapped)?;
    Some(join(to, row, &data_key, body))
}

fn join(keys: &Keys, row: Row<'_>, data_key: &[u8], body: &[u8]) -> Result<Vec<u8>, Error> {
    let wrapped = encrypt(&keys.wrapping, &row.bound_to(ENVELOPE, "key"), data_key)?;
    Ok([&header(keys.id)[..], &wrapped, body].concat())
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&CHACHA20_POLY1305, key)
        .map(LessSafeKey::new)
        .map_err(|_| SEALING)
}

const SEALING: Error = Error::Crypto {
    action: "seal a secret",
};

/// A nonce, and what was encrypted with it.
fn encrypt(key: &LessSafeKey, bound_to: &[u8], text: &[u8]) -> Result<Vec<u8>, Error> {
    let nonce = random::<NONCE_LEN>()?;
    let mut body = Zeroizing::new(text.to_vec());
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(bound_to),
            &mut body,
        )
        .map_err(|_| SEALING)?;
    Ok([&nonce[..], &body, tag.as_ref()].concat())
}

fn decrypt(key: &LessSafeKey, bound_to: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(bound_to), &mut body)
        .ok()?
        .len();
    body.truncate(length);
    Some(body)
}

impl Row<'_> {
    fn bound_to_whole(self) -> Vec<u8> {
        bytes(WHOLE, &[self.owner, self.field])
    }

    fn bound_to(self, version: u8, part: &str) -> Vec<u8> {
        bytes(version, &[part, self.owner, self.field])
    }
}

fn bytes(version: u8, parts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![version];
    for part in parts {
        // Lengths keep the parts apart: `a` + `bc` is not `ab` + `c`.
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// Seals as it was done before envelopes.
#[cfg(test)]
pub(super) fn seal_whole(keys: &Keys, row: Row<'_>, text: &[u8]) -> Vec<u8> {
    let body = encrypt(&keys.sealing, &row.bound_to_whole(), text).unwrap();
    [&[WHOLE][..], &keys.id, &body].concat()
}
