//! The handlers of sources, destinations and alarm channels: one set for all.

use axum::{
    Extension, Json as Answer,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine_api::{
    Code, CompareAllRequest, CompareAllResult, CompareItem, CompareRequest, CompareResult, ComparedItem,
    Items, MOST_COMPARED, Secret, View,
};
use serde::Deserialize;

use super::{
    Api,
    access::{self, Caller},
    acting::Acting,
    body::{Json, Query, idempotency_key, if_match},
    declare,
    failure::Failure,
    resource::Resource,
};
use crate::store::catalog::{Created, Idempotency, Object};

const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 500;

/// Which objects to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    name: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list<S: Resource>(
    State(api): State<Api>,
    Query(query): Query<ListQuery>,
) -> Result<Answer<Items<View<S>>>, Failure> {
    let limit = page_length(query.limit);
    let (name, after) = (query.name.as_deref(), query.after.as_deref());
    let mut objects = api.store.objects(S::KIND, name, after, limit + 1).await?;
    let more = objects.len() > limit as usize;
    objects.truncate(limit as usize);
    let next = objects.last().filter(|_| more).map(|object| object.id.clone());
    let mut items = Vec::with_capacity(objects.len());
    for object in objects {
        items.push(declare::view(&api, object).await?);
    }
    Ok(Answer(Items { items, next }))
}

/// How many items a page has.
pub(super) fn page_length(wanted: Option<u32>) -> u32 {
    wanted.unwrap_or(PAGE).clamp(1, LONGEST_PAGE)
}

pub(super) async fn create<S: Resource>(
    Acting(api): Acting,
    headers: HeaderMap,
    body: Json<S>,
) -> Result<Response, Failure> {
    let idempotency = idempotency_key(&headers)?.map(|key| {
        // Keyed, since the body may hold a secret that could be guessed from a plain digest.
        let text = Secret::from(String::from_utf8_lossy(&body.bytes).into_owned());
        let digest = api
            .vault
            .fingerprint("idempotency", &[(key.as_str(), &text)])
            .into_bytes();
        Idempotency { key, digest }
    });
    let (status, object) = match declare::create(&api, &body.value, idempotency.as_ref()).await? {
        Created::New(object) => (StatusCode::CREATED, object),
        Created::Before(object) => (StatusCode::OK, object),
    };
    let location = format!("/v1/{}/{}", S::KIND.path(), object.id);
    let mut response = shown::<S>(&api, status, object).await?;
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn get<S: Resource>(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let object = api.store.object(S::KIND, &id).await?;
    let object = object.ok_or_else(|| Failure::absent(S::KIND))?;
    shown::<S>(&api, StatusCode::OK, object).await
}

pub(super) async fn replace<S: Resource>(
    Acting(api): Acting,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Json<S>,
) -> Result<Response, Failure> {
    let expected = if_match(&headers)?;
    let object = declare::replace(&api, &id, &body.value, expected.as_deref()).await?;
    shown::<S>(&api, StatusCode::OK, object).await
}

pub(super) async fn remove<S: Resource>(
    Acting(api): Acting,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    let expected = if_match(&headers)?;
    declare::remove::<S>(&api, &id, expected.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn compare<S: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Json<CompareRequest>,
) -> Result<Answer<CompareResult>, Failure> {
    access::may_guess(&api, &caller, &id)?;
    let compared = declare::compare::<S>(&api, &id, &body.value.secrets).await?;
    let compared = compared.ok_or_else(|| Failure::absent(S::KIND))?;
    note_guesses(&api, &caller, &id, &compared);
    Ok(Answer(compared))
}

/// The same of several objects. One that is absent, or of which too many wrong secrets were tried, has no answer here;
/// asked for by itself, it has the reason.
pub(super) async fn compare_all<S: Resource>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Json<CompareAllRequest>,
) -> Result<Answer<CompareAllResult>, Failure> {
    let asked = body.value.items;
    if asked.len() > MOST_COMPARED {
        let detail = format!(
            "{} objects are more than the {MOST_COMPARED} that one request compares: send several requests",
            asked.len()
        );
        return Err(Failure::at(Code::MalformedBody, "items", detail));
    }
    let mut items = Vec::with_capacity(asked.len());
    for CompareItem { id, secrets } in asked {
        let result = if access::may_guess(&api, &caller, &id).is_ok() {
            declare::compare::<S>(&api, &id, &secrets).await?
        } else {
            None
        };
        if let Some(compared) = &result {
            note_guesses(&api, &caller, &id, compared);
        }
        items.push(ComparedItem { id, result });
    }
    Ok(Answer(CompareAllResult { items }))
}

fn note_guesses(api: &Api, caller: &Caller, id: &str, compared: &CompareResult) {
    for _ in compared.matches.values().filter(|equal| !**equal) {
        access::note_guess(api, caller, id);
    }
}

async fn shown<S: Resource>(api: &Api, status: StatusCode, object: Object) -> Result<Response, Failure> {
    let etag = HeaderValue::from_str(&format!("\"{}\"", object.generation))
        .map_err(|error| Failure::internal(error.to_string()))?;
    let view: View<S> = declare::view(api, object).await?;
    Ok((status, [(header::ETAG, etag)], Answer(view)).into_response())
}
