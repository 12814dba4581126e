//! An application: one row of a set, bound for one cluster.
//!
//! Is what `expand` returns. Never says what is in the cluster now: that is an assignment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ids::ClusterUid, policy::Policy, source::Source};

/// One generated application. Its identity across expansions is (project, set, cluster, name).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// The project; from the set, never from a row.
    pub project: String,
    /// The set's name.
    pub set: String,
    /// Unique in its project.
    pub name: String,
    /// The target cluster.
    pub cluster: ClusterUid,
    /// The target cluster's name when the row was expanded; for people.
    pub cluster_name: String,
    /// Namespace for namespaced objects that name none.
    pub namespace: String,
    /// Labels of the application (not of its objects); waves may select on them.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the application.
    pub annotations: BTreeMap<String, String>,
    /// Where its manifests come from.
    pub source: Source,
    /// Prune and drift.
    pub policy: Policy,
    /// Which generator and row made it, from which inputs.
    pub provenance: Provenance,
}

/// Where an application came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// Path of the generator in the set, for example `spec.generators[0].clusters`.
    pub generator: String,
    /// Index of the row among that generator's rows, after its selector.
    pub row: u32,
    /// What the row was made from.
    pub inputs: Vec<InputVersion>,
}

/// One input and its version at the time of expansion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputVersion {
    /// For example `cluster/dev-1`, `git/https://host/repo@main:clusters/dev.yaml`.
    pub input: String,
    /// The cluster's digest, the commit, ….
    pub version: String,
}
