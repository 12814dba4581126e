//! The seam of the reconciler: what the link (or a test) hands in and gets back.
//!
//! Owns the words of the seam: options, the handle, why an order is refused, the stream of
//! reports. Never speaks gRPC and never applies anything: [`crate::supervisor`] does the work.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use kube::Client;
use serde_json::Value;
use tidegate_model::{
    assignment::{Assignment, StateRow},
    bundle::Bundle,
    digest::Digest,
    ids::{AppUid, Epoch, Generation},
    names,
    tree::Objects,
};
pub use tokio_util::sync::CancellationToken;

pub use crate::{
    blobs::{BlobCache, Error as BlobError},
    board::Reports,
};
use crate::{metrics::Metrics, state, supervisor::Supervisor, traces::Traces};

/// What the reconciler is told at start. [`Options::new`] holds the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the disk cache; made if it is not there.
    pub state_dir: PathBuf,
    /// Namespace of the agent's own Secrets; made if it is not there.
    pub namespace: String,
    /// Largest compressed content of one application that is kept in the cluster, in bytes;
    /// above it the content is on disk only and the report says so.
    pub content_cap: usize,
    /// Longest time for one call of the API server.
    pub call_timeout: Duration,
    /// Period of the full check that finds what watches lost; jittered by 20 %.
    pub full_check: Duration,
    /// Longest wait for a CRD to be established in one pass; the next pass goes on waiting.
    pub stage_wait: Duration,
    /// Time between the last apply and the first delete, in which another application can take
    /// over what this one dropped.
    pub prune_delay: Duration,
    /// Objects of one application applied at the same time.
    pub concurrency: usize,
}

impl Options {
    /// The defaults, with the disk cache in `state_dir`.
    pub fn new(state_dir: PathBuf) -> Self {
        Self {
            state_dir,
            namespace: names::NAMESPACE.to_owned(),
            content_cap: 1 << 20,
            call_timeout: Duration::from_secs(30),
            full_check: Duration::from_hours(1),
            stage_wait: Duration::from_mins(1),
            prune_delay: Duration::from_secs(2),
            concurrency: 8,
        }
    }
}

/// An assignment that survives the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its generation.
    pub generation: Generation,
    /// [`Assignment::digest`] of it.
    pub digest: Digest,
    /// Whether it was held already; nothing changed then.
    pub repeated: bool,
    /// Whether its content is on disk only, because it is larger than [`Options::content_cap`].
    pub disk_only: bool,
}

/// Why an assignment is not accepted. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The message comes from a hub that lost its term.
    #[error("failed to accept: hub epoch {given} is lower than {highest}, the highest seen")]
    StaleEpoch {
        /// Epoch of the message.
        given: Epoch,
        /// Highest seen by this agent, ever.
        highest: Epoch,
    },
    /// A newer assignment is held, or the same generation with other content.
    #[error("failed to accept generation {given} of {app}: generation {held} is held{}", if given == held { " with another digest" } else { "" })]
    StaleGeneration {
        /// The application.
        app: AppUid,
        /// Generation of the refused assignment.
        given: Generation,
        /// Generation that is held.
        held: Generation,
    },
    /// The name runs under a later uid already.
    #[error("failed to accept {app}: application {name} is held as {by}, which came later")]
    Succeeded {
        /// The refused application.
        app: AppUid,
        /// Its name, `project/name`.
        name: String,
        /// Who has the name now.
        by: AppUid,
    },
    /// Content that is not what its digest says.
    #[error("failed to accept: {what} was announced as {expected} and is {actual}; fetch it again")]
    DigestMismatch {
        /// What it is: `bundle`, or an object.
        what: String,
        /// Digest it was announced with.
        expected: Digest,
        /// Digest it has.
        actual: Digest,
    },
    /// Objects that were not handed in and are not in the cache.
    #[error("failed to accept: {} objects are missing; fetch them and repeat", .0.len())]
    MissingBlobs(Vec<Digest>),
    /// An object that is not the one its bundle names.
    #[error("failed to accept: {0}")]
    Malformed(String),
    /// It could not be made durable.
    #[error("failed to keep the assignment")]
    NotDurable(#[from] state::Error),
    /// Its content could not be written to disk.
    #[error("failed to keep the content of the assignment on disk")]
    Disk(#[from] BlobError),
}

impl Rejected {
    /// Whether the same assignment may be accepted later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NotDurable(_) | Self::Disk(_) | Self::MissingBlobs(_)
        )
    }
}

