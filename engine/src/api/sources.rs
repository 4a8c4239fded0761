//! What can be asked of a source beside its spec: to be checked, to be polled.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use engine_api::{CheckReport, Code, FeedCheck, Kind, SourceSpec, Trouble};

use super::{Api, acting::Acting, declare, failure::Failure, resource::ask, secrets};

/// Asks Zoom with the secret that is stored or referred to.
pub(super) async fn check(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<CheckReport>, Failure> {
    let found = api.store.object_with_secrets(Kind::Source, &id).await?;
    let (object, stored) = found.ok_or_else(|| Failure::absent(Kind::Source))?;
    let spec: SourceSpec = declare::parse(&object)?;
    let secrets = secrets::merge(&api, &id, &spec, None, &stored).await?;
    let secret = secrets.secret("client_secret").ok_or_else(|| {
        Failure::at(
            Code::MissingSecret,
            "client_secret",
            "the source has no `client_secret`: set it",
        )
    })?;
    let now = api.clock.now();
    let feeds: Vec<_> = ask(&api, &id, &spec, secret)
        .await
        .into_iter()
        .map(|(log_type, fault)| FeedCheck {
            log_type,
            trouble: fault.map(|fault| Trouble {
                code: fault.code.as_str().to_owned(),
                detail: fault.detail,
                since: now,
            }),
        })
        .collect();
    Ok(Json(CheckReport {
        ok: feeds.iter().all(|feed| feed.trouble.is_none()),
        feeds,
    }))
}

/// Makes the feeds of a source due now.
pub(super) async fn poll(Acting(api): Acting, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    if api.store.object(Kind::Source, &id).await?.is_none() {
        return Err(Failure::absent(Kind::Source));
    }
    if !api.store.poll_now(&id).await? {
        let detail = "the source is switched off, so it is not polled: set `enabled = true`";
        return Err(Failure::at(Code::InvalidSpec, "enabled", detail));
    }
    (api.wake)();
    Ok(StatusCode::ACCEPTED)
}
