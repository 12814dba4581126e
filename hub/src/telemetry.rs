//! Log lines to standard error. Never anything else: metrics are in `metrics`.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogOptions};

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to read the log filter {filter:?}: write a level, or a filter such as info,tidegate_hub=debug"
)]
pub struct Error {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Begins logging. Called once by `main`; a second call changes nothing.
pub fn start(options: &LogOptions) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&options.filter).map_err(|source| Error {
        filter: options.filter.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // Someone else logging already (a test, a process that embeds the hub) is not an error.
    let _ = match options.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Says why the process ends, with every cause, on standard error.
pub fn complain(error: &dyn std::error::Error) {
    use std::io::Write as _;

    let mut text = format!("tidegate-hub: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    // Nothing is left to do if standard error is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}
