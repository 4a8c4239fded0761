//! What the engine tells about itself: log lines on stderr, and metrics for `/metrics`.
//!
//! [`log`] sets up the lines. [`Metrics`] is the one declaration of every metric; a [`Telemetry`] is the handle to
//! them that is passed down.
//!
//! Labels hold ids, log types and words of bounded sets; never a name, a URL or any other text of a user.

pub mod log;
mod metrics;

use std::{ops::Deref, sync::Arc};

use prometheus_client::{encoding::text::encode, registry::Registry};

pub use metrics::{
    AlarmLabels, ApiLabels, Counters, DestinationFault, DestinationLabels, FeedLabels, Gauges, Histograms,
    LabelLabels, LogTypeLabels, Metrics, NoticeLabels, PollLabels, PollOutcome, RequestLabels, RouteLabels,
    SourceLabels, WorkerLabels,
};

/// The engine's metrics; cheap to clone, and clones count together.
#[derive(Debug, Clone)]
pub struct Telemetry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    registry: Registry,
}

impl Telemetry {
    /// The media type of [`Telemetry::render`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All metrics, at zero where their labels are known beforehand and absent where they are not.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("zoom_log_engine");
        let metrics = Metrics::register(&mut registry);
        Self {
            inner: Arc::new(Inner { metrics, registry }),
        }
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.inner.registry);
        text
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Telemetry {
    type Target = Metrics;

    fn deref(&self) -> &Metrics {
        &self.inner.metrics
    }
}

#[cfg(test)]
mod tests {
    use engine_api::LogType;

    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let telemetry = Telemetry::new();
        let again = telemetry.clone();
        let operation = LogTypeLabels::of(LogType::Operation);
        telemetry
            .polls
            .add(&PollLabels::of(LogType::Operation, PollOutcome::Succeeded), 1);
        again
            .polls
            .add(&PollLabels::of(LogType::Operation, PollOutcome::Succeeded), 1);
        telemetry.event_lateness_seconds.observe(&operation, 90.0);
        telemetry
            .feed_watermark_timestamp_seconds
            .set(&FeedLabels::of("src_1", LogType::Activity), 1.5);
        telemetry
            .zoom_requests
            .add(&RequestLabels::of("token", Some(200)), 1);
        telemetry.zoom_requests.add(&RequestLabels::of("token", None), 1);
        let text = telemetry.render();
        for line in [
            "zoom_log_engine_polls_total{log_type=\"operation\",outcome=\"succeeded\"} 2",
            "zoom_log_engine_event_lateness_seconds_bucket{le=\"300.0\",log_type=\"operation\"} 1",
            "zoom_log_engine_feed_watermark_timestamp_seconds{source=\"src_1\",log_type=\"activity\"} 1.5",
            "zoom_log_engine_zoom_requests_total{endpoint=\"token\",status=\"200\"} 1",
            "zoom_log_engine_zoom_requests_total{endpoint=\"token\",status=\"none\"} 1",
            concat!(
                "zoom_log_engine_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn what_no_longer_exists_is_no_longer_shown() {
        let telemetry = Telemetry::new();
        for log_type in LogType::ALL {
            telemetry
                .feed_last_event_timestamp_seconds
                .set(&FeedLabels::of("src_gone", log_type), 1.0);
        }
        telemetry.budget_remaining.set(&SourceLabels::of("src_gone"), 1.0);
        telemetry
            .destination_events_sent
            .add(&DestinationLabels::of("dst_gone"), 1);
        telemetry.forget_source("src_gone");
        telemetry.forget_destination("dst_gone");
        assert!(!telemetry.render().contains("_gone"));
    }

    #[test]
    fn every_metric_has_our_prefix_a_type_and_a_help_text() {
        let telemetry = Telemetry::new();
        telemetry.alarms.set(&AlarmLabels { state: "ok" }, 1.0);
        let text = telemetry.render();
        let named = |what: &str| text.lines().filter(|line| line.starts_with(what)).count();
        assert_eq!(named("# HELP zoom_log_engine_"), named("# TYPE "));
        assert!(named("# TYPE zoom_log_engine_") > 5, "{text}");
    }
}
