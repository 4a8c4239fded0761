//! What an alarm's state is, and when it could become another. Pure: facts and the time in, a verdict out.

use std::time::Duration;

use engine_api::{AlarmState, Code, Spelling as _, Trouble};
use jiff::Timestamp;

use crate::retry::later;

/// An alarm that nothing but an event can change is still looked at so often.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// What an alarm is judged by.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The state until now.
    pub state: AlarmState,
    /// The cause until now.
    pub cause: &'a str,
    /// Since when the feed is watched.
    pub began_at: Timestamp,
    /// When Zoom was last asked with success.
    pub last_success_at: Option<Timestamp>,
    /// When the last new event was collected.
    pub last_collected_at: Option<Timestamp>,
    /// What is wrong with the feed.
    pub trouble: Option<&'a Trouble>,
    /// The destination that has been waited for longest, where one has not taken the feed's events.
    pub stuck: Option<Stuck<'a>>,
    /// How long the feed may stay without an event.
    pub after: Duration,
}

/// A destination that has not taken a feed's events.
#[derive(Debug, Clone, Copy)]
pub struct Stuck<'a> {
    /// Its name.
    pub destination: &'a str,
    /// Since when it has taken nothing, though there was something to take.
    pub since: Timestamp,
    /// What is wrong with it.
    pub trouble: Option<&'a Trouble>,
}

/// What an alarm is from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its state.
    pub state: AlarmState,
    /// Why, as a sentence.
    pub cause: String,
    /// The next instant at which the verdict could change if nothing happens.
    pub due_at: Timestamp,
}

/// Judges an alarm.
pub fn judge(facts: &Facts<'_>, now: Timestamp) -> Verdict {
    let since = |fact: Option<Timestamp>| fact.map_or(facts.began_at, |fact| fact.max(facts.began_at));
    let collector_due = later(since(facts.last_success_at), facts.after);
    let quiet_due = later(since(facts.last_collected_at), facts.after);
    let stuck_due = facts.stuck.map_or(Timestamp::MAX, |stuck| {
        later(stuck.since.max(facts.began_at), facts.after)
    });
    let after = facts.after.spell();
    // Neither is a failure of the collection: no poll may be made, or none is made because nobody takes events.
    let why = facts
        .trouble
        .and_then(|trouble| match Code::from_word(&trouble.code)? {
            Code::BudgetExhausted => Some("the Zoom requests of the day are used up"),
            Code::DestinationUnavailable => Some("nobody takes the events"),
            _ => None,
        });
    let paused = facts.trouble.zip(why);

    if let Some((trouble, why)) = paused
        && stuck_due > now
    {
        // Nothing is known while nothing is asked, so the state stays what it is.
        return Verdict {
            state: facts.state,
            cause: format!("polling is paused because {why}: {}", trouble.detail),
            due_at: later(now, LONGEST_WAIT).min(stuck_due),
        };
    }
    if collector_due <= now && paused.is_none() {
        let why = match facts.trouble {
            Some(trouble) => format!("{} ({})", trouble.detail, trouble.code),
            None => "the engine was not running, or had no turn to poll".to_owned(),
        };
        let cause = format!("no poll of Zoom has succeeded for {after}: {why}");
        return Verdict {
            state: AlarmState::Alarm,
            cause,
            due_at: later(now, LONGEST_WAIT),
        };
    }
    if let Some(stuck) = facts.stuck.filter(|_| stuck_due <= now) {
        let why = match stuck.trouble {
            Some(trouble) => format!("{} ({})", trouble.detail, trouble.code),
            None => "its deliveries had no turn".to_owned(),
        };
        return Verdict {
            state: AlarmState::Alarm,
            cause: format!(
                "events are collected, but the destination `{}` has taken none for {after}: {why}",
                stuck.destination
            ),
            // A collector that falls silent is the graver cause, and takes over.
            due_at: match paused {
                None => later(now, LONGEST_WAIT).min(collector_due),
                Some(_) => later(now, LONGEST_WAIT),
            },
        };
    }
    if quiet_due <= now {
        // The last look failed, so whether Zoom is quiet is not known now; the collector's clock is running.
        if facts.trouble.is_some() && facts.state != AlarmState::Alarm {
            return Verdict {
                state: facts.state,
                cause: facts.cause.to_owned(),
                due_at: collector_due.min(stuck_due),
            };
        }
        let cause = format!("Zoom is quiet: polls succeed, and there was no new event for {after}");
        return Verdict {
            state: AlarmState::Alarm,
            cause,
            due_at: collector_due.min(stuck_due),
        };
    }
    let due_at = collector_due.min(quiet_due).min(stuck_due);
    // An event counts as long as it is not older than the alarm allows, also from before the alarm began.
    match facts.last_collected_at {
        Some(collected) if later(collected, facts.after) > now => {
            let due_at = due_at.min(later(collected, facts.after));
            Verdict {
                state: AlarmState::Ok,
                cause: "events arrive".to_owned(),
                due_at,
            }
        }
        _ => {
            let cause = format!(
                "it is too early to tell: watched for less than {after}, and no event has arrived yet"
            );
            Verdict {
                state: AlarmState::InsufficientData,
                cause,
                due_at,
            }
        }
    }
}

