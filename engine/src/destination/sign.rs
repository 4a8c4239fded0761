//! Signatures by the Standard Webhooks convention. Pure.
//!
//! The signed text is `id.timestamp.body`, over the very bytes that are sent. A receiver checks the signature, that
//! the timestamp is recent, and that it has not seen the id before.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use engine_api::Secret;
use jiff::Timestamp;
use ring::hmac;

/// The key of a receiver.
pub(super) struct SigningKey(hmac::Key);

/// The secret begins with `whsec_` and is no base64 after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the signing secret begins with `whsec_` and is not base64 after it: set it as the receiver shows it"
)]
pub(super) struct Malformed;

impl SigningKey {
    /// Reads a secret: base64 behind the prefix `whsec_`, or any text as it is.
    pub(super) fn new(secret: &Secret) -> Result<Self, Malformed> {
        let bytes = match secret.expose().strip_prefix("whsec_") {
            Some(encoded) => {
                let decoded = STANDARD
                    .decode(encoded)
                    .or_else(|_| STANDARD_NO_PAD.decode(encoded));
                zeroize::Zeroizing::new(decoded.map_err(|_| Malformed)?)
            }
            None => zeroize::Zeroizing::new(secret.expose().as_bytes().to_vec()),
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{}.", at.as_second()).as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_convention_is_met() {
        let key = SigningKey::new(&Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_decoded_only_where_its_prefix_says_so() {
        let at = Timestamp::UNIX_EPOCH;
        let sign = |secret: &str| {
            SigningKey::new(&Secret::from(secret))
                .unwrap()
                .sign("id", at, b"body")
        };
        assert_eq!(sign("whsec_YWJj"), sign("abc"));
        assert_eq!(sign("whsec_YWI"), sign("ab"));
        assert_ne!(sign("YWJj"), sign("abc"));
        assert_eq!(SigningKey::new(&Secret::from("whsec_???")).err(), Some(Malformed));
    }
}
