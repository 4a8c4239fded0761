//! Facts about the installation itself.

use super::{Error, Store, sql};

const ENGINE_ID: &str = "engine_id";
pub(super) const KEY_CHECK: &str = "vault_key_check";

impl Store {
    /// The installation's id: `candidate` where the store is new, what it already has otherwise.
    pub async fn engine_id(&self, candidate: &str) -> Result<String, Error> {
        let id = self.keep(ENGINE_ID, candidate.as_bytes()).await?;
        String::from_utf8(id).map_err(|_| Error::Damaged("the engine's id is not a text".to_owned()))
    }

    /// Remembers the check value of the vault's key; answers the one that is kept.
    pub async fn keep_key_check(&self, check: &[u8]) -> Result<Vec<u8>, Error> {
        self.keep(KEY_CHECK, check).await
    }

    async fn keep(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
        let mut write = self.durable().await?;
        sql::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .bind(key)
            .bind(value)
            .execute(&mut *write)
            .await?;
        let kept = sql::query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(key)
            .fetch_one(&mut *write)
            .await?;
        write.commit().await?;
        Ok(kept)
    }
}
