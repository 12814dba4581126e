//! Carries out a tombstone.
//!
//! With cascade: every object of the inventory is deleted, users before what they use. Without: our
//! marks come off and the objects stay. Either way the inventory empties only as that is seen done.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tidegate_model::{object::ObjectId, report::Phase};
use tidegate_telemetry::describe;

use super::{Error, Task};
use crate::{
    cluster::{self, Class, Discovery},
    delete::Deleter,
    inventory::Inventory,
    state::{Content, Record},
};

impl Task {
    pub(super) async fn remove_pass(
        &mut self,
        record: &Arc<Record>,
        cascade: bool,
    ) -> Result<(), Error> {
        self.rows.clear();
        self.held = None;
        self.env.claims.set(self.app, BTreeSet::new());
        if record.is_applied() {
            self.phase = Phase::Removed;
            return Ok(());
        }
        self.phase = Phase::Applying;
        let discovery = self.env.cluster.discover(Duration::ZERO).await;
        self.find_lost().await?;
        let record = self.store.record();
        let ids: BTreeSet<ObjectId> = record.inventory.entries().keys().cloned().collect();
        // Their watches tell when they are gone.
        let kinds: Vec<_> = record
            .inventory
            .entries()
            .iter()
            .filter_map(|(id, entry)| {
                discovery
                    .any_version(&id.group, &entry.version, &id.kind)
                    .cloned()
            })
            .collect();
        self.env.watches.follow(self.app, ids.clone(), &kinds);
        let taken = ids
            .iter()
            .filter(|id| self.env.claims.other(self.app, id).is_some())
            .cloned()
            .collect();
        self.drop_entries(taken).await?;
        let done = if cascade {
            self.cascade(&discovery).await?
        } else {
            self.release_all(&discovery).await?
        };
        if !done {
            if !self.retry.is_noted() {
                self.retry.note(Class::Retryable, None);
            }
            return Ok(());
        }
        let generation = self.generation;
        self.store
            .update(move |record| {
                record.applied = Some(generation);
                record.content = Content::Nothing;
            })
            .await?;
        self.env.watches.follow(self.app, BTreeSet::new(), &[]);
        self.retry.succeeded();
        self.phase = Phase::Removed;
        Ok(())
    }

    async fn cascade(&mut self, discovery: &Discovery) -> Result<bool, Error> {
        let record = self.store.record();
        let ids: Vec<ObjectId> = record.inventory.entries().keys().cloned().collect();
        let in_use = self.definitions_in_use(&record, &ids).await?;
        let mut delete = Vec::new();
        let mut all = true;
        for id in ids {
            let blocked = self.blocked(discovery, &id).or_else(|| {
                in_use.contains(&id).then(|| {
                    "objects of its kind that this application does not own would go with it; delete them, or remove the application without cascade".to_owned()
                })
            });
            match blocked {
                Some(why) => {
                    all = false;
                    self.problems
                        .push((Some(id), format!("not deleted: {why}")));
                }
                None => delete.push(id),
            }
        }
        self.kept.clear();
        let gone = self.delete_all(&record, delete).await?;
        let kept: Vec<ObjectId> = std::mem::take(&mut self.kept)
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let released = self.release(discovery, &self.store.record(), kept).await?;
        Ok(all && gone && released)
    }

    async fn release_all(&mut self, discovery: &Discovery) -> Result<bool, Error> {
        let record = self.store.record();
        let ids = record.inventory.entries().keys().cloned().collect();
        self.release(discovery, &record, ids).await
    }

    /// Takes our marks off; returns whether that was done for all.
    async fn release(
        &mut self,
        discovery: &Discovery,
        record: &Record,
        ids: Vec<ObjectId>,
    ) -> Result<bool, Error> {
        let (cluster, app) = (&self.env.cluster, self.app);
        let mut work = Vec::with_capacity(ids.len());
        for id in ids {
            work.push(async move {
                let deleter = Deleter {
                    cluster,
                    app,
                    app_name: &record.assignment.app_name,
                };
                let done = release_one(&deleter, discovery, &record.inventory, &id).await;
                (id, done)
            });
        }
        let results = super::concurrently(work, self.concurrency()).await;
        let mut released = BTreeSet::new();
        let mut all = true;
        for (id, done) in results {
            match done {
                Ok(true) => _ = released.insert(id),
                Ok(false) => {
                    all = false;
                    self.problems.push((
                        Some(id),
                        "its API group cannot be discovered now".to_owned(),
                    ));
                }
                Err(error) => {
                    all = false;
                    self.retry.note(error.class(), error.retry_after());
                    self.problems.push((
                        Some(id),
                        format!("failed to take the labels off: {}", describe(&error)),
                    ));
                }
            }
        }
        self.drop_entries(released).await?;
        Ok(all)
    }
}

/// `false` if its kind cannot be discovered now.
async fn release_one(
    deleter: &Deleter<'_>,
    discovery: &Discovery,
    inventory: &Inventory,
    id: &ObjectId,
) -> Result<bool, cluster::Error> {
    let entry = inventory.entries().get(id);
    let version = entry
        .map(|entry| entry.version.as_str())
        .unwrap_or_default();
    let Some(kind) = discovery.any_version(&id.group, version, &id.kind) else {
        return deleter.cluster.kind_is_gone(&id.group, &id.kind).await;
    };
    let recorded = entry.and_then(|entry| entry.uid.as_deref());
    deleter.release(kind, id, recorded).await.map(|()| true)
}
