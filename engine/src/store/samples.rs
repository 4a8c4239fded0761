//! Stored events for whoever wants to look at them, not for delivery.

use engine_api::LogType;
use jiff::Timestamp;

use super::{
    Error, Store, sql,
    time::{millis, word},
};
use crate::model::Event;

/// Which events to look at: of those that are still kept, the newest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// So many, by when they were collected; all, where it is not set.
    pub last: Option<u64>,
    /// Of these, those whose own time is not before this; of events without one, when they were collected.
    pub since: Option<Timestamp>,
}

impl Store {
    /// Hands events to `with`, in the order in which they were collected, until it answers `false`; of one source and
    /// one log type, where they are named.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where a segment cannot be read.
    pub async fn sample(
        &self,
        source: Option<&str>,
        log_type: Option<LogType>,
        sample: Sample,
        mut with: impl FnMut(LogType, &Event<'_>) -> bool,
    ) -> Result<(), Error> {
        // An event is collected after its own time, so older segments hold none of these.
        let found: Vec<(i64, String, i64, u32)> = sql::query_as(
            "SELECT s.feed_id, f.log_type, s.seq, s.events FROM segment s JOIN feed f ON f.id = s.feed_id
             WHERE ($1 IS NULL OR f.source_id = $1) AND ($2 IS NULL OR f.log_type = $2)
               AND ($3 IS NULL OR s.created_at >= $3)
             ORDER BY s.created_at DESC, s.feed_id DESC, s.seq DESC",
        )
        .bind(source)
        .bind(log_type.map(LogType::as_str))
        .bind(sample.since.map(millis))
        .fetch_all(self.read())
        .await?;
        let wanted = sample.last.unwrap_or(u64::MAX);
        let mut counted = 0;
        let newest: Vec<_> = found
            .into_iter()
            .take_while(|(.., events)| {
                let more = counted < wanted;
                counted += u64::from(*events);
                more
            })
            .collect();
        let held: u64 = newest.iter().map(|(.., events)| u64::from(*events)).sum();
        let mut skip = held.saturating_sub(wanted);
        for (feed_id, log_type, seq, _) in newest.into_iter().rev() {
            let log_type = word(&log_type, LogType::from_word)?;
            // Retention may have dropped it since.
            let Some(segment) = self.stored_segments(feed_id, seq, 1).await?.into_iter().next() else {
                continue;
            };
            for event in segment.read() {
                let event = event.map_err(|error| Error::Damaged(format!("segment {seq}: {error}")))?;
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let time = event.time.unwrap_or(event.collected_at);
                if sample.since.is_none_or(|since| time >= since) && !with(log_type, &event) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
