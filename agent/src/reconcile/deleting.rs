//! Deletes a set of objects in the right order and keeps the inventory true while doing so.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tidegate_model::object::ObjectId;
use tidegate_telemetry::describe;

use super::{Error, Task};
use crate::{
    cluster::{self, Class, Discovery},
    delete::{Deleter, Fate},
    inventory::Inventory,
    plan::deletion_order,
    stage::Stage,
    state::Record,
};

/// How long a pass waits for a deleted object to be gone. What takes longer is reported with what
/// it waits for; its event, or a retry, brings the next pass.
const SOON: Duration = Duration::from_secs(5);

impl Task {
    /// Deletes these objects, group after group, each gone before the next is touched. Returns
    /// whether all are gone; what is not is named in the problems.
    pub(super) async fn delete_all(
        &mut self,
        record: &Record,
        ids: impl IntoIterator<Item = ObjectId>,
    ) -> Result<bool, Error> {
        for group in deletion_order(ids) {
            let fates = self.delete_group(record, &group).await;
            let mut dropped = BTreeSet::new();
            let mut stuck = false;
            for (id, fate) in fates {
                match fate {
                    Ok(Fate::Gone) => {
                        self.env.metrics.object("deleted");
                        dropped.insert(id);
                    }
                    Ok(Fate::NotOurs(why)) => {
                        tracing::warn!(app = %self.app, object = %id, why, "left an object that is not ours");
                        dropped.insert(id.clone());
                        self.notes.push((id, why));
                    }
                    Ok(Fate::Kept(why)) => self.kept.push((id, why)),
                    Ok(Fate::Going(why)) => {
                        stuck = true;
                        self.problems
                            .push((Some(id), format!("its deletion waits for {why}")));
                    }
                    Err(error) => {
                        stuck = true;
                        self.env.metrics.failed("delete", error.class());
                        self.retry.note(error.class(), error.retry_after());
                        self.problems.push((
                            Some(id),
                            format!("its deletion failed: {}", describe(&error)),
                        ));
                    }
                }
            }
            self.drop_entries(dropped).await?;
            if stuck {
                if !self.retry.is_noted() {
                    self.retry.note(Class::Retryable, None);
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn delete_group(
        &self,
        record: &Record,
        group: &[ObjectId],
    ) -> Vec<(ObjectId, Result<Fate, cluster::Error>)> {
        let discovery = self.env.cluster.discovery();
        let limit = self.env.options.stage_wait.min(SOON);
        let cluster = &self.env.cluster;
        let (app, app_name) = (self.app, record.assignment.app_name.as_str());
        let mut work = Vec::with_capacity(group.len());
        for id in group {
            let discovery = discovery.clone();
            work.push(async move {
                let deleter = Deleter {
                    cluster,
                    app,
                    app_name,
                };
                let fate = delete_one(&deleter, &discovery, &record.inventory, id, limit).await;
                (id.clone(), fate)
            });
        }
        super::concurrently(work, self.concurrency()).await
    }

    /// Drops entries whose objects are gone, or are surely not ours.
    pub(super) async fn drop_entries(&self, ids: BTreeSet<ObjectId>) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let drop = move |record: &mut Record| {
            let inventory = Arc::make_mut(&mut record.inventory);
            for id in &ids {
                inventory.drop_entry(id);
            }
        };
        Ok(self.store.update(drop).await?)
    }

    /// Why an object cannot be deleted now, whoever approved it.
    pub(super) fn blocked(&self, discovery: &Discovery, id: &ObjectId) -> Option<String> {
        if !discovery.is_fresh(&id.group) {
            return Some("its API group cannot be discovered now".to_owned());
        }
        if id.group.is_empty() && id.kind == "Namespace" {
            let other = self.env.claims.lives_in(self.app, &id.name)?;
            return Some(format!("application {other} has objects in it"));
        }
        None
    }

    /// Definitions among `ids` of whose kind more objects exist than this application knows: they
    /// would go with it.
    pub(super) async fn definitions_in_use(
        &self,
        record: &Record,
        ids: &[ObjectId],
    ) -> Result<BTreeSet<ObjectId>, Error> {
        let discovery = self.env.cluster.discovery();
        let mut in_use = BTreeSet::new();
        for id in ids {
            if crate::stage::stage_of(&id.group, &id.kind) != Stage::Definitions {
                continue;
            }
            let Some((plural, group)) = id.name.split_once('.') else {
                continue;
            };
            let Some(kind) = discovery.by_plural(group, plural) else {
                // Established and not discovered yet: who uses it cannot be told.
                if self.is_established(id).await? {
                    in_use.insert(id.clone());
                }
                continue;
            };
            let known = record.inventory.entries().keys();
            let known = known
                .filter(|own| own.group == group && own.kind == kind.resource.kind)
                .count();
            if self.env.cluster.has_more_than(kind, known).await? {
                in_use.insert(id.clone());
            }
        }
        Ok(in_use)
    }

    async fn is_established(&self, definition: &ObjectId) -> Result<bool, Error> {
        let discovery = self.env.cluster.discovery();
        let kind = discovery.any_version(&definition.group, "v1", &definition.kind);
        let Some(kind) = kind else { return Ok(false) };
        let Some(live) = self.env.cluster.get(kind, definition).await? else {
            return Ok(false);
        };
        let live = crate::watch::Observation::of(&self.env.cluster, &live).await;
        Ok(live.assessment.health.is_healthy())
    }
}

async fn delete_one(
    deleter: &Deleter<'_>,
    discovery: &Discovery,
    inventory: &Inventory,
    id: &ObjectId,
    limit: Duration,
) -> Result<Fate, cluster::Error> {
    let entry = inventory.entries().get(id);
    let version = entry
        .map(|entry| entry.version.as_str())
        .unwrap_or_default();
    let Some(kind) = discovery.any_version(&id.group, version, &id.kind) else {
        // A kind that is gone took its objects along; one that is not discovered says nothing.
        let gone = deleter.cluster.kind_is_gone(&id.group, &id.kind).await?;
        return Ok(if gone {
            Fate::Gone
        } else {
            Fate::Going("the discovery of its kind".to_owned())
        });
    };
    let recorded = entry.and_then(|entry| entry.uid.as_deref());
    match deleter.delete(kind, id, recorded).await? {
        Fate::Going(_) => deleter.wait_gone(kind, id, recorded, limit).await,
        fate => Ok(fate),
    }
}
