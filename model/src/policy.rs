//! What an agent may do with an application besides applying it.
//!
//! Travels with the assignment and has a digest of its own: a change of it raises the generation
//! even when the content stays. Never names content.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What to do about a live object that differs from its manifest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// Put it back and report it.
    #[default]
    Heal,
    /// Report it.
    Warn,
    /// Don't look.
    Off,
}

/// Policy of one application in one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Delete objects that left the bundle. Without it they are reported as leftovers.
    #[serde(default = "yes")]
    pub prune: bool,
    /// What to do about drift.
    #[serde(default)]
    pub drift: Drift,
}

fn yes() -> bool {
    true
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            prune: true,
            drift: Drift::Heal,
        }
    }
}

impl Policy {
    /// The policy's name.
    pub fn digest(&self) -> Digest {
        let drift = match self.drift {
            Drift::Heal => "heal",
            Drift::Warn => "warn",
            Drift::Off => "off",
        };
        Digest::of(
            "policy",
            &serde_json::json!({"prune": self.prune, "drift": drift}),
        )
    }
}
