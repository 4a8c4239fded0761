//! The audit log, shown.

use axum::{Json as Answer, extract::State};
use engine_api::{AuditEntry, AuditQuery, Items};

use super::{Api, body::Query, failure::Failure, objects::page_length};

pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<Items<AuditEntry>>, Failure> {
    let limit = page_length(query.limit);
    let mut items = api.store.audit(&query, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items
        .last()
        .filter(|_| more)
        .map(|entry| entry.number.to_string());
    Ok(Answer(Items { items, next }))
}
