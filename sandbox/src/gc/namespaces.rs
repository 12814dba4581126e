//! Namespaces that are being deleted: they say what they wait for, and go when they are empty.
//!
//! Owns the words of k8s.io/kubernetes `pkg/controller/namespace/deletion`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{inside, stored};
use crate::{
    cluster::{Cluster, stamp},
    controllers,
    object::finalizers,
    store::Place,
};

/// The conditions of a deletion that meets no difficulty: type, reason, message.
const WELL: [(&str, &str, &str); 5] = [
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (
        "NamespaceContentRemaining",
        "ContentRemoved",
        "All content successfully removed",
    ),
    (
        "NamespaceFinalizersRemaining",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
];

/// Ends namespaces that are empty at last; whether something changed.
pub(super) fn settle(cluster: &mut Cluster, now: Timestamp) -> bool {
    let Some(resource) = cluster.resource("namespaces").cloned() else {
        return false;
    };
    let ending = cluster.store.index().terminating().iter();
    let ending: Vec<Place> = ending
        .filter(|(id, _)| &**id == "namespaces")
        .cloned()
        .collect();
    let mut changed = false;
    for place in ending {
        let Some(mut object) = stored(cluster, &place).map(|it| it.value()) else {
            continue;
        };
        let left: Vec<Place> = inside(cluster, &place.1.1).collect();
        if !left.is_empty() {
            let conditions = conditions(cluster, &left, &object["status"]["conditions"], now);
            if object["status"]["conditions"] != conditions {
                object["status"]["conditions"] = conditions;
                controllers::write(cluster, &resource, object, now);
                changed = true;
            }
        } else if finalizers(&object).is_empty() {
            cluster.remove(&resource, &place.1);
            changed = true;
        }
    }
    changed
}

/// What a namespace waits for. A condition that says what it said before keeps its time.
fn conditions(cluster: &Cluster, left: &[Place], before: &Value, now: Timestamp) -> Value {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    for place in left {
        let (plural, group) = place.0.split_once('.').unwrap_or((&place.0, ""));
        *kinds.entry(format!("{plural}.{group}")).or_default() += 1;
        let object = stored(cluster, place).map(|it| it.value());
        for finalizer in object.iter().flat_map(finalizers) {
            *held.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let counted = |all: &BTreeMap<String, usize>, verb: &str| {
        let parts = all.iter();
        let parts = parts.map(|(name, count)| format!("{name} {verb} {count} resource instances"));
        parts.collect::<Vec<_>>().join(", ")
    };
    let remaining = format!("Some resources are remaining: {}", counted(&kinds, "has"));
    let waiting = format!(
        "Some content in the namespace has finalizers remaining: {}",
        counted(&held, "in")
    );
    let rows = [
        WELL[0],
        WELL[1],
        WELL[2],
        if kinds.is_empty() {
            WELL[3]
        } else {
            (WELL[3].0, "SomeResourcesRemain", &remaining)
        },
        if held.is_empty() {
            WELL[4]
        } else {
            (WELL[4].0, "SomeFinalizersRemain", &waiting)
        },
    ];
    let rows = rows.iter().map(|(kind, reason, message)| {
        let well = WELL.iter().any(|(_, it, _)| it == reason);
        let status = if well { "False" } else { "True" };
        let mut row = json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": stamp(now),
        });
        let old = before.as_array().into_iter().flatten();
        let mut old = old.filter(|it| it["type"] == *kind && it["status"] == status);
        if let Some(old) = old.next() {
            row["lastTransitionTime"] = old["lastTransitionTime"].clone();
        }
        row
    });
    rows.collect()
}
