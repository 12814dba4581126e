//! The objects of an application, from the disk cache or from the cluster.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tidegate_model::{
    bundle::{Bundle, OBJECT_TAG},
    digest::Digest,
    object::ObjectId,
};

use super::{Error, Run, Task, row::Row};
use crate::{
    blobs::BlobCache,
    manifest,
    plan::{Item, Target},
    stage::stage_of,
    state::Record,
};

impl Task {
    /// Every object of the content.
    pub(super) async fn content(&self, record: &Record) -> Result<Vec<Item>, Error> {
        if let Some(bundle) = record.bundle.clone() {
            let blobs = self.env.blobs.clone();
            let read = tokio::task::spawn_blocking(move || from_disk(&blobs, &bundle)).await;
            if let Ok(Some(items)) = read {
                return Ok(items);
            }
        }
        self.restored(record).await
    }

    async fn restored(&self, record: &Record) -> Result<Vec<Item>, Error> {
        let found = self.env.store.read_content(record).await?;
        let Some((bundle, objects)) = found else {
            // Its row leaves the state root, and the hub sends it again.
            self.store.update(|record| record.bundle = None).await?;
            return Err(Error::ContentLost);
        };
        let mut by_digest = BTreeMap::new();
        for object in objects {
            let digest = Digest::of(OBJECT_TAG, &object);
            if let Err(error) = self.env.blobs.put(&object) {
                tracing::warn!(%error, "the disk cache cannot be written; content is read from the cluster");
            }
            by_digest.insert(digest, object);
        }
        let items = items(&bundle, |digest| by_digest.get(&digest).cloned());
        let bundle = Arc::new(bundle);
        self.store
            .update(move |record| record.bundle = Some(bundle))
            .await?;
        items.ok_or(Error::ContentLost)
    }

    /// What to apply for one object that is known already; `None` if its content is not at hand.
    pub(super) fn target(
        &self,
        run: &Run,
        record: &Record,
        id: &ObjectId,
        row: &Row,
    ) -> Option<Target> {
        let object = self.env.blobs.get(row.digest)?;
        Some(Target {
            id: id.clone(),
            version: row.key.version.clone(),
            digest: row.digest,
            stage: stage_of(&id.group, &id.kind),
            body: manifest::body(&object, id, &run.owner(record)),
            needs: Vec::new(),
        })
    }
}

fn from_disk(blobs: &BlobCache, bundle: &Bundle) -> Option<Vec<Item>> {
    items(bundle, |digest| blobs.get(digest))
}

fn items(bundle: &Bundle, object: impl Fn(Digest) -> Option<Value>) -> Option<Vec<Item>> {
    let entries = bundle.objects().iter();
    let read = entries.map(|entry| {
        Some(Item {
            key: entry.key.clone(),
            digest: entry.digest,
            object: object(entry.digest)?,
        })
    });
    read.collect()
}
