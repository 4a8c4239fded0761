//! The door under `/_sim`: everything that [`World`] can be told, as JSON over HTTP.
//!
//! | request | does |
//! |---|---|
//! | `GET /_sim` | health and Zoom's time |
//! | `PUT /_sim/accounts/{account}` | creates it, or changes the given parts of its behaviour |
//! | `PUT /_sim/accounts/{account}/apps/{client}` | creates an app, or changes the given parts of it |
//! | `POST /_sim/accounts/{account}/spend` | `{requests}`: uses up the day's budget as another app would |
//! | `PUT`, `DELETE /_sim/accounts/{account}/traffic` | starts and stops live rows |
//! | `GET`, `POST /_sim/accounts/{account}/{report}/rows` | the ledger as NDJSON; adds rows as they are written |
//! | `POST /_sim/accounts/{account}/{report}/generate` | adds a history |
//! | `PUT /_sim/accounts/{account}/{report}/drip` | rows between the pages of a read; `null` stops it |
//! | `GET /_sim/accounts/{account}/{report}/summary` | rows, distinct rows, bytes |
//! | `GET`, `POST`, `DELETE /_sim/faults` | faults in force; adds one; removes all |
//! | `GET`, `PATCH /_sim/clock` | `{set}`, `{advance_secs}`, `{standing}` |
//! | `POST /_sim/revoke` | `{client_id}` or all: voids access tokens |
//! | `POST /_sim/void-page-tokens` | voids every page token |
//! | `GET`, `DELETE /_sim/counters` | counts, and the day's use by account; starts over |
//! | `GET /_sim/recent` | the latest requests |

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State as Shared},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    account::{App, Behaviour},
    fault::FaultRule,
    generate::Bulk,
    rows::{Report, Row},
    traffic::Traffic,
    world::{Drip, World},
};

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/_sim", get(health))
        .route("/_sim/accounts/{account}", put(put_account))
        .route("/_sim/accounts/{account}/apps/{client}", put(put_app))
        .route("/_sim/accounts/{account}/spend", post(spend))
        .route(
            "/_sim/accounts/{account}/traffic",
            put(start_traffic).delete(stop_traffic),
        )
        .route(
            "/_sim/accounts/{account}/{report}/rows",
            get(ledger).post(add_rows),
        )
        .route("/_sim/accounts/{account}/{report}/generate", post(generate))
        .route("/_sim/accounts/{account}/{report}/drip", put(drip))
        .route("/_sim/accounts/{account}/{report}/summary", get(summary))
        .route("/_sim/faults", get(faults).post(inject).delete(clear_faults))
        .route("/_sim/clock", get(health).patch(move_clock))
        .route("/_sim/revoke", post(revoke))
        .route("/_sim/void-page-tokens", post(void_page_tokens))
        .route("/_sim/counters", get(counters).delete(forget_counters))
        .route("/_sim/recent", get(recent))
        .layer(DefaultBodyLimit::disable())
}

type Zoom = Shared<Arc<World>>;

/// Why a control request was refused.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn bad(why: impl std::fmt::Display) -> Refused {
    Refused(StatusCode::BAD_REQUEST, why.to_string())
}

fn known(account: &str, found: bool) -> Result<(), Refused> {
    if found {
        Ok(())
    } else {
        Err(Refused(StatusCode::NOT_FOUND, format!("no account {account}")))
    }
}

async fn health(Shared(world): Zoom) -> Json<Value> {
    Json(json!({ "ok": true, "now": world.clock.now() }))
}

/// Puts the given members over what is there; unknown members are refused by the type itself.
fn merge<T: Serialize + DeserializeOwned>(old: &T, changes: Map<String, Value>) -> Result<T, Refused> {
    let mut whole = serde_json::to_value(old).map_err(bad)?;
    if let Value::Object(members) = &mut whole {
        members.extend(changes);
    }
    serde_json::from_value(whole).map_err(bad)
}

async fn put_account(
    Shared(world): Zoom,
    Path(account): Path<String>,
    Json(changes): Json<Map<String, Value>>,
) -> Result<Json<Behaviour>, Refused> {
    let old = world
        .state()
        .accounts
        .get(&account)
        .map(|found| found.behaviour.clone())
        .unwrap_or_default();
    let behaviour = merge(&old, changes)?;
    world.put_account(&account, behaviour.clone());
    Ok(Json(behaviour))
}

