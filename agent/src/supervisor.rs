//! Starts the reconciler and takes in assignments: one slot and one task for each application.
//!
//! Owns: what is refused, what is durable before an answer, and the restart of a task that
//! panicked. Never applies anything: [`crate::reconcile`] does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kube::Client;
use serde_json::Value;
use tidegate_model::{
    assignment::{Assignment, StateRow},
    bundle::Bundle,
    digest::Digest,
    ids::{AppUid, Epoch, Generation},
    tree::Objects,
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accepted::AcceptedFiles,
    blobs::BlobCache,
    board::Reports,
    cluster::Cluster,
    manifest,
    metrics::Metrics,
    plan::Known,
    port::{Accepted, Options, Rejected},
    reconcile::{Env, Signals, Task},
    state::{self, AppStore, EpochStore, Record},
    traces::Traces,
};

mod checks;
mod heir;
mod start;

/// One application.
#[derive(Debug)]
struct Slot {
    /// Held while an assignment of this application is taken in.
    taking: tokio::sync::Mutex<()>,
    store: Mutex<Option<Arc<AppStore>>>,
    wanted: watch::Sender<Generation>,
    nudge: Arc<Notify>,
    signals: Arc<Signals>,
    /// Its task, for whoever waits for its end.
    running: TaskTracker,
    cancel: CancellationToken,
}

impl Slot {
    fn store(&self) -> Option<Arc<AppStore>> {
        self.store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn record(&self) -> Option<Arc<Record>> {
        Some(self.store()?.record())
    }
}

/// The reconciler behind [`crate::port::ReconcilerHandle`].
#[derive(Debug)]
pub(crate) struct Supervisor {
    env: Arc<Env>,
    epochs: EpochStore,
    /// Highest epoch, for readers that cannot wait.
    epoch: AtomicU64,
    files: AcceptedFiles,
    slots: Mutex<BTreeMap<AppUid, Arc<Slot>>>,
    /// Applications of which objects may be in the cluster though their inventory was lost.
    lost: Mutex<BTreeSet<AppUid>>,
    facts: BTreeMap<String, String>,
    cluster_uid: String,
    /// Shared by assignments on their way in; alone for the cleaning of the disk cache, which would
    /// else remove objects that no record names yet.
    cleaning: tokio::sync::RwLock<()>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Supervisor {
    pub(crate) async fn start(
        options: Options,
        client: Client,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, state::Error> {
        let blobs = BlobCache::open(&options.state_dir)?;
        let files = AcceptedFiles::open(&options.state_dir)?;
        let cluster = Cluster::new(client, options.call_timeout);
        let started = start::read_cluster(&cluster, &options, &cancel).await?;
        start::build(options, cluster, blobs, files, started, cancel).await
    }

    pub(crate) fn blobs(&self) -> &BlobCache {
        &self.env.blobs
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(crate) fn reports(&self) -> Reports {
        self.env.board.reports()
    }

    pub(crate) fn traces(&self) -> Traces {
        self.env.traces.clone()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.env.metrics
    }

    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        self.facts.clone()
    }

    pub(crate) fn cluster_uid(&self) -> &str {
        &self.cluster_uid
    }

    pub(crate) async fn stopped(&self) {
        self.cancel.cancelled().await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn held(&self) -> Vec<StateRow> {
        let records = self.records();
        records.iter().filter_map(|record| record.row()).collect()
    }

    fn records(&self) -> Vec<Arc<Record>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter_map(|slot| slot.record()).collect()
    }

    pub(crate) fn sync_now(&self, app: AppUid) -> bool {
        let slot = self.slot(app);
        if let Some(slot) = &slot {
            slot.nudge.notify_one();
        }
        slot.is_some()
    }

    pub(crate) fn objects(&self, app: AppUid) -> Option<Objects> {
        self.env.board.objects(app)
    }

    pub(crate) async fn sync(&self, app: AppUid) -> bool {
        // Without a record nothing runs that could answer.
        let Some(slot) = self.slot(app).filter(|slot| slot.store().is_some()) else {
            return false;
        };
        let mut passes = slot.signals.passes.subscribe();
        // The pass that runs now may have begun before what the caller wants it to see.
        let running = passes.borrow_and_update().begun;
        slot.nudge.notify_one();
        let ended = passes.wait_for(|passes| passes.ended > running);
        let ended = slot.cancel.run_until_cancelled(ended).await;
        ended.is_some_and(|ended| ended.is_ok())
    }

    fn slot(&self, app: AppUid) -> Option<Arc<Slot>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&app).cloned()
    }

