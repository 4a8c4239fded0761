//! Every metric of the engine, declared once.

use std::{fmt, sync::Arc};

use engine_api::{LogType, label::UNCLASSIFIED};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};

/// What a set of labels must be able to do.
pub trait Labels: Clone + Eq + std::hash::Hash + EncodeLabelSet + fmt::Debug + Send + Sync + 'static {}

impl<L: Clone + Eq + std::hash::Hash + EncodeLabelSet + fmt::Debug + Send + Sync + 'static> Labels for L {}

/// Counters that differ in their labels.
#[derive(Debug)]
pub struct Counters<L: Labels>(Family<L, Counter>);

impl<L: Labels> Counters<L> {
    /// Adds to the counter with these labels.
    pub fn add(&self, labels: &L, count: u64) {
        self.0.get_or_create(labels).inc_by(count);
    }

    fn remove(&self, labels: &L) {
        self.0.remove(labels);
    }
}

/// Gauges that differ in their labels.
#[derive(Debug)]
pub struct Gauges<L: Labels>(Family<L, Gauge<f64, std::sync::atomic::AtomicU64>>);

impl<L: Labels> Gauges<L> {
    /// Sets the gauge with these labels.
    pub fn set(&self, labels: &L, value: f64) {
        self.0.get_or_create(labels).set(value);
    }

    fn remove(&self, labels: &L) {
        self.0.remove(labels);
    }
}

/// Histograms that differ in their labels.
#[derive(Debug)]
pub struct Histograms<L: Labels>(Family<L, Histogram, Buckets>);

impl<L: Labels> Histograms<L> {
    /// Adds a value to the histogram with these labels.
    pub fn observe(&self, labels: &L, value: f64) {
        self.0.get_or_create(labels).observe(value);
    }
}

/// The upper bounds of a histogram's buckets.
#[derive(Debug, Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// From half a minute, which every row is late by, to the two days after which a sweep looks no more.
const LATENESS_SECONDS: Buckets = Buckets(&[
    30.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0,
]);
const REQUEST_SECONDS: Buckets = Buckets(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0]);

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),+ }
    };
}

labels!(
    /// A log type.
    LogTypeLabels {
        /// The log type's word.
        log_type: &'static str,
    }
);
labels!(
    /// A poll and how it ended.
    PollLabels {
        /// The log type's word.
        log_type: &'static str,
        /// How it ended.
        outcome: PollOutcome,
    }
);
labels!(
    /// A feed.
    FeedLabels {
        /// The source's id.
        source: String,
        /// The log type's word.
        log_type: &'static str,
    }
);
labels!(
    /// A source.
    SourceLabels {
        /// The source's id.
        source: String,
    }
);
labels!(
    /// A request to Zoom.
    RequestLabels {
        /// What was asked for: `token`, `operation` or `activity`.
        endpoint: &'static str,
        /// The answer's status, or `none` where there was no answer.
        status: String,
    }
);
labels!(
    /// A label that was given to events.
    LabelLabels {
        /// The label.
        label: String,
    }
);
labels!(
    /// A destination.
    DestinationLabels {
        /// The destination's id.
        destination: String,
    }
);
labels!(
    /// A destination and what went wrong there.
    DestinationFault {
        /// The destination's id.
        destination: String,
        /// One word of a bounded set.
        reason: &'static str,
    }
);
labels!(
    /// Alarms in one state.
    AlarmLabels {
        /// `ok`, `alarm` or `insufficient_data`.
        state: &'static str,
    }
);
labels!(
    /// Notices to alarm channels.
    NoticeLabels {
        /// `sent` or `failed`.
        outcome: &'static str,
    }
);
labels!(
    /// A request to the API.
    ApiLabels {
        /// The method.
        method: &'static str,
        /// The route's pattern, never the path itself.
        route: &'static str,
        /// The answer's status.
        status: u16,
    }
);
labels!(
    /// A route of the API.
    RouteLabels {
        /// The route's pattern.
        route: &'static str,
    }
);
labels!(
    /// A worker.
    WorkerLabels {
        /// The worker's name.
        worker: &'static str,
    }
);

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PollOutcome {
    /// It read what there was.
    Succeeded,
    /// Zoom's limits, or our budget, made it wait.
    RateLimited,
    /// Zoom refused the credentials or a permission.
    Refused,
    /// Zoom could not be reached or failed.
    Unavailable,
    /// Zoom's answer was not understood.
    Malformed,
    /// Another engine had taken the feed over.
    Fenced,
    /// Nothing was asked, since no destination has taken events for long.
    Blocked,
}

