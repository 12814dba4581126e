//! `tidegate up`: a whole fleet in one process, to look at and to play with.
//!
//! Owns the order in which a hub, clusters, agents and a repository are brought up, and that a fleet
//! which was interrupted anywhere is gone on with. Parts share only what they share elsewhere: hub
//! and agents a TCP port with mutual TLS, an agent and its cluster the Kubernetes API. The one module
//! of the command line that may use hub, agent and sandbox.

mod clusters;
mod down;
mod error;
mod fleet;
mod hints;
mod layout;
mod log;
mod pace;
mod parts;
mod plan;
mod repository;
mod show;
mod state;
mod wire;

use std::path::{Path, PathBuf};

use tokio::time::Instant;

pub(crate) use self::{down::down, error::Error};
use self::{fleet::Fleet, layout::Layout};
use crate::{
    args::{self, Format},
    error as cli,
    output::Output,
};

/// Brings the fleet up and shows it until Ctrl-C, or until its first run has ended.
pub(crate) async fn up(options: &args::Up, output: &mut Output) -> Result<(), cli::Error> {
    if !options.once && output.format() != Format::Table {
        return Err(cli::Error::Usage(
            "a fleet that goes on is shown as a table only: -o json needs --once".to_owned(),
        ));
    }
    let begun = Instant::now();
    let layout = Layout::new(absolute(&options.dir)?);
    let mut fleet = Fleet::open(options, layout)?;
    let cancel = fleet.cancel.clone();
    let interrupted = async {
        interrupt().await;
        cancel.cancel();
    };
    let outcome = tokio::select! {
        outcome = Box::pin(fleet.run(options, begun, output)) => outcome,
        () = interrupted => Err(cli::Error::Interrupted),
    };
    let stopping = matches!(outcome, Err(cli::Error::Interrupted));
    if stopping && output.format() == Format::Table {
        output.note("\nstopping …");
    }
    tokio::select! {
        stopped = fleet.stop() => stopped?,
        // Somebody who asks twice means it; objects are at most a second old on the disk.
        () = interrupt() => return Err(cli::Error::Interrupted),
    }
    if stopping && output.format() == Format::Table {
        let dir = options.dir.display();
        output.note(&format!(
            "stopped; `tidegate up --dir {dir}` goes on from here, `tidegate down --dir {dir}` \
             removes it"
        ));
    }
    match outcome {
        // The usual end of a fleet that is shown until Ctrl-C.
        Err(cli::Error::Interrupted) if !options.once && fleet.ran => Ok(()),
        outcome => outcome,
    }
}

/// Until SIGINT or SIGTERM; for ever, if they cannot be heard.
async fn interrupt() {
    use tokio::signal::unix::{SignalKind, signal};

    let (int, term) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut int), Ok(mut term)) = (int, term) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
}

/// The path from the root, for words that are read elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(state::file("find", path))
}
