//! The admin token: what Terraform authenticates with until other tokens are made.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use engine_api::Secret;
use zeroize::Zeroizing;

use super::{Error, file, random};

/// What a made token begins with, so that secret scanners and people recognise it.
const PREFIX: &str = "zle_";
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

#[cfg(test)]
mod tests {
    use super::*;

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
