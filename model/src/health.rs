//! The six words of health and which one wins when several are summed up.
//!
//! Never decides the health of an object: that is the agent's `health` module.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Health of an object, an application or a cluster. What is not known is never healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Health {
    /// Runs as asked.
    Healthy,
    /// Stopped on purpose (a paused Deployment, a suspended Job).
    Suspended,
    /// On its way.
    Progressing,
    /// Asked for and not there.
    Missing,
    /// Failed, or will not get there by itself.
    Degraded,
    /// Nobody can say.
    Unknown,
}

impl Health {
    /// The worse of two: Healthy < Suspended < Progressing < Missing < Degraded < Unknown
    /// (the aggregate order of Argo CD, facts/agent-reconcile.md 1.7).
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        self.max(other)
    }

    /// The worst of many; an empty set has nothing wrong with it.
    pub fn worst_of(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::Healthy, Self::worst)
    }

    /// Whether this is evidence for a gate.
    pub fn is_healthy(self) -> bool {
        self == Self::Healthy
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        })
    }
}
