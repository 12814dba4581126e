//! What goes because something else went: dependents of owners, contents of namespaces, objects of
//! definitions.
//!
//! Owns the decisions of the garbage collector and the namespace controller, made at once instead
//! of some time later. Pure. Never touches an object whose owner it cannot tell to be gone.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, mark_terminating},
    object::{finalizers, is_terminating, set_meta},
    resources::{DEFINITIONS, Resource},
    store::Key,
};

/// Deletes what must go now; whether something changed, so that more may have to.
pub(crate) fn collect(cluster: &mut Cluster, now: Timestamp) -> bool {
    let mut changed = false;
    for (id, key) in doomed(cluster) {
        if let Some(resource) = cluster.resource(&id).cloned() {
            changed |= end(cluster, &resource, &key, now);
        }
    }
    changed | holders(cluster) | namespaces(cluster)
}

/// Objects whose every owner is gone, and contents of what is being deleted.
fn doomed(cluster: &Cluster) -> Vec<(Arc<str>, Key)> {
    let uids: BTreeSet<&str> = cluster
        .store
        .everything()
        .map(|(_, _, stored)| &*stored.uid)
        .collect();
    let waiting: BTreeSet<&str> = terminating_owners(cluster);
    let ending = cluster.store.all("namespaces");
    let ending: BTreeSet<&str> = ending
        .filter(|(_, stored)| stored.terminating)
        .map(|(key, _)| &*key.1)
        .collect();
    let definitions = cluster.store.all(DEFINITIONS);
    let undefined: BTreeSet<&str> = definitions
        .filter(|(_, stored)| stored.terminating)
        .map(|(key, _)| &*key.1)
        .collect();
    let all = cluster.store.everything();
    let doomed = all.filter(|(id, key, stored)| {
        let owners = &stored.owners;
        let orphaned = !owners.is_empty()
            && owners
                .iter()
                .all(|uid| !uids.contains(&**uid) || waiting.contains(&**uid));
        let inside = !key.0.is_empty() && ending.contains(&*key.0);
        !stored.terminating && (orphaned || inside || undefined.contains(&***id))
    });
    doomed
        .map(|(id, key, _)| (id.clone(), key.clone()))
        .collect()
}

/// Owners that are being deleted and wait for their dependents.
fn terminating_owners(cluster: &Cluster) -> BTreeSet<&str> {
    let all = cluster.store.everything();
    let waiting = all.filter(|(_, _, stored)| {
        stored.terminating && finalizers(&stored.value()).contains(&"foregroundDeletion")
    });
    waiting.map(|(_, _, stored)| &*stored.uid).collect()
}

/// Deletes one object in the background way.
fn end(cluster: &mut Cluster, resource: &Resource, key: &Key, now: Timestamp) -> bool {
    let Some(stored) = cluster.store.get(&resource.id, &key.0, &key.1) else {
        return false;
    };
    let mut object = stored.value();
    if finalizers(&object).is_empty() {
        cluster.remove(resource, key);
        return true;
    }
    if is_terminating(&object) {
        return false;
    }
    mark_terminating(&mut object, resource.counts_generations(), now);
    cluster.put(resource, &mut object);
    true
}

/// Takes the finalizers of the collector and of definitions when their work is done.
fn holders(cluster: &mut Cluster) -> bool {
    let held: Vec<(Arc<str>, Key, Value)> = cluster
        .store
        .everything()
        .filter(|(_, _, stored)| stored.terminating)
        .map(|(id, key, stored)| (id.clone(), key.clone(), stored.value()))
        .collect();
    let mut changed = false;
    for (id, key, mut object) in held {
        let Some(resource) = cluster.resource(&id).cloned() else {
            continue;
        };
        let uid = crate::object::meta(&object, "uid").to_owned();
        let all = finalizers(&object);
        let owned = |it: &&str| match *it {
            "orphan" => true,
            "foregroundDeletion" => !has_dependents(cluster, &uid),
            "customresourcecleanup.apiextensions.k8s.io" => {
                cluster.store.all(&key.1).next().is_none()
            }
            _ => false,
        };
        let kept: Vec<Value> = all
            .iter()
            .filter(|it| !owned(it))
            .map(|it| json!(it))
            .collect();
        if kept.len() == all.len() {
            continue;
        }
        if all.contains(&"orphan") {
            let_go(cluster, &uid);
        }
        changed = true;
        let last = kept.is_empty();
        set_meta(&mut object, "finalizers", (!last).then(|| kept.into()));
        if last && &*resource.id != "namespaces" {
            cluster.remove(&resource, &key);
        } else {
            cluster.put(&resource, &mut object);
        }
    }
    changed
}

fn has_dependents(cluster: &Cluster, uid: &str) -> bool {
    let mut all = cluster.store.everything();
    all.any(|(_, _, stored)| stored.owners.iter().any(|owner| **owner == *uid))
}

/// Removes an owner from its dependents, which then stay.
fn let_go(cluster: &mut Cluster, uid: &str) {
    let dependents: Vec<(Arc<str>, Value)> = cluster
        .store
        .everything()
        .filter(|(_, _, stored)| stored.owners.iter().any(|owner| **owner == *uid))
        .map(|(id, _, stored)| (id.clone(), stored.value()))
        .collect();
    for (id, mut object) in dependents {
        let Some(resource) = cluster.resource(&id).cloned() else {
            continue;
        };
        let owners = object["metadata"]["ownerReferences"].as_array();
        let owners = owners.into_iter().flatten();
        let rest: Vec<Value> = owners.filter(|it| it["uid"] != uid).cloned().collect();
        let rest = (!rest.is_empty()).then(|| rest.into());
        set_meta(&mut object, "ownerReferences", rest);
        cluster.put(&resource, &mut object);
    }
}

/// Ends namespaces that are empty at last.
fn namespaces(cluster: &mut Cluster) -> bool {
    let Some(resource) = cluster.resource("namespaces").cloned() else {
        return false;
    };
    let inhabited: BTreeSet<Box<str>> = cluster
        .store
        .everything()
        .map(|(_, key, _)| key.0.clone())
        .collect();
    let empty: Vec<Key> = cluster
        .store
        .all("namespaces")
        .filter(|(key, stored)| stored.terminating && !inhabited.contains(&key.1))
        .filter(|(_, stored)| finalizers(&stored.value()).is_empty())
        .map(|(key, _)| key.clone())
        .collect();
    for key in &empty {
        cluster.remove(&resource, key);
    }
    !empty.is_empty()
}
