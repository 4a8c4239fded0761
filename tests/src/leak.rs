//! The search for secrets where none may be: in files, in archives, in text.

use std::{fmt::Write as _, fs, io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use flate2::read::{DeflateDecoder, GzDecoder};

use crate::binaries::files;

/// Secrets to look for, plain and in the disguises that would still give them away.
#[derive(Debug, Clone)]
pub struct Hunt {
    needles: Vec<(String, Vec<u8>)>,
}

impl Hunt {
    /// Prepares a search; each secret is named in findings by its label, never by itself.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut needles = Vec::new();
        for (label, secret) in secrets {
            needles.push((label.to_owned(), secret.as_bytes().to_vec()));
            needles.push((
                format!("{label}, in hexadecimal"),
                hexadecimal(secret).into_bytes(),
            ));
            // In the middle of a longer text, base64 shows one of three forms; their edges depend on what is around.
            for shift in 0..3 {
                let padded = [&vec![0; shift], secret.as_bytes()].concat();
                let encoded = STANDARD_NO_PAD.encode(padded);
                let inner = encoded
                    .get(4..encoded.len().saturating_sub(4))
                    .unwrap_or_default();
                if inner.len() >= 8 {
                    needles.push((format!("{label}, in base64"), inner.as_bytes().to_vec()));
                }
            }
        }
        Self { needles }
    }

    /// Returns what is found in some bytes, and in what is compressed in them.
    pub fn in_bytes(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for (label, needle) in &self.needles {
            if contains(bytes, needle) {
                found.push(format!("{place} holds {label}"));
            }
        }
        if bytes.starts_with(b"PK\x03\x04") {
            for (name, content) in unzip(bytes) {
                found.extend(self.in_bytes(&format!("{place}:{name}"), &content));
            }
        }
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut content = Vec::new();
            if GzDecoder::new(bytes).read_to_end(&mut content).is_ok() {
                found.extend(self.in_bytes(&format!("{place}, unpacked"), &content));
            }
        }
        found
    }

    /// Returns what is found in the files of a directory, those that `allowed` names by relative path apart.
    pub fn in_directory(&self, directory: &Path, allowed: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for path in files(directory) {
            let relative = path.strip_prefix(directory).unwrap_or(&path);
            if allowed.iter().any(|name| relative == Path::new(name)) {
                continue;
            }
            if let Ok(bytes) = fs::read(&path) {
                found.extend(self.in_bytes(&path.to_string_lossy(), &bytes));
            }
        }
        found
    }
}

fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Reads the entries of a zip archive, as far as its central directory names them.
///
/// Only what Terraform writes is understood: entries that are stored or deflated, without encryption.
pub fn unzip(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut entries = Vec::new();
    let mut at = 0;
    // Entries of the central directory begin with a signature of their own; they alone have sizes that can be relied on.
    while let Some(found) = archive[at..]
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
    {
        let entry = at + found;
        let Some(read) = read_entry(archive, entry) else {
            break;
        };
        entries.push(read);
        at = entry + 46;
    }
    entries
}

fn read_entry(archive: &[u8], entry: usize) -> Option<(String, Vec<u8>)> {
    let short = |at: usize| {
        Some(usize::from(u16::from_le_bytes(
            archive.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    let long =
        |at: usize| usize::try_from(u32::from_le_bytes(archive.get(at..at + 4)?.try_into().ok()?)).ok();
    let (method, packed, name_len) = (short(entry + 10)?, long(entry + 20)?, short(entry + 28)?);
    let name = String::from_utf8_lossy(archive.get(entry + 46..entry + 46 + name_len)?).into_owned();
    let local = long(entry + 42)?;
    let start = local + 30 + short(local + 26)? + short(local + 28)?;
    let content = archive.get(start..start + packed)?;
    if method == 0 {
        return Some((name, content.to_vec()));
    }
    let mut plain = Vec::new();
    DeflateDecoder::new(content).read_to_end(&mut plain).ok()?;
    Some((name, plain))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder},
    };

    use super::{Hunt, hexadecimal, unzip};

    const SECRET: &str = "marker-7Qx2-secret";

    fn zip(name: &str, content: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let (name_len, len) = (
            u16::try_from(name.len()).unwrap(),
            u32::try_from(packed.len()).unwrap(),
        );
        let mut archive = b"PK\x03\x04".to_vec();
        archive.extend([20, 0, 8, 0, 8, 0]);
        archive.extend([0; 16]);
        archive.extend(name_len.to_le_bytes());
        archive.extend([0; 2]);
        archive.extend(name.as_bytes());
        archive.extend(packed);
        archive.extend(b"PK\x01\x02");
        archive.extend([20, 0, 20, 0, 8, 0, 8, 0]);
        archive.extend([0; 8]);
        archive.extend(len.to_le_bytes());
        archive.extend([0; 4]);
        archive.extend(name_len.to_le_bytes());
        archive.extend([0; 16]);
        archive.extend(name.as_bytes());
        archive
    }

    #[test]
    fn a_secret_is_found_plain_encoded_and_packed_and_never_named() {
        let hunt = Hunt::new([("the client secret", SECRET)]);
        assert!(hunt.in_bytes("x", b"nothing to see").is_empty());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(SECRET.as_bytes()).unwrap();
        let places = [
            format!("a {SECRET} b").into_bytes(),
            STANDARD.encode(format!("cid:{SECRET}")).into_bytes(),
            STANDARD.encode(format!("ab:{SECRET}!")).into_bytes(),
            STANDARD.encode(format!("q:{SECRET}??")).into_bytes(),
            hexadecimal(SECRET).into_bytes(),
            zip("tfstate", SECRET.as_bytes()),
            gzip.finish().unwrap(),
        ];
        for place in places {
            let found = hunt.in_bytes("here", &place);
            assert!(!found.is_empty(), "{place:?}");
            assert!(found.iter().all(|finding| !finding.contains(SECRET)), "{found:?}");
        }
    }

    #[test]
    fn an_archive_is_read_by_its_directory() {
        assert_eq!(
            unzip(&zip("tfplan", b"content")),
            [("tfplan".to_owned(), b"content".to_vec())]
        );
        assert!(unzip(b"PK\x01\x02 too short").is_empty());
    }

    #[test]
    fn a_directory_is_searched_but_for_what_is_allowed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        std::fs::write(directory.path().join("sub/state"), SECRET).unwrap();
        std::fs::write(directory.path().join("key"), SECRET).unwrap();
        let hunt = Hunt::new([("it", SECRET)]);
        assert_eq!(hunt.in_directory(directory.path(), &["key"]).len(), 1);
        assert_eq!(
            hunt.in_directory(directory.path(), &["key", "sub/state"]).len(),
            0
        );
    }
}
