//! What both binaries tell about themselves: log lines, traces over OTLP, numbers of the process.
//!
//! Owns how a process begins and ends telling. Off by default: without an endpoint there is no
//! exporter, and a trace costs one look at an atomic. Never knows what an application is, and never
//! blocks or fails the work of whoever is told about.

pub mod causes;
pub mod export;
pub mod log;
pub mod place;
pub mod process;
pub mod tracer;

use std::sync::Arc;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, filter::Targets, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

pub use self::{
    causes::{complain, describe},
    export::Otlp,
    log::Format,
    place::Place,
    tracer::{Finished, tracer},
};
use self::{export::Exporter, tracer::Tracer};

/// What a process is told about its telling.
#[derive(Clone, Debug)]
pub struct Options {
    /// `service.name` of its spans, for example `tidegate-hub`.
    pub service: &'static str,
    /// `service.version` of its spans.
    pub version: &'static str,
    /// What to log: a level, or a filter such as `info,tidegate_hub=debug`.
    pub filter: String,
    /// In which form.
    pub format: Format,
    /// Where traces go; `None` for nowhere.
    pub otlp: Option<Otlp>,
}

/// Why a process cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A filter that cannot be read.
    #[error(
        "failed to read the log filter {filter:?}: write a level, or a filter such as info,tidegate_hub=debug"
    )]
    Filter {
        /// The filter.
        filter: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter of traces.
    #[error(transparent)]
    Export(#[from] export::Error),
}

/// What has to be ended in order. Dropping it loses the last second of traces; what is logged after
/// its end is lost.
#[derive(Debug, Default)]
#[must_use = "what is not ended loses its last traces"]
pub struct Telemetry {
    exporter: Option<Arc<Exporter>>,
    log: Option<WorkerGuard>,
}

/// Begins logging and, if there is an endpoint, tracing. Called once, inside the runtime; somebody
/// else logging already (a test, a process that embeds the hub) is not an error, and nothing
/// changes then.
///
/// # Errors
/// [`Error`]: a filter, a file or an address that cannot be read. Nothing is asked of the receiver:
/// one that is not there yet is no error.
pub fn start(options: &Options) -> Result<Telemetry, Error> {
    let filter = EnvFilter::try_new(&options.filter).map_err(|source| Error::Filter {
        filter: options.filter.clone(),
        source,
    })?;
    let exporter = match &options.otlp {
        Some(otlp) => Some(Arc::new(Exporter::new(
            otlp,
            options.service,
            options.version,
        )?)),
        None => None,
    };
    let spans = exporter.as_ref().map(|exporter| {
        // Ours only: the exporter's own connection must not tell about itself without end.
        let ours = Targets::new().with_target("tidegate", tracing::Level::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(exporter.live())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
    });
    let (writer, log) = log::writer();
    let begun = Registry::default()
        .with(spans)
        .with(log::layer(options.format, writer).with_filter(filter))
        .try_init();
    if begun.is_err() {
        return Ok(Telemetry::default());
    }
    if let Some(exporter) = &exporter {
        tracer::install(Tracer::new(Arc::clone(exporter)));
    }
    Ok(Telemetry {
        exporter,
        log: Some(log),
    })
}

impl Telemetry {
    /// Sends and writes what is still here, for at most three seconds.
    pub async fn end(self) {
        if let Some(exporter) = self.exporter {
            // Blocks on a thread of its own; whatever it does, the end does not wait longer.
            let ending = tokio::task::spawn_blocking(move || exporter.end());
            tokio::time::timeout(export::END_WITHIN, ending).await.ok();
        }
        drop(self.log);
    }
}
