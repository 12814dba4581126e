//! What happens once, before the first assignment: read what is kept, and take it up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use tidegate_model::{
    digest::Digest,
    ids::AppUid,
    names::{FACT_PREFIX, LABEL_APP_ID},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Slot, Supervisor, heir};
use crate::{
    accepted::{AcceptedFiles, OnDisk},
    blobs::BlobCache,
    board::Board,
    claims::Claims,
    clock,
    cluster::{self, Cluster, core_kind, meta},
    manifest::Scope,
    metrics::Metrics,
    ownership,
    port::Options,
    reconcile::Env,
    state::{self, AppStore, Content, EpochStore, Found, Record, Store},
    traces::Traces,
    watch::WatchHub,
};

/// Period of the cleaning of the disk cache.
const CLEANING: Duration = Duration::from_hours(6);

/// What is read from the cluster at start.
pub(super) struct Started {
    store: Arc<Store>,
    found: Found,
    cluster_uid: String,
    version: String,
    /// Applications that have labelled objects though no record of them was found.
    labelled: BTreeSet<AppUid>,
}

/// Reads until the API server answers; fails on what waiting does not mend.
pub(super) async fn read_cluster(
    cluster: &Cluster,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Started, state::Error> {
    let mut pause = Duration::from_millis(200);
    loop {
        match try_read(cluster, options).await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = %error, cause = ?error, "the agent waits for the API server");
                let wait = tokio::time::sleep(clock::jittered(pause));
                if cancel.run_until_cancelled(wait).await.is_none() {
                    return Err(state::Error::Stopped);
                }
                pause = (pause * 2).min(Duration::from_secs(30));
            }
            done => return done,
        }
    }
}

async fn try_read(cluster: &Cluster, options: &Options) -> Result<Started, state::Error> {
    let store = Store::open(cluster.clone(), &options.namespace, options.content_cap).await?;
    let found = store.load().await?;
    for error in &found.damaged {
        tracing::error!(%error, "state of an application is damaged; its objects are searched by label when the hub sends it again");
    }
    let failed = |source| state::Error::Cluster {
        namespace: String::new(),
        name: "(cluster)".to_owned(),
        source: Box::new(source),
    };
    let system = state::core_id("Namespace", "", "kube-system");
    let namespaces = core_kind("Namespace", "namespaces", Scope::Cluster);
    let system = cluster
        .get(&namespaces, &system)
        .await
        .map_err(failed)?
        .unwrap_or_default();
    let version = cluster.version().await.map_err(failed)?;
    let mut labelled = BTreeSet::new();
    if found.lost || !found.damaged.is_empty() {
        labelled = labelled_apps(cluster).await.map_err(failed)?;
    }
    Ok(Started {
        cluster_uid: meta(&system, "uid").to_owned(),
        version,
        labelled,
        store,
        found,
    })
}