/// Whether a change of state is told to the alarm channels: into an alarm, and out of one.
pub fn is_told(from: AlarmState, to: AlarmState) -> bool {
    from != to && (from == AlarmState::Alarm || to == AlarmState::Alarm)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute + 1_000_000)
    }

    fn facts(success: Option<i64>, collected: Option<i64>) -> Facts<'static> {
        Facts {
            state: AlarmState::InsufficientData,
            cause: "before",
            began_at: at(0),
            last_success_at: success.map(at),
            last_collected_at: collected.map(at),
            trouble: None,
            stuck: None,
            after: HOUR,
        }
    }

    fn stuck(since: i64, trouble: Option<&Trouble>) -> Stuck<'_> {
        Stuck {
            destination: "lake",
            since: at(since),
            trouble,
        }
    }

    fn trouble(code: Code) -> Trouble {
        Trouble {
            code: code.as_str().to_owned(),
            detail: "the secret is refused".to_owned(),
            since: at(0),
        }
    }

    #[test]
    fn the_two_clocks_and_their_edges() {
        use AlarmState::{Alarm, InsufficientData, Ok};
        for (success, collected, now, state, due) in [
            (None, None, 0, InsufficientData, 60),
            (Some(10), None, 10, InsufficientData, 60),
            (Some(10), Some(10), 10, Ok, 70),
            (Some(60), Some(10), 69, Ok, 70),
            // Polls succeed and nothing comes: quiet at exactly `after`.
            (Some(60), Some(10), 70, Alarm, 120),
            // No poll succeeds.
            (Some(10), Some(10), 70, Alarm, 130),
            (None, None, 60, Alarm, 120),
            (Some(59), None, 60, Alarm, 119),
            // An event from before the alarm began counts, and older ones leave the whole time from its beginning.
            (Some(1), Some(-30), 1, Ok, 30),
            (Some(1), Some(-30), 31, InsufficientData, 60),
            (Some(1), Some(-300), 1, InsufficientData, 60),
            // The clock was stepped back: facts lie in the future, and nothing is raised.
            (Some(500), Some(500), 10, Ok, 560),
        ] {
            let verdict = judge(&facts(success, collected), at(now));
            assert_eq!(
                verdict.state, state,
                "{success:?} {collected:?} {now}: {verdict:?}"
            );
            let due = at(due);
            if state != Alarm {
                assert!(
                    verdict.due_at <= due && verdict.due_at > at(now),
                    "{success:?} {collected:?} {now}: {verdict:?}"
                );
            }
        }
    }

    #[test]
    fn the_cause_names_the_trouble() {
        let refused = trouble(Code::ZoomInvalidCredentials);
        let verdict = judge(
            &Facts {
                trouble: Some(&refused),
                ..facts(Some(0), Some(0))
            },
            at(60),
        );
        assert_eq!(verdict.state, AlarmState::Alarm);
        assert_eq!(
            verdict.cause,
            "no poll of Zoom has succeeded for 1h: the secret is refused (zoom_invalid_credentials)"
        );
        let verdict = judge(&facts(Some(59), Some(0)), at(60));
        assert_eq!(
            verdict.cause,
            "Zoom is quiet: polls succeed, and there was no new event for 1h"
        );
    }

    #[test]
    fn a_destination_that_takes_nothing_has_a_cause_of_its_own() {
        let full = Trouble {
            code: Code::DestinationUnavailable.as_str().to_owned(),
            detail: "the disk is full".to_owned(),
            since: at(0),
        };
        let facts = Facts {
            stuck: Some(stuck(20, Some(&full))),
            ..facts(Some(79), Some(79))
        };
        let verdict = judge(&facts, at(79));
        assert_eq!((verdict.state, verdict.due_at), (AlarmState::Ok, at(80)));
        let verdict = judge(&facts, at(80));
        assert_eq!(verdict.state, AlarmState::Alarm);
        assert_eq!(
            verdict.cause,
            "events are collected, but the destination `lake` has taken none for 1h: the disk is full \
             (destination_unavailable)"
        );
        // A collector that is dead too is told first, and a pause of the day hides nothing.
        let dead = Facts {
            last_success_at: Some(at(10)),
            ..facts.clone()
        };
        assert!(judge(&dead, at(80)).cause.starts_with("no poll of Zoom"));
        let paused = trouble(Code::BudgetExhausted);
        let paused = Facts {
            trouble: Some(&paused),
            ..dead
        };
        assert!(judge(&paused, at(79)).cause.starts_with("polling is paused"));
        assert!(judge(&paused, at(80)).cause.starts_with("events are collected"));
    }

    #[test]
    fn polls_that_rest_because_nobody_takes_events_are_no_failure_of_the_collection() {
        let resting = trouble(Code::DestinationUnavailable);
        let facts = Facts {
            trouble: Some(&resting),
            stuck: Some(stuck(0, None)),
            ..facts(Some(0), Some(0))
        };
        let verdict = judge(&facts, at(90));
        assert_eq!(verdict.state, AlarmState::Alarm);
        assert!(
            verdict.cause.contains("`lake` has taken none"),
            "{}",
            verdict.cause
        );
    }

    #[test]
    fn a_used_up_budget_raises_nothing_and_ends_nothing() {
        let paused = trouble(Code::BudgetExhausted);
        for state in [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData] {
            let verdict = judge(
                &Facts {
                    state,
                    trouble: Some(&paused),
                    ..facts(Some(0), Some(0))
                },
                at(600),
            );
            assert_eq!(verdict.state, state);
            assert!(
                verdict.cause.starts_with("polling is paused"),
                "{}",
                verdict.cause
            );
        }
    }

    #[test]
    fn a_failed_look_does_not_make_zoom_quiet() {
        let failing = trouble(Code::ZoomUnavailable);
        let facts = Facts {
            state: AlarmState::Ok,
            trouble: Some(&failing),
            ..facts(Some(50), Some(10))
        };
        let verdict = judge(&facts, at(75));
        assert_eq!((verdict.state, verdict.due_at), (AlarmState::Ok, at(110)));
        assert_eq!(judge(&facts, at(110)).state, AlarmState::Alarm);
        assert_eq!(
            judge(
                &Facts {
                    trouble: None,
                    ..facts
                },
                at(76)
            )
            .state,
            AlarmState::Alarm
        );
    }

    #[test]
    fn what_is_told() {
        use AlarmState::{Alarm, InsufficientData, Ok};
        for (from, to, told) in [
            (InsufficientData, Ok, false),
            (Ok, InsufficientData, false),
            (Ok, Alarm, true),
            (InsufficientData, Alarm, true),
            (Alarm, Ok, true),
            (Alarm, InsufficientData, true),
            (Alarm, Alarm, false),
        ] {
            assert_eq!(is_told(from, to), told, "{from:?} {to:?}");
        }
    }

    #[test]
    fn a_stuck_destination_does_not_hide_a_collector_that_falls_silent() {
        let facts = Facts {
            stuck: Some(stuck(0, None)),
            ..facts(Some(194), None)
        };
        let verdict = judge(&facts, at(217));
        assert!(verdict.cause.contains("`lake`"), "{}", verdict.cause);
        assert_eq!(verdict.due_at, at(254));
        let verdict = judge(&facts, at(254));
        assert!(verdict.cause.starts_with("no poll of Zoom"), "{}", verdict.cause);
    }

    fn any_facts() -> impl Strategy<Value = Facts<'static>> {
        let fact = || proptest::option::of(-200_i64..300);
        let state = prop_oneof![
            Just(AlarmState::Ok),
            Just(AlarmState::Alarm),
            Just(AlarmState::InsufficientData)
        ];
        (fact(), fact(), fact(), state).prop_map(|(success, collected, since, state)| Facts {
            state,
            stuck: since.map(|since| stuck(since, None)),
            ..facts(success, collected)
        })
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_verdict_is_due(facts in any_facts(), now in -50_i64..400, wait in 0_i64..400) {
            let first = judge(&facts, at(now));
            prop_assert!(first.due_at > at(now));
            let then = at(now + wait);
            if then < first.due_at {
                let again = judge(&Facts { state: first.state, cause: &first.cause, ..facts.clone() }, then);
                prop_assert_eq!((again.state, again.cause), (first.state, first.cause));
            }
        }

        #[test]
        fn an_alarm_always_has_a_fact(facts in any_facts(), now in -50_i64..400) {
            let verdict = judge(&facts, at(now));
            let silent = |fact: Option<Timestamp>| fact.is_none_or(|fact| later(fact, HOUR) <= at(now));
            let watched = later(facts.began_at, HOUR) <= at(now);
            if verdict.state == AlarmState::Alarm {
                let stuck = facts.stuck.is_some_and(|stuck| silent(Some(stuck.since)));
                prop_assert!(watched && (stuck || silent(facts.last_success_at) || silent(facts.last_collected_at)));
            }
            if watched && silent(facts.last_collected_at) {
                prop_assert_eq!(verdict.state, AlarmState::Alarm);
            }
        }

        #[test]
        fn a_clock_that_steps_back_never_raises(facts in any_facts(), now in -50_i64..400, back in 0_i64..400) {
            if judge(&facts, at(now)).state != AlarmState::Alarm {
                prop_assert_ne!(judge(&facts, at(now - back)).state, AlarmState::Alarm);
            }
        }
    }
}
