//! Where the master key is: the engine's own file, a variable, or what systemd hands over.

use std::{ffi::OsString, path::Path};

use engine_api::Secret;

use super::{MasterKey, reader::Reader};

const KEY: &str = "vault.key";
const EXPECTED: &str = "must be `file:` and an absolute path, `env:` and the name of a variable, or `credential:` and the name of a systemd credential";

pub(super) fn read(reader: &mut Reader<'_>, variables: &[(OsString, OsString)]) -> Option<MasterKey> {
    let written = reader.text(KEY);
    if written.is_empty() {
        return reader.path("vault.key_file").map(MasterKey::File);
    }
    if reader.is_written("vault.key_file") {
        return reader.problem(
            KEY,
            "and `vault.key_file` cannot both be set: the master key is in one place",
        );
    }
    let variable = |name: &str| {
        variables
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    match written.split_once(':') {
        Some(("file", path)) if Path::new(path).is_absolute() => Some(MasterKey::File(path.into())),
        Some(("env", name)) if is_name(name) => {
            let value = variable(name).map(|value| value.to_string_lossy().into_owned());
            Some(MasterKey::Variable {
                name: name.to_owned(),
                value: Secret::from(value.unwrap_or_default()),
            })
        }
        // A name, never a path: it must not lead out of the directory.
        Some(("credential", name)) if is_name(name) && !name.starts_with('.') => {
            match variable("CREDENTIALS_DIRECTORY").map(Path::new) {
                Some(directory) if directory.is_absolute() => Some(MasterKey::Provided(directory.join(name))),
                _ => reader.problem(
                    KEY,
                    "names a systemd credential, and there is no CREDENTIALS_DIRECTORY: write `LoadCredential=` or `LoadCredentialEncrypted=` in the unit",
                ),
            }
        }
        _ => reader.problem(KEY, EXPECTED),
    }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.bytes().all(fits)
}
