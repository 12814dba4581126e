//! A report: what an agent says about one application, and about which order it speaks.
//!
//! Evidence is bound to (generation, digest); the hub derives run and epoch from the assignment
//! with that generation (design, decision 4). Never carries secret values.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    duration::Span,
    health::Health,
    ids::{AppUid, Generation},
    object::ObjectId,
};

/// The state of one application in one cluster, as its agent saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The application.
    pub app: AppUid,
    /// The generation it speaks of.
    pub generation: Generation,
    /// [`crate::assignment::Assignment::digest`] of that generation.
    pub digest: Digest,
    /// How far that generation got.
    pub phase: Phase,
    /// The worst of its objects, at the content of that generation.
    pub health: Health,
    /// How long it has been healthy without a break, by the agent's monotonic clock; zero unless
    /// healthy.
    pub healthy_for: Span,
    /// What differs from the manifests now, after healing if the policy says so.
    pub drift: Vec<DriftItem>,
    /// Why it is not healthy or not applied, worst first; at most 20.
    pub problems: Vec<Problem>,
    /// Objects that would be pruned and are held back, with the reason.
    pub held_prune: Option<HeldPrune>,
}

/// How far a generation got in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// On the agent's disk or in its cluster: it survives the agent.
    Accepted,
    /// Being applied.
    Applying,
    /// Every object applied and everything that had to go is gone.
    Applied,
    /// Some object could not be applied; retried.
    Failed,
    /// The tombstone was carried out.
    Removed,
}

impl Phase {
    /// Its name in digests; never changes.
    const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Applying => "Applying",
            Self::Applied => "Applied",
            Self::Failed => "Failed",
            Self::Removed => "Removed",
        }
    }
}

/// A live object that differs from its manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftItem {
    /// Which object.
    pub object: ObjectId,
    /// JSON pointers of owned fields that differ; empty when the object is missing.
    pub fields: Vec<String>,
    /// Whether it was put back.
    pub healed: bool,
}

/// Something wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Which object; `None` for the application as a whole.
    pub object: Option<ObjectId>,
    /// What is wrong, for a person.
    pub message: String,
}

/// A prune that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldPrune {
    /// How many objects would go.
    pub count: u32,
    /// Why it is held.
    pub reason: String,
}

/// One row of a status root: what of a report decides whether it is still true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusRow {
    /// The application.
    pub app: AppUid,
    /// The generation the report speaks of.
    pub generation: Generation,
    /// The digest the report speaks of.
    pub digest: Digest,
    /// How far that generation got.
    pub phase: Phase,
    /// The health it reports.
    pub health: Health,
}

impl From<&Report> for StatusRow {
    fn from(report: &Report) -> Self {
        Self {
            app: report.app,
            generation: report.generation,
            digest: report.digest,
            phase: report.phase,
            health: report.health,
        }
    }
}

/// Digest over the sorted rows (design/protocol.md, Session 7): while the hub's and the agent's
/// are equal, every stored report is evidence as of now.
///
/// Rows of removed applications are left out: the hub forgets them once it knows, the agent a
/// little later, and nothing waits for their health.
pub fn status_root(rows: impl IntoIterator<Item = StatusRow>) -> Digest {
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter(|row| row.phase != Phase::Removed)
        .collect();
    rows.sort();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            serde_json::json!([
                row.app.to_string(),
                row.generation.0,
                row.digest.to_string(),
                row.phase.word(),
                row.health.to_string(),
            ])
        })
        .collect();
    Digest::of("status-root", &rows.into())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(app: u128, phase: Phase, health: Health) -> StatusRow {
        StatusRow {
            app: AppUid(Uuid::from_u128(app)),
            generation: Generation(3),
            digest: Digest::from_bytes([7; 32]),
            phase,
            health,
        }
    }

    #[test]
    fn order_does_not_change_the_root_and_every_field_does() {
        let one = row(1, Phase::Applied, Health::Healthy);
        let two = row(2, Phase::Applied, Health::Healthy);
        let root = status_root([one, two]);
        assert_eq!(root, status_root([two, one]));
        for other in [
            row(3, Phase::Applied, Health::Healthy),
            row(1, Phase::Applying, Health::Healthy),
            row(1, Phase::Applied, Health::Degraded),
            StatusRow {
                generation: Generation(4),
                ..one
            },
            StatusRow {
                digest: Digest::from_bytes([8; 32]),
                ..one
            },
        ] {
            assert_ne!(root, status_root([other, two]), "{other:?}");
        }
    }

    #[test]
    fn what_was_removed_does_not_count() {
        let kept = row(1, Phase::Applied, Health::Healthy);
        let gone = row(2, Phase::Removed, Health::Missing);
        assert_eq!(status_root([kept, gone]), status_root([kept]));
    }
}
