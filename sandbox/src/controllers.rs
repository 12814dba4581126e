//! What controllers make of objects: workloads become available, definitions established.
//!
//! Pure: [`step`] is told the time, does what is due and tells when it wants to be called again.
//! There are no pods: a workload's status is all that shows. Never deletes; see `gc`.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, stamp},
    gc,
    object::{is_terminating, meta},
    resources::{DEFINITIONS, Resource},
    store::Key,
};

mod definitions;
mod settled;
mod workloads;

/// Work that is due at a time, for one generation of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    pub(crate) generation: i64,
    /// Whether the object becomes available; else it turns out that it never will.
    pub(crate) completes: bool,
}

impl Due {
    /// Whether a held cluster waits with it.
    fn is_held(&self, cluster: &Cluster) -> bool {
        cluster.held && self.completes
    }
}

/// Does everything that is due; when the next work is due, if some is known.
pub(crate) fn step(cluster: &mut Cluster, now: Timestamp) -> Option<Timestamp> {
    // Everything follows from a change or from time.
    let is_due = |due: &Due, cluster: &Cluster| due.at <= now && !due.is_held(cluster);
    let mut busy =
        !cluster.touched.is_empty() || cluster.due.values().any(|due| is_due(due, cluster));
    while busy {
        let touched = std::mem::take(&mut cluster.touched);
        for (id, key) in &touched {
            look(cluster, id, key, now);
        }
        let due: Vec<_> = cluster
            .due
            .iter()
            .filter(|(_, due)| is_due(due, cluster))
            .map(|(at, _)| at.clone())
            .collect();
        for at in due {
            if let Some(due) = cluster.due.remove(&at) {
                finish(cluster, &at.0, &at.1, &due, now);
            }
        }
        busy = gc::collect(cluster, now) || !cluster.touched.is_empty();
    }
    let waiting = cluster.due.values().filter(|due| !due.is_held(cluster));
    waiting.map(|due| due.at).min()
}

/// A changed object gets the status of work that has begun.
fn look(cluster: &mut Cluster, id: &Arc<str>, key: &Key, now: Timestamp) {
    // Most kinds have no controller here: their objects are not even read.
    let (settler, works) = (settled::settler(id), workloads::is_workload(id));
    if !(settler.is_some() || works || &**id == DEFINITIONS) {
        return;
    }
    let Some((resource, mut object)) = find(cluster, id, key) else {
        return;
    };
    if &**id == DEFINITIONS {
        definitions::look(cluster, &resource, &mut object, now);
        return;
    }
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    if is_terminating(&object) {
        return;
    }
    let settled = settler.and_then(|settled| settled(&object));
    if let Some(status) = settled.filter(|status| object["status"] != *status) {
        object["status"] = status;
        write(cluster, &resource, object, now);
        return;
    }
    if !works {
        return;
    }
    if object["status"]["observedGeneration"].as_i64() == Some(generation)
        || (resource.kind == "Job" && object["status"]["startTime"].is_string())
    {
        return;
    }
    let wait = workloads::begin(&resource, &mut object, cluster.options.delay, now);
    let due = Due {
        at: now.checked_add(wait).unwrap_or(now),
        generation,
        completes: !workloads::is_bad(&object),
    };
    cluster.due.insert((id.clone(), key.clone()), due);
    write(cluster, &resource, object, now);
}

fn finish(cluster: &mut Cluster, id: &Arc<str>, key: &Key, due: &Due, now: Timestamp) {
    let Some((resource, mut object)) = find(cluster, id, key) else {
        return;
    };
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    if generation == due.generation && !is_terminating(&object) {
        workloads::finish(&resource, &mut object, now);
        write(cluster, &resource, object, now);
    }
}

fn find(cluster: &Cluster, id: &str, key: &Key) -> Option<(Arc<Resource>, Value)> {
    let stored = cluster.store.get(id, &key.0, &key.1)?;
    Some((cluster.resource(id)?.clone(), stored.value()))
}

/// Writes a status as its controller would, with its field manager.
pub(crate) fn write(cluster: &mut Cluster, resource: &Resource, mut object: Value, now: Timestamp) {
    let key = |field| meta(&object, field).to_owned();
    let live = cluster
        .store
        .get(&resource.id, &key("namespace"), &key("name"))
        .map(|stored| stored.value());
    let (Some(live), Some(version)) = (live, resource.versions.first()) else {
        return;
    };
    let api = crate::resources::api_version(&resource.group, &version.name);
    let manager = crate::fields::Manager {
        name: "kube-controller-manager".to_owned(),
        apply: false,
        version: api.clone(),
        subresource: "status".to_owned(),
    };
    let time = stamp(now);
    let frame = crate::fields::Frame {
        ty: &version.ty,
        manager: &manager,
        version: &api,
        part: crate::fields::Part::Status,
        time: &time,
    };
    let owners = crate::fields::managers(&live);
    let owners = crate::fields::update(&frame, &live, &object, owners);
    crate::fields::set_managers(&mut object, &owners);
    if object != live {
        cluster.put(resource, &mut object);
    }
}

/// One condition.
fn condition(kind: &str, status: bool, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({
        "type": kind, "status": if status { "True" } else { "False" }, "reason": reason,
        "message": message, "lastTransitionTime": stamp(now),
    })
}

/// Longer than any test: used where a deadline does not fit into a time.
const LONG: Duration = Duration::from_hours(24);
