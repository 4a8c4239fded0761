//! Whether a master key may still seal: whoever stores a secret asks here, in the transaction that stores it.

use super::{
    Error,
    meta::KEY_CHECK,
    sql::{self, Connection},
};

/// The check value of the key that is taking the active one's place.
pub(super) const NEXT: &str = "vault_key_next";
/// The characters of a check value that name the key in a sealed secret, and the bytes that they stand for.
const NAME: std::ops::Range<usize> = 1..5;

/// Whether a secret's master key may still seal, asked in the transaction that stores it.
///
/// # Errors
///
/// [`Error::KeyRetired`] where another key has taken its place: seal again.
pub(super) async fn may_seal(write: &mut Connection, sealed: &[u8]) -> Result<(), Error> {
    let name = hex(sealed.get(NAME).unwrap_or_default());
    let taken =
        sql::query("UPDATE meta SET value = value WHERE key IN ($1, $2) AND substr(value, 1, 8) = $3")
            .bind(KEY_CHECK)
            .bind(NEXT)
            .bind(name.as_bytes())
            .execute(&mut *write)
            .await?
            .rows_affected();
    if taken > 0 {
        return Ok(());
    }
    let known: Option<Vec<u8>> = sql::query_scalar("SELECT value FROM meta WHERE key = $1")
        .bind(KEY_CHECK)
        .fetch_optional(&mut *write)
        .await?;
    known.map_or(Ok(()), |_| Err(Error::KeyRetired))
}

/// The four bytes that name a key, as the start of its check value has them; nothing for anything else.
pub(super) fn hex(name: &[u8]) -> String {
    <[u8; 4]>::try_from(name).map_or_else(
        |_| String::new(),
        |name| format!("{:08x}", u32::from_be_bytes(name)),
    )
}
