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
