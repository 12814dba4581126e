//! The `tidegate-hub` binary: parse, install what is process-wide, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tidegate_hub::{config::Cli, tell};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Fails only when one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match tell::run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tidegate_telemetry::complain("tidegate-hub", error.as_ref());
            ExitCode::FAILURE
        }
    }
}
