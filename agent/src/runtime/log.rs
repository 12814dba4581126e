//! Log lines to standard error. Never anything else.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogOptions};

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to read the log filter {filter:?}: write a level, or a filter such as info,tidegate_agent=debug"
)]
pub struct Error {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Begins logging. A second call changes nothing.
pub fn start(options: &LogOptions) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&options.filter).map_err(|source| Error {
        filter: options.filter.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Somebody else logging already (a process that embeds the agent) is not an error.
    match options.format {
        LogFormat::Text => builder.try_init().ok(),
        LogFormat::Json => builder.json().try_init().ok(),
    };
    Ok(())
}
