//! Which events go together. Pure.

use engine_api::{DestinationId, Only};
use jiff::Timestamp;

use crate::{
    destination::Limits,
    model::{FeedKey, Position},
    retry::later,
};

/// An event that waits to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The bytes that it takes in a batch.
    pub bytes: usize,
    /// When it was collected.
    pub collected_at: Timestamp,
    /// The position behind it, and behind the events after it that are left out.
    pub end: Position,
    /// How many events are left out around it: before it, where it is the first, and after it.
    pub left_out: u64,
}

/// What to do with the events that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Write so many of them.
    Send(usize),
    /// Wait for others, until this instant at most.
    Wait(Timestamp),
    /// There are none.
    Nothing,
}

/// Cuts a batch from the front of what waits.
///
/// A batch that was staged is cut again exactly, whatever the limits are now. Otherwise it is as long as the limits
/// allow, one event at least; a batch that is not full waits until its oldest event has waited long enough. `more`
/// says that further events wait behind those that are shown.
pub fn cut(
    waiting: &[Waiting],
    staged: Option<Position>,
    more: bool,
    limits: &Limits,
    now: Timestamp,
) -> Cut {
    let Some(oldest) = waiting.iter().map(|event| event.collected_at).min() else {
        return Cut::Nothing;
    };
    if let Some(end) = staged {
        let count = waiting.iter().take_while(|event| event.end <= end).count();
        // A bound that lies before the first event cuts nothing; it is then as if there were none.
        if count > 0 {
            return Cut::Send(count);
        }
    }
    let mut bytes = 0_usize;
    let fitting = waiting.iter().take(limits.max_events).take_while(|event| {
        bytes = bytes.saturating_add(event.bytes);
        bytes <= limits.max_bytes
    });
    let count = fitting.count().max(1);
    let full = more || count < waiting.len() || count >= limits.max_events || bytes >= limits.max_bytes;
    let due = later(oldest, limits.max_age);
    // An event from the future was collected before the clock was stepped back: how long it waits is not known, so
    // it does not wait.
    if full || due <= now || oldest > now {
        Cut::Send(count)
    } else {
        Cut::Wait(due)
    }
}

/// The id of a batch: the same for the same events to the same destination. Which of the events between two positions
/// are in it is decided by `only`, so another subset is another batch.
pub fn id(
    destination: &DestinationId,
    feed: &FeedKey,
    from: Position,
    to: Position,
    only: Option<&Only>,
) -> String {
    let (feed, from, to) = (feed.to_string(), from.to_string(), to.to_string());
    let mut parts = vec![destination.as_str(), &feed, &from, &to];
    let subset = only.and_then(|only| serde_json::to_string(only).ok());
    parts.extend(subset.as_deref());
    name(&parts)
}

/// The id under which a dead letter is sent again: each try is another message, but a try that is repeated after a
/// crash is not.
pub fn replay_id(destination: &DestinationId, event_id: &str) -> String {
    name(&[destination.as_str(), event_id])
}

/// The id of a batch of audit entries: the same for the same entries to the same destination.
pub fn audit_id(destination: &DestinationId, from: i64, to: i64) -> String {
    name(&[destination.as_str(), "audit", &from.to_string(), &to.to_string()])
}

