//! Where things are in the folder of a fleet that `up` runs.
//!
//! Owns the names. Never opens anything.

use std::path::{Path, PathBuf};

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What was made so far; its presence tells that the folder is `up`'s.
    pub(super) fn state(&self) -> PathBuf {
        self.root.join("up.json")
    }

    /// Held while an `up` runs.
    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("up.lock")
    }

    /// What hub and agents log.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("up.log")
    }

    /// The command line's configuration, with an administrator's key.
    pub(super) fn config(&self) -> PathBuf {
        self.root.join("config.yaml")
    }

    /// Every simulated cluster as a context.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// The Git repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("repo")
    }

    /// The hub's state directory.
    pub(super) fn hub(&self) -> PathBuf {
        self.root.join("hub")
    }

    /// What belongs to one cluster.
    pub(super) fn cluster(&self, name: &str) -> PathBuf {
        self.root.join("clusters").join(name)
    }

    /// The state directory of a cluster's agent.
    pub(super) fn agent(&self, name: &str) -> PathBuf {
        self.cluster(name).join("agent")
    }

    /// The token with which the agent joins.
    pub(super) fn token(&self, name: &str) -> PathBuf {
        self.cluster(name).join("token")
    }

    /// The objects of a simulated cluster.
    pub(super) fn objects(&self, name: &str) -> PathBuf {
        self.cluster(name).join("objects")
    }

    /// While there is such a file, the cluster is cut off from the hub.
    pub(super) fn cut(&self, name: &str) -> PathBuf {
        self.cluster(name).join("cut")
    }
}
