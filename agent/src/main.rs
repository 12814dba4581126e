//! The binary `tidegate-agent`: options, logging, one runtime, an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tidegate_agent::{config::Cli, runtime};

fn main() -> ExitCode {
    let options = Cli::parse();
    if let Err(error) = runtime::log::start(&options.log) {
        eprintln!("tidegate-agent: {error}");
        return ExitCode::from(2);
    }
    // One provider for every TLS connection of the process; a second installation is no harm.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    match runtime::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = runtime::describe(&error), "the agent stops");
            ExitCode::FAILURE
        }
    }
}
