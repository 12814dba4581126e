//! How the hub tells of itself: log lines, traces, numbers.
//!
//! Owns what the hub's spans and metrics are called and when they are told; docs/observability.md
//! lists them. Never decides anything: what is told here changes nothing.

pub mod calls;
pub mod content;
pub mod metrics;
pub mod places;
pub mod witness;

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use jiff::Timestamp;
use tidegate_telemetry::{Error, Options, Otlp, Telemetry};

use crate::config::ServeOptions;

/// Begins logging and, if there is an endpoint, tracing. Called once by `main`.
pub fn start(options: &ServeOptions) -> Result<Telemetry, Error> {
    let otlp = &options.otlp;
    tidegate_telemetry::start(&Options {
        service: "tidegate-hub",
        version: env!("CARGO_PKG_VERSION"),
        filter: options.log.filter.clone(),
        format: options.log.format,
        otlp: otlp.endpoint.clone().map(|endpoint| Otlp {
            endpoint,
            headers_file: otlp.headers_file.clone(),
            ca_file: otlp.ca_file.clone(),
            sample_ratio: otlp.sample_ratio,
        }),
    })
}

/// The hub's time as spans have it.
pub(crate) fn time(at: Timestamp) -> SystemTime {
    at.into()
}
