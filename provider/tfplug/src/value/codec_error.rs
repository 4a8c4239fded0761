//! What the codecs say when a value cannot be read or written.

use crate::path::Path;

/// Why a value could not be read or written, and where. It never holds any part of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", place(path))]
pub struct CodecError {
    /// The place in the value.
    pub path: Path,
    /// What is wrong there.
    pub reason: String,
}

impl CodecError {
    pub(crate) fn at(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.clone(),
            reason: reason.into(),
        }
    }
}

fn place(path: &Path) -> String {
    if path.steps().is_empty() {
        String::new()
    } else {
        format!("at {path}: ")
    }
}
