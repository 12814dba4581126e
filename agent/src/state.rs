//! What must survive a lost node: Secrets in the agent's own namespace.
//!
//! Owns: the highest hub epoch; per application the assignment, how far it got, the inventory and,
//! up to a cap, the content. Every write carries the `resourceVersion` of the last one, so a second
//! agent cannot overwrite it unseen. Never decides what an assignment means.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tidegate_model::{ids::Epoch, object::ObjectId};

pub use self::{
    app::AppStore,
    record::{Content, Record},
};
use crate::{
    cluster::{self, Cluster, Kind, core_kind, meta},
    manifest::Scope,
};

mod app;
mod pack;
mod record;

/// Names of all Secrets of the agent's state start with it.
pub const NAME_PREFIX: &str = "tidegate-agent-";
/// Label that tells what a Secret of the state holds.
pub const LABEL_STATE: &str = "tidegate.dev/agent-state";

const IDENTITY: &str = "tidegate-agent-identity";

/// Why state could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server.
    #[error("failed to keep state in Secret {namespace}/{name}")]
    Cluster {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// Why.
        #[source]
        source: Box<cluster::Error>,
    },
    /// Another process writes the same state.
    #[error(
        "failed to keep state in Secret {name}: another agent changed it; only one agent may run in a cluster"
    )]
    Contended {
        /// Name of the Secret.
        name: String,
    },
    /// A Secret that does not hold what it should.
    #[error(
        "failed to read the state in Secret {name}: {what}; delete the Secret to start that application anew from its labels, without any delete"
    )]
    Damaged {
        /// Name of the Secret.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The disk.
    #[error("failed to keep state on disk")]
    Disk(#[from] crate::blobs::Error),
    /// Compression failed.
    #[error("failed to compress state")]
    Compress(#[source] std::io::Error),
    /// The task that writes was ended.
    #[error("failed to keep state: the agent stops")]
    Stopped,
}

/// The agent's Secrets.
#[derive(Debug)]
pub struct Store {
    cluster: Cluster,
    namespace: String,
    secrets: Kind,
    /// Largest packed content of one application, in bytes.
    cap: usize,
}

/// What was found at start.
#[derive(Debug, Default)]
pub struct Found {
    /// Highest hub epoch ever seen, and the version of its Secret.
    pub epoch: Epoch,
    identity_version: Option<String>,
    /// Applications with the version of their Secret.
    pub records: Vec<(Record, String)>,
    /// Secrets that could not be understood, with the reason.
    pub damaged: Vec<Error>,
    /// Whether there was no state at all: a new agent, or one whose state was lost.
    pub lost: bool,
}

/// The highest hub epoch, kept in the cluster.
#[derive(Debug)]
pub struct EpochStore {
    store: Arc<Store>,
    /// The epoch and the version of its Secret.
    held: tokio::sync::Mutex<(Epoch, Option<String>)>,
}

impl Store {
    /// State in `namespace`, which is made if it is not there.
    pub async fn open(cluster: Cluster, namespace: &str, cap: usize) -> Result<Arc<Self>, Error> {
        let store = Self {
            secrets: core_kind("Secret", "secrets", Scope::Namespaced),
            namespace: namespace.to_owned(),
            cluster,
            cap,
        };
        let namespaces = core_kind("Namespace", "namespaces", Scope::Cluster);
        let id = core_id("Namespace", "", namespace);
        let there = store.cluster.get(&namespaces, &id).await;
        if there
            .map_err(|source| store.failed(namespace, source))?
            .is_none()
        {
            let object =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            match store.cluster.create(&namespaces, "", &object).await {
                Err(error) if !error.is_conflict() => return Err(store.failed(namespace, error)),
                _ => tracing::info!(namespace, "made the namespace of the agent's state"),
            }
        }
        Ok(Arc::new(store))
    }

    fn secret(&self, name: &str) -> ObjectId {
        core_id("Secret", &self.namespace, name)
    }

    fn failed(&self, name: &str, source: cluster::Error) -> Error {
        Error::Cluster {
            namespace: self.namespace.clone(),
            name: name.to_owned(),
            source: Box::new(source),
        }
    }

    /// Reads everything. Packs that no record names are removed.
    pub async fn load(&self) -> Result<Found, Error> {
        let identity = self.read(IDENTITY).await?;
        let mut found = Found {
            lost: identity.is_none(),
            ..Found::default()
        };
        if let Some(secret) = identity {
            found.epoch = epoch_of(&secret)?;
            found.identity_version = Some(meta(&secret, "resourceVersion").to_owned());
        }
        let records = self
            .cluster
            .list(
                &self.secrets,
                &self.namespace,
                &format!("{LABEL_STATE}=application"),
                false,
            )
            .await
            .map_err(|error| self.failed("*", error))?;
        for secret in records {
            match self.read_record(&secret).await {
                Ok(record) => found
                    .records
                    .push((record, meta(&secret, "resourceVersion").to_owned())),
                Err(error @ Error::Damaged { .. }) => found.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        if found.damaged.is_empty() {
            self.remove_stray_packs(&found).await?;
        }
        Ok(found)
    }

    async fn read(&self, name: &str) -> Result<Option<Value>, Error> {
        let secret = self.cluster.get(&self.secrets, &self.secret(name)).await;
        secret.map_err(|error| self.failed(name, error))
    }

    /// Writes a Secret on top of `version` (`None`: it must not be there) and returns its new version.
    async fn write(
        &self,
        name: &str,
        what: &str,
        data: Value,
        version: Option<&str>,
    ) -> Result<String, cluster::Error> {
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {LABEL_STATE: what}},
            "data": data,
        });
        let written = match version {
            None => {
                self.cluster
                    .create(&self.secrets, &self.namespace, &object)
                    .await?
            }
            Some(version) => {
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("resourceVersion".to_owned(), json!(version));
                }
                self.cluster
                    .replace(&self.secrets, &self.secret(name), &object)
                    .await?
            }
        };
        Ok(meta(&written, "resourceVersion").to_owned())
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        let Some(live) = self.read(name).await? else {
            return Ok(());
        };
        let (uid, version) = (meta(&live, "uid"), meta(&live, "resourceVersion"));
        match self
            .cluster
            .delete(&self.secrets, &self.secret(name), uid, version)
            .await
        {
            Err(error) if !error.is_not_found() => Err(self.failed(name, error)),
            _ => Ok(()),
        }
    }

    async fn remove_stray_packs(&self, found: &Found) -> Result<(), Error> {
        let packs = self
            .cluster
            .list(
                &self.secrets,
                &self.namespace,
                &format!("{LABEL_STATE}=pack"),
                true,
            )
            .await
            .map_err(|error| self.failed("*", error))?;
        for pack in packs {
            let name = meta(&pack, "name");
            if !found
                .records
                .iter()
                .any(|(record, _)| record.names_pack(name))
            {
                self.remove(name).await?;
            }
        }
        Ok(())
    }
}