fn name(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"zoom-log-batch/1\0");
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(32);
    id.insert_str(0, "msg_");
    id
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine_api::{LogType, SourceId};
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn waiting(sizes: &[usize], age: i64) -> Vec<Waiting> {
        let event = |(index, bytes): (u32, &usize)| Waiting {
            bytes: *bytes,
            collected_at: at(NOW - age),
            end: Position {
                seq: 1,
                index: index + 1,
            },
            left_out: 0,
        };
        (0..).zip(sizes).map(event).collect()
    }

    fn limits(max_events: usize, max_bytes: usize, max_age: u64) -> Limits {
        Limits {
            max_events,
            max_bytes,
            max_age: Duration::from_secs(max_age),
        }
    }

    #[test]
    fn a_batch_is_full_by_count_bytes_or_age() {
        for (sizes, age, more, limits, wanted) in [
            (&[][..], 0, false, limits(9, 99, 9), Cut::Nothing),
            (&[10, 10][..], 0, false, limits(9, 99, 9), Cut::Wait(at(NOW + 9))),
            (&[10, 10], 8, false, limits(9, 99, 9), Cut::Wait(at(NOW + 1))),
            (&[10, 10], 9, false, limits(9, 99, 9), Cut::Send(2)),
            (&[10, 10], 0, false, limits(9, 99, 0), Cut::Send(2)),
            (&[10, 10], 0, false, limits(2, 99, 9), Cut::Send(2)),
            (&[10, 10, 10], 0, false, limits(2, 99, 9), Cut::Send(2)),
            (&[10, 10, 10], 0, false, limits(9, 25, 9), Cut::Send(2)),
            (&[10, 10], 0, false, limits(9, 20, 9), Cut::Send(2)),
            (&[10, 10], 0, true, limits(9, 99, 9), Cut::Send(2)),
            (&[100, 10], 0, false, limits(9, 99, 9), Cut::Send(1)),
            (&[10, 10], -5, false, limits(9, 99, 9), Cut::Send(2)),
        ] {
            let cut = cut(&waiting(sizes, age), None, more, &limits, at(NOW));
            assert_eq!(cut, wanted, "{sizes:?} {age} {more} {limits:?}");
        }
    }

    #[test]
    fn the_id_is_that_of_the_very_batch() {
        let (first, second) = (
            DestinationId::from_bytes([1; 16]),
            DestinationId::from_bytes([2; 16]),
        );
        let feed = |log_type| FeedKey {
            source: SourceId::from_bytes([3; 16]),
            log_type,
        };
        let to = |seq| Position { seq, index: 0 };
        let only = |label: &str| Only {
            log_types: None,
            labels: Some([label.to_owned()].into()),
        };
        let operation = feed(LogType::Operation);
        let ids = [
            id(&first, &operation, Position::START, to(2), None),
            id(&second, &operation, Position::START, to(2), None),
            id(&first, &feed(LogType::Activity), Position::START, to(2), None),
            id(&first, &operation, Position::START, to(3), None),
            id(&first, &operation, to(2), to(3), None),
            id(&first, &operation, Position::START, to(2), Some(&only("sso"))),
            id(&first, &operation, Position::START, to(2), Some(&only("billing"))),
        ];
        assert_eq!(
            ids.iter().collect::<std::collections::BTreeSet<_>>().len(),
            ids.len()
        );
        assert_eq!(ids[0], id(&first, &operation, Position::START, to(2), None));
        assert!(ids[0].starts_with("msg_") && ids[0].len() == 36, "{}", ids[0]);
    }

    proptest! {
        #[test]
        fn a_cut_keeps_its_limits_and_always_moves(
            sizes in prop::collection::vec(1_usize..50, 0..30),
            (max_events, max_bytes, max_age) in (1_usize..20, 1_usize..300, 0_u64..100),
            (age, more) in (-10_i64..200, any::<bool>()),
        ) {
            let (waiting, limits) = (waiting(&sizes, age), limits(max_events, max_bytes, max_age));
            match cut(&waiting, None, more, &limits, at(NOW)) {
                Cut::Nothing => prop_assert!(sizes.is_empty()),
                Cut::Wait(due) => {
                    prop_assert!(!more && due > at(NOW) && due <= later(at(NOW), limits.max_age));
                    prop_assert!(sizes.len() < max_events && sizes.iter().sum::<usize>() < max_bytes);
                }
                Cut::Send(count) => {
                    let bytes: usize = sizes[..count].iter().sum();
                    prop_assert!((1..=sizes.len()).contains(&count));
                    prop_assert!(count <= max_events && (bytes <= max_bytes || count == 1));
                    // As long as the limits allow: the next event would not have fit.
                    let next_fits = sizes.get(count).is_some_and(|size| count < max_events && bytes + size <= max_bytes);
                    prop_assert!(!next_fits);
                }
            }
        }

        #[test]
        fn a_staged_batch_is_cut_again_exactly(
            sizes in prop::collection::vec(1_usize..50, 1..30), end in 0_u32..40,
            (max_events, max_bytes) in (1_usize..20, 1_usize..300),
        ) {
            let staged = Position { seq: 1, index: end };
            let cut = cut(&waiting(&sizes, 0), Some(staged), false, &limits(max_events, max_bytes, 0), at(NOW));
            if end > 0 {
                prop_assert_eq!(cut, Cut::Send(sizes.len().min(end as usize)));
            } else {
                prop_assert!(matches!(cut, Cut::Send(_)));
            }
        }
    }
}
