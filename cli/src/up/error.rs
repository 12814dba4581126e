//! Why `up` or `down` does not do what it should.

use std::{io, path::PathBuf};

use crate::exit::Exit;

/// Why `up` or `down` does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("failed to {action} {path}: {source}")]
    File {
        /// What was tried, such as `write`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds something else.
    #[error(
        "failed to use {path}: it is not empty, and no fleet of `tidegate up`; choose another \
         --dir"
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to take down.
    #[error("failed to find a fleet in {path}: `tidegate up` makes one; choose with --dir")]
    NoFleet {
        /// The folder.
        path: PathBuf,
    },
    /// Another process runs the fleet.
    #[error(
        "failed to use {path}: another `tidegate up` runs this fleet; end it with Ctrl-C there"
    )]
    Running {
        /// The folder.
        path: PathBuf,
    },
    /// A later program made the folder.
    #[error(
        "failed to use {path}: a newer tidegate made it (version {found} of the folder, this one \
         knows {known}); use that one, or remove it with `tidegate down --dir {path}`"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The latest that this program reads.
        known: u64,
    },
    /// The folder's record of itself cannot be read.
    #[error(
        "failed to understand {path}: {problem}; remove the fleet with `tidegate down --dir {}`",
        .path.parent().unwrap_or(.path).display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The fleet that is there is another one than was asked for.
    #[error(
        "failed to go on with the fleet in {path}: it has {has}, but {asked} was asked for; leave \
         that out, choose another --dir, or take it down first (`tidegate down`)"
    )]
    Different {
        /// The folder.
        path: PathBuf,
        /// What it has.
        has: String,
        /// What was asked for.
        asked: String,
    },
    /// There is no git.
    #[error(
        "failed to run git: {0}; install it: the fleet is delivered from a repository, and you \
         will want to commit"
    )]
    NoGit(#[source] io::Error),
    /// Git said no.
    #[error("failed to make the repository {path}: git {arguments}: {said}")]
    Git {
        /// The repository.
        path: PathBuf,
        /// What it was asked.
        arguments: String,
        /// What it answered.
        said: String,
    },
    /// A port cannot be had.
    #[error(
        "failed to listen on 127.0.0.1:{port}: {source}; another process has it: choose another \
         --port, or leave it out"
    )]
    Port {
        /// The port; 0 is any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The options that a part of the fleet is given.
    #[error("failed to start the {part}: {problem}")]
    Options {
        /// Hub or agent.
        part: &'static str,
        /// What its command line says.
        problem: String,
    },
    /// A part ended.
    #[error("failed to run the {part}: {problem}; see {log}")]
    Part {
        /// Which.
        part: String,
        /// Why.
        problem: String,
        /// Where more is.
        log: PathBuf,
    },
    /// A simulated cluster's objects.
    #[error(
        "failed to read the objects of cluster {cluster}: {problem}; remove the fleet with \
         `tidegate down`"
    )]
    Objects {
        /// The cluster.
        cluster: String,
        /// Why.
        problem: String,
    },
    /// A real cluster.
    #[error("failed to prepare cluster {cluster}: {problem}")]
    Cluster {
        /// Its name.
        cluster: String,
        /// Why.
        problem: String,
    },
}

impl Error {
    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoFleet { .. } => Exit::NotFound,
            Self::NotOurs { .. } | Self::Different { .. } => Exit::Usage,
            _ => Exit::Failure,
        }
    }
}
