//! The command line: talks the gRPC API, or runs the hub's own pure code over files.
//!
//! [`run`] is the whole program: [`args`] says what may be asked, [`config`] and [`connect`] reach
//! the hub, [`commands`] ask it, [`offline`] reads what stands in for it, [`output`] alone prints.
//! `up` runs a fleet of its own.
//! Never decides anything that the hub decides: what it shows is what the hub says, or would say.

pub mod args;
pub mod clock;
mod commands;
pub mod config;
pub mod connect;
pub mod error;
pub mod exit;
mod files;
pub mod offline;
pub mod output;
mod up;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;

use crate::{
    args::{Cli, Command},
    clock::Clock,
    error::Error,
    exit::Exit,
    output::Output,
};

/// Runs one command line, the program's name included, and says with what to exit.
///
/// Ends early, without a word on standard output, when the user presses Ctrl-C.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that went away is no failure of ours.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            return exit.into();
        }
    };
    let mut output = Output::standard(cli.global.output, Clock::default());
    let result = tokio::select! {
        result = commands::run(&cli, &mut output) => result,
        () = interrupted(&cli) => Err(Error::Interrupted),
    };
    match result.and_then(|()| Ok(output.flush()?)) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            output.error(&error);
            error.exit().into()
        }
    }
}

/// Until Ctrl-C. A fleet ends in order, so `up` hears it for itself.
async fn interrupted(cli: &Cli) {
    if matches!(cli.command, Command::Up(_)) || tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
