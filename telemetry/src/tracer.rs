//! Spans that are told when they are over, with the times that they had.
//!
//! For what outlives a task: `tracing` spans cannot be kept open over minutes, processes and
//! restarts. Short things are ordinary `tracing` spans, put below a place with [`under`].

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceId},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor as _};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{Place, export::Exporter};

/// The process's tracer: one a process, like the logger.
static TRACER: OnceLock<Tracer> = OnceLock::new();

/// The tracer, if traces go anywhere.
pub fn tracer() -> Option<&'static Tracer> {
    TRACER.get()
}

pub(crate) fn install(tracer: Tracer) {
    // The second of two in one process is as good as the first.
    TRACER.set(tracer).ok();
}

/// A span that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What happened, for example `render`.
    pub name: &'static str,
    /// Its ids.
    pub place: Place,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What it was about.
    pub attributes: Vec<KeyValue>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Other traces that it is about too.
    pub links: Vec<SpanContext>,
}

/// Where finished spans go.
#[derive(Debug)]
pub struct Tracer {
    exporter: Arc<Exporter>,
    scope: InstrumentationScope,
}

impl Tracer {
    pub(crate) fn new(exporter: Arc<Exporter>) -> Self {
        Self {
            exporter,
            scope: InstrumentationScope::builder("tidegate").build(),
        }
    }

    /// Whether this trace is one of those that are kept. Everybody who is asked with the same
    /// ratio says the same.
    pub fn keeps(&self, trace: TraceId) -> bool {
        keeps(self.exporter.ratio(), trace)
    }

    pub(crate) fn told(&self) -> (u64, u64) {
        self.exporter.told()
    }

    /// Tells of a span that is over, if its trace is kept. Never blocks: one that finds the queue
    /// full is lost.
    pub fn tell(&self, span: Finished) {
        if !self.keeps(span.place.trace) {
            return;
        }
        let mut links = SpanLinks::default();
        links.links = span
            .links
            .into_iter()
            .map(|context| Link::new(context, Vec::new(), 0))
            .collect();
        self.exporter.processor().on_end(SpanData {
            span_context: span.place.context(),
            parent_span_id: span.place.parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: Cow::Borrowed(span.name),
            start_time: span.start,
            end_time: span.end.max(span.start),
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }
}

/// By the low 63 bits of the id, as `TraceIdRatioBased` samples.
fn keeps(ratio: f64, trace: TraceId) -> bool {
    if ratio >= 1.0 {
        return true;
    }
    let bytes = trace.to_bytes();
    let low = bytes[8..]
        .iter()
        .fold(0_u64, |low, byte| (low << 8) | u64::from(*byte));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of 2^63, between 0 and that"
    )]
    let bound = (ratio.max(0.0) * (1_u64 << 63) as f64) as u64;
    (low >> 1) < bound
}

/// Puts a `tracing` span below one of another task or process.
pub fn under(span: &tracing::Span, parent: &SpanContext) {
    let context = Context::new().with_remote_span_context(parent.clone());
    // Fails when nothing is traced, and then there is nothing to put.
    span.set_parent(context).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_keeps_its_share_and_always_the_same() {
        let traces: Vec<_> = (0..1000)
            .map(|n: u32| Place::root(&[&n.to_string()]).trace)
            .collect();
        let kept = |ratio| traces.iter().filter(|trace| keeps(ratio, **trace)).count();
        assert_eq!((kept(0.0), kept(1.0)), (0, 1000));
        let tenth = kept(0.1);
        assert!((60..140).contains(&tenth), "{tenth}");
        let all_of_the_tenth = traces
            .iter()
            .filter(|trace| keeps(0.1, **trace))
            .all(|trace| keeps(0.2, *trace));
        assert!(all_of_the_tenth);
    }
}