    pub(crate) async fn raise_epoch(&self, epoch: Epoch) -> Result<(), Rejected> {
        let highest = self.epoch();
        if epoch < highest {
            return Err(Rejected::StaleEpoch {
                given: epoch,
                highest,
            });
        }
        if epoch > highest {
            let kept = self.epochs.raise(epoch).await?;
            self.epoch.fetch_max(kept.0, Ordering::AcqRel);
            if kept > epoch {
                return Err(Rejected::StaleEpoch {
                    given: epoch,
                    highest: kept,
                });
            }
        }
        Ok(())
    }

    pub(crate) async fn accept(
        self: &Arc<Self>,
        hub_epoch: Epoch,
        assignment: Assignment,
        bundle: Bundle,
        objects: BTreeMap<Digest, Value>,
    ) -> Result<Accepted, Rejected> {
        // A task of its own, so that a link that goes away does not cut it in the middle.
        let this = self.clone();
        let taken = self
            .tasks
            .spawn(async move { this.take(hub_epoch, assignment, bundle, objects).await });
        taken
            .await
            .unwrap_or(Err(Rejected::NotDurable(state::Error::Stopped)))
    }

    async fn take(
        self: &Arc<Self>,
        hub_epoch: Epoch,
        assignment: Assignment,
        bundle: Bundle,
        objects: BTreeMap<Digest, Value>,
    ) -> Result<Accepted, Rejected> {
        self.raise_epoch(hub_epoch).await?;
        let _no_cleaning = self.cleaning.read().await;
        let app = assignment.app;
        let slot = self.slot_or_new(app);
        let _taking = slot.taking.lock().await;
        let held = slot.record();
        if let Some(accepted) = checks::already_held(held.as_deref(), &assignment)? {
            return Ok(accepted);
        }
        checks::bundle(&assignment, &bundle)?;
        heir::check(
            &assignment,
            self.records().iter().map(|record| &record.assignment),
        )?;
        let objects = self.take_objects(&bundle, objects).await?;
        let content = match assignment.bundle() {
            Some(_) => self.env.store.keep_content(app, &bundle, &objects).await?,
            None => state::Content::Nothing,
        };
        let disk_only = content == state::Content::DiskOnly;
        self.keep_on_disk(&assignment, &bundle, disk_only).await?;
        let accepted = Accepted {
            generation: assignment.generation,
            digest: assignment.digest(),
            repeated: false,
            disk_only,
        };
        let bundle = Arc::new(bundle);
        self.env
            .claims
            .set(app, self.declared(&assignment, &bundle));
        let kept = match slot.store() {
            Some(store) => {
                store
                    .update(move |record| record.replace(assignment, bundle, content))
                    .await
            }
            None => self.first_record(&slot, assignment, bundle, content).await,
        };
        kept?;
        slot.wanted.send_replace(accepted.generation);
        self.nudge_contested(app);
        Ok(accepted)
    }

