//! Backfills of a source: asked for, looked at, ended.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};
use engine_api::{BackfillId, BackfillRequest, BackfillView, Code, Items, Kind, SourceId, SourceSpec};
use serde::Deserialize;
use tracing::info;

use super::{
    Api,
    acting::Acting,
    body::{Json, Query},
    failure::{Breach, Failure},
    objects::page_length,
    stored,
};
use crate::{
    model::{Day, Window},
    store::backfills::Cancelled,
};

/// Which page of a source's backfills.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    after: Option<BackfillId>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Answer<Items<BackfillView>>, Failure> {
    let (source, _) = source(&api, &id).await?;
    let limit = page_length(query.limit);
    let mut items = api
        .store
        .backfills(&source, query.after.as_ref(), limit + 1)
        .await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items
        .last()
        .filter(|_| more)
        .map(|backfill| backfill.id.to_string());
    Ok(Answer(Items { items, next }))
}

pub(super) async fn create(
    Acting(api): Acting,
    Path(id): Path<String>,
    body: Json<BackfillRequest>,
) -> Result<Response, Failure> {
    let (source, spec) = source(&api, &id).await?;
    let request = body.value;
    let violations = request.validate(api.clock.now());
    let mut breaches: Vec<_> = violations.into_iter().map(Breach::from).collect();
    let wanted = request.log_types.as_ref().unwrap_or(&spec.log_types);
    if let Some(other) = wanted.iter().find(|wanted| !spec.log_types.contains(wanted)) {
        let why =
            format!("names `{other}`, which the source does not collect: add it to the source's `log_types`");
        breaches.push(Breach::new(Code::InvalidSpec, "log_types", why));
    }
    Failure::all(breaches)?;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(error.to_string()))?;
    let backfill = BackfillId::from_bytes(bytes);
    let log_types: Vec<_> = wanted.iter().copied().collect();
    let days = Window::new(Day::from_date(request.from), Day::from_date(request.to));
    if !api
        .store
        .add_backfill(&backfill, &source, &log_types, days)
        .await?
    {
        let detail = "the source is switched off, so nothing is collected: set `enabled = true`";
        return Err(Failure::at(Code::InvalidSpec, "enabled", detail));
    }
    info!(source = id, backfill = %backfill, %days, "backfill asked for");
    (api.wake)();
    let view = shown(&api, &source, &backfill).await?;
    let mut headers = HeaderMap::new();
    let path = format!("/v1/sources/{source}/backfills/{backfill}");
    headers.extend(HeaderValue::try_from(path).ok().map(|path| (LOCATION, path)));
    Ok((StatusCode::CREATED, headers, Answer(view)).into_response())
}

pub(super) async fn get(
    State(api): State<Api>,
    Path((id, backfill)): Path<(String, String)>,
) -> Result<Answer<BackfillView>, Failure> {
    let (source, _) = source(&api, &id).await?;
    let backfill = backfill.parse().map_err(|_| absent())?;
    shown(&api, &source, &backfill).await.map(Answer)
}

pub(super) async fn cancel(
    Acting(api): Acting,
    Path((id, backfill)): Path<(String, String)>,
) -> Result<Answer<BackfillView>, Failure> {
    let (source, _) = source(&api, &id).await?;
    let backfill = backfill.parse().map_err(|_| absent())?;
    match api.store.cancel_backfill(&source, &backfill).await? {
        Cancelled::Unknown => return Err(absent()),
        Cancelled::Now => info!(source = id, %backfill, "backfill cancelled"),
        Cancelled::Before => {}
    }
    shown(&api, &source, &backfill).await.map(Answer)
}

async fn source(api: &Api, id: &str) -> Result<(SourceId, SourceSpec), Failure> {
    let object = api.store.object(Kind::Source, id).await?;
    let object = object.ok_or_else(|| Failure::absent(Kind::Source))?;
    let source = id.parse().map_err(|_| Failure::absent(Kind::Source))?;
    Ok((source, stored::spec(&object)?))
}

async fn shown(api: &Api, source: &SourceId, id: &BackfillId) -> Result<BackfillView, Failure> {
    api.store.backfill(source, id).await?.ok_or_else(absent)
}

fn absent() -> Failure {
    let detail = "the source has no backfill with this id: it ended more than 90 days ago, or never was";
    Failure::new(Code::NotFound, detail)
}