/// Starts the reconciler.
#[derive(Debug)]
pub struct Reconciler;

impl Reconciler {
    /// Loads what was accepted before and reconciles it until `cancel`, with or without a hub.
    /// `client` should come from [`crate::cluster::connect`], which turns off the hidden retries.
    /// Waits for the API server as long as it cannot be reached; fails only on what waiting
    /// does not mend (missing rights, a disk that cannot be written).
    pub async fn start(
        options: Options,
        client: Client,
        cancel: CancellationToken,
    ) -> Result<ReconcilerHandle, state::Error> {
        let supervisor = Supervisor::start(options, client, cancel).await?;
        Ok(ReconcilerHandle { supervisor })
    }
}

/// The reconciler, as others see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReconcilerHandle {
    supervisor: Arc<Supervisor>,
}

impl ReconcilerHandle {
    /// Takes an assignment and returns once it and its content are durable.
    ///
    /// `hub_epoch` is the epoch of the message that carried it (an assignment keeps the epoch
    /// that issued it, so a new leader may send one with a lower epoch inside). `objects` may
    /// leave out what [`ReconcilerHandle::missing`] did not name. A tombstone comes with an empty
    /// bundle. Survives being dropped: the work goes on, and a repeat is answered.
    pub async fn accept(
        &self,
        hub_epoch: Epoch,
        assignment: Assignment,
        bundle: Bundle,
        objects: BTreeMap<Digest, Value>,
    ) -> Result<Accepted, Rejected> {
        self.supervisor
            .accept(hub_epoch, assignment, bundle, objects)
            .await
    }

    /// The rows of the state root: every assignment that is held with its content, tombstones
    /// included until [`ReconcilerHandle::forget`].
    pub fn held(&self) -> Vec<StateRow> {
        self.supervisor.held()
    }

    /// Drops a tombstone that was carried out and that the hub has acknowledged; `false` if that
    /// generation is not held or not removed yet.
    pub async fn forget(&self, app: AppUid, generation: Generation) -> Result<bool, Rejected> {
        Ok(self.supervisor.forget(app, generation).await?)
    }

    /// Those of `digests` whose objects have to be fetched. Reads the disk.
    pub fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        digests
            .iter()
            .filter(|digest| !self.blobs().has(**digest))
            .copied()
            .collect()
    }

    /// The cache of objects by digest.
    pub fn blobs(&self) -> &BlobCache {
        self.supervisor.blobs()
    }

    /// Highest hub epoch ever seen.
    pub fn epoch(&self) -> Epoch {
        self.supervisor.epoch()
    }

    /// Checks the epoch of a hub message and keeps it, durably, if it is the highest: a lower one
    /// is refused, an equal one costs nothing.
    pub async fn raise_epoch(&self, epoch: Epoch) -> Result<(), Rejected> {
        self.supervisor.raise_epoch(epoch).await
    }

    /// The reports, latest of each application.
    pub fn reports(&self) -> Reports {
        self.supervisor.reports()
    }

    /// Where applications stand in traces.
    pub fn traces(&self) -> Traces {
        self.supervisor.traces()
    }

    /// What the reconciler counts.
    pub fn metrics(&self) -> &Metrics {
        self.supervisor.metrics()
    }

    /// Reconciles one application now; `false` if it is not held.
    pub fn sync_now(&self, app: AppUid) -> bool {
        self.supervisor.sync_now(app)
    }

    /// The objects of one application as its task saw them last; `None` if it is not held.
    pub fn objects(&self, app: AppUid) -> Option<Objects> {
        self.supervisor.objects(app)
    }

    /// Reconciles one application and returns once a pass that began after the call is over;
    /// `false` if it is not held, or the agent stops.
    pub async fn sync(&self, app: AppUid) -> bool {
        self.supervisor.sync(app).await
    }

    /// Labels this agent reports about its cluster, all under [`names::FACT_PREFIX`].
    pub fn facts(&self) -> BTreeMap<String, String> {
        self.supervisor.facts()
    }

    /// UID of the `kube-system` namespace: what tells two clusters apart.
    pub fn cluster_uid(&self) -> &str {
        self.supervisor.cluster_uid()
    }

    /// Returns once everything has stopped after the cancellation.
    pub async fn stopped(&self) {
        self.supervisor.stopped().await;
    }
}
