//! `zoom_log_source_backfill`: collects older days, and tells how far it is.

use std::time::Duration;

use async_trait::async_trait;
use engine_api::{
    BackfillFeed, BackfillRequest, BackfillState, BackfillView, LogType,
    client::{Client, Error},
};
use jiff::{Timestamp, civil::Date};
use tfplug::{
    action::{Action, ActionWithValidate, Progress},
    diagnostics::Diagnostics,
    model::{self, Codec as _, Model, Set},
    provider::Context,
    schema::{Schema, Validator, matches_rule},
};
use tokio::time::sleep;

use super::SOURCE_ID;
use crate::{
    connection::{self, Engine},
    problem,
};

/// How often the engine is asked how far it is.
const BEAT: Duration = Duration::from_secs(1);

/// Collects a range of days, oldest first, behind what is new. Of days that were collected before, only what is missing
/// is added, so nothing is delivered twice. It tells how far it is, and ends when every day is collected; where
/// Terraform is interrupted, the backfill is ended where it stands, and what it collected stays.
#[derive(Debug, Model)]
pub struct BackfillArguments {
    /// The source's id.
    #[tf(required)]
    source_id: model::Value<String>,
    /// The first UTC day, such as `2026-05-01`; Zoom keeps six months.
    #[tf(required, validate = a_day())]
    from: model::Value<String>,
    /// The last UTC day, today at the latest.
    #[tf(required, validate = a_day())]
    to: model::Value<String>,
    /// Which reports, `operation` and `activity`; all that the source collects, where it is not set.
    #[tf(validate = log_types())]
    log_types: model::Value<Set<String>>,
}

fn a_day() -> impl Validator {
    matches_rule("must be a day such as `2026-05-01`", |value| {
        value.as_str().is_none_or(|text| text.parse::<Date>().is_ok())
    })
}

fn log_types() -> impl Validator {
    matches_rule("must hold nothing but `operation` and `activity`", |value| {
        let words = value
            .elements()
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str());
        words.map(LogType::from_word).all(|word| word.is_some())
    })
}

impl BackfillArguments {
    /// Returns the request; none while a part of it is unknown, or is not what the validators want.
    fn request(&self) -> Option<BackfillRequest> {
        let day = |value: &model::Value<String>| value.as_deref()?.parse().ok();
        if self.log_types.is_unknown() {
            return None;
        }
        let words = self.log_types.known().map(|words| {
            words
                .known()
                .filter_map(|word| LogType::from_word(word))
                .collect()
        });
        Some(BackfillRequest {
            from: day(&self.from)?,
            to: day(&self.to)?,
            log_types: words,
        })
    }
}

/// The action.
#[derive(Debug, Clone, Copy)]
pub struct Backfill;

impl Backfill {
    fn fails(error: &Error, doing: &str, config: &BackfillArguments, diagnostics: &mut Diagnostics) {
        problem::report(
            error,
            doing,
            &Self.schema().attributes,
            &config.write(),
            diagnostics,
        );
    }
}

#[async_trait]
impl ActionWithValidate<Engine> for Backfill {
    async fn validate(&self, _: &Context<Engine>, config: &BackfillArguments, diagnostics: &mut Diagnostics) {
        let Some(request) = config.request() else { return };
        for violation in request.validate(Timestamp::now()) {
            let detail = problem::sentence(&violation.field, &violation.message);
            diagnostics.attribute_error(violation.field.as_str(), "Invalid value", detail);
        }
    }
}

#[async_trait]
impl Action<Engine> for Backfill {
    type Model = BackfillArguments;

    fn type_name(&self) -> &'static str {
        "zoom_log_source_backfill"
    }

    fn schema(&self) -> Schema {
        BackfillArguments::schema()
    }

    async fn invoke(
        &self,
        context: &Context<Engine>,
        config: &BackfillArguments,
        progress: &Progress,
        diagnostics: &mut Diagnostics,
    ) {
        let Some(connection) = connection::known(context, diagnostics) else {
            return;
        };
        let client = connection.client();
        let source = config.source_id.as_deref().unwrap_or_default();
        let Some(request) = config.request() else {
            diagnostics.error(
                "No days to collect",
                "`from` and `to` must be days such as `2026-05-01`.",
            );
            return;
        };
        let begun = match client.create_backfill(source, &request).await {
            Ok(begun) => begun,
            Err(error) => {
                Self::fails(&error, "collect older days of the source", config, diagnostics);
                return;
            }
        };
        let end = tokio::select! {
            end = follow(client, source, begun.clone(), progress) => end,
            () = context.cancelled().cancelled() => {
                match client.cancel_backfill(source, &begun.id).await {
                    Ok(_) => diagnostics.error(
                        "The backfill was ended",
                        format!("Terraform was interrupted, so `{}` goes no further. What it collected stays.", begun.id),
                    ),
                    Err(error) => Self::fails(&error, "end the backfill", config, diagnostics),
                }
                return;
            }
        };
        match end {
            Ok(Some(end)) if end.state == BackfillState::Done => {}
            Ok(Some(_)) => diagnostics.error(
                "The backfill was ended",
                format!(
                    "Somebody ended `{}` at the engine before all its days were collected.",
                    begun.id
                ),
            ),
            Ok(None) => diagnostics.attribute_error(
                SOURCE_ID,
                "The source is gone",
                "The source was deleted while its older days were collected.",
            ),
            Err(error) => Self::fails(&error, "tell how far the backfill is", config, diagnostics),
        }
    }
}

/// Tells each step of a backfill until it ends; none where it disappears with its source.
async fn follow(
    client: &Client,
    source: &str,
    mut view: BackfillView,
    progress: &Progress,
) -> Result<Option<BackfillView>, Error> {
    let mut told = String::new();
    loop {
        let line = line(&view);
        if line != told {
            progress.report(&line).await;
            told = line;
        }
        if view.state != BackfillState::Running {
            return Ok(Some(view));
        }
        sleep(BEAT).await;
        match client.backfill(source, &view.id).await? {
            Some(next) => view = next,
            None => return Ok(None),
        }
    }
}

/// How far a backfill is, as one line.
fn line(view: &BackfillView) -> String {
    let feeds: Vec<String> = view.feeds.iter().map(part).collect();
    format!("{}: {}", view.id, feeds.join("; "))
}

fn part(feed: &BackfillFeed) -> String {
    let waits = match &feed.trouble {
        Some(trouble) if feed.state == BackfillState::Running => format!(" ({trouble})"),
        _ => String::new(),
    };
    format!(
        "{} {} of {} days, {} new events{waits}",
        feed.log_type, feed.days_done, feed.days, feed.events
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(from: &str, words: Option<&[&str]>) -> BackfillArguments {
        let words = words.map(|words| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Set<String>>()
        });
        BackfillArguments {
            source_id: "src_1".into(),
            from: from.into(),
            to: "2026-05-02".into(),
            log_types: words.into(),
        }
    }

    #[test]
    fn a_request_is_what_was_written() {
        let request = arguments("2026-05-01", Some(&["activity"])).request().unwrap();
        assert_eq!(request.from.to_string(), "2026-05-01");
        assert_eq!(request.log_types, Some([LogType::Activity].into()));
        assert_eq!(arguments("2026-05-01", None).request().unwrap().log_types, None);
        assert!(arguments("May", None).request().is_none());
    }
}
