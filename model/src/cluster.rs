//! A workload cluster as the hub's registry knows it.
//!
//! Never holds credentials: agents dial out and own theirs (design, decision 7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::ClusterUid;

/// A registered cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Made by the hub when the cluster is registered; in the agent's certificate.
    pub uid: ClusterUid,
    /// Unique among the clusters of a hub: a DNS label.
    pub name: String,
    /// Set by users through the API; those with the prefix `fact.tidegate.dev/` by the agent.
    pub labels: BTreeMap<String, String>,
    /// Free text for templates.
    pub annotations: BTreeMap<String, String>,
    /// Addresses that sets may name in `destination.server`.
    pub servers: Vec<String>,
}
