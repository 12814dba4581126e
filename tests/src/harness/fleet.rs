//! Several real clusters that start and end together.
//!
//! Owns the shared etcd, the folder of logs and state, and the order in which
//! everything ends. What a cluster is, its own module says.

use std::path::Path;

use futures::future::try_join_all;

use super::{binaries::Binaries, cluster::Cluster, error::Error, scratch::Scratch, servers::Etcd};

/// Running clusters on one etcd; dropped, every process of theirs is killed and
/// their folder is removed.
#[derive(Debug)]
pub struct Fleet {
    // Fields end in this order: clients before servers, files last.
    clusters: Vec<Cluster>,
    etcd: Etcd,
    scratch: Scratch,
}

impl Fleet {
    /// Starts `count` clusters named `cluster-1`, `cluster-2`, …
    ///
    /// # Errors
    ///
    /// As [`Fleet::named`].
    pub async fn start(binaries: &Binaries, count: usize) -> Result<Self, Error> {
        let names: Vec<String> = (1..=count)
            .map(|number| format!("cluster-{number}"))
            .collect();
        Self::named(binaries, &names).await
    }

    /// Starts one cluster a name, all at the same time. Names must differ and
    /// are DNS labels.
    ///
    /// # Errors
    ///
    /// The first failure of any process, with the end of its log; whatever had
    /// started by then is killed.
    pub async fn named(binaries: &Binaries, names: &[impl AsRef<str>]) -> Result<Self, Error> {
        let scratch = Scratch::create()?;
        let etcd = Etcd::start(binaries, scratch.path()).await?;
        let clusters = try_join_all(names.iter().map(|name| {
            let name = name.as_ref();
            Cluster::start(name, scratch.path().join(name), &etcd.url, binaries)
        }))
        .await?;
        Ok(Self {
            clusters,
            etcd,
            scratch,
        })
    }

    /// Its clusters, in the order of their names at the start.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// The cluster of this name.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when there is none.
    pub fn cluster(&self, name: &str) -> Result<&Cluster, Error> {
        self.clusters
            .iter()
            .find(|cluster| cluster.name() == name)
            .ok_or_else(|| Error::Missing {
                what: format!("find the cluster {name}"),
                missing: "the fleet was started without it".to_owned(),
            })
    }

    /// The URL of the etcd that the clusters share.
    pub fn etcd(&self) -> &str {
        &self.etcd.url
    }

    /// The folder of its logs; tests may put files of their own there.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The ids of all its running processes.
    pub fn pids(&self) -> Vec<u32> {
        let clusters = self.clusters.iter().flat_map(Cluster::pids);
        std::iter::once(self.etcd.process.pid())
            .chain(clusters)
            .collect()
    }
}
