//! The clusters of the fleet: simulated ones in this process, or real ones of a kubeconfig.
//!
//! Owns the simulated clusters' ports, their kubeconfig and the files that their objects are kept
//! in. Never knows what runs in them.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use serde_json::json;
use tidegate_sandbox::{Options, Sandbox};
use tidegate_telemetry::describe;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    error::Error,
    layout::Layout,
    state::{Cluster, State, file, write},
};

/// How often changed objects are written to their file.
const SAVE: Duration = Duration::from_secs(1);
/// How long a simulated workload takes to become available.
const DELAY: Duration = Duration::from_millis(700);
/// The namespace of an agent's own state, as `deploy/agent` makes it.
const NAMESPACE: &str = "tidegate-system";

/// One simulated cluster.
#[derive(Debug)]
pub(super) struct Simulated {
    sandbox: Sandbox,
    listener: TcpListener,
    objects: PathBuf,
}

impl Simulated {
    /// The cluster as it was left, or a fresh one; it answers on the port that it had, if that is
    /// free.
    pub(super) async fn open(layout: &Layout, cluster: &mut Cluster) -> Result<Self, Error> {
        let options = Options {
            delay: DELAY,
            ..Options::named(&cluster.name)
        };
        let objects = layout.objects(&cluster.name);
        let sandbox = match fs::read(&objects) {
            Ok(snapshot) => {
                Sandbox::restored(options, &snapshot).map_err(|error| Error::Objects {
                    cluster: cluster.name.clone(),
                    problem: describe(&error),
                })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sandbox::new(options),
            Err(source) => return Err(file("read", &objects)(source)),
        };
        let listener = listen(cluster.port, true).await?;
        cluster.port = port(&listener)?;
        Ok(Self {
            sandbox,
            listener,
            objects,
        })
    }

    /// A client of the cluster that stays in this process.
    pub(super) fn client(&self) -> Client {
        Client::new(self.sandbox.clone(), "default")
    }

    /// Lets the cluster live until `cancel`; then its objects are in their file.
    pub(super) async fn run(self, cancel: CancellationToken) -> Result<(), Error> {
        let saved = save(self.sandbox.clone(), &self.objects, cancel.clone());
        let served = self.sandbox.clone().serve(self.listener, cancel.clone());
        let (saved, (), served) = tokio::join!(saved, self.sandbox.run(cancel), served);
        served.map_err(|source| Error::Port { port: 0, source })?;
        saved
    }
}

/// Writes objects to their file whenever they changed, and at the end.
async fn save(sandbox: Sandbox, path: &Path, cancel: CancellationToken) -> Result<(), Error> {
    let mut saved = None;
    loop {
        let last = tokio::select! {
            () = cancel.cancelled() => true,
            () = tokio::time::sleep(SAVE) => false,
        };
        let revision = sandbox.revision();
        if saved != Some(revision) {
            write(path, &sandbox.snapshot())?;
            saved = Some(revision);
        }
        if last {
            return Ok(());
        }
    }
}

/// Listens on that port; if it is taken and need not be that one, on any.
pub(super) async fn listen(port: u16, any: bool) -> Result<TcpListener, Error> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) if any && port != 0 => Box::pin(listen(0, any)).await,
        Err(source) => Err(Error::Port { port, source }),
    }
}

/// The port of a listener.
pub(super) fn port(listener: &TcpListener) -> Result<u16, Error> {
    let address = listener.local_addr();
    address
        .map(|address| address.port())
        .map_err(|source| Error::Port { port: 0, source })
}

/// Makes the namespace in which an agent keeps its state.
pub(super) async fn prepare(name: &str, client: Client) -> Result<(), Error> {
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let api: Api<Namespace> = Api::all(client);
    match api.create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(Error::Cluster {
            cluster: name.to_owned(),
            problem: describe(&error),
        }),
    }
}

/// Writes a kubeconfig with each simulated cluster as a context; the first is the current one.
pub(super) fn write_kubeconfig(layout: &Layout, state: &State) -> Result<(), Error> {
    let simulated: Vec<_> = state
        .clusters
        .iter()
        .filter(|cluster| cluster.context.is_none())
        .collect();
    let Some(first) = simulated.first() else {
        return Ok(());
    };
    let named = |inner: &dyn Fn(&Cluster) -> serde_json::Value| -> Vec<serde_json::Value> {
        simulated.iter().map(|cluster| inner(cluster)).collect()
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": first.name,
        "clusters": named(&|cluster| json!({
            "name": cluster.name,
            "cluster": {"server": format!("http://127.0.0.1:{}", cluster.port)},
        })),
        "users": [{"name": "anybody", "user": {}}],
        "contexts": named(&|cluster| json!({
            "name": cluster.name,
            "context": {"cluster": cluster.name, "user": "anybody"},
        })),
    });
    let path = layout.kubeconfig();
    let text = serde_yaml::to_string(&config)
        .map_err(|error| file("write", &path)(io::Error::other(error)))?;
    write(&path, text.as_bytes())
}
