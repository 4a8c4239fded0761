//! Tokens of the API: the admin token in its file, and those that the engine makes.
//!
//! A token that the engine makes is `zle_`, its id, `_`, and 256 random bits. What is kept of it is a plain SHA-256: a
//! slow or salted hash protects what people choose and others can guess, and nobody guesses 256 random bits. The hash
//! does not depend on the vault's key either, so tokens outlive a rotation of that key.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use engine_api::{Secret, TokenId};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::{Error, Vault, file, random};

/// What a made token begins with, so that secret scanners and people recognise it.
const PREFIX: &str = "zle_";
/// 256 bits in base64.
const RANDOM_LENGTH: usize = 43;
/// Shorter than this can be guessed over the network.
const MIN_LENGTH: usize = 16;
const EXPECTED: &str = "an admin token (at least 16 printable ASCII characters on one line)";

/// The admin token and how it came about.
#[derive(Debug)]
pub struct AdminToken {
    /// The token.
    pub token: Secret,
    /// Whether it was made just now.
    pub created: bool,
}

/// Reads the admin token from its file, and makes file and token where there is none.
///
/// # Errors
///
/// Where the file holds something else, or can be neither read nor made.
pub fn admin_token(path: &Path) -> Result<AdminToken, Error> {
    if let Some(bytes) = file::read(path)? {
        return parse(path, &bytes).map(|token| AdminToken {
            token,
            created: false,
        });
    }
    let bytes = Zeroizing::new(random::<32>()?);
    let token = Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())));
    let created = file::create(path, format!("{}\n", token.as_str()).as_bytes())?;
    match file::read(path)? {
        Some(bytes) => parse(path, &bytes).map(|token| AdminToken { token, created }),
        None => Err(Error::file("read", path, std::io::ErrorKind::NotFound.into())),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Secret, Error> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    if text.len() < MIN_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Malformed {
            path: path.to_owned(),
            expected: EXPECTED,
        });
    }
    Ok(Secret::from(text))
}

/// A token that was made just now.
#[derive(Debug)]
pub struct Minted {
    /// What its holder sends.
    pub text: Secret,
    /// What is kept of it.
    pub digest: Vec<u8>,
}

/// Makes the text of a token with this id.
///
/// # Errors
///
/// [`Error::Crypto`] where the system has no random numbers to give.
pub fn mint_token(id: &TokenId) -> Result<Minted, Error> {
    let bytes = Zeroizing::new(random::<32>()?);
    let name = id.as_str().trim_start_matches(TokenId::PREFIX);
    let random = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    let text = Secret::from(format!("{PREFIX}{name}_{}", random.as_str()));
    Ok(Minted {
        digest: digest_of(&text).as_ref().to_vec(),
        text,
    })
}

/// The id that the text of a token names, where it has the form of one that the engine made.
pub fn token_id(text: &Secret) -> Option<TokenId> {
    let rest = text.expose().strip_prefix(PREFIX)?;
    let (id, random) = rest.split_once('_')?;
    let id = format!("{}{id}", TokenId::PREFIX).parse().ok()?;
    (random.len() == RANDOM_LENGTH).then_some(id)
}

impl Vault {
    /// Whether a text is the one of this digest, in a time that tells nothing about where they differ.
    pub fn is_token(&self, text: &Secret, kept: &[u8]) -> bool {
        let kept = hmac::sign(&self.fingerprint, kept);
        hmac::verify(&self.fingerprint, digest_of(text).as_ref(), kept.as_ref()).is_ok()
    }
}

fn digest_of(text: &Secret) -> digest::Digest {
    digest::digest(&digest::SHA256, text.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Held, KeyFrom, Options};

    #[test]
    fn a_made_token_names_itself_and_only_its_own_text_fits() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            key: KeyFrom::File(dir.path().join("vault.key")),
            ref_dirs: Vec::new(),
            ref_env_prefixes: Vec::new(),
        };
        let vault = Vault::load(options, Held::Nothing).unwrap();
        let id = TokenId::from_bytes([7; 16]);
        let minted = mint_token(&id).unwrap();
        assert_eq!(token_id(&minted.text), Some(id.clone()));
        assert!(vault.is_token(&minted.text, &minted.digest));
        let other = mint_token(&id).unwrap();
        assert!(!vault.is_token(&other.text, &minted.digest));
        for text in [
            "",
            "zle_",
            "zle_x_y",
            "zle_00000000000000000000000007_short",
            "tok_x",
        ] {
            assert_eq!(token_id(&Secret::from(text)), None, "{text}");
        }
        let made = admin_token(&dir.path().join("admin-token")).unwrap();
        assert_eq!(token_id(&made.token), None, "the admin token has another form");
    }

    #[test]
    fn a_token_is_made_once_and_read_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin-token");
        let made = admin_token(&path).unwrap();
        assert!(made.created && made.token.expose().starts_with(PREFIX));
        assert_eq!(made.token.expose().len(), PREFIX.len() + 43);
        let read = admin_token(&path).unwrap();
        assert!(!read.created);
        assert_eq!(read.token.expose(), made.token.expose());
    }

    #[test]
    fn a_file_that_holds_no_token_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin-token");
        for text in [
            "",
            "short",
            "with a space in it, though long",
            "\u{fc}ber-lang-genug-aber-kein-ascii",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = admin_token(&path).unwrap_err().to_string();
            assert!(
                error.contains("admin-token") && error.contains("16 printable"),
                "{error}"
            );
        }
        std::fs::write(&path, "chosen-by-the-operator\n").unwrap();
        assert_eq!(
            admin_token(&path).unwrap().token.expose(),
            "chosen-by-the-operator"
        );
    }
}
