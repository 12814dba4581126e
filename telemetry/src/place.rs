//! Where a span stands: ids that can be worked out again, so that nothing has to be kept open.
//!
//! A change takes minutes and crosses tasks, processes and restarts. The ids of what is long are
//! digests of what it is about, so whoever knows the thing knows its span: a hub that restarts in
//! the middle goes on in the same trace with nothing stored. Pure.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use sha2::{Digest as _, Sha256};

/// The name of the field that carries a place, after W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";

/// A span that is or will be: its ids and those of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// The span above it.
    pub parent: Option<SpanId>,
}

impl Place {
    /// The beginning of the trace about this thing.
    pub fn root(thing: &[&str]) -> Self {
        let trace = TraceId::from_bytes(digest(b"trace", thing));
        Self {
            trace,
            span: span_id(trace, thing),
            parent: None,
        }
    }

    /// Where another process stands.
    pub fn of(context: &SpanContext) -> Self {
        Self {
            trace: context.trace_id(),
            span: context.span_id(),
            parent: None,
        }
    }

    /// The span about `thing` below this one. The same thing has the same span wherever it is
    /// asked for, whatever is above it.
    #[must_use]
    pub fn child(&self, thing: &[&str]) -> Self {
        Self {
            trace: self.trace,
            span: span_id(self.trace, thing),
            parent: Some(self.span),
        }
    }

    /// As others are told of it.
    pub fn context(&self) -> SpanContext {
        SpanContext::new(
            self.trace,
            self.span,
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        )
    }

    /// As W3C Trace Context writes it.
    pub fn traceparent(&self) -> String {
        let mut one = One(String::new());
        let context = Context::new().with_remote_span_context(self.context());
        TraceContextPropagator::new().inject_context(&context, &mut one);
        one.0
    }
}

/// Reads what W3C Trace Context calls `traceparent`; `None` if it is no such thing, or if whoever
/// sent it does not keep the trace.
pub fn read(traceparent: &str) -> Option<SpanContext> {
    if traceparent.is_empty() {
        return None;
    }
    let one = One(traceparent.to_owned());
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &one);
    let context = context.span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then_some(context)
}

/// A carrier of one field.
struct One(String);

impl Injector for One {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = value;
        }
    }
}

impl Extractor for One {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

fn span_id(trace: TraceId, thing: &[&str]) -> SpanId {
    SpanId::from_bytes(digest(&trace.to_bytes(), thing))
}

/// The beginning of a digest; never all zero, which would be no id.
fn digest<const N: usize>(salt: &[u8], thing: &[&str]) -> [u8; N] {
    let mut hash = Sha256::new();
    hash.update(salt);
    for part in thing {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let whole = hash.finalize();
    let mut id = [0; N];
    id.copy_from_slice(&whole[..N]);
    if id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_has_the_same_ids_and_others_have_others() {
        let root = Place::root(&["commit", "https://git/x", "main", "abc"]);
        assert_eq!(
            root,
            Place::root(&["commit", "https://git/x", "main", "abc"])
        );
        // Parts do not run into each other.
        let other = Place::root(&["commit", "https://git/x", "mainabc", ""]);
        assert_ne!(root.trace, other.trace);
        assert_ne!(root.span, other.span);
        let child = root.child(&["run", "1"]);
        assert_eq!((child.trace, child.parent), (root.trace, Some(root.span)));
        assert_eq!(child.span, root.child(&["run", "1"]).span);
        assert_ne!(child.span, other.child(&["run", "1"]).span);
    }

    #[test]
    fn a_place_reads_back_from_its_traceparent() {
        let place = Place::root(&["x"]);
        let text = place.traceparent();
        assert!(text.starts_with("00-") && text.ends_with("-01"), "{text}");
        let context = read(&text).unwrap();
        assert_eq!(
            (context.trace_id(), context.span_id()),
            (place.trace, place.span)
        );
        let unsampled = text.replace("-01", "-00");
        for wrong in ["", "x", "00-0-0-01", unsampled.as_str()] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
