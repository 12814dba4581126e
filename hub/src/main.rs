//! The `tidegate-hub` binary: parse, install what is process-wide, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tidegate_hub::{
    config::{Cli, Command},
    init, runtime, telemetry, tell,
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Fails only when one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome: Result<(), Box<dyn std::error::Error>> = match cli.command {
        Command::Init(options) => init::run(&options)
            .await
            .map(|()| init::tell(&options))
            .map_err(Into::into),
        Command::Serve(options) => match telemetry::start(&options) {
            Ok(telemetry) => {
                let ended = runtime::run(options).await;
                telemetry.end().await;
                ended.map_err(Into::into)
            }
            Err(error) => Err(error.into()),
        },
        Command::Backup(options) => tell::backup(&options).await,
        Command::Restore(options) => tell::restore(&options).await,
        Command::Migrate(options) => tell::migrate(&options).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tidegate_telemetry::complain("tidegate-hub", error.as_ref());
            ExitCode::FAILURE
        }
    }
}
