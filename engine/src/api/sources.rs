//! What can be asked of a source beside its spec: to be checked, to be polled.

use axum::{
    Extension, Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use engine_api::{CheckReport, Code, FeedCheck, Kind, SourceSpec, SourceTrial, Trouble};

use super::{
    Api,
    access::{self, Caller},
    acting::Acting,
    body::Json,
    declare,
    failure::Failure,
    resource::Resource as _,
    secrets, stored,
    trial::ask,
};

/// Asks Zoom with the secret that is stored or referred to.
pub(super) async fn check(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Answer<CheckReport>, Failure> {
    let found = api.store.object_with_secrets(Kind::Source, &id).await?;
    let (object, stored) = found.ok_or_else(|| Failure::absent(Kind::Source))?;
    let spec: SourceSpec = stored::spec(&object)?;
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
    Ok(Answer(CheckReport {
        ok: feeds.iter().all(|feed| feed.trouble.is_none()),
        feeds,
    }))
}

/// Checks a source's spec and credentials as a create or a replace would, and stores nothing: what a plan asks.
pub(super) async fn try_out(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Json<SourceTrial>,
) -> Result<StatusCode, Failure> {
    let SourceTrial { id, spec } = body.value;
    // The app whose secret is tried, whichever source is named, or none.
    let app = format!("{:?}/{}", spec.cloud, spec.client_id);
    access::may_guess(&api, &caller, &app)?;
    let (id, before, stored) = match id {
        None => (declare::new_id(Kind::Source)?, None, Vec::new()),
        Some(id) => {
            let found = api.store.object_with_secrets(Kind::Source, &id).await?;
            let (object, stored) = found.ok_or_else(|| Failure::absent(Kind::Source))?;
            (id, Some(stored::spec(&object)?), stored)
        }
    };
    declare::check(&api, &spec, before.as_ref()).await?;
    let secrets = secrets::merge(&api, &id, &spec, before.as_ref(), &stored).await?;
    let verified = spec.verify(&api, &id, before.as_ref(), &secrets).await;
    verified.inspect_err(|_| access::note_guess(&api, &caller, &app))?;
    Ok(StatusCode::NO_CONTENT)
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
