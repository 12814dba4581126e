//! The objects of one cluster, one rising resourceVersion, and the history that watches read.
//!
//! Objects are kept as the JSON that is served, with the few fields that are asked for without
//! reading it: a tree of values would be five times as large. Never judges a change.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub(crate) use self::index::{Index, Place};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::object::{meta, set_meta};

mod index;

/// Bytes of history that are kept; older events end in "410 Expired".
const HISTORY: usize = 512 * 1024;

/// Namespace (empty if it has none) and name.
pub(crate) type Key = (Box<str>, Box<str>);

/// One object as it is kept.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) body: Bytes,
    pub(crate) revision: u64,
    pub(crate) uid: Box<str>,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    pub(crate) owners: Box<[Owner]>,
    pub(crate) terminating: bool,
}

/// An owner of an object, as the object names it.
#[derive(Debug, PartialEq)]
pub(crate) struct Owner {
    pub(crate) uid: Box<str>,
    /// Whether the owner's deletion in the foreground waits for the object (`blockOwnerDeletion`).
    pub(crate) blocks: bool,
}

impl Stored {
    fn new(object: &Value, revision: u64) -> Self {
        Self::of(object.to_string().into(), object, revision)
    }

    /// An object that is written already.
    fn of(body: Bytes, object: &Value, revision: u64) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().into();
        let labels = object["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flatten();
        let owners = object["metadata"]["ownerReferences"].as_array();
        let owners = owners.into_iter().flatten();
        Self {
            body,
            revision,
            uid: meta(object, "uid").into(),
            labels: labels
                .map(|(key, value)| (key.as_str().into(), text(value)))
                .collect(),
            owners: owners
                .map(|owner| Owner {
                    uid: text(&owner["uid"]),
                    blocks: owner["blockOwnerDeletion"] == true,
                })
                .collect(),
            terminating: object["metadata"]["deletionTimestamp"].is_string(),
        }
    }

    /// The object.
    pub(crate) fn value(&self) -> Value {
        // Written from a value just above, so it is JSON.
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What happened to one object.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) resource: Arc<str>,
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
    /// What it is now, or was last if it is gone.
    pub(crate) object: Arc<Stored>,
    pub(crate) before: Option<Arc<Stored>>,
    pub(crate) gone: bool,
}

/// All objects of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Store {
    revision: u64,
    objects: BTreeMap<Arc<str>, BTreeMap<Key, Arc<Stored>>>,
    history: VecDeque<Event>,
    bytes: usize,
    index: Index,
    /// The latest revision whose event is no longer kept.
    forgotten: u64,
}

impl Store {
    /// The latest resourceVersion.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Who belongs to whom.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.objects
            .get(resource)?
            .get(&(namespace.into(), name.into()))
    }

    /// The objects of a kind in all namespaces, by namespace and name.
    pub(crate) fn all(&self, resource: &str) -> impl Iterator<Item = (&Key, &Arc<Stored>)> {
        self.objects.get(resource).into_iter().flatten()
    }

    /// Every object with its kind.
    pub(crate) fn everything(&self) -> impl Iterator<Item = (&Arc<str>, &Key, &Arc<Stored>)> {
        let kinds = self.objects.iter();
        kinds.flat_map(|(id, all)| all.iter().map(move |(key, it)| (id, key, it)))
    }

    /// Writes an object under the next resourceVersion, which it then carries.
    pub(crate) fn put(&mut self, resource: &Arc<str>, object: &mut Value) {
        let stored = self.next(object);
        let key = key_of(object);
        let kind = self.objects.entry(resource.clone()).or_default();
        let before = kind.insert(key.clone(), stored.clone());
        let place = (resource.clone(), key.clone());
        self.index.put(&place, &stored, before.as_deref());
        self.remember(resource, key, stored, before, false);
    }

    /// Removes an object; its last form carries the resourceVersion of its end.
    pub(crate) fn remove(&mut self, resource: &Arc<str>, key: &Key) -> Option<Value> {
        let kind = self.objects.get_mut(resource)?;
        let before = kind.remove(key)?;
        if kind.is_empty() {
            self.objects.remove(resource);
        }
        self.index.remove(&(resource.clone(), key.clone()), &before);
        let mut object = before.value();
        let stored = self.next(&mut object);
        self.remember(resource, key.clone(), stored, Some(before), true);
        Some(object)
    }

    /// Puts back an object under the resourceVersion that it carries.
    pub(crate) fn restore(&mut self, resource: &Arc<str>, object: &Value, body: Bytes) {
        let revision = meta(object, "resourceVersion").parse().unwrap_or_default();
        let stored = Arc::new(Stored::of(body, object, revision));
        let place = (resource.clone(), key_of(object));
        self.index.put(&place, &stored, None);
        let kind = self.objects.entry(place.0).or_default();
        kind.insert(place.1, stored);
    }

    /// Goes on from a resourceVersion; nothing before it is remembered.
    pub(crate) fn resume(&mut self, revision: u64) {
        self.revision = revision;
        self.forgotten = revision;
    }

    fn next(&mut self, object: &mut Value) -> Arc<Stored> {
        self.revision += 1;
        let version = json!(self.revision.to_string());
        set_meta(object, "resourceVersion", Some(version));
        Arc::new(Stored::new(object, self.revision))
    }

    fn remember(
        &mut self,
        resource: &Arc<str>,
        (namespace, name): Key,
        object: Arc<Stored>,
        before: Option<Arc<Stored>>,
        gone: bool,
    ) {
        self.bytes += object.body.len();
        self.history.push_back(Event {
            revision: self.revision,
            resource: resource.clone(),
            namespace,
            name,
            object,
            before,
            gone,
        });
        while self.bytes > HISTORY && self.history.len() > 1 {
            if let Some(old) = self.history.pop_front() {
                self.bytes -= old.object.body.len();
                self.forgotten = old.revision;
            }
        }
    }

    /// The objects of a kind as they were at a resourceVersion; the oldest one that can be asked
    /// for if that is no longer known.
    pub(crate) fn at(
        &self,
        resource: &str,
        revision: u64,
    ) -> Result<BTreeMap<Key, Arc<Stored>>, u64> {
        let mut all: BTreeMap<Key, Arc<Stored>> = self
            .all(resource)
            .map(|(key, stored)| (key.clone(), stored.clone()))
            .collect();
        let events: Vec<&Event> = self.since(revision)?.collect();
        let events = events.into_iter().rev();
        for event in events.filter(|event| &*event.resource == resource) {
            let key = (event.namespace.clone(), event.name.clone());
            match &event.before {
                Some(before) => drop(all.insert(key, before.clone())),
                None => drop(all.remove(&key)),
            }
        }
        Ok(all)
    }

    /// The events after a resourceVersion, oldest first; the oldest one that can be asked for if
    /// they are no longer known.
    pub(crate) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Event>, u64> {
        if revision < self.forgotten {
            return Err(self.forgotten);
        }
        let from = self
            .history
            .partition_point(|event| event.revision <= revision);
        Ok(self.history.range(from..))
    }
}

fn key_of(object: &Value) -> Key {
    (
        meta(object, "namespace").into(),
        meta(object, "name").into(),
    )
}

#[cfg(test)]
mod tests;
