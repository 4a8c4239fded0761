//! Dead letters: seen, and sent again.

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use engine_api::{
    Code, DeadLetterId, DeadLetterView, DestinationId, Items, ReplayRequest, ReplayResult, SourceId,
};
use serde::Deserialize;
use tracing::info;

use super::{
    Api,
    acting::Acting,
    body::{Json, Query},
    failure::Failure,
    objects::page_length,
};

/// Which dead letters to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    destination_id: Option<DestinationId>,
    source_id: Option<SourceId>,
    after: Option<DeadLetterId>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<ListQuery>,
) -> Result<Answer<Items<DeadLetterView>>, Failure> {
    let limit = page_length(query.limit);
    let of = ReplayRequest {
        destination_id: query.destination_id,
        source_id: query.source_id,
    };
    let mut items = api
        .store
        .dead_letters(&of, query.after.as_ref(), limit + 1)
        .await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|letter| letter.id.to_string());
    Ok(Answer(Items { items, next }))
}

pub(super) async fn replay(
    Acting(api): Acting,
    body: Json<ReplayRequest>,
) -> Result<Answer<ReplayResult>, Failure> {
    let queued = api.store.queue_replay(&body.value).await?;
    info!(queued, "dead letters queued to be sent again");
    (api.wake)();
    Ok(Answer(ReplayResult { queued }))
}

pub(super) async fn replay_one(
    Acting(api): Acting,
    Path(id): Path<String>,
) -> Result<Answer<ReplayResult>, Failure> {
    let queued = match id.parse::<DeadLetterId>() {
        Ok(id) => api.store.queue_replay_of(&id).await?,
        // What is no id at all is the id of nothing.
        Err(_) => false,
    };
    if !queued {
        let detail =
            "no dead letter has this id: it was accepted meanwhile, or its source or destination was deleted";
        return Err(Failure::new(Code::NotFound, detail));
    }
    info!(id, "dead letter queued to be sent again");
    (api.wake)();
    Ok(Answer(ReplayResult { queued: 1 }))
}
