//! JSON Web Tokens, as far as a workload's identity needs them: read, and held against an issuer's keys.
//!
//! The cryptography is ring's, which is in the tree for TLS. The usual crate for these tokens brings either a second TLS
//! library's code or an RSA of its own, and judges their times by the system's clock and not by the engine's; what would
//! be left for it to do is to split a text at two dots.
//!
//! What a token says of itself is not believed: its `alg` must be the one of the key that the issuer published, and that
//! can be RS256 or ES256 and nothing else, so neither `none` nor a keyed hash with a public key is a signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// No issuer's token is longer.
const LONGEST: usize = 16 << 10;
/// So many keys of one issuer are looked at.
const MOST_KEYS: usize = 100;
/// The bytes of a coordinate on the curve P-256.
const COORDINATE: usize = 32;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(in super::super) enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
}

/// A token that was read and not verified.
#[derive(Debug)]
pub(in super::super) struct Unverified<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    pub(in super::super) key_id: Option<String>,
    pub(in super::super) claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    /// What must be understood and is not known here.
    crit: Option<Value>,
}

/// Reads a token; otherwise says what is wrong with it, without showing any of it.
pub(in super::super) fn read(text: &str) -> Result<Unverified<'_>, &'static str> {
    if text.len() > LONGEST {
        return Err("it is longer than 16 KiB");
    }
    let parts = text.rsplit_once('.').and_then(|(signed, signature)| {
        let (header, claims) = signed.split_once('.')?;
        Some((signed, header, claims, signature))
    });
    let Some((signed, header, claims, signature)) = parts else {
        return Err("it is not three parts between dots");
    };
    let decoded = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| "a part of it is not base64url")
    };
    let (header, claims, signature) = (decoded(header)?, decoded(claims)?, decoded(signature)?);
    let header: Header = serde_json::from_slice(&header)
        .map_err(|_| "its header cannot be read, or names another algorithm than RS256 and ES256")?;
    if header.crit.is_some() {
        return Err("its header demands an extension that is not known here");
    }
    Ok(Unverified {
        signed,
        signature,
        algorithm: header.alg,
        key_id: header.kid,
        claims: serde_json::from_slice(&claims).map_err(|_| "its claims are not a JSON object")?,
    })
}

impl Unverified<'_> {
    /// Whether one of an issuer's keys signed it.
    pub(in super::super) fn signed_by(&self, keys: &[Key]) -> bool {
        keys.iter().filter(|key| self.fits(key)).any(|key| {
            let message = self.signed.as_bytes();
            match &key.material {
                Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, message, &self.signature)
                    .is_ok(),
                Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, &self.signature)
                    .is_ok(),
            }
        })
    }

    /// Whether one of the keys is the one that it names.
    pub(in super::super) fn names_one_of(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.fits(key))
    }

    fn fits(&self, key: &Key) -> bool {
        let named = self.key_id.is_none() || key.id.is_none() || self.key_id == key.id;
        named && key.algorithm() == self.algorithm
    }
}

/// A public key of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
        }
    }

    /// Reads a JSON Web Key; `None` where it is for another purpose.
    fn of(written: WrittenKey) -> Option<Self> {
        let WrittenKey {
            kty,
            kid,
            usage,
            alg,
            crv,
            n,
            e,
            x,
            y,
        } = written;
        if usage.is_some_and(|usage| usage != "sig") {
            return None;
        }
        // An integer has no leading zeros, a coordinate has its whole length.
        let integer = |text: Option<String>| {
            let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        let coordinate = |text: Option<String>| {
            let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
            (bytes.len() == COORDINATE).then_some(bytes)
        };
        let (material, name) = match (kty.as_str(), crv.as_deref()) {
            ("RSA", _) => (
                Material::Rsa {
                    n: integer(n)?,
                    e: integer(e)?,
                },
                "RS256",
            ),
            ("EC", Some("P-256")) => {
                let point = [vec![4], coordinate(x)?, coordinate(y)?].concat();
                (Material::P256(point), "ES256")
            }
            _ => return None,
        };
        alg.is_none_or(|alg| alg == name)
            .then_some(Self { id: kid, material })
    }
}

#[derive(Deserialize)]
struct WrittenKeys {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads an issuer's keys; those of kinds that are not known here are passed over.
pub(in super::super) fn keys(body: &[u8]) -> Result<Vec<Key>, &'static str> {
    let written: WrittenKeys =
        serde_json::from_slice(body).map_err(|_| "its key set is not a JSON object with `keys`")?;
    let known: Vec<Key> = written
        .keys
        .into_iter()
        .take(MOST_KEYS)
        .filter_map(|key| serde_json::from_value(key).ok().and_then(Key::of))
        .collect();
    if known.is_empty() {
        return Err("its key set holds no key for RS256 or ES256");
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, body: Vec<u8>) {
            let _ = (read(&text), keys(&body));
            let _ = read(&format!("{text}.{text}.{text}"));
        }
    }

    #[test]
    fn what_is_no_token_is_told_without_showing_it() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let claims = part(r#"{"sub": "marker"}"#);
        for (header, what) in [
            (r#"{"alg": "none"}"#, "algorithm"),
            (r#"{"alg": "None"}"#, "algorithm"),
            (r#"{"alg": "HS256"}"#, "algorithm"),
            (r#"{"typ": "JWT"}"#, "algorithm"),
            (r#"{"alg": "RS256", "crit": ["b64"], "b64": false}"#, "extension"),
        ] {
            let error = read(&format!("{}.{claims}.{}", part(header), part("x"))).unwrap_err();
            assert!(error.contains(what), "{header}: {error}");
        }
        let good = part(r#"{"alg": "RS256", "kid": "1"}"#);
        for text in [
            String::new(),
            "a.b".to_owned(),
            format!("{good}.{claims}"),
            format!("{good}.{claims}.="),
            format!("{good}.{}.{}", part("[1]"), part("x")),
            format!("{good}.{claims}.{}", "A".repeat(LONGEST)),
        ] {
            let error = read(&text).unwrap_err();
            assert!(!error.contains("marker"), "{error}");
        }
        assert!(read(&format!("{good}.{claims}.")).is_ok_and(|token| !token.signed_by(&[])));
    }

    #[test]
    fn keys_for_other_purposes_are_passed_over() {
        let coordinate = URL_SAFE_NO_PAD.encode([1; 32]);
        let ec = |more: &str| {
            format!(r#"{{"kty": "EC", "crv": "P-256", "x": "{coordinate}", "y": "{coordinate}"{more}}}"#)
        };
        let set = |keys: &[String]| keys.join(",");
        let read = |list: String| keys(format!(r#"{{"keys": [{list}]}}"#).as_bytes());
        assert_eq!(
            read(set(&[ec(""), ec(r#", "kid": "a", "use": "sig""#)]))
                .unwrap()
                .len(),
            2
        );
        for other in [
            ec(r#", "use": "enc""#),
            ec(r#", "alg": "ES384""#),
            r#"{"kty": "oct", "k": "AAAA"}"#.to_owned(),
            r#"{"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}"#.to_owned(),
            r#"{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}"#.to_owned(),
            r#""no key""#.to_owned(),
        ] {
            assert!(read(other.clone()).is_err(), "{other}");
            assert_eq!(read(set(&[other, ec("")])).unwrap().len(), 1);
        }
        assert!(keys(b"[]").is_err());
    }
}
