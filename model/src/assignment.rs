//! An assignment: the hub's latest word on one application in one cluster.
//!
//! State, not an event: a link sends the latest, never a queue. Deletion is a tombstone with a
//! generation; absence means nothing (design, decisions 2 and 6).

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch, Generation, RunId},
    policy::Policy,
};

/// What an agent is to run, or to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The cluster.
    pub cluster: ClusterUid,
    /// The application.
    pub app: AppUid,
    /// `project/name`, for annotations and people.
    pub app_name: String,
    /// Orders the assignments of this application in this cluster.
    pub generation: Generation,
    /// The hub's term when it was issued; a new leader does not reissue what stands.
    pub epoch: Epoch,
    /// What it asks for.
    pub desired: Desired,
}

/// What an assignment asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Desired {
    /// Run this content.
    Run {
        /// The content.
        bundle: Digest,
        /// Prune and drift.
        policy: Policy,
        /// Namespace for namespaced objects that name none.
        namespace: String,
        /// The run that assigned it.
        run: RunId,
        /// A person approved that this bundle removes more than the brake allows.
        prune_approved: bool,
    },
    /// Remove the application.
    Tombstone {
        /// Delete its objects too; otherwise they stay, without our labels.
        cascade: bool,
    },
}

impl Assignment {
    /// The digest that a report must echo: over bundle and policy, or the tombstone.
    pub fn digest(&self) -> Digest {
        let value = match &self.desired {
            Desired::Run {
                bundle,
                policy,
                namespace,
                prune_approved,
                ..
            } => serde_json::json!({
                "bundle": bundle.to_string(),
                "policy": policy.digest().to_string(),
                "namespace": namespace,
                "pruneApproved": prune_approved,
            }),
            Desired::Tombstone { cascade } => serde_json::json!({ "tombstone": cascade }),
        };
        Digest::of("assignment", &value)
    }

    /// The bundle, unless it is a tombstone.
    pub fn bundle(&self) -> Option<Digest> {
        match &self.desired {
            Desired::Run { bundle, .. } => Some(*bundle),
            Desired::Tombstone { .. } => None,
        }
    }
}

/// One row of a state root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StateRow {
    /// The application.
    pub app: AppUid,
    /// The generation held.
    pub generation: Generation,
    /// [`Assignment::digest`] of it.
    pub digest: Digest,
}

/// Digest over the sorted rows (design/protocol.md, Session 1): equal roots end a resync in one
/// round trip.
pub fn state_root(rows: impl IntoIterator<Item = StateRow>) -> Digest {
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            serde_json::json!([
                row.app.to_string(),
                row.generation.0,
                row.digest.to_string()
            ])
        })
        .collect();
    Digest::of("state-root", &rows.into())
}
