//! From the agent's options to log lines and traces. Never anything else.

use tidegate_telemetry::{Error, Options, Otlp, Telemetry};

use crate::config::Cli;

/// Begins logging and, if there is an endpoint, tracing. Called inside the runtime.
pub fn start(options: &Cli) -> Result<Telemetry, Error> {
    let otlp = &options.otlp;
    tidegate_telemetry::start(&Options {
        service: "tidegate-agent",
        version: env!("CARGO_PKG_VERSION"),
        filter: options.log.filter.clone(),
        format: options.log.format,
        otlp: otlp.endpoint.clone().map(|endpoint| Otlp {
            endpoint,
            headers_file: otlp.headers_file.clone(),
            ca_file: otlp.ca_file.clone(),
            // The hub chooses: an agent begins no trace of its own.
            sample_ratio: 1.0,
        }),
    })
}
