//! What can go wrong with the store, named by what the caller must do.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used now: try again later.
    #[error("the database cannot be used")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused a state that must not be; the text is the broken rule's name.
    #[error("the database refused the change: {0}")]
    Refused(String),
    /// What is stored cannot be read: it was damaged, or written by a newer version.
    #[error("what is stored cannot be read: {0}")]
    Damaged(String),
    /// A secret was sealed with a master key that another one has replaced since: seal it again.
    #[error("the secret was sealed with a master key that has been replaced since")]
    KeyRetired,
    /// The store cannot be opened; the text says why and what to do.
    #[error("{0}")]
    Open(String),
}

/// The lease was lost: somebody else claimed it since. Not a failure; drop what was done and start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease was lost to another worker")]
pub struct Fenced;

/// Names what could not be read.
pub(super) fn damaged<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Damaged(format!("{what}: {error}"))
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal)
                if refusal.is_check_violation() || refusal.is_unique_violation() =>
            {
                Self::Refused(refusal.message().to_owned())
            }
            sqlx::Error::Database(refusal) if refusal.message().contains("never_moves_back") => {
                Self::Refused(refusal.message().to_owned())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Unavailable(error),
        }
    }
}

impl Error {
    /// The whole chain of causes in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        text
    }
}
