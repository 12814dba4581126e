//! Finds by their labels the objects of an application whose inventory was lost.

use std::sync::Arc;

use serde_json::Value;
use tidegate_model::{
    names::{ANNOTATION_APP, LABEL_APP_ID},
    object::ObjectId,
};

use super::{Error, Task};
use crate::{
    cluster::{Kind, meta},
    ownership,
};

impl Task {
    /// Searches every kind once and enters what is found; a generation after this one may prune it.
    /// Only objects with both of our marks and no controller count: labels get copied.
    pub(super) async fn find_lost(&self) -> Result<(), Error> {
        let record = self.store.record();
        if !record.search_labels {
            return Ok(());
        }
        let discovery = self.env.cluster.discovery();
        if !discovery.is_complete() {
            return Err(Error::Undiscovered);
        }
        let selector = format!("{LABEL_APP_ID}={}", self.app);
        let mut found = Vec::new();
        for kind in discovery.watchable() {
            let objects = match self.env.cluster.list(kind, "", &selector, true).await {
                // A kind that may not be listed, or not at all: nothing of ours can be told there.
                Err(error) if error.is_forbidden() || error.is_unserved() => continue,
                objects => objects?,
            };
            let app_name = record.assignment.app_name.as_str();
            let ours = objects.iter().filter(|object| {
                ownership::mark(object, "annotations", ANNOTATION_APP) == Some(app_name)
                    && ownership::controller(object).is_none()
            });
            found.extend(ours.map(|object| entry(kind, object)));
        }
        tracing::info!(app = %self.app, objects = found.len(), "searched the objects of an application whose inventory was lost");
        let generation = self.generation;
        let enter = move |record: &mut crate::state::Record| {
            record.search_labels = false;
            let inventory = Arc::make_mut(&mut record.inventory);
            for (id, version, uid) in found {
                inventory.enter_found(id, version, uid, generation);
            }
        };
        Ok(self.store.update(enter).await?)
    }
}

fn entry(kind: &Kind, object: &Value) -> (ObjectId, String, String) {
    let id = ObjectId {
        group: kind.resource.group.clone(),
        kind: kind.resource.kind.clone(),
        namespace: meta(object, "namespace").to_owned(),
        name: meta(object, "name").to_owned(),
    };
    (
        id,
        kind.resource.version.clone(),
        meta(object, "uid").to_owned(),
    )
}
