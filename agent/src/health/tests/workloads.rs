//! Deployment, `StatefulSet`, `DaemonSet`, `ReplicaSet`, Pod, Job, `CronJob`.

use super::*;

/// A status that `change` spoils.
fn but(status: &Value, change: &[(&str, Value)]) -> Value {
    let mut status = status.clone();
    for (field, value) in change {
        status[*field] = value.clone();
    }
    status
}

/// A Deployment whose rollout is over.
fn rolled_out() -> (Value, Value) {
    let spec = json!({"replicas": 3, "progressDeadlineSeconds": 600});
    let done = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3,
        "readyReplicas": 3, "availableReplicas": 3, "conditions": [
            condition("Available", "True", "MinimumReplicasAvailable"),
            condition("Progressing", "True", "NewReplicaSetAvailable")]});
    (spec, done)
}

#[test]
fn deployment_by_numbers() {
    let (spec, done) = rolled_out();
    let rows = [
        (spec.clone(), done.clone(), Healthy),
        (
            json!({"replicas": 0}),
            json!({"observedGeneration": 2, "conditions": [
            condition("Available", "True", "MinimumReplicasAvailable")]}),
            Healthy,
        ),
        (
            json!({"replicas": 3, "paused": true}),
            done.clone(),
            Suspended,
        ),
        (spec.clone(), json!({}), Progressing),
        (
            spec.clone(),
            but(&done, &[("replicas", json!(2))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("updatedReplicas", json!(1))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("replicas", json!(4))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("readyReplicas", json!(2))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("availableReplicas", json!(2))]),
            Progressing,
        ),
    ];
    table("apps/v1", "Deployment", &rows);
}

#[test]
fn deployment_by_conditions() {
    let (spec, done) = rolled_out();
    let conditions = |available: Value, progressing: Value| json!([available, progressing]);
    let rows = [
        (spec.clone(), done.clone(), Healthy),
        (
            spec.clone(),
            but(
                &done,
                &[(
                    "conditions",
                    conditions(
                        condition("Available", "False", "MinimumReplicasUnavailable"),
                        condition("Progressing", "True", "NewReplicaSetAvailable"),
                    ),
                )],
            ),
            Progressing,
        ),
        (
            spec.clone(),
            but(
                &done,
                &[(
                    "conditions",
                    conditions(
                        condition("Available", "True", "MinimumReplicasAvailable"),
                        condition("Progressing", "True", "ReplicaSetUpdated"),
                    ),
                )],
            ),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("conditions", json!([]))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(
                &done,
                &[
                    ("readyReplicas", json!(0)),
                    (
                        "conditions",
                        conditions(
                            condition("Available", "True", "MinimumReplicasAvailable"),
                            condition("Progressing", "False", "ProgressDeadlineExceeded"),
                        ),
                    ),
                ],
            ),
            Degraded,
        ),
    ];
    table("apps/v1", "Deployment", &rows);
}

#[test]
fn a_deployment_without_quota_says_so() {
    let status = json!({"observedGeneration": 2, "conditions": [
        condition("ReplicaFailure", "True", "FailedCreate")]});
    let found = assess(
        &object("apps/v1", "Deployment", &json!({"replicas": 1}), &status),
        &context(),
    );
    assert_eq!(found.health, Progressing);
    assert!(found.message.contains("FailedCreate"), "{}", found.message);
}