impl PollOutcome {
    /// All outcomes.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::RateLimited,
        Self::Refused,
        Self::Unavailable,
        Self::Malformed,
        Self::Fenced,
        Self::Blocked,
    ];

    /// The outcome as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Malformed => "malformed",
            Self::Fenced => "fenced",
            Self::Blocked => "blocked",
        }
    }
}

impl EncodeLabelValue for PollOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

impl LogTypeLabels {
    /// The labels of a log type.
    pub fn of(log_type: LogType) -> Self {
        Self {
            log_type: log_type.as_str(),
        }
    }
}

impl PollLabels {
    /// The labels of a poll.
    pub fn of(log_type: LogType, outcome: PollOutcome) -> Self {
        Self {
            log_type: log_type.as_str(),
            outcome,
        }
    }
}

impl FeedLabels {
    /// The labels of a feed.
    pub fn of(source: &str, log_type: LogType) -> Self {
        Self {
            source: source.to_owned(),
            log_type: log_type.as_str(),
        }
    }
}

impl SourceLabels {
    /// The labels of a source.
    pub fn of(source: &str) -> Self {
        Self {
            source: source.to_owned(),
        }
    }
}

impl DestinationLabels {
    /// The labels of a destination.
    pub fn of(destination: &str) -> Self {
        Self {
            destination: destination.to_owned(),
        }
    }
}

impl RequestLabels {
    /// The labels of a request to Zoom; no status where there was no answer.
    pub fn of(endpoint: &'static str, status: Option<u16>) -> Self {
        Self {
            endpoint,
            status: status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
        }
    }
}

