//! The agent as a process: puts the parts together, and takes them down in order.
//!
//! Owns start, signals and the end within ten seconds. Decides nothing about applications.

pub mod health;
pub mod telemetry;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use kube::{
    Client,
    config::{KubeConfigOptions, Kubeconfig},
};
use tidegate_telemetry::describe;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::health::Health;
use crate::{
    cluster,
    config::Cli,
    identity::{self, DiskAndCluster, Keeper},
    link::{self, Hub, Link},
    port::{self, Reconciler, ReconcilerHandle},
    state,
};

/// How long the parts may take to end. Kubernetes kills a pod 30 seconds after SIGTERM.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no threads to run on.
    #[error("failed to start the threads of the process")]
    Runtime(#[source] std::io::Error),
    /// The process cannot be set up.
    #[error("failed to set up the process")]
    Process(#[source] std::io::Error),
    /// Logs and traces.
    #[error(transparent)]
    Telemetry(#[from] tidegate_telemetry::Error),
    /// The plain port.
    #[error("failed to listen on {address} for health and metrics (--health-listen)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kubeconfig.
    #[error("failed to read the kubeconfig {path} (--kubeconfig)")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// There is no service account.
    #[error("failed to find the cluster: not in a pod with a service account, and no --kubeconfig")]
    InCluster(#[from] kube::config::InClusterError),
    /// The client.
    #[error("failed to make a client for the API server")]
    Client(#[from] cluster::Error),
    /// The reconciler.
    #[error("failed to start the reconciler")]
    Reconciler(#[from] state::Error),
    /// The folder for the identity.
    #[error(transparent)]
    Identity(#[from] identity::StoreError),
}

/// Runs the agent until SIGTERM or SIGINT. Why it ended is logged, unless logging could not begin.
pub fn run(options: Cli) -> Result<(), Error> {
    let runtime = tokio::runtime::Runtime::new().map_err(Error::Runtime)?;
    let result = runtime.block_on(async {
        let telemetry = telemetry::start(&options)?;
        let ended = Box::pin(until_signalled(options)).await;
        if let Err(error) = &ended {
            tracing::error!(error = describe(error), "the agent stops");
        }
        telemetry.end().await;
        ended
    });
    // What did not end in time must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn until_signalled(options: Cli) -> Result<(), Error> {
    let cancel = CancellationToken::new();
    stop_on_signals(&cancel)?;
    Box::pin(serve(options, cancel)).await
}

fn stop_on_signals(cancel: &CancellationToken) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Process)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Process)?;
    let cancel = cancel.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        cancel.cancel();
    });
    Ok(())
}

/// Runs the agent until `cancel`, and returns when its parts have ended or ten seconds later.
pub async fn serve(options: Cli, cancel: CancellationToken) -> Result<(), Error> {
    let client = client(&options).await?;
    Box::pin(serve_in(client, options, cancel)).await
}

/// A client of the agent's own cluster, as the options say.
///
/// # Errors
///
/// The kubeconfig cannot be used, or there is no service account.
pub async fn client(options: &Cli) -> Result<Client, Error> {
    Ok(cluster::connect(kube_config(options).await?)?)
}

/// Like [`serve`], in the cluster of this client: what a process has that embeds the agent. Its
/// client should have no hidden retries, as [`client`] makes it.
///
/// # Errors
///
/// Those of [`serve`].
pub async fn serve_in(
    client: Client,
    options: Cli,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let address = options.health_listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })?;
    // With port 0 only this tells the port.
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "serving health and metrics");
    }
    let health = Health::default();
    let parts = TaskTracker::new();
    parts.spawn(health::serve(listener, health.clone(), cancel.clone()));
    let started = Box::pin(start(client, &options, &health, &parts, &cancel)).await;
    if started.is_ok() {
        cancel.cancelled().await;
    }
    cancel.cancel();
    parts.close();
    let ended = async {
        if let Ok(Some(reconciler)) = &started {
            reconciler.stopped().await;
        }
        parts.wait().await;
    };
    if tokio::time::timeout(END_WITHIN, ended).await.is_err() {
        tracing::warn!(
            seconds = END_WITHIN.as_secs(),
            "some parts did not end in time"
        );
    }
    started.map(drop)
}

/// Starts everything; `None` if it was stopped before it had begun.
async fn start(
    client: Client,
    options: &Cli,
    health: &Health,
    parts: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<Option<ReconcilerHandle>, Error> {
    let mut reconcile = port::Options::new(options.state_dir.clone());
    reconcile.namespace.clone_from(&options.namespace);
    let starting = Reconciler::start(reconcile, client.clone(), cancel.clone());
    let reconciler = match cancel.run_until_cancelled(starting).await {
        Some(Ok(reconciler)) => reconciler,
        // The end that was asked for is no failure, whoever notices it first.
        Some(Err(error)) if !cancel.is_cancelled() => return Err(error.into()),
        Some(Err(_)) | None => return Ok(None),
    };
    health.reconciles(reconciler.clone());
    if let Some(hub) = &options.hub {
        let store = DiskAndCluster::open(&options.state_dir, client, &options.namespace)?;
        connect(options, hub, store, &reconciler, health, parts, cancel);
    } else {
        tracing::warn!("no hub (--hub): keeping what was accepted before, asking nobody");
    }
    Ok(Some(reconciler))
}

fn connect(
    options: &Cli,
    hub: &Hub,
    store: DiskAndCluster,
    reconciler: &ReconcilerHandle,
    health: &Health,
    parts: &TaskTracker,
    cancel: &CancellationToken,
) {
    let uid = reconciler.cluster_uid().to_owned();
    let keep = identity::Options::new(hub.clone(), options.token.source(), uid);
    let keeper = Keeper::new(keep, store);
    let identity = keeper.handle();
    let link = Link::new(
        link::Options {
            hub: hub.clone(),
            backoff: link::backoff::Limits::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        reconciler.clone(),
        identity.identity(),
    )
    .renewing(identity.renewals());
    health.links(link.handle(), identity);
    parts.spawn(keeper.run(cancel.clone()));
    parts.spawn(link.run(cancel.clone()));
}

async fn kube_config(options: &Cli) -> Result<kube::Config, Error> {
    let Some(path) = &options.kubeconfig else {
        return Ok(kube::Config::incluster()?);
    };
    let failed = |source| Error::Kubeconfig {
        path: path.clone(),
        source,
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    let select = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    kube::Config::from_custom_kubeconfig(kubeconfig, &select)
        .await
        .map_err(failed)
}
