//! What is kept of one application, and its form in a Secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_model::{
    assignment::{Assignment, StateRow},
    bundle::Bundle,
    ids::{AppUid, Generation},
};

use super::{
    Error, NAME_PREFIX, Store,
    pack::{self, PackRef},
};
use crate::{cluster::meta, inventory::Inventory};

/// Largest compressed inventory that stays inside the record, in bytes; a larger one is a pack.
const INLINE: usize = 256 * 1024;

/// Where the content of an application is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// It has none: a tombstone.
    #[default]
    Nothing,
    /// In Secrets, and in the disk cache.
    InCluster(#[serde(with = "hidden")] PackRefBox),
    /// In the disk cache only, because it is larger than the cap.
    DiskOnly,
}

/// A pack, opaque to users of [`Content`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRefBox(pub(super) PackRef);

mod hidden {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::{PackRef, PackRefBox};

    pub(super) fn serialize<S: Serializer>(pack: &PackRefBox, to: S) -> Result<S::Ok, S::Error> {
        pack.0.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PackRefBox, D::Error> {
        PackRef::deserialize(from).map(PackRefBox)
    }
}

/// Everything that is kept of one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The latest assignment.
    pub assignment: Assignment,
    /// Its bundle; empty for a tombstone. `None` if it was on disk only and the disk is lost: the
    /// hub has to send it again.
    pub bundle: Option<Arc<Bundle>>,
    /// Where its objects are.
    pub content: Content,
    /// The generation that was applied, or removed, completely.
    pub applied: Option<Generation>,
    /// What may be in the cluster.
    pub inventory: Arc<Inventory>,
    /// Set while the inventory is not known, because it was lost: labels are searched first.
    pub search_labels: bool,
    /// Applications of the same name under earlier uids that it took over from: objects that still
    /// carry their label are its own.
    pub inherits: BTreeSet<AppUid>,
    pub(super) inventory_pack: Option<PackRef>,
}

/// The part of a record that is plain JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    assignment: Assignment,
    content: Content,
    #[serde(default)]
    applied: Option<Generation>,
    #[serde(default)]
    search_labels: bool,
    #[serde(default)]
    inherits: BTreeSet<AppUid>,
    #[serde(default)]
    inventory_pack: Option<PackRef>,
}

impl Record {
    /// A record of an assignment that is new here.
    pub fn new(assignment: Assignment, bundle: Arc<Bundle>, content: Content) -> Self {
        Self {
            assignment,
            bundle: Some(bundle),
            content,
            applied: None,
            inventory: Arc::default(),
            search_labels: false,
            inherits: BTreeSet::new(),
            inventory_pack: None,
        }
    }

    /// Takes a newer assignment; what is in the cluster stays known.
    pub fn replace(&mut self, assignment: Assignment, bundle: Arc<Bundle>, content: Content) {
        if assignment.generation > self.assignment.generation {
            self.applied = None;
        }
        self.assignment = assignment;
        self.bundle = Some(bundle);
        self.content = content;
    }

    /// Takes over what `earlier` has in the cluster.
    pub fn inherit(&mut self, earlier: &Self) {
        let at = self.assignment.generation;
        Arc::make_mut(&mut self.inventory).inherit(&earlier.inventory, at);
        self.search_labels |= earlier.search_labels;
        self.inherits.extend(&earlier.inherits);
        self.inherits.insert(earlier.assignment.app);
    }

    /// Its row of the state root; `None` while the content is lost, so that the hub sends it again.
    pub fn row(&self) -> Option<StateRow> {
        self.bundle.as_ref().map(|_| StateRow {
            app: self.assignment.app,
            generation: self.assignment.generation,
            digest: self.assignment.digest(),
        })
    }

    /// Whether the latest generation is through.
    pub fn is_applied(&self) -> bool {
        self.applied == Some(self.assignment.generation)
    }

    /// Name of its Secret.
    pub(super) fn name(&self) -> String {
        record_name(&self.assignment.app.to_string())
    }

    pub(super) fn names_pack(&self, secret: &str) -> bool {
        let content = match &self.content {
            Content::InCluster(pack) => Some(&pack.0),
            _ => None,
        };
        content
            .into_iter()
            .chain(&self.inventory_pack)
            .any(|pack| pack.names(secret))
    }

    /// The fields of its Secret. A large inventory goes to a pack before.
    pub(super) async fn fields(&mut self, store: &Store) -> Result<Value, Error> {
        let inventory = serde_json::to_vec(&*self.inventory).unwrap_or_default();
        let inventory = pack::compress(&inventory)?;
        let inline = inventory.len() <= INLINE;
        self.inventory_pack = if inline {
            None
        } else {
            Some(store.put_pack(self.assignment.app, &inventory).await?)
        };
        let head = Head {
            assignment: self.assignment.clone(),
            content: self.content.clone(),
            applied: self.applied,
            search_labels: self.search_labels,
            inherits: self.inherits.clone(),
            inventory_pack: self.inventory_pack.clone(),
        };
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let mut fields = BTreeMap::from([("record", head)]);
        if inline {
            fields.insert("inventory", inventory);
        }
        Ok(pack::encoded(fields))
    }
}

pub(super) fn record_name(app: &str) -> String {
    format!("{NAME_PREFIX}app-{app}")
}

impl Store {
    /// Reads one application's Secret, without its objects.
    pub(super) async fn read_record(&self, secret: &Value) -> Result<Record, Error> {
        let name = meta(secret, "name");
        let damaged = |what: &str| Error::Damaged {
            name: name.to_owned(),
            what: what.to_owned(),
        };
        let head: Head = pack::decoded(secret, "record")
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| damaged("its field record cannot be read"))?;
        if record_name(&head.assignment.app.to_string()) != name {
            return Err(damaged("it holds another application"));
        }
        let inventory = match &head.inventory_pack {
            Some(pack) => Some(self.get_pack(pack).await?),
            None => pack::decoded(secret, "inventory").and_then(|bytes| pack::decompress(&bytes)),
        };
        let inventory = inventory
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| damaged("its inventory cannot be read"))?;
        Ok(Record {
            bundle: head.assignment.bundle().is_none().then(Arc::default),
            assignment: head.assignment,
            content: head.content,
            applied: head.applied,
            inventory: Arc::new(inventory),
            search_labels: head.search_labels,
            inherits: head.inherits,
            inventory_pack: head.inventory_pack,
        })
    }
}
