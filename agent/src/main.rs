//! The binary `tidegate-agent`: options, logging, one runtime, an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tidegate_agent::{config::Cli, runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Cli::parse();
    // One provider for every TLS connection of the process; a second installation is no harm.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    match runtime::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody logs yet.
        Err(error @ (runtime::Error::Runtime(_) | runtime::Error::Telemetry(_))) => {
            tidegate_telemetry::complain("tidegate-agent", &error);
            ExitCode::from(2)
        }
        // It is in the log.
        Err(_) => ExitCode::FAILURE,
    }
}