/// Makes the struct of all metrics and the function that registers them, from one list.
macro_rules! metrics {
    ($($field:ident: $type:ident $(($buckets:ident))? <$labels:ty>, $help:literal;)+) => {
        /// All metrics, each named as its field, with `zoom_log_engine_` before it and, for counters, `_total`
        /// behind it.
        #[derive(Debug)]
        pub struct Metrics {
            $(#[doc = $help] pub $field: $type<$labels>,)+
        }

        impl Metrics {
            pub(super) fn register(registry: &mut Registry) -> Self {
                let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
                registry.register("build", "The version of the binary", build);
                $(
                    let $field = metrics!(@new $type $($buckets)?);
                    registry.register(stringify!($field), $help, $field.clone());
                )+
                let metrics = Self { $($field: $type($field),)+ };
                metrics.start_at_zero();
                metrics
            }
        }
    };
    (@new Histograms $buckets:ident) => { Family::new_with_constructor($buckets) };
    (@new $type:ident) => { Family::default() };
}

metrics! {
    polls: Counters<PollLabels>, "Polls of feeds";
    zoom_requests: Counters<RequestLabels>, "Requests to Zoom";
    rows_read: Counters<LogTypeLabels>, "Rows that Zoom returned";
    events_appended: Counters<LogTypeLabels>, "Events appended to the log, each counted once";
    duplicate_rows: Counters<LogTypeLabels>, "Rows that were already known";
    late_events: Counters<LogTypeLabels>, "Events that appeared below the watermark";
    event_lateness_seconds: Histograms(LATENESS_SECONDS)<LogTypeLabels>, "Time from an event to its collection, in seconds";
    events_labelled: Counters<LabelLabels>, "Events by label; an event may have several";
    feed_watermark_timestamp_seconds: Gauges<FeedLabels>, "Event time below which the feed is complete, in Unix seconds";
    feed_last_success_timestamp_seconds: Gauges<FeedLabels>, "Last successful poll of the feed, in Unix seconds";
    feed_last_event_timestamp_seconds: Gauges<FeedLabels>, "Newest event of the feed, in Unix seconds";
    budget_remaining: Gauges<SourceLabels>, "Requests that may still be made today for the source's Zoom account";
    destination_events_sent: Counters<DestinationLabels>, "Events that the destination acknowledged";
    destination_events_left_out: Counters<DestinationLabels>, "Events that the destination's `only` left out";
    destination_events_refused: Counters<DestinationFault>, "Events that the destination refused for good";
    destination_retries: Counters<DestinationFault>, "Attempts to deliver that failed and are made again";
    destination_pending_events: Gauges<DestinationLabels>, "Events not yet acknowledged by the destination";
    destination_oldest_pending_seconds: Gauges<DestinationLabels>, "Age of the oldest event not yet acknowledged, in seconds";
    dead_letters: Gauges<DestinationLabels>, "Dead letters kept for the destination";
    alarms: Gauges<AlarmLabels>, "Drop-off alarms by state";
    alarm_notices: Counters<NoticeLabels>, "Notices to alarm channels";
    api_requests: Counters<ApiLabels>, "Requests to the API";
    api_request_seconds: Histograms(REQUEST_SECONDS)<RouteLabels>, "Duration of requests to the API, in seconds";
    worker_restarts: Counters<WorkerLabels>, "Workers that failed and were started again";
}

impl Metrics {
    /// Shows the counters whose labels are known beforehand: a counter that appears with its first event cannot be
    /// alerted on.
    fn start_at_zero(&self) {
        for log_type in LogType::ALL {
            let labels = LogTypeLabels::of(log_type);
            for counters in [
                &self.rows_read,
                &self.events_appended,
                &self.duplicate_rows,
                &self.late_events,
            ] {
                counters.add(&labels, 0);
            }
            for outcome in PollOutcome::ALL {
                self.polls.add(&PollLabels::of(log_type, outcome), 0);
            }
        }
    }

    /// Shows the counters of the labels that events can have.
    pub fn expect_labels(&self, labels: &[Arc<str>]) {
        for label in labels.iter().map(|label| &**label).chain([UNCLASSIFIED]) {
            let label = label.to_owned();
            self.events_labelled.add(&LabelLabels { label }, 0);
        }
    }

    /// Removes what is shown of a source that no longer exists.
    pub fn forget_source(&self, source: &str) {
        for log_type in LogType::ALL {
            let labels = FeedLabels::of(source, log_type);
            self.feed_watermark_timestamp_seconds.remove(&labels);
            self.feed_last_success_timestamp_seconds.remove(&labels);
            self.feed_last_event_timestamp_seconds.remove(&labels);
        }
        self.budget_remaining.remove(&SourceLabels::of(source));
    }

    /// Removes what is shown of a destination that no longer exists.
    pub fn forget_destination(&self, destination: &str) {
        let labels = DestinationLabels::of(destination);
        self.destination_events_sent.remove(&labels);
        self.destination_events_left_out.remove(&labels);
        self.destination_pending_events.remove(&labels);
        self.destination_oldest_pending_seconds.remove(&labels);
        self.dead_letters.remove(&labels);
        for reason in DestinationFault::REASONS {
            let labels = DestinationFault {
                destination: destination.to_owned(),
                reason,
            };
            self.destination_events_refused.remove(&labels);
            self.destination_retries.remove(&labels);
        }
    }
}

impl DestinationFault {
    /// All reasons that are counted.
    pub const REASONS: [&'static str; 6] = [
        "throttled",
        "refused",
        "unavailable",
        "too_large",
        "unauthorized",
        "invalid",
    ];
}