impl EpochStore {
    /// Keeps the epoch that `found` holds.
    pub fn new(store: Arc<Store>, found: &Found) -> Self {
        let held = (found.epoch, found.identity_version.clone());
        Self {
            store,
            held: tokio::sync::Mutex::new(held),
        }
    }

    /// Makes `epoch` durable if it is higher than all before, or if nothing is kept yet.
    pub async fn raise(&self, epoch: Epoch) -> Result<Epoch, Error> {
        let mut held = self.held.lock().await;
        if held.1.is_some() && epoch <= held.0 {
            return Ok(held.0);
        }
        let epoch = epoch.max(held.0);
        let data = pack::encoded(BTreeMap::from([("epoch", epoch.to_string().into_bytes())]));
        let mut written = self
            .store
            .write(IDENTITY, "identity", data.clone(), held.1.as_deref())
            .await;
        if written.as_ref().is_err_and(cluster::Error::is_conflict)
            && let Some(live) = self.store.read(IDENTITY).await?
        {
            // A write whose answer was lost, or another agent: the highest epoch is right for both.
            let there = epoch_of(&live)?;
            let version = meta(&live, "resourceVersion").to_owned();
            if there >= epoch {
                *held = (there, Some(version));
                return Ok(there);
            }
            written = self
                .store
                .write(IDENTITY, "identity", data, Some(&version))
                .await;
        }
        let version = written.map_err(|error| self.store.failed(IDENTITY, error))?;
        *held = (epoch, Some(version));
        Ok(epoch)
    }
}

/// The id of an object of the core group.
pub(crate) fn core_id(kind: &str, namespace: &str, name: &str) -> ObjectId {
    ObjectId {
        group: String::new(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn epoch_of(secret: &Value) -> Result<Epoch, Error> {
    pack::decoded(secret, "epoch")
        .and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok())
        .map(Epoch)
        .ok_or_else(|| Error::Damaged {
            name: IDENTITY.to_owned(),
            what: "its field epoch is not a number".to_owned(),
        })
}
