//! One cluster: its objects, the kinds it serves, its ids and what is due.
//!
//! Owns finding a kind, and the one way by which an object changes, so that dependents,
//! controllers and namespaces hear of it. Pure: time comes with each call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    answer::Refusal,
    controllers::Due,
    defaults::{complete, drop_unknown},
    object::set_meta,
    resources::{DEFINITIONS, Resource, Version, api_version, built_in_kinds, defined},
    sandbox::Options,
    store::{Key, Store},
};

/// The namespaces of a new cluster.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// A kind and the version of it that a request speaks.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    pub(crate) version: String,
    pub(crate) namespace: String,
    /// Empty for collections.
    pub(crate) name: String,
    /// Whether the request is about `/status`.
    pub(crate) status: bool,
}

impl Target {
    /// The version's type and subresources.
    pub(crate) fn served(&self) -> Result<&Version, Refusal> {
        let version = self.resource.version(&self.version);
        version.ok_or_else(Refusal::unserved)
    }

    /// Where the object is kept.
    pub(crate) fn key(&self) -> Key {
        (self.namespace.as_str().into(), self.name.as_str().into())
    }
}

/// The state of one cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) store: Store,
    pub(crate) options: Options,
    custom: BTreeMap<Arc<str>, Arc<Resource>>,
    made: u64,
    /// Whether no workload becomes available for now.
    pub(crate) held: bool,
    /// Objects that controllers have not looked at since they changed.
    pub(crate) touched: BTreeSet<(Arc<str>, Key)>,
    /// What controllers do later.
    pub(crate) due: BTreeMap<(Arc<str>, Key), Due>,
}

impl Cluster {
    /// A cluster as it is right after its start.
    pub(crate) fn new(options: Options, now: Timestamp) -> Self {
        let mut cluster = Self::restored(options, Store::default(), 0);
        let namespaces = built_in_kinds().iter().find(|it| &*it.id == "namespaces");
        for name in NAMESPACES {
            if let Some(resource) = namespaces {
                let mut object = json!({
                    "apiVersion": "v1", "kind": "Namespace",
                    "metadata": {
                        "name": name, "uid": cluster.uid(), "creationTimestamp": stamp(now),
                        "labels": {"kubernetes.io/metadata.name": name},
                    },
                    "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
                });
                cluster.put(resource, &mut object);
            }
        }
        cluster
    }

    /// A cluster with these objects, whose custom kinds are not served yet.
    pub(crate) fn restored(options: Options, store: Store, made: u64) -> Self {
        Self {
            store,
            options,
            custom: BTreeMap::new(),
            made,
            held: false,
            touched: BTreeSet::new(),
            due: BTreeMap::new(),
        }
    }

    /// How many numbers were given out.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Every kind that is served.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        built_in_kinds().iter().chain(self.custom.values())
    }

    /// A kind by its name within the cluster.
    pub(crate) fn resource(&self, id: &str) -> Option<&Arc<Resource>> {
        let custom = || self.custom.get(id);
        let mut built_in = built_in_kinds().iter();
        built_in.find(|it| &*it.id == id).or_else(custom)
    }

    /// Serves the kind of an established definition.
    pub(crate) fn serve(&mut self, definition: &Value) {
        let resource = defined(definition);
        self.custom.insert(resource.id.clone(), Arc::new(resource));
    }

    /// Serves a kind no more.
    pub(crate) fn forget(&mut self, id: &str) {
        self.custom.remove(id);
    }

    /// A fresh number.
    pub(crate) fn count(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A fresh uid; the same in every run of the same cluster.
    pub(crate) fn uid(&mut self) -> String {
        let made = self.count();
        let mut hash = Sha256::new();
        hash.update(self.options.name.as_bytes());
        hash.update(made.to_be_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }

    /// The object of a target.
    pub(crate) fn live(&self, target: &Target) -> Option<Value> {
        let (id, namespace) = (&target.resource.id, &target.namespace);
        let stored = self.store.get(id, namespace, &target.name)?;
        let mut object = stored.value();
        converted(target, &mut object);
        Some(object)
    }

    /// Writes an object.
    pub(crate) fn put(&mut self, resource: &Resource, object: &mut Value) {
        self.store.put(&resource.id, object);
        let key = |field| crate::object::meta(object, field).into();
        let key = (key("namespace"), key("name"));
        self.touched.insert((resource.id.clone(), key));
    }

    /// Removes an object, and what it stood for.
    pub(crate) fn remove(&mut self, resource: &Resource, key: &Key) -> Option<Value> {
        let gone = self.store.remove(&resource.id, key);
        self.touched.insert((resource.id.clone(), key.clone()));
        self.due.remove(&(resource.id.clone(), key.clone()));
        if &*resource.id == DEFINITIONS {
            self.forget(&key.1);
        }
        gone
    }
}

/// Brings a stored object into the version that is spoken: without what that version does not have.
pub(crate) fn converted(target: &Target, object: &mut Value) {
    if let Some(version) = target.resource.version(&target.version)
        && target.resource.custom
    {
        object["apiVersion"] = json!(api_version(&target.resource.group, &version.name));
        drop_unknown(&version.ty, object);
    }
}

/// Brings a written object into the version that is stored: without what that version does not
/// have, with its defaults.
pub(crate) fn settled(target: &Target, object: &mut Value) {
    if let Some(stored) = &target.resource.stored {
        drop_unknown(stored, object);
        complete(&target.resource, stored, object);
    }
}

/// A time as Kubernetes writes it: seconds, UTC.
pub(crate) fn stamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Marks an object as being deleted.
pub(crate) fn mark_terminating(object: &mut Value, counts: bool, now: Timestamp) {
    set_meta(object, "deletionTimestamp", Some(json!(stamp(now))));
    set_meta(object, "deletionGracePeriodSeconds", Some(json!(0)));
    if counts {
        bump(object);
    }
}

/// Counts a change.
pub(crate) fn bump(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    set_meta(object, "generation", Some(json!(generation + 1)));
}
