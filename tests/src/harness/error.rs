//! What can go wrong while a test fleet is started, driven or watched.
//!
//! Owns the one error type of the harness. Its `Debug` is its message and the
//! causes below it, because a test shows a returned error with `Debug`.

use std::{fmt, io, path::PathBuf, process::ExitStatus, time::Duration};

/// A failure of the test bed, with the words of the process it concerns.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("failed to {what}")]
    Io {
        /// What was tried, with its object.
        what: String,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// A process ended although it was wanted.
    #[error("failed to keep {process} running: it ended with {status}; end of {log}:\n{tail}", log = log.display())]
    Ended {
        /// Name of the process.
        process: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// A level was not reached in time.
    #[error("failed to see {what} within {within:?}; last seen: {last}")]
    Deadline {
        /// The level that was waited for.
        what: String,
        /// The deadline.
        within: Duration,
        /// Why it was not reached, as of the last look.
        last: String,
    },
    /// A server answered with an error.
    #[error("failed to {what}")]
    Kube {
        /// What was asked, with its object.
        what: String,
        /// The answer of the server.
        source: Box<kube::Error>,
    },
    /// A key or certificate of a cluster could not be made.
    #[error("failed to make the keys of a cluster")]
    Keys(#[from] rcgen::Error),
    /// Every port of the harness's range is taken.
    #[error("failed to find a free port between {first} and {last} on the loopback address")]
    NoPort {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// The fleet lacks something that the call needs.
    #[error("failed to {what}: {missing}")]
    Missing {
        /// What was tried.
        what: String,
        /// What is missing, and how to get it.
        missing: String,
    },
}

impl Error {
    /// An [`Error::Io`] for use with `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// An [`Error::Kube`] for use with `map_err`.
    pub(crate) fn kube(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Kube {
            what,
            source: Box::new(source),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