#[test]
fn stateful_set() {
    let spec = json!({"replicas": 3});
    let done = json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": 3,
        "updatedReplicas": 3, "currentRevision": "b", "updateRevision": "b"});
    let partition = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
    let rows = [
        (spec.clone(), done.clone(), Healthy),
        (
            json!({"replicas": 0}),
            json!({"observedGeneration": 2}),
            Healthy,
        ),
        (
            json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}}),
            json!({"observedGeneration": 2}),
            Healthy,
        ),
        (spec.clone(), json!({}), Progressing),
        (
            spec.clone(),
            but(&done, &[("readyReplicas", json!(2))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("replicas", json!(4))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("currentRevision", json!("a"))]),
            Progressing,
        ),
        (
            partition.clone(),
            but(
                &done,
                &[
                    ("updatedReplicas", json!(1)),
                    ("currentRevision", json!("a")),
                ],
            ),
            Healthy,
        ),
        (
            partition,
            but(&done, &[("updatedReplicas", json!(0))]),
            Progressing,
        ),
        (
            json!({"replicas": 3, "minReadySeconds": 5}),
            but(&done, &[("availableReplicas", json!(2))]),
            Progressing,
        ),
    ];
    table("apps/v1", "StatefulSet", &rows);
}

#[test]
fn daemon_set() {
    let done = json!({"observedGeneration": 2, "desiredNumberScheduled": 2,
        "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2, "numberAvailable": 2});
    let spec = json!({});
    let rows = [
        (spec.clone(), done.clone(), Healthy),
        (
            json!({"updateStrategy": {"type": "OnDelete"}}),
            json!({"observedGeneration": 2, "desiredNumberScheduled": 2}),
            Healthy,
        ),
        (
            spec.clone(),
            json!({"desiredNumberScheduled": 0}),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("currentNumberScheduled", json!(1))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("updatedNumberScheduled", json!(1))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("numberReady", json!(1))]),
            Progressing,
        ),
        (
            spec.clone(),
            but(&done, &[("numberAvailable", json!(1))]),
            Progressing,
        ),
        (
            spec,
            json!({"observedGeneration": 2, "desiredNumberScheduled": 0}),
            Healthy,
        ),
    ];
    table("apps/v1", "DaemonSet", &rows);
}

#[test]
fn replica_set() {
    let rows = [
        (
            json!({"replicas": 2}),
            json!({"observedGeneration": 2, "availableReplicas": 2}),
            Healthy,
        ),
        (
            json!({"replicas": 0}),
            json!({"observedGeneration": 2}),
            Healthy,
        ),
        (
            json!({}),
            json!({"observedGeneration": 2, "availableReplicas": 1}),
            Healthy,
        ),
        (
            json!({"replicas": 2}),
            json!({"observedGeneration": 2, "availableReplicas": 1}),
            Progressing,
        ),
        (
            json!({"replicas": 2}),
            json!({"availableReplicas": 2}),
            Progressing,
        ),
        (
            json!({"replicas": 2}),
            json!({"observedGeneration": 2, "conditions": [
            condition("ReplicaFailure", "True", "FailedCreate")]}),
            Degraded,
        ),
        (
            json!({"replicas": 2}),
            json!({"observedGeneration": 2, "availableReplicas": 2, "conditions": [
            condition("ReplicaFailure", "False", "")]}),
            Healthy,
        ),
    ];
    table("apps/v1", "ReplicaSet", &rows);
}

#[test]
fn pod_by_phase() {
    let always = json!({"restartPolicy": "Always"});
    let ready = json!([condition("Ready", "True", "")]);
    let not_ready = json!([condition("Ready", "False", "ContainersNotReady")]);
    let rows = [
        (
            always.clone(),
            json!({"phase": "Running", "conditions": ready}),
            Healthy,
        ),
        (
            json!({"restartPolicy": "Never"}),
            json!({"phase": "Succeeded"}),
            Healthy,
        ),
        (
            json!({"restartPolicy": "Never"}),
            json!({"phase": "Failed", "message": "evicted"}),
            Degraded,
        ),
        (
            json!({"restartPolicy": "OnFailure"}),
            json!({"phase": "Running", "conditions": ready}),
            Progressing,
        ),
        (
            always.clone(),
            json!({"phase": "Running", "conditions": not_ready}),
            Progressing,
        ),
        (always.clone(), json!({"phase": "Pending"}), Progressing),
        (always.clone(), json!({}), Progressing),
    ];
    table("v1", "Pod", &rows);
}