/// Every application whose label some object carries.
async fn labelled_apps(cluster: &Cluster) -> Result<BTreeSet<AppUid>, cluster::Error> {
    let discovery = cluster.discover(Duration::ZERO).await;
    let mut apps = BTreeSet::new();
    for kind in discovery.watchable() {
        match cluster.list(kind, "", LABEL_APP_ID, true).await {
            Ok(objects) => {
                let labels = objects.iter().filter_map(ownership::owner_label);
                apps.extend(labels.filter_map(|label| label.parse::<AppUid>().ok()));
            }
            Err(error) if error.is_forbidden() || error.is_unserved() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(apps)
}

/// Puts everything together and starts the tasks of what is held.
pub(super) async fn build(
    options: Options,
    cluster: Cluster,
    blobs: BlobCache,
    files: AcceptedFiles,
    started: Started,
    cancel: CancellationToken,
) -> Result<Arc<Supervisor>, state::Error> {
    let Started {
        store,
        mut found,
        cluster_uid,
        version,
        mut labelled,
    } = started;
    let traces = Traces::default();
    let records = take_up(&store, &blobs, &files, &mut found, &labelled, &traces).await?;
    for (record, _) in &records {
        labelled.remove(&record.assignment.app);
    }
    let epochs = EpochStore::new(store.clone(), &found);
    // Even epoch 0 is kept, so that the next start knows that this one was not the first.
    let epoch = epochs.raise(found.epoch).await?;
    cluster.discover(Duration::from_secs(30)).await;
    let metrics = Metrics::default();
    let env = Arc::new(Env {
        watches: WatchHub::new(cluster.clone(), metrics.clone(), cancel.child_token()),
        metrics,
        traces,
        started: clock::monotonic(),
        claims: Claims::default(),
        board: Board::new(),
        options,
        cluster,
        store,
        blobs,
    });
    let supervisor = Arc::new(Supervisor {
        env,
        epochs,
        epoch: AtomicU64::new(epoch.0),
        files,
        slots: Mutex::default(),
        lost: Mutex::new(labelled),
        facts: facts(&version),
        cluster_uid,
        cleaning: tokio::sync::RwLock::default(),
        tasks: TaskTracker::new(),
        cancel,
    });
    let slots = fill_slots(&supervisor, records).await?;
    for (app, slot) in &slots {
        supervisor.run(*app, slot);
    }
    supervisor.tasks.spawn(supervisor.clone().keep_clean());
    Ok(supervisor)
}

/// Makes a slot for each record.
async fn fill_slots(
    supervisor: &Supervisor,
    records: Vec<(Record, Option<String>)>,
) -> Result<Vec<(AppUid, Arc<Slot>)>, state::Error> {
    let mut slots = Vec::new();
    let records = heir::settle(&supervisor.env.store, records).await?;
    for (record, kept) in records {
        let app = record.assignment.app;
        for predecessor in &record.inherits {
            supervisor.env.claims.set(*predecessor, BTreeSet::new());
        }
        let bundle = record.bundle.clone().unwrap_or_default();
        // Everybody's claims are known before the first task looks at an object.
        let declared = supervisor.declared(&record.assignment, &bundle);
        supervisor.env.claims.set(app, declared);
        let generation = record.assignment.generation;
        let store = supervisor.env.store.clone();
        let app_store = match kept {
            Some(kept) => AppStore::kept(store, record, Some(kept)),
            None => AppStore::create(store, record).await?,
        };
        let slot = supervisor.slot_or_new(app);
        *slot.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(app_store);
        slot.wanted.send_replace(generation);
        slots.push((app, slot));
    }
    Ok(slots)
}

/// Records of the cluster with their content, and records that only the disk has.
async fn take_up(
    store: &Arc<Store>,
    blobs: &BlobCache,
    files: &AcceptedFiles,
    found: &mut Found,
    labelled: &BTreeSet<AppUid>,
    traces: &Traces,
) -> Result<Vec<(Record, Option<String>)>, state::Error> {
    let mut records = Vec::new();
    for (mut record, version) in std::mem::take(&mut found.records) {
        let app = record.assignment.app;
        if record.bundle.is_none() {
            record.bundle = files
                .get(app)
                .filter(|on_disk| on_disk.assignment.bundle() == record.assignment.bundle())
                .map(|on_disk| Arc::new(on_disk.bundle))
                .filter(|bundle| bundle.objects().iter().all(|entry| blobs.has(entry.digest)));
        }
        if record.bundle.is_none()
            && let Some((bundle, objects)) = store.read_content(&record).await?
        {
            for object in &objects {
                blobs.put(object)?;
            }
            files.put(&record.assignment, &bundle, None, false)?;
            record.bundle = Some(Arc::new(bundle));
        }
        if record.bundle.is_none() {
            tracing::error!(%app, "the content of an application is lost with its disk; the hub is asked for it");
        }
        records.push((record, Some(version)));
    }
    let known: BTreeSet<AppUid> = records
        .iter()
        .map(|(record, _)| record.assignment.app)
        .collect();
    for on_disk in files.all() {
        let OnDisk {
            assignment,
            bundle,
            traceparent,
        } = on_disk;
        let place = traceparent.unwrap_or_default();
        traces.note(assignment.app, assignment.generation, &place);
        let sound = bundle.objects().iter().all(|entry| blobs.has(entry.digest));
        // Only where the cluster lost its state: else a record that is gone was removed on purpose.
        if (found.lost || !found.damaged.is_empty()) && sound && !known.contains(&assignment.app) {
            let app = assignment.app;
            let content = match assignment.bundle() {
                Some(_) => Content::DiskOnly,
                None => Content::Nothing,
            };
            let mut record = Record::new(assignment, Arc::new(bundle), content);
            record.search_labels = labelled.contains(&app);
            records.push((record, None));
        }
    }
    Ok(records)
}

/// Labels about the cluster; values as labels may hold them.
fn facts(version: &str) -> BTreeMap<String, String> {
    let label = |text: &str| -> String {
        let fit = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        };
        text.chars().map(fit).take(63).collect()
    };
    BTreeMap::from([
        (format!("{FACT_PREFIX}kubernetes-version"), label(version)),
        (
            format!("{FACT_PREFIX}agent-version"),
            label(env!("CARGO_PKG_VERSION")),
        ),
    ])
}

impl Supervisor {
    /// Removes objects from the disk cache that nothing held names, now and every few hours.
    async fn keep_clean(self: Arc<Self>) {
        loop {
            {
                let _alone = self.cleaning.write().await;
                let this = self.clone();
                if let Err(error) = tokio::task::spawn_blocking(move || this.clean()).await {
                    tracing::warn!(%error, "failed to clean the disk cache");
                }
            }
            let pause = tokio::time::sleep(clock::jittered(CLEANING));
            if self.cancel.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    fn clean(&self) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let bundles: Vec<_> = slots
            .values()
            .filter_map(|slot| slot.record()?.bundle.clone())
            .collect();
        drop(slots);
        let entries = bundles.iter().flat_map(|bundle| bundle.objects());
        let named: BTreeSet<Digest> = entries.map(|entry| entry.digest).collect();
        if let Err(error) = self.env.blobs.retain(|digest| named.contains(&digest)) {
            tracing::warn!(%error, "failed to clean the disk cache");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_becomes_a_label_that_kubernetes_takes() {
        let facts = facts("v1.33.2+k3s1");
        assert_eq!(
            facts["fact.tidegate.dev/kubernetes-version"],
            "v1.33.2_k3s1"
        );
    }
}
