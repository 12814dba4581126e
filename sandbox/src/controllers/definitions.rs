//! Definitions of custom resources become established as soon as they are made.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{condition, write};
use crate::{
    cluster::Cluster,
    object::{finalizers, is_terminating, set_meta},
    resources::Resource,
};

const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

pub(super) fn look(
    cluster: &mut Cluster,
    resource: &Resource,
    definition: &mut Value,
    now: Timestamp,
) {
    if is_terminating(definition) {
        return;
    }
    cluster.serve(definition);
    let names = definition["spec"]["names"].clone();
    let stored = definition["spec"]["versions"].as_array();
    let stored = stored.into_iter().flatten();
    let stored = stored.filter(|version| version["storage"] == true);
    // What was ever written stays in the list until somebody has moved it.
    let mut versions = definition["status"]["storedVersions"].as_array().cloned();
    for version in stored {
        let versions = versions.get_or_insert_default();
        if !versions.contains(&version["name"]) {
            versions.push(version["name"].clone());
        }
    }
    let stored = Value::Array(versions.unwrap_or_default());
    let established = definition["status"]["conditions"].is_array();
    let mut finalizers: Vec<Value> = finalizers(definition).iter().map(|it| json!(it)).collect();
    if established {
        if definition["status"]["acceptedNames"] != names
            || definition["status"]["storedVersions"] != stored
        {
            definition["status"]["acceptedNames"] = names;
            definition["status"]["storedVersions"] = stored;
            write(cluster, resource, definition.clone(), now);
        }
        return;
    }
    if !finalizers.contains(&json!(CLEANUP)) {
        finalizers.push(json!(CLEANUP));
        set_meta(definition, "finalizers", Some(finalizers.into()));
    }
    definition["status"] = json!({
        "acceptedNames": names, "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", true, "NoConflicts", "no conflicts found", now),
            condition("Established", true, "InitialNamesAccepted",
                "the initial names have been accepted", now),
        ],
    });
    write(cluster, resource, definition.clone(), now);
}
