//! One object each of many kinds.

use serde_json::{Value, json};

fn meta(api_version: &str, kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    for (field, value) in rest.as_object().unwrap() {
        object[field] = value.clone();
    }
    object
}

pub(crate) fn pod_template(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {
        "containers": [{"name": "c", "image": "good:1", "ports": [{"containerPort": 8080}]}]}})
}

pub(crate) fn deployment(name: &str, replicas: u32) -> Value {
    meta(
        "apps/v1",
        "Deployment",
        name,
        &json!({"spec": {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": pod_template(name)}}),
    )
}

pub(crate) fn definition(kind: &str) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    meta(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &format!("{plural}.test.tidegate.dev"),
        &json!({"spec": {
        "group": "test.tidegate.dev", "scope": "Namespaced",
        "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {
                "size": {"type": "integer", "default": 3}, "color": {"type": "string"}}}}}}}]}}),
    )
}

/// 32 objects of as many kinds; `tag` keeps cluster-scoped names apart.
pub(crate) fn mixed(tag: &str) -> Vec<Value> {
    let mut all = namespaced();
    all.extend(cluster_scoped(tag));
    all
}

#[expect(clippy::too_many_lines, reason = "a table, one object of each kind")]
fn namespaced() -> Vec<Value> {
    let pods = |spec: Value| json!({ "spec": spec });
    let selector = json!({"matchLabels": {"app": "web"}});
    let run_once = json!({"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "good:1"}]}});
    vec![
        deployment("web", 1),
        meta(
            "apps/v1",
            "StatefulSet",
            "db",
            &pods(
                json!({"replicas": 1, "serviceName": "web", "selector": selector, "template": pod_template("web")}),
            ),
        ),
        meta(
            "apps/v1",
            "DaemonSet",
            "node",
            &pods(json!({"selector": selector, "template": pod_template("web")})),
        ),
        meta(
            "apps/v1",
            "ReplicaSet",
            "set",
            &pods(json!({"replicas": 0, "selector": selector, "template": pod_template("web")})),
        ),
        meta(
            "batch/v1",
            "Job",
            "once",
            &pods(json!({"template": run_once, "suspend": true})),
        ),
        meta(
            "batch/v1",
            "CronJob",
            "nightly",
            &pods(
                json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": run_once}}}),
            ),
        ),
        meta(
            "v1",
            "Pod",
            "alone",
            &json!({"spec": {"containers": [{"name": "c", "image": "good:1"}]}}),
        ),
        meta(
            "v1",
            "PodTemplate",
            "template",
            &json!({"template": pod_template("web")}),
        ),
        meta(
            "v1",
            "ReplicationController",
            "old",
            &pods(
                json!({"replicas": 0, "selector": {"app": "web"}, "template": pod_template("web")}),
            ),
        ),
        meta(
            "v1",
            "Service",
            "web",
            &json!({"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        ),
        meta("v1", "ConfigMap", "settings", &json!({"data": {"a": "b"}})),
        meta(
            "v1",
            "Secret",
            "credentials",
            &json!({"stringData": {"user": "u"}}),
        ),
        meta("v1", "ServiceAccount", "runner", &json!({})),
        meta(
            "v1",
            "LimitRange",
            "limits",
            &json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "8000m"}}]}}),
        ),
        meta(
            "v1",
            "ResourceQuota",
            "quota",
            &json!({"spec": {"hard": {"pods": "100"}}}),
        ),
        meta(
            "v1",
            "PersistentVolumeClaim",
            "disk",
            &json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        meta(
            "rbac.authorization.k8s.io/v1",
            "Role",
            "reader",
            &json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        meta(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "reader",
            &json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "runner"}]}),
        ),
        meta(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "deny",
            &json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
        ),
        meta(
            "networking.k8s.io/v1",
            "Ingress",
            "front",
            &json!({"spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}}),
        ),
        meta(
            "policy/v1",
            "PodDisruptionBudget",
            "budget",
            &json!({"spec": {"minAvailable": 1, "selector": selector}}),
        ),
        meta(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "scale",
            &json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"}}}),
        ),
        meta(
            "coordination.k8s.io/v1",
            "Lease",
            "lease",
            &json!({"spec": {"holderIdentity": "nobody"}}),
        ),
    ]
}

fn cluster_scoped(tag: &str) -> Vec<Value> {
    let name = |what: &str| format!("{what}-{tag}");
    // The agent does not hold these rights itself: escalate and bind let it deliver them.
    let rules = json!({"rules": [{"apiGroups": ["example.com"], "resources": ["x"], "verbs": ["impersonate", "update"]}]});
    vec![
        meta("v1", "Namespace", &name("extra"), &json!({})),
        meta(
            "v1",
            "PersistentVolume",
            &name("volume"),
            &json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/none"}}}),
        ),
        meta(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            &name("role"),
            &rules,
        ),
        meta(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            &name("binding"),
            &json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name("role")},
            "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]}),
        ),
        meta(
            "storage.k8s.io/v1",
            "StorageClass",
            &name("class"),
            &json!({"provisioner": "test.tidegate.dev/none"}),
        ),
        meta(
            "scheduling.k8s.io/v1",
            "PriorityClass",
            &name("priority"),
            &json!({"value": 5}),
        ),
        meta(
            "networking.k8s.io/v1",
            "IngressClass",
            &name("ingress"),
            &json!({"spec": {"controller": "test.tidegate.dev/none"}}),
        ),
        meta(
            "node.k8s.io/v1",
            "RuntimeClass",
            &name("runtime"),
            &json!({"handler": "none"}),
        ),
        meta(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            &name("hook"),
            &json!({"webhooks": []}),
        ),
    ]
}
