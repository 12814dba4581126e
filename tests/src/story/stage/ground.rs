//! The clusters of a story: real ones, or sandboxes behind a socket in this process.
//!
//! Owns them, their kubeconfigs and what a story can do to them. Never knows of hub and agents.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tidegate_sandbox::{Options, Sandbox};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    super::{bed::Bed, proxy::Proxy},
    missing,
};
use crate::harness::{Binaries, Error, Fleet, User};

/// The clusters.
#[derive(Debug)]
pub(super) enum Ground {
    Real(Box<Fleet>),
    Sandboxes(Vec<Pretended>),
}

/// A sandbox on a socket, behind a wire that can go silent.
#[derive(Debug)]
pub(super) struct Pretended {
    name: String,
    kubeconfig: PathBuf,
    sandbox: Sandbox,
    gate: Proxy,
    _running: DropGuard,
}

impl Ground {
    /// Starts clusters of these names; `folder` is the story's.
    pub(super) async fn start(
        bed: Bed,
        binaries: &Binaries,
        folder: &Path,
        names: &[String],
    ) -> Result<Self, Error> {
        match bed {
            Bed::Redb | Bed::Etcd => {
                let fleet = Fleet::named(binaries, names).await?;
                Ok(Self::Real(Box::new(fleet)))
            }
            Bed::Sandbox => {
                let mut sandboxes = Vec::new();
                for name in names {
                    sandboxes.push(Pretended::start(name, folder).await?);
                }
                Ok(Self::Sandboxes(sandboxes))
            }
        }
    }

    /// The kubeconfig of this user of a cluster. A sandbox knows no users.
    pub(super) fn kubeconfig(&self, name: &str, user: User) -> Result<PathBuf, Error> {
        match self {
            Self::Real(fleet) => Ok(fleet.cluster(name)?.kubeconfig_for(user)),
            Self::Sandboxes(_) => Ok(self.pretended(name)?.kubeconfig.clone()),
        }
    }

    /// Whether its pods go on becoming ready.
    pub(super) fn hold(&self, name: &str, held: bool) -> Result<(), Error> {
        match self {
            Self::Real(fleet) => {
                let kubelet = fleet.cluster(name)?.kubelet();
                if held {
                    kubelet.hold();
                } else {
                    kubelet.release();
                }
            }
            Self::Sandboxes(_) => {
                let sandbox = &self.pretended(name)?.sandbox;
                if held {
                    sandbox.hold();
                } else {
                    sandbox.release();
                }
            }
        }
        Ok(())
    }

    /// Makes a cluster's API server silent.
    pub(super) async fn pause(&self, name: &str) -> Result<(), Error> {
        match self {
            Self::Real(fleet) => fleet.cluster(name)?.pause().await,
            Self::Sandboxes(_) => {
                self.pretended(name)?.gate.silence();
                Ok(())
            }
        }
    }

    /// Lets it go on.
    pub(super) fn resume(&self, name: &str) -> Result<(), Error> {
        match self {
            Self::Real(fleet) => fleet.cluster(name)?.resume(),
            Self::Sandboxes(_) => {
                self.pretended(name)?.gate.mend();
                Ok(())
            }
        }
    }

    fn pretended(&self, name: &str) -> Result<&Pretended, Error> {
        let Self::Sandboxes(sandboxes) = self else {
            return Err(missing(name));
        };
        let found = sandboxes.iter().find(|sandbox| sandbox.name == name);
        found.ok_or_else(|| missing(name))
    }
}

impl Pretended {
    async fn start(name: &str, folder: &Path) -> Result<Self, Error> {
        let failed = || Error::io(format!("serve the sandbox {name}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let gate = Proxy::start(address).await.map_err(failed())?;
        let sandbox = Sandbox::new(Options {
            // As the scripted nodes of real clusters.
            delay: Duration::from_millis(100),
            ..Options::named(name)
        });
        let running = CancellationToken::new();
        tokio::spawn(sandbox.clone().run(running.clone()));
        tokio::spawn(sandbox.clone().serve(listener, running.clone()));
        let kubeconfig = folder.join(format!("{name}.kubeconfig"));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": format!("http://{}", gate.address())}}],
            "users": [{"name": name, "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        });
        fs::write(&kubeconfig, config.to_string()).map_err(failed())?;
        Ok(Self {
            name: name.to_owned(),
            kubeconfig,
            sandbox,
            gate,
            _running: running.drop_guard(),
        })
    }
}
