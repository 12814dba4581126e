//! What goes because something else went: dependents of owners, contents of namespaces, objects of
//! definitions.
//!
//! Owns the decisions of the garbage collector and the namespace controller, made at once instead
//! of some time later. Pure. Never touches an object whose owner it cannot tell to be gone.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, mark_terminating},
    object::{finalizers, is_terminating, meta, set_meta},
    resources::{DEFINITIONS, Resource},
    store::{Key, Place, Stored},
};

mod namespaces;

/// Deletes what must go now; whether something changed, so that more may have to.
pub(crate) fn collect(cluster: &mut Cluster, now: Timestamp) -> bool {
    let mut doomed = orphans(cluster);
    doomed.extend(contents(cluster));
    let mut changed = false;
    for (id, key) in doomed {
        if let Some(resource) = cluster.resource(&id).cloned() {
            changed |= end(cluster, &resource, &key, now);
        }
    }
    changed | holders(cluster) | namespaces::settle(cluster, now)
}

fn stored<'a>(cluster: &'a Cluster, (id, key): &Place) -> Option<&'a Arc<Stored>> {
    cluster.store.get(id, &key.0, &key.1)
}

/// Objects whose every owner is gone, or waits for them.
fn orphans(cluster: &mut Cluster) -> Vec<Place> {
    let suspects = cluster.store.index_mut().take_suspects();
    let cluster = &*cluster;
    let gone = |uid: &str| match cluster.store.index().by_uid(uid) {
        None => true,
        Some(place) => stored(cluster, place).is_some_and(|owner| waits(owner)),
    };
    let suspects = suspects.into_iter().filter(|place| {
        let found = stored(cluster, place);
        found.is_some_and(|it| {
            !it.terminating
                && !it.owners.is_empty()
                && it.owners.iter().all(|owner| gone(&owner.uid))
        })
    });
    suspects.collect()
}

/// Whether an owner is being deleted and waits for its dependents.
fn waits(owner: &Stored) -> bool {
    owner.terminating && finalizers(&owner.value()).contains(&"foregroundDeletion")
}

/// What is in a namespace, or of a definition, that is being deleted.
fn contents(cluster: &Cluster) -> Vec<Place> {
    let mut found = Vec::new();
    for (id, key) in cluster.store.index().terminating() {
        match &**id {
            "namespaces" => found.extend(inside(cluster, &key.1)),
            DEFINITIONS => {
                let kind: Arc<str> = (*key.1).into();
                let all = cluster.store.all(&key.1);
                found.extend(all.map(|(key, _)| (kind.clone(), key.clone())));
            }
            _ => {}
        }
    }
    found.retain(|place| stored(cluster, place).is_some_and(|it| !it.terminating));
    found
}

/// What is in a namespace.
fn inside<'a>(cluster: &'a Cluster, namespace: &'a str) -> impl Iterator<Item = Place> + 'a {
    let all = cluster.store.everything();
    let inside = all.filter(move |(_, key, _)| &*key.0 == namespace);
    inside.map(|(id, key, _)| (id.clone(), key.clone()))
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
    let held: Vec<Place> = cluster
        .store
        .index()
        .terminating()
        .iter()
        .cloned()
        .collect();
    let mut changed = false;
    for place in held {
        let (id, key) = &place;
        let Some(mut object) = stored(cluster, &place).map(|it| it.value()) else {
            continue;
        };
        let Some(resource) = cluster.resource(id).cloned() else {
            continue;
        };
        let uid = meta(&object, "uid").to_owned();
        let all = finalizers(&object);
        let owned = |it: &&str| match *it {
            "orphan" => true,
            "foregroundDeletion" => !cluster.store.index().is_blocked(&uid),
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
            cluster.remove(&resource, key);
        } else {
            cluster.put(&resource, &mut object);
        }
    }
    changed
}

/// Removes an owner from its dependents, which then stay.
fn let_go(cluster: &mut Cluster, uid: &str) {
    let dependents: Vec<Place> = cluster.store.index().dependents(uid).cloned().collect();
    for place in dependents {
        let Some(mut object) = stored(cluster, &place).map(|it| it.value()) else {
            continue;
        };
        let Some(resource) = cluster.resource(&place.0).cloned() else {
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
