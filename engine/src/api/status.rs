//! How sources, destinations and alarm channels are doing, put together from what the workers left in the store.

use std::{collections::BTreeSet, str::FromStr};

use axum::{
    Json,
    extract::{Path, State},
};
use engine_api::{
    AlarmChannelId, ChannelStatus, Code, Consent, DestinationId, DestinationStatus, FeedStatus, FeedTrouble,
    Health, Items, Kind, SourceId, SourceSpec, SourceStatus, Trouble,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Api, body::Query, consent, failure::Failure, objects::page_length, stored};
use crate::{model::Day, store::FeedRow};

/// Which page of troubles.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TroubleQuery {
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn source(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<SourceStatus>, Failure> {
    let id: SourceId = read(Kind::Source, &id)?;
    let object = api.store.object(Kind::Source, id.as_str()).await?;
    let spec: SourceSpec = stored::spec(&object.ok_or_else(|| Failure::absent(Kind::Source))?)?;
    let now = api.clock.now();
    let rows = api.store.feed_rows(id.as_str()).await?;
    let mut alarms = api.store.alarm_statuses(&id).await?;
    let mut deliveries = api.store.feed_deliveries(&id).await?;
    let mut feeds: Vec<_> = rows
        .into_iter()
        // The feed of a log type that the spec no longer names only waits for the day on which it does again.
        .filter(|row| spec.log_types.contains(&row.log_type))
        .map(|row| feed(row, now))
        .collect();
    for feed in &mut feeds {
        let mine = alarms.extract_if(.., |(log_type, _)| *log_type == feed.log_type);
        feed.alarm = mine.map(|(_, alarm)| alarm).next();
        let mine = deliveries.extract_if(.., |(log_type, _)| *log_type == feed.log_type);
        feed.deliveries = mine.map(|(_, delivery)| delivery).collect();
    }
    let consent = consent::status(&api, id.as_str(), &spec).await?;
    if let Some(consent) = &consent {
        // The feeds find it out at their next poll; whoever asks is told now.
        for feed in feeds.iter_mut().filter(|feed| feed.health != Health::Disabled) {
            match consent.state {
                Consent::PendingAuthorization => feed.health = Health::PendingAuthorization,
                Consent::ReauthorizationRequired => feed.health = Health::ReauthorizationRequired,
                Consent::Authorized => {}
            }
        }
    }
    let account = api.source_check.budget_account(&spec);
    let budget = api.store.budget(&account, Day::of(now)).await?;
    Ok(Json(SourceStatus {
        source_id: id.into(),
        health: feeds
            .iter()
            .map(|feed| feed.health)
            .max()
            .unwrap_or(Health::Pending),
        consent,
        budget_remaining: Some(
            budget.left(
                spec.daily_request_budget
                    .unwrap_or(api.limits.daily_request_budget)
                    .into(),
            ),
        ),
        feeds,
    }))
}

/// What keeps sources from being collected, a page of sources at a time.
pub(super) async fn troubles(
    State(api): State<Api>,
    Query(query): Query<TroubleQuery>,
) -> Result<Json<Items<FeedTrouble>>, Failure> {
    let limit = page_length(query.limit);
    let rows = api.store.troubled_feeds(query.after.as_deref(), limit).await?;
    let sources: BTreeSet<_> = rows.iter().map(|(source, _)| source).collect();
    let next = sources.last().filter(|_| sources.len() >= limit as usize);
    let next = next.map(|source| (*source).clone());
    let now = api.clock.now();
    let items = rows.into_iter().filter_map(|(source_id, row)| {
        let FeedStatus {
            log_type,
            health,
            trouble,
            ..
        } = feed(row, now);
        Some(FeedTrouble {
            source_id,
            log_type,
            health,
            trouble: trouble?,
        })
    });
    Ok(Json(Items {
        items: items.collect(),
        next,
    }))
}

pub(super) async fn destination(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<DestinationStatus>, Failure> {
    let id: DestinationId = read(Kind::Destination, &id)?;
    let status = api.store.destination_status(&id).await?;
    status.map(Json).ok_or_else(|| Failure::absent(Kind::Destination))
}

pub(super) async fn channel(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<ChannelStatus>, Failure> {
    let id: AlarmChannelId = read(Kind::AlarmChannel, &id)?;
    let status = api.store.channel_status(&id).await?;
    status
        .map(Json)
        .ok_or_else(|| Failure::absent(Kind::AlarmChannel))
}

/// What is no id at all is the id of nothing.
fn read<I: FromStr>(kind: Kind, id: &str) -> Result<I, Failure> {
    id.parse().map_err(|_| Failure::absent(kind))
}

fn feed(row: FeedRow, now: Timestamp) -> FeedStatus {
    let trouble = row
        .trouble
        .map(|(code, detail, since)| Trouble { code, detail, since });
    FeedStatus {
        log_type: row.log_type,
        health: health(row.active, trouble.as_ref(), row.last_success_at.is_some()),
        trouble,
        last_poll_at: row.last_poll_at,
        last_success_at: row.last_success_at,
        last_collected_at: row.last_collected_at,
        last_event_at: row.last_event_at,
        watermark: Some(row.watermark),
        lag_seconds: Some(u64::try_from(now.duration_since(row.watermark).as_secs()).unwrap_or_default()),
        events: row.events,
        alarm: None,
        deliveries: Vec::new(),
    }
}

fn health(active: bool, trouble: Option<&Trouble>, worked_before: bool) -> Health {
    let Some(trouble) = trouble.filter(|_| active) else {
        return match (active, worked_before) {
            (false, _) => Health::Disabled,
            (true, false) => Health::Pending,
            (true, true) => Health::Ok,
        };
    };
    match Code::from_word(&trouble.code) {
        Some(Code::BudgetExhausted) => Health::BudgetExhausted,
        Some(Code::PendingAuthorization) => Health::PendingAuthorization,
        Some(Code::ReauthorizationRequired) => Health::ReauthorizationRequired,
        // May pass by itself; everything else waits for somebody.
        Some(
            Code::ZoomUnavailable
            | Code::ZoomRateLimited
            | Code::ZoomMalformed
            | Code::ZoomReadRestarted
            | Code::StoreUnavailable
            | Code::TimedOut
            | Code::Internal,
        ) => Health::Degraded,
        _ => Health::Failing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_tells_what_waits_from_what_needs_somebody() {
        let trouble = |code: Code| Trouble {
            code: code.as_str().to_owned(),
            detail: String::new(),
            since: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(health(true, None, false), Health::Pending);
        assert_eq!(health(true, None, true), Health::Ok);
        assert_eq!(
            health(false, Some(&trouble(Code::ZoomRefused)), true),
            Health::Disabled
        );
        for (code, expected) in [
            (Code::BudgetExhausted, Health::BudgetExhausted),
            (Code::ZoomUnavailable, Health::Degraded),
            (Code::ZoomInvalidCredentials, Health::Failing),
            (Code::PendingAuthorization, Health::PendingAuthorization),
            (Code::ReauthorizationRequired, Health::ReauthorizationRequired),
            (Code::SecretRefUnreadable, Health::Failing),
        ] {
            assert_eq!(health(true, Some(&trouble(code)), true), expected, "{code}");
        }
    }
}
