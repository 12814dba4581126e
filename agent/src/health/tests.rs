//! Tables of statuses, kind by kind. Every kind is also run through what holds for any object.

use serde_json::json;
use tidegate_model::health::Health::{self, Degraded, Healthy, Progressing, Suspended};

use super::*;

mod infrastructure;
mod workloads;

/// The time of every test; conditions are dated relative to it.
const NOW: &str = "2030-01-01T12:00:00Z";
const A_MINUTE_AGO: &str = "2030-01-01T11:59:00Z";
const AN_HOUR_AGO: &str = "2030-01-01T11:00:00Z";

fn context() -> Context {
    Context {
        now: NOW.parse().unwrap(),
        applied_generation: Some(2),
        wait_for_first_consumer: false,
    }
}

/// A live object at generation 2.
fn object(api_version: &str, kind: &str, spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "generation": 2, "creationTimestamp": AN_HOUR_AGO},
        "spec": spec,
        "status": status,
    })
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "words",
        "lastTransitionTime": AN_HOUR_AGO})
}

fn recent(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "words",
        "lastTransitionTime": A_MINUTE_AGO})
}

/// Runs a table of (spec, status, expected health).
fn table(api_version: &str, kind: &str, rows: &[(Value, Value, Health)]) {
    assert!(rows.len() >= 3, "{kind} has too few statuses");
    for (number, (spec, status, expected)) in rows.iter().enumerate() {
        let live = object(api_version, kind, spec, status);
        let found = assess(&live, &context());
        assert_eq!(
            found.health, *expected,
            "{kind} row {number}: {live} gave {found:?}"
        );
        let silent = found.message.is_empty();
        assert!(
            silent == (found.health == Healthy),
            "{kind} row {number}: {found:?}"
        );
    }
    any_object(api_version, kind, &rows[0]);
}

/// Six more statuses that mean the same for every kind: `good` is one that is healthy.
fn any_object(api_version: &str, kind: &str, good: &(Value, Value, Health)) {
    let (spec, status, expected) = good;
    assert_eq!(
        *expected, Healthy,
        "the first row of {kind} must be the healthy one"
    );
    let live = object(api_version, kind, spec, status);
    let check = |change: &dyn Fn(&mut Value), expected: Health, what: &str| {
        let mut live = live.clone();
        change(&mut live);
        let found = assess(&live, &context());
        assert_eq!(found.health, expected, "{kind}, {what}: {found:?}");
        found
    };
    check(
        &|live| live["metadata"]["generation"] = json!(1),
        Progressing,
        "older than what was applied",
    );
    check(
        &|live| {
            live["metadata"]["generation"] = json!(3);
            live["status"]["observedGeneration"] = json!(3);
        },
        Healthy,
        "newer than what was applied",
    );
    check(
        &|live| live["status"]["observedGeneration"] = json!(1),
        Progressing,
        "status of old content",
    );
    check(
        &|live| live["status"]["observedGeneration"] = json!("1"),
        Progressing,
        "the same as text",
    );
    check(
        &|live| live["metadata"]["annotations"] = json!({ANNOTATION_HEALTH: "ignore"}),
        Healthy,
        "ignored",
    );
    if kind == "Namespace" {
        return;
    }
    let going = check(
        &|live| live["metadata"]["deletionTimestamp"] = json!(A_MINUTE_AGO),
        Progressing,
        "being deleted",
    );
    assert!(going.recheck.is_some());
    check(
        &|live| {
            live["metadata"]["deletionTimestamp"] = json!(AN_HOUR_AGO);
            live["metadata"]["finalizers"] = json!(["a/b"]);
        },
        Degraded,
        "deletion stuck",
    );
}
