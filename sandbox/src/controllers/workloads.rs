//! The status of workloads: begun, then available, or failed for an image `bad:*`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{LONG, condition};
use crate::{cluster::stamp, object::meta, resources::Resource};

/// Kinds whose status a controller keeps.
const WORKLOADS: [&str; 4] = [
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "jobs.batch",
];

pub(super) fn is_workload(id: &str) -> bool {
    WORKLOADS.contains(&id)
}

/// Whether some container can never run.
pub(super) fn is_bad(object: &Value) -> bool {
    let spec = object.pointer("/spec/template/spec");
    let lists = ["containers", "initContainers"];
    let containers = lists
        .iter()
        .filter_map(|list| spec?.get(list)?.as_array())
        .flatten();
    let mut images = containers.filter_map(|container| container["image"].as_str());
    images.any(|image| {
        image
            .rsplit('/')
            .next()
            .is_some_and(|it| it.starts_with("bad:"))
    })
}

fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn generation(object: &Value) -> Value {
    object["metadata"]["generation"].clone()
}

/// The status of work that has begun, and how long it takes.
pub(super) fn begin(
    resource: &Resource,
    object: &mut Value,
    delay: Duration,
    now: Timestamp,
) -> Duration {
    let (bad, wanted, generation) = (is_bad(object), replicas(object), generation(object));
    let old = object["status"].take();
    let ready = old["readyReplicas"].as_i64().unwrap_or(0);
    let name = meta(object, "name").to_owned();
    object["status"] = match &*resource.kind {
        "Deployment" => {
            let message = format!("ReplicaSet \"{name}\" is progressing.");
            let progressing = condition("Progressing", true, "ReplicaSetUpdated", &message, now);
            let available = availability(ready >= wanted, now);
            let kept = ready.min(wanted);
            let mut status = json!({
                "observedGeneration": generation, "conditions": [available, progressing],
            });
            counts(
                &mut status,
                &[
                    ("replicas", wanted),
                    ("updatedReplicas", wanted),
                    ("readyReplicas", kept),
                    ("availableReplicas", kept),
                    ("unavailableReplicas", wanted - kept),
                ],
            );
            status
        }
        "StatefulSet" => json!({
            "observedGeneration": generation, "replicas": wanted, "availableReplicas": 0,
            "currentRevision": old["updateRevision"], "collisionCount": 0,
            "updateRevision": format!("{name}-{generation}"),
        }),
        "DaemonSet" => json!({
            "observedGeneration": generation, "desiredNumberScheduled": 1,
            "currentNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 0,
            "updatedNumberScheduled": 1, "numberUnavailable": 1,
        }),
        _ => json!({"startTime": stamp(now), "active": 1, "ready": 0, "terminating": 0}),
    };
    if object["status"]["currentRevision"].is_null() && resource.kind == "StatefulSet" {
        object["status"]["currentRevision"] = object["status"]["updateRevision"].clone();
    }
    if !bad {
        return delay;
    }
    let deadline = object["spec"]["progressDeadlineSeconds"].as_u64();
    deadline.map_or(LONG, Duration::from_secs)
}

/// Counts of zero are left out, as Go does.
fn counts(status: &mut Value, counts: &[(&str, i64)]) {
    for (field, count) in counts.iter().filter(|(_, count)| *count > 0) {
        status[*field] = json!(count);
    }
}

fn availability(yes: bool, now: Timestamp) -> Value {
    if yes {
        let message = "Deployment has minimum availability.";
        return condition("Available", true, "MinimumReplicasAvailable", message, now);
    }
    let message = "Deployment does not have minimum availability.";
    condition(
        "Available",
        false,
        "MinimumReplicasUnavailable",
        message,
        now,
    )
}

/// The status of work that is done, or will never be.
pub(super) fn finish(resource: &Resource, object: &mut Value, now: Timestamp) {
    let (bad, wanted) = (is_bad(object), replicas(object));
    let name = meta(object, "name").to_owned();
    let generation = generation(object);
    match (&*resource.kind, bad) {
        ("Deployment", true) => deadline_exceeded(object, &name, now),
        ("Deployment", false) => {
            let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
            let done = condition("Progressing", true, "NewReplicaSetAvailable", &message, now);
            let mut status = json!({
                "observedGeneration": generation, "conditions": [availability(true, now), done],
            });
            counts(
                &mut status,
                &[
                    ("replicas", wanted),
                    ("updatedReplicas", wanted),
                    ("readyReplicas", wanted),
                    ("availableReplicas", wanted),
                ],
            );
            object["status"] = status;
        }
        ("StatefulSet", false) => stateful_set_done(object, wanted),
        ("DaemonSet", false) => {
            object["status"] = json!({
                "observedGeneration": generation, "desiredNumberScheduled": 1,
                "currentNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 1,
                "updatedNumberScheduled": 1, "numberAvailable": 1,
            });
        }
        ("Job", false) => {
            let start = object["status"]["startTime"].clone();
            object["status"] = json!({
                "startTime": start, "completionTime": stamp(now), "succeeded": 1, "ready": 0,
                "terminating": 0,
                "conditions": [condition("Complete", true, "CompletionsReached",
                    "Reached expected number of succeeded pods", now)],
            });
        }
        _ => {}
    }
}

fn deadline_exceeded(object: &mut Value, name: &str, now: Timestamp) {
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    let failed = condition(
        "Progressing",
        false,
        "ProgressDeadlineExceeded",
        &message,
        now,
    );
    if let Some(conditions) = object["status"]["conditions"].as_array_mut() {
        conditions.retain(|it| it["type"] != "Progressing");
        conditions.push(failed);
    }
}

fn stateful_set_done(object: &mut Value, wanted: i64) {
    let revision = object["status"]["updateRevision"].clone();
    object["status"] = json!({
        "observedGeneration": generation(object), "replicas": wanted, "collisionCount": 0,
        "availableReplicas": wanted, "currentRevision": revision, "updateRevision": revision,
    });
    counts(
        &mut object["status"],
        &[
            ("readyReplicas", wanted),
            ("currentReplicas", wanted),
            ("updatedReplicas", wanted),
        ],
    );
}
