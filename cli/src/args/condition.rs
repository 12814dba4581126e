//! What can be waited for.
//!
//! Owns the words of conditions and which thing they fit. Never looks whether one is so.

use std::{convert::Infallible, fmt, str::FromStr};

use super::{Subject, Wait};
use crate::error::Error;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A run succeeded.
    Succeeded,
    /// A run ended, however.
    Terminal,
    /// Everything runs what the hub wants and is Healthy.
    Healthy,
    /// The application's cluster holds what the hub wants.
    Synced,
    /// Something waits for a person.
    Held,
    /// The application is pinned.
    Pinned,
    /// It is gone.
    Deleted,
    /// The cluster's agent is there.
    Connected,
    /// The cluster's agent is away.
    Disconnected,
    /// A run is in this state.
    State(String),
    /// The health is this word.
    Health(String),
    /// No condition at all; refused once it is known of what.
    Unknown(String),
}

impl FromStr for Condition {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some(("state", state)) => Self::State(state.to_owned()),
            Some(("health", word)) => Self::Health(word.to_owned()),
            _ => match text {
                "succeeded" => Self::Succeeded,
                "terminal" => Self::Terminal,
                "healthy" => Self::Healthy,
                "synced" => Self::Synced,
                "held" => Self::Held,
                "pinned" => Self::Pinned,
                "deleted" => Self::Deleted,
                "connected" => Self::Connected,
                "disconnected" => Self::Disconnected,
                other => Self::Unknown(other.to_owned()),
            },
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Terminal => "terminal",
            Self::Healthy => "healthy",
            Self::Synced => "synced",
            Self::Held => "held",
            Self::Pinned => "pinned",
            Self::Deleted => "deleted",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::State(word) | Self::Health(word) | Self::Unknown(word) => word,
        })
    }
}

/// Every state of a run (design: waves, "States").
const STATES: [&str; 13] = [
    "Planned",
    "WaitingGate",
    "Rolling",
    "Soaking",
    "Succeeded",
    "Paused",
    "Breached",
    "RollingBack",
    "RolledBack",
    "RollbackFailed",
    "Superseded",
    "Cancelled",
    "Failed",
];
/// The six words for health.
const HEALTHS: [&str; 6] = [
    "Healthy",
    "Progressing",
    "Degraded",
    "Suspended",
    "Missing",
    "Unknown",
];

impl Condition {
    /// Refuses what the thing can never be: waiting for it would only end by the clock.
    pub fn check(&self, options: &Wait) -> Result<(), Error> {
        let (fits, known) = match options.subject {
            Subject::Set => (
                matches!(
                    self,
                    Self::Succeeded | Self::Healthy | Self::Held | Self::Deleted | Self::State(_)
                ),
                "succeeded, healthy, held, deleted, state=X",
            ),
            Subject::Run => (
                matches!(self, Self::Succeeded | Self::Terminal | Self::State(_)),
                "succeeded, terminal, state=X",
            ),
            Subject::App => (
                matches!(
                    self,
                    Self::Healthy | Self::Synced | Self::Pinned | Self::Deleted | Self::Health(_)
                ),
                "healthy, synced, pinned, deleted, health=X",
            ),
            Subject::Cluster => (
                matches!(
                    self,
                    Self::Connected | Self::Disconnected | Self::Healthy | Self::Health(_)
                ),
                "connected, disconnected, healthy, health=X",
            ),
        };
        if !fits {
            let told = format!("--for {self} cannot be waited for here; it takes {known}");
            return Err(Error::Usage(told));
        }
        let (word, words) = match self {
            Self::State(word) => (word, &STATES[..]),
            Self::Health(word) => (word, &HEALTHS[..]),
            _ => return self.check_commit(options),
        };
        if !words.contains(&word.as_str()) {
            return Err(Error::Usage(format!(
                "there is no {word:?}; there are {}",
                words.join(", ")
            )));
        }
        self.check_commit(options)
    }

    fn check_commit(&self, options: &Wait) -> Result<(), Error> {
        let of_run = matches!(self, Self::Succeeded | Self::State(_));
        match &options.commit {
            Some(commit) if commit.is_empty() => {
                Err(Error::Usage("--commit is empty: name a commit".to_owned()))
            }
            Some(_) if options.subject != Subject::Set || !of_run => Err(Error::Usage(
                "--commit goes with a set, and with --for succeeded or state=X".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}
