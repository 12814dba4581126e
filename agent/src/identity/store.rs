//! Where the identity is kept: on disk, and in the cluster so that it survives a lost node.
//!
//! One file and one Secret, each replaced as a whole: a key never meets another key's certificate.
//! Never makes an identity.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tidegate_model::names;

use super::Identity;
use crate::blobs;

/// Name of the Secret.
const SECRET: &str = "tidegate-identity";
/// Name of the file.
const FILE: &str = "identity.json";
/// How long one call of the API server may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the identity could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error("failed to keep the identity on disk")]
    Write(#[from] blobs::Error),
    /// The disk.
    #[error("failed to read the identity from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The API server.
    #[error("failed to {action} Secret {namespace}/{SECRET}")]
    Cluster {
        /// What was tried.
        action: &'static str,
        /// Namespace of the Secret.
        namespace: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server.
    #[error("failed to {action} Secret {namespace}/{SECRET}: no answer in {} seconds", CALL_TIMEOUT.as_secs())]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// Namespace of the Secret.
        namespace: String,
    },
}

/// Where the identity is kept.
pub trait IdentityStore: Send + Sync + 'static {
    /// The identity that was kept, or `None`.
    fn load(&self) -> impl Future<Output = Result<Option<Identity>, Error>> + Send;

    /// Keeps the identity; returns once it survives the process.
    fn save(&self, identity: &Identity) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The disk.
#[derive(Clone, Debug)]
pub struct DiskStore {
    path: PathBuf,
}

impl DiskStore {
    /// Keeps the identity below `state_dir`, which is made readable for this user only.
    pub fn open(state_dir: &Path) -> Result<Self, Error> {
        blobs::make_private_folder(state_dir)?;
        Ok(Self {
            path: state_dir.join(FILE),
        })
    }

    fn read(&self) -> Result<Option<Identity>, Error> {
        match std::fs::read(&self.path) {
            // A damaged file is the same as none: the cluster has a copy, and a token makes anew.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)
                .inspect_err(|error| {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "the identity on disk is damaged");
                })
                .ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

impl IdentityStore for DiskStore {
    async fn load(&self) -> Result<Option<Identity>, Error> {
        self.read()
    }

    async fn save(&self, identity: &Identity) -> Result<(), Error> {
        let bytes = serde_json::json!(identity).to_string().into_bytes();
        Ok(blobs::write_durably(&self.path, &bytes)?)
    }
}

/// The disk and a Secret in the agent's namespace.
#[derive(Clone)]
pub struct DiskAndCluster {
    disk: DiskStore,
    secrets: Api<Secret>,
    namespace: String,
}

impl std::fmt::Debug for DiskAndCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskAndCluster")
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

impl DiskAndCluster {
    /// Keeps the identity below `state_dir` and in `namespace`.
    pub fn open(state_dir: &Path, client: Client, namespace: &str) -> Result<Self, Error> {
        Ok(Self {
            disk: DiskStore::open(state_dir)?,
            secrets: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        })
    }

    async fn call<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = kube::Result<T>> + Send,
    ) -> Result<T, Error> {
        let namespace = self.namespace.clone();
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(answer) => answer.map_err(|source| Error::Cluster {
                action,
                namespace,
                source: Box::new(source),
            }),
            Err(_) => Err(Error::Timeout { action, namespace }),
        }
    }

    async fn write(&self, identity: &Identity) -> Result<(), Error> {
        let old = self.call("read", self.secrets.get_opt(SECRET)).await?;
        let mut secret = secret(&self.namespace, identity);
        let post = PostParams {
            field_manager: Some(names::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        if let Some(old) = old {
            // On top of what was read: a second agent is noticed, not overwritten.
            secret.metadata.resource_version = old.metadata.resource_version;
            self.call("replace", self.secrets.replace(SECRET, &post, &secret))
                .await?;
        } else {
            self.call("create", self.secrets.create(&post, &secret))
                .await?;
        }
        Ok(())
    }
}

impl IdentityStore for DiskAndCluster {
    /// The disk's, or else the cluster's.
    async fn load(&self) -> Result<Option<Identity>, Error> {
        if let Some(identity) = self.disk.read()? {
            return Ok(Some(identity));
        }
        let secret = self.call("read", self.secrets.get_opt(SECRET)).await?;
        let identity = secret.as_ref().and_then(identity);
        if secret.is_some() && identity.is_none() {
            let secret = format!("{}/{SECRET}", self.namespace);
            tracing::warn!(secret, "the identity in the cluster is damaged");
        }
        Ok(identity)
    }

    /// To the disk first, which is near: a token is good once, and its trade must not be lost.
    async fn save(&self, identity: &Identity) -> Result<(), Error> {
        let on_disk = self.disk.save(identity).await;
        self.write(identity).await?;
        on_disk
    }
}

const KEY: &str = "tls.key";
const CERTIFICATE: &str = "tls.crt";
const AUTHORITY: &str = "ca.crt";
const CLUSTER: &str = "cluster-uid";
const CLUSTER_NAME: &str = "cluster-name";
const AGENT: &str = "agent-uid";
const TOKEN: &str = "token-id";

fn secret(namespace: &str, identity: &Identity) -> Secret {
    let cluster = identity.cluster.to_string();
    let data = [
        (KEY, &identity.key_pem),
        (CERTIFICATE, &identity.certificate_pem),
        (AUTHORITY, &identity.ca_pem),
        (CLUSTER, &cluster),
        (CLUSTER_NAME, &identity.cluster_name),
        (AGENT, &identity.agent_uid),
        (TOKEN, &identity.token_id),
    ];
    let data: BTreeMap<_, _> = data
        .into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value.clone().into_bytes())))
        .collect();
    Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

fn identity(secret: &Secret) -> Option<Identity> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    Some(Identity {
        cluster: text(CLUSTER)?.parse().ok()?,
        cluster_name: text(CLUSTER_NAME)?,
        agent_uid: text(AGENT)?,
        token_id: text(TOKEN)?,
        key_pem: text(KEY)?,
        certificate_pem: text(CERTIFICATE)?,
        ca_pem: text(AUTHORITY)?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tidegate_model::ids::ClusterUid;
    use uuid::Uuid;

    use super::*;

    fn sample() -> Identity {
        Identity {
            cluster: ClusterUid(Uuid::from_u128(5)),
            cluster_name: "prod-1".into(),
            agent_uid: "a".into(),
            token_id: "t".into(),
            key_pem: "key".into(),
            certificate_pem: "certificate".into(),
            ca_pem: "authority".into(),
        }
    }

    #[tokio::test]
    async fn the_file_reads_back_is_private_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        assert_eq!(store.load().await.unwrap(), None);
        store.save(&sample()).await.unwrap();
        assert_eq!(store.load().await.unwrap(), Some(sample()));
        let path = folder.path().join(FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}: others can read the key");
        std::fs::write(&path, b"{\"cluster\":").unwrap();
        assert_eq!(store.load().await.unwrap(), None);
    }

    #[test]
    fn the_secret_reads_back_and_one_without_a_field_is_none() {
        let mut secret = secret("tidegate-system", &sample());
        assert_eq!(identity(&secret), Some(sample()));
        secret.data.as_mut().unwrap().remove(KEY);
        assert_eq!(identity(&secret), None);
    }
}
