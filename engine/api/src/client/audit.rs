//! Calls about the audit log.

use reqwest::Method;

use super::{Client, Error, Tries};
use crate::{AuditEntry, AuditQuery, Items};

impl Client {
    /// One page of the audit log, newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Items<AuditEntry>, Error> {
        let pairs = [
            ("target", query.target.clone()),
            ("token_id", query.token_id.as_ref().map(ToString::to_string)),
            ("action", query.action.clone()),
            ("since", query.since.map(|since| since.to_string())),
            ("until", query.until.map(|until| until.to_string())),
            ("after", query.after.map(|after| after.to_string())),
            ("limit", query.limit.map(|limit| limit.to_string())),
        ];
        let given = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(given)
            .finish();
        let path = format!("/v1/audit?{query}");
        self.json(Method::GET, &path, &[], None, Tries::Several).await
    }
}
