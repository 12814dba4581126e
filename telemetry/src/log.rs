//! Log lines to standard error. Never anything else.
//!
//! A line that is written while a span is active names its trace, so that a log leads to the trace
//! and back.

use std::{fmt, io::IsTerminal as _};

use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{self, Writer},
    },
    registry::LookupSpan,
};

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Lines that wait for whoever reads standard error; more are lost.
const QUEUE: usize = 8192;

/// Standard error, written by a thread of its own: a reader that stops reading must not stop what is
/// logged about, nor its end. Dropping the guard writes what waits, for about a second at most.
pub(crate) fn writer() -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE)
        .thread_name("log")
        .finish(std::io::stderr())
}

/// The layer that writes lines.
pub(crate) fn layer<S>(form: Format, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    match form {
        Format::Text => Box::new(layer),
        Format::Json => {
            let inner = tracing_subscriber::fmt::format().json();
            Box::new(layer.json().event_format(Traced(inner)))
        }
    }
}

/// JSON lines with `trace_id` and `span_id` in front while a span is active.
struct Traced(format::Format<format::Json>);

impl<S, N> FormatEvent<S, N> for Traced
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some((trace, span)) = ids(context) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(
                writer,
                "{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\",{rest}"
            ),
            None => writer.write_str(&line),
        }
    }
}

fn ids<S, N>(
    context: &FmtContext<'_, S, N>,
) -> Option<(opentelemetry::TraceId, opentelemetry::SpanId)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    // Nothing is traced: nothing is looked up.
    crate::tracer()?;
    let id = context.lookup_current()?.id();
    let known = tracing::dispatcher::get_default(|dispatch| get_otel_context(&id, dispatch))?;
    let known = known.span().span_context().clone();
    known
        .is_valid()
        .then(|| (known.trace_id(), known.span_id()))
}
