//! Defaults of workloads, pods and services.

use serde_json::{Map, Value, json};

/// Fills what was left out.
pub(super) fn fill(kind: &str, object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        match kind {
            "Secret" => or(object, "type", json!("Opaque")),
            "RoleBinding" | "ClusterRoleBinding" => binding(object),
            _ => {}
        }
        return;
    };
    match kind {
        "Deployment" => deployment(spec),
        "StatefulSet" => {
            stateful_set(spec);
        }
        "DaemonSet" => {
            put(spec, "revisionHistoryLimit", json!(10));
            rolling(
                spec,
                "updateStrategy",
                &json!({"maxSurge": 0, "maxUnavailable": 1}),
            );
        }
        "ReplicaSet" | "ReplicationController" => put(spec, "replicas", json!(1)),
        "Job" => job(spec),
        "CronJob" => cron_job(spec),
        "Service" => service(spec),
        "Pod" => {
            let mut whole = Value::Object(std::mem::take(spec));
            pod_spec(&mut whole);
            or(&mut whole, "enableServiceLinks", json!(true));
            if let Value::Object(filled) = whole {
                *spec = filled;
            }
        }
        "HorizontalPodAutoscaler" => put(spec, "minReplicas", json!(1)),
        "CustomResourceDefinition" => definition(spec),
        "PersistentVolumeClaim" => put(spec, "volumeMode", json!("Filesystem")),
        _ => {}
    }
    if let Some(pod) = spec.get_mut("template").and_then(|it| it.get_mut("spec")) {
        pod_spec(pod);
    }
    if let Some(status) = object.get_mut("status") {
        for field in zeros(kind) {
            or(status, field, json!(0));
        }
        if kind == "HorizontalPodAutoscaler" {
            // Go always writes this list, which nobody measures here.
            or(status, "currentMetrics", Value::Null);
        }
    }
}

/// Counts of a status that Go writes from the start.
fn zeros(kind: &str) -> &'static [&'static str] {
    match kind {
        "StatefulSet" => &["availableReplicas"],
        "PodDisruptionBudget" => &[
            "currentHealthy",
            "desiredHealthy",
            "disruptionsAllowed",
            "expectedPods",
        ],
        _ => &[],
    }
}

fn binding(object: &mut Value) {
    let group = json!("rbac.authorization.k8s.io");
    let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if subject["kind"] == "User" || subject["kind"] == "Group" {
            or(subject, "apiGroup", group.clone());
        }
    }
    or(&mut object["roleRef"], "apiGroup", group);
}

fn cron_job(spec: &mut Map<String, Value>) {
    put(spec, "concurrencyPolicy", json!("Allow"));
    put(spec, "suspend", json!(false));
    put(spec, "successfulJobsHistoryLimit", json!(3));
    put(spec, "failedJobsHistoryLimit", json!(1));
    let template = spec.get_mut("jobTemplate");
    if let Some(pod) = template.and_then(|it| it.pointer_mut("/spec/template/spec")) {
        pod_spec(pod);
    }
}

fn definition(spec: &mut Map<String, Value>) {
    put(spec, "conversion", json!({"strategy": "None"}));
    if let Some(names) = spec.get_mut("names") {
        let kind = names["kind"].as_str().unwrap_or_default().to_owned();
        or(names, "singular", json!(kind.to_lowercase()));
        or(names, "listKind", json!(format!("{kind}List")));
    }
}

fn put(map: &mut Map<String, Value>, field: &str, value: Value) {
    map.entry(field).or_insert(value);
}

fn or(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        put(map, field, value);
    }
}

fn rolling(spec: &mut Map<String, Value>, field: &str, default: &Value) {
    let strategy = spec.entry(field).or_insert_with(|| json!({}));
    or(strategy, "type", json!("RollingUpdate"));
    if strategy["type"] == "RollingUpdate" {
        or(strategy, "rollingUpdate", json!({}));
        for (name, value) in default.as_object().into_iter().flatten() {
            or(&mut strategy["rollingUpdate"], name, value.clone());
        }
    }
}

fn deployment(spec: &mut Map<String, Value>) {
    put(spec, "replicas", json!(1));
    put(spec, "revisionHistoryLimit", json!(10));
    put(spec, "progressDeadlineSeconds", json!(600));
    let share = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
    rolling(spec, "strategy", &share);
}

fn stateful_set(spec: &mut Map<String, Value>) {
    put(spec, "replicas", json!(1));
    put(spec, "revisionHistoryLimit", json!(10));
    put(spec, "podManagementPolicy", json!("OrderedReady"));
    rolling(spec, "updateStrategy", &json!({"partition": 0}));
    let keep = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    put(spec, "persistentVolumeClaimRetentionPolicy", keep);
}

fn job(spec: &mut Map<String, Value>) {
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        put(spec, "completions", json!(1));
    }
    put(spec, "parallelism", json!(1));
    put(spec, "backoffLimit", json!(6));
    put(spec, "completionMode", json!("NonIndexed"));
    put(spec, "suspend", json!(false));
    put(spec, "manualSelector", json!(false));
    put(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
}

fn service(spec: &mut Map<String, Value>) {
    put(spec, "type", json!("ClusterIP"));
    put(spec, "sessionAffinity", json!("None"));
    if spec["type"] != "ExternalName" {
        put(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    for port in items(spec, "ports") {
        let number = port["port"].clone();
        or(port, "targetPort", number);
    }
}

fn items<'a>(map: &'a mut Map<String, Value>, field: &str) -> impl Iterator<Item = &'a mut Value> {
    let items = map.get_mut(field).and_then(Value::as_array_mut);
    items.into_iter().flatten()
}

fn pod_spec(pod: &mut Value) {
    let Some(pod) = pod.as_object_mut() else {
        return;
    };
    put(pod, "restartPolicy", json!("Always"));
    put(pod, "terminationGracePeriodSeconds", json!(30));
    put(pod, "dnsPolicy", json!("ClusterFirst"));
    put(pod, "schedulerName", json!("default-scheduler"));
    put(pod, "securityContext", json!({}));
    if let Some(account) = pod.get("serviceAccountName").cloned() {
        put(pod, "serviceAccount", account);
    }
    for field in ["containers", "initContainers"] {
        for container in items(pod, field) {
            container_defaults(container);
        }
    }
    for volume in items(pod, "volumes") {
        for (source, mode) in [
            ("secret", 420),
            ("configMap", 420),
            ("projected", 420),
            ("downwardAPI", 420),
        ] {
            if let Some(source) = volume.get_mut(source) {
                or(source, "defaultMode", json!(mode));
            }
        }
    }
}

fn container_defaults(container: &mut Value) {
    or(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    or(container, "terminationMessagePolicy", json!("File"));
    let image = container["image"].as_str().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let latest = !last.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
    let policy = if latest { "Always" } else { "IfNotPresent" };
    or(container, "imagePullPolicy", json!(policy));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe) {
            or(probe, "timeoutSeconds", json!(1));
            or(probe, "periodSeconds", json!(10));
            or(probe, "successThreshold", json!(1));
            or(probe, "failureThreshold", json!(3));
            if let Some(get) = probe.get_mut("httpGet") {
                or(get, "path", json!("/"));
                or(get, "scheme", json!("HTTP"));
            }
        }
    }
    let variables = container.get_mut("env").and_then(Value::as_array_mut);
    for variable in variables.into_iter().flatten() {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            or(field, "apiVersion", json!("v1"));
        }
    }
}
