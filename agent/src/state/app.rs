//! The record of one application: read at once, written in order, never half.

use std::{
    ops::ControlFlow,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::{Value, json};
use tidegate_model::{bundle::Bundle, ids::AppUid};

use super::{
    Error, Store,
    pack::{self, PackRef},
    record::{Content, PackRefBox, Record},
};
use crate::cluster::{self, meta};

/// One application's record, in memory and in its Secret.
#[derive(Debug)]
pub struct AppStore {
    store: Arc<Store>,
    record: RwLock<Arc<Record>>,
    /// Version of the Secret; held while it is written.
    version: tokio::sync::Mutex<Option<String>>,
}

impl AppStore {
    /// A record that is kept already.
    pub fn kept(store: Arc<Store>, record: Record, version: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            store,
            record: RwLock::new(Arc::new(record)),
            version: tokio::sync::Mutex::new(version),
        })
    }

    /// Keeps a first record.
    pub async fn create(store: Arc<Store>, record: Record) -> Result<Arc<Self>, Error> {
        let kept = Self::kept(store, record, None);
        kept.update(|_| {}).await?;
        Ok(kept)
    }

    /// The record and the version of its Secret, for another store of the same.
    pub async fn into_parts(&self) -> (Record, Option<String>) {
        let version = self.version.lock().await;
        (Record::clone(&self.record()), version.clone())
    }

    /// The record as it is kept.
    pub fn record(&self) -> Arc<Record> {
        self.record
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the record and returns once the change is kept; no change costs no write. Goes on
    /// if its caller is dropped: a write must not be cut in the middle.
    pub async fn update(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Record) + Send + 'static,
    ) -> Result<(), Error> {
        let this = self.clone();
        let write = tokio::spawn(async move {
            let mut version = this.version.lock().await;
            let before = this.record();
            let mut next = Record::clone(&before);
            change(&mut next);
            if next == *before && version.is_some() {
                return Ok(());
            }
            let fields = next.fields(&this.store).await?;
            *version = Some(this.write(&next, fields, version.as_deref()).await?);
            let left = left_packs(&before, &next);
            *this.record.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
            for pack in left {
                if let Err(error) = this.store.remove_pack(&pack).await {
                    // The next start removes packs that no record names.
                    tracing::debug!(%error, "left a pack of old content behind");
                }
            }
            Ok(())
        });
        write.await.unwrap_or(Err(Error::Stopped))
    }

    /// Removes the record and everything it names.
    pub async fn erase(&self) -> Result<(), Error> {
        let mut version = self.version.lock().await;
        let record = self.record();
        self.store.remove(&record.name()).await?;
        *version = None;
        for pack in packs(&record) {
            self.store.remove_pack(&pack).await?;
        }
        Ok(())
    }

    async fn write(
        &self,
        next: &Record,
        fields: Value,
        version: Option<&str>,
    ) -> Result<String, Error> {
        let name = next.name();
        let failed = |error| self.store.failed(&name, error);
        match self
            .store
            .write(&name, "application", fields.clone(), version)
            .await
        {
            Ok(version) => Ok(version),
            Err(error) if error.is_conflict() || error.is_not_found() => {
                match self.on_conflict(next).await? {
                    ControlFlow::Break(error) => Err(error),
                    ControlFlow::Continue(version) => {
                        let again =
                            self.store
                                .write(&name, "application", fields, version.as_deref());
                        again.await.map_err(failed)
                    }
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// After a refused write: somebody removed the Secret, or an earlier write of ours arrived
    /// though its answer did not. Only a newer assignment than ours means another agent.
    async fn on_conflict(
        &self,
        next: &Record,
    ) -> Result<ControlFlow<Error, Option<String>>, Error> {
        let name = next.name();
        let Some(secret) = self.store.read(&name).await? else {
            return Ok(ControlFlow::Continue(None));
        };
        let version = Some(meta(&secret, "resourceVersion").to_owned());
        Ok(match self.store.read_record(&secret).await {
            Ok(there) if there.assignment.generation > next.assignment.generation => {
                ControlFlow::Break(Error::Contended { name })
            }
            _ => ControlFlow::Continue(version),
        })
    }
}

fn packs(record: &Record) -> Vec<PackRef> {
    let content = match &record.content {
        Content::InCluster(pack) => Some(pack.0.clone()),
        _ => None,
    };
    content
        .into_iter()
        .chain(record.inventory_pack.clone())
        .collect()
}

fn left_packs(before: &Record, after: &Record) -> Vec<PackRef> {
    let kept = packs(after);
    packs(before)
        .into_iter()
        .filter(|pack| !kept.contains(pack))
        .collect()
}

impl Store {
    /// Keeps content in the cluster if it fits under the cap.
    pub async fn keep_content(
        &self,
        app: AppUid,
        bundle: &Bundle,
        objects: &[Arc<Value>],
    ) -> Result<Content, Error> {
        let objects: Vec<&Value> = objects.iter().map(AsRef::as_ref).collect();
        let content = json!({"bundle": bundle.to_value(), "objects": objects});
        let packed = pack::compress(content.to_string().as_bytes())?;
        if packed.len() > self.cap {
            return Ok(Content::DiskOnly);
        }
        Ok(Content::InCluster(PackRefBox(
            self.put_pack(app, &packed).await?,
        )))
    }

    /// Reads content back from the cluster; `None` if it is not there or not sound.
    pub async fn read_content(
        &self,
        record: &Record,
    ) -> Result<Option<(Bundle, Vec<Value>)>, Error> {
        let Content::InCluster(pack) = &record.content else {
            return Ok(None);
        };
        let bytes = match self.get_pack(&pack.0).await {
            Err(error @ Error::Damaged { .. }) => {
                tracing::error!(%error, "the content of an application is lost; the hub will be asked for it");
                return Ok(None);
            }
            bytes => bytes?,
        };
        let read = || {
            let mut content: Value = serde_json::from_slice(&bytes).ok()?;
            let bundle = Bundle::from_value(content.get("bundle")?)?;
            let objects = content.get_mut("objects")?.take();
            (Some(bundle.digest()) == record.assignment.bundle())
                .then_some((bundle, serde_json::from_value(objects).ok()?))
        };
        Ok(read())
    }
}

/// Why the cluster part of the state failed, for retries.
impl Error {
    /// Whether the same can succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Cluster { source, .. } => source.class() != cluster::Class::Terminal,
            Self::Disk(_) | Self::Contended { .. } | Self::Compress(_) => true,
            Self::Damaged { .. } | Self::Stopped => false,
        }
    }
}
