//! Keys, certificates and tokens of one test cluster.
//!
//! Owns who a cluster is and who may talk to it: its certificate authority, the
//! server's certificate, the keys of its service accounts, its users and their
//! tokens, and the kubeconfigs made of them. It never talks to a server.

use std::{fmt, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

use super::error::Error;

/// Somebody with a token for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// The test itself; may do everything.
    Admin,
    /// The service account `tidegate-agent` of namespace `tidegate-system`; may
    /// do what the RBAC that a test applies lets it do, and nothing before.
    Agent,
    /// A person with kubectl; may do everything, under a name of their own.
    Engineer,
    /// The controller manager; may do everything.
    ControllerManager,
    /// The fake kubelet; may do everything.
    Kubelet,
}

impl User {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Agent,
        Self::Engineer,
        Self::ControllerManager,
        Self::Kubelet,
    ];

    /// The user name that the server sees.
    pub fn username(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Agent => "system:serviceaccount:tidegate-system:tidegate-agent",
            Self::Engineer => "engineer",
            Self::ControllerManager => "system:kube-controller-manager",
            Self::Kubelet => "system:node:node-1",
        }
    }

    fn groups(self) -> &'static str {
        match self {
            Self::Agent => {
                "system:serviceaccounts,system:serviceaccounts:tidegate-system,system:authenticated"
            }
            Self::Admin | Self::Engineer | Self::ControllerManager | Self::Kubelet => {
                "system:masters"
            }
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Agent => "agent",
            Self::Engineer => "engineer",
            Self::ControllerManager => "controller-manager",
            Self::Kubelet => "kubelet",
        })
    }
}

/// The identity of one cluster.
#[derive(Debug)]
pub(crate) struct Authority {
    cluster: String,
    ca_pem: String,
    ca_der: Vec<u8>,
}

impl Authority {
    /// Makes fresh keys and writes, below `folder`, what the servers read:
    /// `certs/apiserver.{crt,key}`, `sa.key`, `sa.pub` and `tokens.csv`.
    pub(crate) fn create(cluster: &str, folder: &Path) -> Result<Self, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("{cluster} test CA"));
        let ca_key = KeyPair::generate()?;
        let ca = params.self_signed(&ca_key)?;
        let issuer = Issuer::new(params, ca_key);

        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        server.use_authority_key_identifier_extension = true;
        let server_key = KeyPair::generate()?;
        let server = server.signed_by(&server_key, &issuer)?;
        let accounts = KeyPair::generate()?;

        let tokens: String = User::ALL
            .map(|user| {
                let (token, name, groups) = (token(cluster, user), user.username(), user.groups());
                format!("{token},{name},{user}-uid,\"{groups}\"\n")
            })
            .concat();
        let certs = folder.join("certs");
        fs::create_dir_all(&certs).map_err(Error::io(format!("make {}", certs.display())))?;
        // The server takes this pair from its --cert-dir instead of making one of its own.
        write(&certs.join("apiserver.crt"), server.pem())?;
        write(&certs.join("apiserver.key"), server_key.serialize_pem())?;
        write(&folder.join("sa.key"), accounts.serialize_pem())?;
        write(&folder.join("sa.pub"), accounts.public_key_pem())?;
        write(&folder.join("tokens.csv"), tokens)?;
        let (ca_pem, ca_der) = (ca.pem(), ca.der().to_vec());
        Ok(Self {
            cluster: cluster.to_owned(),
            ca_pem,
            ca_der,
        })
    }

    /// Writes a kubeconfig of this user that needs no other file. JSON is YAML.
    pub(crate) fn write_kubeconfig(
        &self,
        user: User,
        server: &str,
        path: &Path,
    ) -> Result<(), Error> {
        let name = self.cluster.as_str();
        let ca = BASE64.encode(&self.ca_pem);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": user.to_string(), "user": {"token": token(name, user)}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user.to_string()}}],
            "current-context": name,
        });
        write(path, config.to_string())
    }

    /// A client of this user, which never retries by itself and gives up on a
    /// silent server after `patience`.
    pub(crate) fn client(
        &self,
        user: User,
        server: &http::Uri,
        patience: std::time::Duration,
    ) -> Result<kube::Client, Error> {
        let mut config = kube::Config::new(server.clone());
        config.root_cert = Some(vec![self.ca_der.clone()]);
        config.auth_info.token = Some(token(&self.cluster, user).into());
        config.default_retry = false;
        config.connect_timeout = Some(patience);
        config.read_timeout = Some(patience);
        // Else the time a pooled connection lay idle counts as silence of the server.
        config.reset_reader_on_write = true;
        kube::Client::try_from(config).map_err(Error::kube(format!("make a client of {server}")))
    }
}

/// Tokens name their cluster, so that one cluster's opens no other.
fn token(cluster: &str, user: User) -> String {
    format!("{cluster}-{user}-token")
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    fs::write(path, content).map_err(Error::io(format!("write {}", path.display())))
}