    async fn first_record(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        assignment: Assignment,
        bundle: Arc<Bundle>,
        content: state::Content,
    ) -> Result<(), state::Error> {
        let app = assignment.app;
        let generation = assignment.generation;
        let mut record = Record::new(assignment, bundle, content);
        record.search_labels = self
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&app);
        let store = AppStore::create(self.env.store.clone(), record).await?;
        self.inherit(&store).await?;
        *slot.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(store);
        self.lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&app);
        slot.wanted.send_replace(generation);
        self.run(app, slot);
        Ok(())
    }

    fn slot_or_new(&self, app: AppUid) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots
            .entry(app)
            .or_insert_with(|| {
                Arc::new(Slot {
                    taking: tokio::sync::Mutex::new(()),
                    store: Mutex::new(None),
                    wanted: watch::Sender::new(Generation::default()),
                    nudge: Arc::default(),
                    signals: Arc::default(),
                    running: TaskTracker::new(),
                    cancel: self.cancel.child_token(),
                })
            })
            .clone()
    }

    /// Checks the objects and brings every one of the bundle to disk.
    async fn take_objects(
        &self,
        bundle: &Bundle,
        objects: BTreeMap<Digest, Value>,
    ) -> Result<Vec<Arc<Value>>, Rejected> {
        let (blobs, bundle) = (self.env.blobs.clone(), bundle.clone());
        let taken =
            tokio::task::spawn_blocking(move || checks::objects(&blobs, &bundle, objects)).await;
        taken.unwrap_or(Err(Rejected::NotDurable(state::Error::Stopped)))
    }

    /// Puts the assignment on disk, with its objects for good if they are nowhere else.
    async fn keep_on_disk(
        &self,
        assignment: &Assignment,
        bundle: &Bundle,
        disk_only: bool,
    ) -> Result<(), Rejected> {
        let traceparent = self.env.traces.kept(assignment.app, assignment.generation);
        let (blobs, files) = (self.env.blobs.clone(), self.files.clone());
        let (assignment, bundle) = (assignment.clone(), bundle.clone());
        let kept = tokio::task::spawn_blocking(move || {
            if disk_only {
                blobs.make_durable(bundle.objects().iter().map(|entry| entry.digest))?;
            }
            files.put(&assignment, &bundle, traceparent, disk_only)
        });
        match kept.await {
            Ok(kept) => Ok(kept?),
            Err(_) => Err(Rejected::NotDurable(state::Error::Stopped)),
        }
    }

    /// What an assignment declares, as far as discovery can name it now; its first pass names it
    /// for good.
    fn declared(
        &self,
        assignment: &Assignment,
        bundle: &Bundle,
    ) -> BTreeSet<tidegate_model::object::ObjectId> {
        let discovery = self.env.cluster.discovery();
        let namespace = match &assignment.desired {
            tidegate_model::assignment::Desired::Run { namespace, .. } => namespace.as_str(),
            tidegate_model::assignment::Desired::Tombstone { .. } => "",
        };
        let named = bundle.objects().iter().map(|entry| {
            let id = &entry.key.id;
            match discovery.known(&id.group, &entry.key.version, &id.kind) {
                Known::Served(scope) => manifest::canonical_id(id, scope, namespace),
                _ => id.clone(),
            }
        });
        named.collect()
    }

    /// Objects that this application let go may be what another one waits for.
    fn nudge_contested(&self, than: AppUid) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = slots
            .iter()
            .filter(|(app, slot)| **app != than && slot.signals.contested.load(Ordering::Relaxed));
        waiting.for_each(|(_, slot)| slot.nudge.notify_one());
    }

    pub(crate) async fn forget(
        &self,
        app: AppUid,
        generation: Generation,
    ) -> Result<bool, state::Error> {
        let Some(slot) = self.slot(app) else {
            return Ok(false);
        };
        let _taking = slot.taking.lock().await;
        let Some(store) = slot.store() else {
            return Ok(false);
        };
        let record = store.record();
        let removed = record.assignment.bundle().is_none() && record.is_applied();
        if record.assignment.generation != generation || !removed {
            return Ok(false);
        }
        store.erase().await?;
        slot.cancel.cancel();
        self.drop_slot(app);
        self.env.claims.forget(app);
        Ok(true)
    }

    fn drop_slot(&self, app: AppUid) {
        self.slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&app);
        self.files.remove(app);
        self.env.watches.forget(app);
        self.env.board.remove(app);
        self.env.traces.forget(app);
    }

    /// Runs the task of an application, again if it panics: one application's bug is not
    /// another's outage.
    fn run(&self, app: AppUid, slot: &Arc<Slot>) {
        let (env, slot) = (self.env.clone(), slot.clone());
        let running = slot.running.clone();
        self.tasks.spawn(running.track_future(async move {
            loop {
                let Some(store) = slot.store() else { return };
                let task = Task::new(env.clone(), app, store, slot.nudge.clone(), slot.signals.clone());
                let run = task.run(slot.wanted.subscribe(), slot.cancel.clone());
                match tokio::spawn(run).await {
                    Ok(()) => return,
                    Err(error) => tracing::error!(%app, %error, "the task of an application ended and starts again"),
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }));
    }
}
