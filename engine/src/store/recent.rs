//! The segments that this engine appended last, as they were before they were packed.
//!
//! Delivery mostly wants just these. It takes them from here only once they are on disk, so that what is delivered is
//! what the log holds; whatever is not here it reads from there.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::delivery::StoredSegment;
use crate::model::FeedKey;

/// So many bytes are kept at most: several commits of a long read for each of a few feeds.
const MOST_BYTES: usize = 8 << 20;
/// And so many segments, since all of them are looked through.
const MOST_SEGMENTS: usize = 1_000;

/// The last segments, the oldest first. They are found by their feed's key, which is never used again, and not by its
/// number in the store, which may be.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    segments: VecDeque<(FeedKey, Arc<StoredSegment>)>,
    bytes: usize,
}

impl Recent {
    /// Keeps a segment that was committed, in the place of the oldest.
    pub(super) fn keep(&self, feed: &FeedKey, segment: StoredSegment) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += segment.bytes();
        kept.segments.push_back((feed.clone(), Arc::new(segment)));
        while (kept.bytes > MOST_BYTES || kept.segments.len() > MOST_SEGMENTS)
            && let Some((_, oldest)) = kept.segments.pop_front()
        {
            kept.bytes -= oldest.bytes();
        }
    }

    /// A segment, where it is kept.
    pub(super) fn find(&self, feed: &FeedKey, seq: i64) -> Option<Arc<StoredSegment>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept
            .segments
            .iter()
            .rev()
            .find(|(key, segment)| segment.seq == seq && key == feed);
        found.map(|(_, segment)| Arc::clone(segment))
    }
}

#[cfg(test)]
mod tests {
    use engine_api::{LogType, SourceId};
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::{
        model::{Block, Day, Event, Mark, Prints, RowHash},
        store::{
            Commit, Committed, NewEvents,
            testing::{Fixture, on_both},
        },
    };

    fn feed(source: u8) -> FeedKey {
        FeedKey {
            source: SourceId::from_bytes([source; 16]),
            log_type: LogType::Operation,
        }
    }

    fn segment(seq: i64, bytes: usize) -> StoredSegment {
        let mut packed = vec![b'x'; bytes];
        packed.extend(u32::try_from(bytes).unwrap().to_le_bytes());
        StoredSegment::new(seq, 1, Block::unpack(packed).unwrap(), Prints::default())
    }

    #[test]
    fn the_last_segments_are_found_by_their_own_feed_and_number() {
        let recent = Recent::default();
        recent.keep(&feed(1), segment(7, 10));
        recent.keep(&feed(2), segment(8, 20));
        assert_eq!(recent.find(&feed(1), 7).map(|found| found.bytes()), Some(10));
        assert_eq!(recent.find(&feed(2), 8).map(|found| found.bytes()), Some(20));
        assert!(recent.find(&feed(1), 8).is_none() && recent.find(&feed(2), 7).is_none());
    }

    #[test]
    fn the_oldest_goes_when_memory_is_full() {
        let recent = Recent::default();
        for seq in 0..5 {
            recent.keep(&feed(1), segment(seq, MOST_BYTES / 4));
        }
        let found: Vec<_> = (0..5)
            .filter(|seq| recent.find(&feed(1), *seq).is_some())
            .collect();
        assert_eq!(found, [1, 2, 3, 4]);
        recent.keep(&feed(1), segment(5, MOST_BYTES + 1));
        assert!((0..6).all(|seq| recent.find(&feed(1), seq).is_none()));
        assert_eq!(recent.0.lock().unwrap().bytes, 0);
    }

    #[test]
    fn small_segments_are_bounded_by_their_number() {
        let recent = Recent::default();
        for seq in 0..=1_000 {
            recent.keep(&feed(1), segment(seq, 1));
        }
        assert!(recent.find(&feed(1), 0).is_none() && recent.find(&feed(1), 1).is_some());
    }

    /// Delivery may take a segment from memory or from the database, and must not see a difference.
    async fn what_is_kept_is_what_the_store_holds() {
        let fixture = Fixture::new().await;
        let destination = fixture
            .destination(1, json!({ "file": { "path": "a.jsonl" } }))
            .await;
        fixture
            .source(2, json!({ "destination_ids": [destination] }))
            .await;
        let (store, now) = (&fixture.store, fixture.now());
        let feed = store
            .claim_feed("me", now + SignedDuration::from_mins(1))
            .await
            .unwrap()
            .unwrap();

        let mut events = NewEvents::default();
        for (index, row) in ["{}", r#"{"action":"Ä"}"#, r#"{"action":"Ä"}"#]
            .into_iter()
            .enumerate()
        {
            let event = Event {
                hash: RowHash([7; 12]),
                day: Day::of(now),
                occurrence: u32::try_from(index).unwrap(),
                time: (index > 0).then_some(now),
                collected_at: now,
                late: index == 2,
                labels: "sso,billing",
                row,
                detail_at: None,
            };
            events.push(&event, Mark::of(row));
        }
        let commit = Commit {
            events,
            checkpoint: &feed.checkpoint,
            backfill: None,
        };
        let committed = store
            .commit_intake((feed.id, &feed.key), feed.fence, commit)
            .await
            .unwrap();
        assert_eq!(committed, Committed::Done);

        let kept = store.shared.recent.find(&feed.key, 1).expect("it was kept");
        let stored = store.stored_segments(feed.id, 1, usize::MAX).await.unwrap();
        assert_eq!(stored.len(), 1);
        let read = |segment: &StoredSegment| -> Vec<String> {
            segment
                .read()
                .map(|event| format!("{:?}", event.unwrap()))
                .collect()
        };
        assert_eq!((kept.seq, kept.events), (stored[0].seq, stored[0].events));
        assert_eq!(read(&kept), read(&stored[0]));
        assert_eq!(read(&kept).len(), 3);
    }

    on_both!(what_is_kept_is_what_the_store_holds);
}
