//! A running cluster: the pure core behind a lock, its clock and its waking.
//!
//! Owns when controllers are called and who is told of changes. Never decides what changes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{clock, cluster::Cluster, controllers, service, snapshot};

/// How a cluster behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name; uids are made from it, so two clusters need two names.
    pub name: String,
    /// How long a workload takes to become available.
    pub delay: Duration,
    /// How often an idle watch that wants bookmarks is told where it stands.
    pub bookmarks: Duration,
}

impl Options {
    /// A cluster of this name with a delay of a second and a bookmark every minute.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            delay: Duration::from_secs(1),
            bookmarks: Duration::from_mins(1),
        }
    }
}

/// One cluster in this process; cheap to clone. It is a tower service, so that
/// `kube::Client::new(sandbox, "default")` is a client of it.
#[derive(Clone, Debug)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cluster: Mutex<Cluster>,
    /// The latest revision, for watches and for [`Sandbox::run`].
    changed: watch::Sender<u64>,
    bookmarks: Duration,
}

impl Sandbox {
    /// A fresh cluster with the usual namespaces.
    pub fn new(options: Options) -> Self {
        Self::of(Cluster::new(options, clock::wall()))
    }

    /// The cluster of a [`Sandbox::snapshot`]: its objects with their uids, managed fields and
    /// resourceVersions, its custom kinds, and what workloads wait for. Revisions go on far beyond
    /// the snapshot's, so that a watch from before is told to list again (410).
    ///
    /// # Errors
    ///
    /// [`snapshot::Error`]: it cannot be read, is of a newer program, or of another cluster.
    pub fn restored(options: Options, snapshot: &[u8]) -> Result<Self, snapshot::Error> {
        snapshot::read(options, snapshot).map(Self::of)
    }

    fn of(cluster: Cluster) -> Self {
        let bookmarks = cluster.options.bookmarks;
        let changed = watch::Sender::new(cluster.store.revision());
        Self {
            inner: Arc::new(Inner {
                cluster: Mutex::new(cluster),
                changed,
                bookmarks,
            }),
        }
    }

    /// The whole state as bytes for [`Sandbox::restored`]. Whether workloads are held is no part of
    /// it, nor is history.
    pub fn snapshot(&self) -> Vec<u8> {
        self.with(|cluster, _| snapshot::write(cluster))
    }

    /// The latest resourceVersion; as long as it stays, nothing changed. Read before a snapshot, it
    /// is never newer than that.
    pub fn revision(&self) -> u64 {
        *self.inner.changed.borrow()
    }

    /// Waits until the revision is another than this one, and tells it.
    pub async fn changed_since(&self, revision: u64) -> u64 {
        let mut changed = self.inner.changed.subscribe();
        // Never closed: this very sandbox holds the sender.
        let seen = changed.wait_for(|it| *it != revision).await;
        seen.map_or(revision, |it| *it)
    }

    /// From now on no workload becomes available; what is available stays so, and what never will
    /// be still fails at its deadline.
    pub fn hold(&self) {
        self.with(|cluster, _| cluster.held = true);
    }

    /// Ends [`Sandbox::hold`]: workloads whose time has come become available at once.
    pub fn release(&self) {
        self.with(|cluster, _| cluster.held = false);
        // What is due later is news to `run`, although nothing has changed.
        self.inner.changed.send_modify(|_| {});
    }

    /// Lets controllers do what is due until cancelled. Without it workloads become available only
    /// when somebody calls.
    pub async fn run(self, cancel: CancellationToken) {
        let mut changed = self.inner.changed.subscribe();
        loop {
            let due = self.step();
            let wait = due.map_or(Duration::MAX, |due| {
                let left = due.duration_since(clock::wall());
                Duration::try_from(left).unwrap_or_default()
            });
            tokio::select! {
                () = cancel.cancelled() => return,
                // Never closed: this very sandbox holds the sender.
                _ = changed.changed() => {}
                () = tokio::time::sleep(wait.min(Duration::from_hours(1))) => {}
            }
        }
    }

    /// Answers HTTP on a socket until cancelled, for kubectl and others outside this process.
    ///
    /// # Errors
    ///
    /// Those of the listener.
    pub async fn serve(
        self,
        listener: TcpListener,
        cancel: CancellationToken,
    ) -> std::io::Result<()> {
        let service = tower::make::Shared::new(self);
        axum::serve(listener, service)
            .with_graceful_shutdown(cancel.cancelled_owned())
            .await
    }

    /// Reads or changes the cluster, and tells those who wait of a change.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Cluster, Timestamp) -> T) -> T {
        let now = clock::wall();
        let mut cluster = self
            .inner
            .cluster
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut cluster, now);
        controllers::step(&mut cluster, now);
        self.tell(&cluster);
        result
    }

    fn step(&self) -> Option<Timestamp> {
        let mut cluster = self
            .inner
            .cluster
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = controllers::step(&mut cluster, clock::wall());
        self.tell(&cluster);
        due
    }

    fn tell(&self, cluster: &Cluster) {
        let revision = cluster.store.revision();
        self.inner
            .changed
            .send_if_modified(|it| std::mem::replace(it, revision) != revision);
    }

    /// Hears of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// How often an idle watch is told where it stands.
    pub(crate) fn bookmarks(&self) -> Duration {
        self.inner.bookmarks
    }
}

impl<B> tower::Service<http::Request<B>> for Sandbox
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = http::Response<axum::body::Body>;
    type Error = std::convert::Infallible;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let sandbox = self.clone();
        let request = request.map(axum::body::Body::new);
        Box::pin(async move { Ok(service::answer(&sandbox, request).await) })
    }
}