#[test]
fn pod_by_containers() {
    let always = json!({"restartPolicy": "Always"});
    let ready = json!([condition("Ready", "True", "")]);
    let not_ready = json!([condition("Ready", "False", "ContainersNotReady")]);
    let waiting = |reason: &str| json!([{"name": "c", "state": {"waiting": {"reason": reason}}}]);
    let rows = [
        (
            always.clone(),
            json!({"phase": "Running", "conditions": ready, "containerStatuses": [{"name": "c", "ready": true}]}),
            Healthy,
        ),
        (
            always.clone(),
            json!({"phase": "Pending", "containerStatuses": waiting("ContainerCreating")}),
            Progressing,
        ),
        (
            always.clone(),
            json!({"phase": "Running", "containerStatuses": waiting("CrashLoopBackOff")}),
            Degraded,
        ),
        (
            always.clone(),
            json!({"phase": "Pending", "containerStatuses": waiting("ErrImagePull")}),
            Degraded,
        ),
        (
            always.clone(),
            json!({"phase": "Pending", "initContainerStatuses": waiting("CreateContainerConfigError")}),
            Degraded,
        ),
        (
            always.clone(),
            json!({"phase": "Running", "conditions": not_ready, "containerStatuses": [
            {"name": "c", "ready": false, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}),
            Degraded,
        ),
        (
            always.clone(),
            json!({"phase": "Pending", "conditions": [recent("PodScheduled", "False", "Unschedulable")]}),
            Progressing,
        ),
        (
            always,
            json!({"phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable")]}),
            Degraded,
        ),
    ];
    table("v1", "Pod", &rows);
}

#[test]
fn an_unschedulable_pod_is_looked_at_again_when_its_grace_is_over() {
    let status = json!({"phase": "Pending", "conditions": [recent("PodScheduled", "False", "Unschedulable")]});
    let found = assess(&object("v1", "Pod", &json!({}), &status), &context());
    assert_eq!(found.recheck, Some("2030-01-01T12:04:00Z".parse().unwrap()));
}

#[test]
fn job() {
    let with = |conditions: Value| json!({"active": 1, "conditions": conditions});
    let rows = [
        (
            json!({}),
            with(json!([condition("Complete", "True", "")])),
            Healthy,
        ),
        (
            json!({}),
            with(json!([
                condition("Failed", "False", ""),
                condition("Complete", "True", "")
            ])),
            Healthy,
        ),
        (json!({}), json!({"active": 1}), Progressing),
        (json!({}), json!({}), Progressing),
        (
            json!({}),
            with(json!([condition("Failed", "True", "BackoffLimitExceeded")])),
            Degraded,
        ),
        (
            json!({"suspend": true}),
            with(json!([condition("Suspended", "True", "JobSuspended")])),
            Suspended,
        ),
        (
            json!({"suspend": false}),
            with(json!([condition("Suspended", "False", "JobResumed")])),
            Progressing,
        ),
        (
            json!({}),
            with(json!([condition(
                "FailureTarget",
                "True",
                "PodFailurePolicy"
            )])),
            Progressing,
        ),
        (
            json!({}),
            with(json!([condition(
                "SuccessCriteriaMet",
                "True",
                "SuccessPolicy"
            )])),
            Progressing,
        ),
    ];
    table("batch/v1", "Job", &rows);
}

#[test]
fn cron_job() {
    let rows = [
        (
            json!({"schedule": "* * * * *"}),
            json!({"lastScheduleTime": AN_HOUR_AGO}),
            Healthy,
        ),
        (json!({}), json!({}), Healthy),
        (json!({"suspend": true}), json!({}), Healthy),
        (json!({}), json!({"active": [{"name": "x-1"}]}), Healthy),
    ];
    table("batch/v1", "CronJob", &rows);
}
