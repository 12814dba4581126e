//! From the name or address in a template to the cluster that is meant.
//!
//! Never guesses: an address that two clusters claim is an error. A cluster that is not registered
//! keeps an application from being made; it is no reason to delete one.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::cluster::Cluster;

/// Argo CD's name for the cluster that the hub runs in, and the address of every cluster to
/// itself. The management cluster is registered with this address as an alias.
const IN_CLUSTER: &str = "in-cluster";
const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";

/// The clusters by everything that a template may call them.
pub(crate) struct Destinations<'a> {
    clusters: &'a [Cluster],
    /// Indexes of the clusters with this name.
    names: BTreeMap<&'a str, BTreeSet<usize>>,
    /// Indexes of the clusters with this alias.
    servers: BTreeMap<&'a str, BTreeSet<usize>>,
}

impl<'a> Destinations<'a> {
    pub(crate) fn new(clusters: &'a [Cluster]) -> Self {
        let mut names: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut servers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (index, cluster) in clusters.iter().enumerate() {
            names
                .entry(cluster.name.as_str())
                .or_default()
                .insert(index);
            for server in &cluster.servers {
                servers.entry(plain(server)).or_default().insert(index);
            }
        }
        Self {
            clusters,
            names,
            servers,
        }
    }

    /// The cluster of this name.
    pub(crate) fn by_name(&self, name: &str) -> Result<&'a Cluster, String> {
        match self.found(self.names.get(name)).as_slice() {
            [one] => Ok(one),
            [] if name == IN_CLUSTER => self.by_server(IN_CLUSTER_SERVER),
            [] => Err(format!(
                "no cluster named {name:?} is registered; register it, or correct the name"
            )),
            several => Err(format!(
                "{} clusters are named {name:?}; rename all but one",
                several.len()
            )),
        }
    }

    /// The cluster with this address among its server aliases.
    pub(crate) fn by_server(&self, server: &str) -> Result<&'a Cluster, String> {
        match self.found(self.servers.get(plain(server))).as_slice() {
            [one] => Ok(one),
            [] => Err(format!(
                "no registered cluster has the server alias {server:?}; add it to one, or use \
                 destination.name"
            )),
            several => {
                let mut names: Vec<_> = several.iter().map(|it| it.name.as_str()).collect();
                names.sort_unstable();
                let names = names.join(", ");
                Err(format!(
                    "clusters {names} all have the server alias {server:?}; remove it from all \
                     but one"
                ))
            }
        }
    }

    fn found(&self, indexes: Option<&BTreeSet<usize>>) -> Vec<&'a Cluster> {
        let indexes = indexes.into_iter().flatten();
        indexes
            .filter_map(|index| self.clusters.get(*index))
            .collect()
    }
}

/// An address without the slash that some write at its end.
fn plain(server: &str) -> &str {
    server.trim_end_matches('/')
}