async fn put_app(
    Shared(world): Zoom,
    Path((account, client)): Path<(String, String)>,
    Json(changes): Json<Map<String, Value>>,
) -> Result<StatusCode, Refused> {
    let old = world
        .state()
        .apps
        .get(&client)
        .cloned()
        .unwrap_or_else(|| App::new(&account, &client, ""));
    let app: App = merge(&old, changes)?;
    if app.client_secret.is_empty() || app.client_id != client || app.account_id != account {
        return Err(bad("an app needs a client_secret, and the ids that its path has"));
    }
    known(&account, world.state().accounts.contains_key(&account))?;
    world.put_app(app);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Spend {
    requests: u64,
}

async fn spend(
    Shared(world): Zoom,
    Path(account): Path<String>,
    Json(spend): Json<Spend>,
) -> Result<StatusCode, Refused> {
    known(&account, world.spend_elsewhere(&account, spend.requests))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn start_traffic(
    Shared(world): Zoom,
    Path(account): Path<String>,
    Json(traffic): Json<Traffic>,
) -> Result<StatusCode, Refused> {
    known(&account, world.start_traffic(&account, traffic))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stop_traffic(Shared(world): Zoom, Path(account): Path<String>) -> Json<Value> {
    Json(json!({ "was_running": world.stop_traffic(&account) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRows {
    rows: Vec<NewRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRow {
    /// The row; its text is kept to the byte.
    row: Box<RawValue>,
    /// Where it is listed; without it at its own time, or now where that cannot be read.
    at: Option<Timestamp>,
    #[serde(default = "one")]
    copies: usize,
}

fn one() -> usize {
    1
}

async fn add_rows(
    Shared(world): Zoom,
    Path((account, report)): Path<(String, Report)>,
    Json(new): Json<NewRows>,
) -> Result<Json<Value>, Refused> {
    let now = world.clock.now();
    let mut rows = Vec::new();
    for new in new.rows {
        let row = Row::from_text(new.row.get(), new.at, now).map_err(bad)?;
        rows.extend(std::iter::repeat_n(row, new.copies));
    }
    known(&account, world.state().accounts.contains_key(&account))?;
    Ok(Json(json!({ "added": world.add_rows(&account, report, rows) })))
}

async fn generate(
    Shared(world): Zoom,
    Path((account, report)): Path<(String, Report)>,
    Json(bulk): Json<Bulk>,
) -> Result<Json<Value>, Refused> {
    known(&account, world.state().accounts.contains_key(&account))?;
    Ok(Json(json!({ "added": world.generate(&account, report, bulk) })))
}

async fn drip(
    Shared(world): Zoom,
    Path((account, report)): Path<(String, Report)>,
    Json(drip): Json<Option<Drip>>,
) -> Result<StatusCode, Refused> {
    known(&account, world.drip(&account, report, drip))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ledger(
    Shared(world): Zoom,
    Path((account, report)): Path<(String, Report)>,
) -> Result<Response, Refused> {
    known(&account, world.state().accounts.contains_key(&account))?;
    let mut body = Vec::new();
    world.each_row(&account, report, |row| {
        body.extend_from_slice(row);
        body.push(b'\n');
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

async fn summary(
    Shared(world): Zoom,
    Path((account, report)): Path<(String, Report)>,
) -> Result<Response, Refused> {
    known(&account, world.state().accounts.contains_key(&account))?;
    Ok(Json(world.summary(&account, report)).into_response())
}

async fn faults(Shared(world): Zoom) -> Json<Vec<FaultRule>> {
    Json(world.state().faults.rules().to_vec())
}

async fn inject(Shared(world): Zoom, Json(rule): Json<FaultRule>) -> StatusCode {
    world.inject(rule);
    StatusCode::NO_CONTENT
}

async fn clear_faults(Shared(world): Zoom) -> StatusCode {
    world.clear_faults();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    set: Option<Timestamp>,
    advance_secs: Option<i64>,
    standing: Option<bool>,
}

async fn move_clock(shared: Zoom, Json(clock): Json<Clock>) -> Json<Value> {
    let world = &shared.0;
    match clock.standing {
        Some(true) => world.clock.freeze(),
        Some(false) => world.clock.run(),
        None => {}
    }
    if let Some(now) = clock.set {
        world.clock.set(now);
    }
    if let Some(secs) = clock.advance_secs {
        world.clock.advance(SignedDuration::from_secs(secs));
    }
    health(shared).await
}

#[derive(Deserialize)]
struct Revoke {
    client_id: Option<String>,
}

async fn revoke(Shared(world): Zoom, Json(revoke): Json<Revoke>) -> Json<Value> {
    Json(json!({ "revoked": world.revoke_tokens(revoke.client_id.as_deref()) }))
}

async fn void_page_tokens(Shared(world): Zoom) -> StatusCode {
    world.void_page_tokens();
    StatusCode::NO_CONTENT
}

async fn counters(Shared(world): Zoom) -> Json<Value> {
    let accounts: Vec<String> = world.state().accounts.keys().cloned().collect();
    let used: BTreeMap<String, Option<u64>> = accounts
        .into_iter()
        .map(|id| (id.clone(), world.used_today(&id)))
        .collect();
    Json(json!({ "counters": world.counters(), "used_today": used }))
}

async fn forget_counters(Shared(world): Zoom) -> StatusCode {
    world.forget_counters();
    StatusCode::NO_CONTENT
}

async fn recent(Shared(world): Zoom) -> Response {
    Json(world.recent()).into_response()
}
