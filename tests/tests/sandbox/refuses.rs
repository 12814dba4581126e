//! Cases: what is refused, with which words and for which field.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    recorder::{
        APPLY, Case, DEPLOYMENTS, JSON, MAPS, MERGE, PATCH, Recorder, SECRETS, SERVICES, STRATEGIC,
    },
    writes::deployment,
};

pub(crate) const CASES: &[Case] = &[
    ("refused_metadata", refused_metadata),
    ("refused_workloads", refused_workloads),
    ("refused_containers", refused_containers),
    ("refused_data", refused_data),
    ("refused_services", refused_services),
    ("refused_changes", refused_changes),
    ("refused_references", refused_references),
    ("refused_scalers", refused_scalers),
    ("refused_patches", refused_patches),
];

/// Sets what a pointer names, or removes it.
fn set(object: &mut Value, pointer: &str, value: &Value) {
    let (above, name) = pointer.rsplit_once('/').unwrap();
    let above = object.pointer_mut(above).unwrap();
    match (above, value) {
        (Value::Object(map), Value::Null) => drop(map.remove(name)),
        (above, value) => above[name] = value.clone(),
    }
}

/// Asks for it all, but nothing is made.
async fn refused(r: &mut Recorder, path: &str, bodies: Vec<(&str, Value)>) {
    let path = format!("{path}?dryRun=All&fieldManager=tester");
    for (name, body) in bodies {
        let (code, answer) = r.ask("POST", &path, JSON, &body).await;
        r.note(name, code, without_names(r, answer));
    }
}

/// A name that a server makes is its own.
pub(crate) fn without_names(r: &Recorder, answer: Value) -> Value {
    let name = answer["details"]["name"].as_str().unwrap_or_default();
    match name.strip_prefix("Generated_") {
        Some(end) => {
            let text = answer.to_string().replace(end, "<end>");
            serde_json::from_str(&text).unwrap()
        }
        None if answer["code"].is_u64() => answer,
        // What one of them lets through, the other one must let through.
        None => json!(["made in", r.namespace]),
    }
}

fn refused_metadata(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let with = |field: &str, value: Value| {
            let mut body = json!({"metadata": {"name": "a"}});
            body["metadata"][field] = value;
            body
        };
        let owner = |kind: &str, uid: &str| json!([{"apiVersion": "v1", "kind": kind, "name": "x", "uid": uid}]);
        let bodies = vec![
            ("label key", with("labels", json!({"a/b/c": "x"}))),
            ("label without a prefix", with("labels", json!({"/b": "x"}))),
            ("label prefix", with("labels", json!({"A_/b": "x"}))),
            ("label value", with("labels", json!({"a": "not good"}))),
            ("long label", with("labels", json!({"a": "x".repeat(64)}))),
            ("annotation", with("annotations", json!({"not good": "x"}))),
            (
                "good annotation",
                with("annotations", json!({"Good.example/Key": "any thing"})),
            ),
            (
                "large annotations",
                with("annotations", json!({"a": "x".repeat(262_145)})),
            ),
            ("finalizer", with("finalizers", json!(["not good"]))),
            (
                "finalizer without a prefix",
                with("finalizers", json!(["plain"])),
            ),
            (
                "owner without a kind",
                with("ownerReferences", owner("", "u")),
            ),
            (
                "owner without a uid",
                with("ownerReferences", owner("Node", "")),
            ),
            (
                "generated name",
                json!({"metadata": {"generateName": "Generated_"}}),
            ),
            ("long name", with("name", json!("x".repeat(254)))),
            ("capital", with("name", json!("A"))),
            ("no name", json!({"metadata": {}})),
        ];
        refused(r, MAPS, bodies).await;
        for name in ["a.b", &*"x".repeat(64), "-a"] {
            let body = json!({"metadata": {"name": name}});
            let path = "/api/v1/namespaces?dryRun=All";
            r.step(name, "POST", path, JSON, body).await;
        }
    })
}

fn changed(rows: &[(&'static str, &str, Value)]) -> Vec<(&'static str, Value)> {
    let rows = rows.iter().map(|(name, pointer, value)| {
        let mut body = deployment("a", "nginx:1");
        set(&mut body, pointer, value);
        (*name, body)
    });
    rows.collect()
}

fn templates() -> Vec<(&'static str, Value)> {
    changed(&[
        (
            "other labels",
            "/spec/template/metadata/labels",
            json!({"app": "b"}),
        ),
        (
            "bad label",
            "/spec/template/metadata/labels",
            json!({"app": "a", "x": "not good"}),
        ),
        ("no selector", "/spec/selector", Value::Null),
        ("empty selector", "/spec/selector", json!({})),
        ("no template", "/spec/template", Value::Null),
        ("no containers", "/spec/template/spec/containers", json!([])),
        (
            "without containers",
            "/spec/template/spec/containers",
            Value::Null,
        ),
        (
            "two of a name",
            "/spec/template/spec/containers",
            json!([{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]),
        ),
        (
            "init of a name",
            "/spec/template/spec/initContainers",
            json!([{"name": "main", "image": "x"}]),
        ),
    ])
}

fn strategies() -> Vec<(&'static str, Value)> {
    let volumes = "/spec/template/spec/volumes";
    let strategy = "/spec/strategy";
    changed(&[
        ("replicas", "/spec/replicas", json!(-1)),
        (
            "never restarted",
            "/spec/template/spec/restartPolicy",
            json!("Never"),
        ),
        (
            "unknown restart",
            "/spec/template/spec/restartPolicy",
            json!("Bad"),
        ),
        ("strategy", strategy, json!({"type": "Bad"})),
        (
            "recreate and roll",
            strategy,
            json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
        ),
        (
            "roll none",
            strategy,
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
        ),
        ("deadline", "/spec/minReadySeconds", json!(600)),
        ("volume without a source", volumes, json!([{"name": "v"}])),
        (
            "two sources",
            volumes,
            json!([{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]),
        ),
        (
            "volumes of a name",
            volumes,
            json!([{"name": "v"}, {"name": "v"}]),
        ),
        (
            "volume name",
            volumes,
            json!([{"name": "V_", "emptyDir": {}}]),
        ),
    ])
}

fn refused_workloads(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let mut bodies = templates();
        bodies.extend(strategies());
        refused(r, DEPLOYMENTS, bodies).await;
        let mut bodies = changed(&[(
            "other labels",
            "/spec/template/metadata/labels",
            json!({"app": "b"}),
        )]);
        bodies.extend(changed(&[("no selector", "/spec/selector", Value::Null)]));
        for (kind, plural) in [
            ("StatefulSet", "statefulsets"),
            ("ReplicaSet", "replicasets"),
            ("DaemonSet", "daemonsets"),
        ] {
            for (_, body) in &mut bodies {
                body["kind"] = json!(kind);
                if kind == "StatefulSet" {
                    body["spec"]["serviceName"] = json!("s");
                }
            }
            let path = format!("/apis/apps/v1/namespaces/NS/{plural}");
            refused(r, &path, bodies.clone()).await;
        }
    })
}

fn of(field: &str) -> String {
    format!("/spec/template/spec/containers/0/{field}")
}

fn amounts_and_ports() -> Vec<(&'static str, Value)> {
    let (ports, amounts) = (of("ports"), of("resources"));
    let (image, name, pull) = (of("image"), of("name"), of("imagePullPolicy"));
    changed(&[
        ("no image", &image, Value::Null),
        ("empty image", &image, json!("")),
        ("no name", &name, Value::Null),
        ("bad name", &name, json!("Main_")),
        ("pull policy", &pull, json!("Sometimes")),
        (
            "negative amount",
            &amounts,
            json!({"limits": {"cpu": "-1"}}),
        ),
        ("no amount", &amounts, json!({"limits": {"cpu": "abc"}})),
        (
            "more than the limit",
            &amounts,
            json!({"limits": {"memory": "1Gi"}, "requests": {"memory": "2000Mi"}}),
        ),
        (
            "unknown resource",
            &amounts,
            json!({"limits": {"foo": "1"}}),
        ),
        ("port zero", &ports, json!([{"containerPort": 0}])),
        ("high port", &ports, json!([{"containerPort": 70000}])),
        (
            "protocol",
            &ports,
            json!([{"containerPort": 80, "protocol": "X"}]),
        ),
        (
            "port name",
            &ports,
            json!([{"containerPort": 80, "name": "Not_Good_Name_At_All"}]),
        ),
        (
            "ports of a name",
            &ports,
            json!([{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]),
        ),
    ])
}

fn variables_and_probes() -> Vec<(&'static str, Value)> {
    let (env, mounts, probe) = (of("env"), of("volumeMounts"), of("livenessProbe"));
    let field = json!({"fieldRef": {"fieldPath": "metadata.name"}});
    let get = json!({"port": 80});
    changed(&[
        (
            "variable without a name",
            &env,
            json!([{"name": "", "value": "x"}]),
        ),
        (
            "variable name",
            &env,
            json!([{"name": "a=b", "value": "x"}]),
        ),
        (
            "value twice",
            &env,
            json!([{"name": "a", "value": "x", "valueFrom": field}]),
        ),
        (
            "no such volume",
            &mounts,
            json!([{"name": "v", "mountPath": "/v"}]),
        ),
        ("mounted nowhere", &mounts, json!([{"name": "v"}])),
        (
            "two handlers",
            &probe,
            json!({"httpGet": get, "exec": {"command": ["a"]}}),
        ),
        ("no handler", &probe, json!({})),
        ("probed port", &probe, json!({"httpGet": {"port": 0}})),
        (
            "period",
            &probe,
            json!({"httpGet": get, "periodSeconds": -1}),
        ),
    ])
}

fn refused_containers(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let mut bodies = amounts_and_ports();
        bodies.extend(variables_and_probes());
        refused(r, DEPLOYMENTS, bodies).await;
    })
}

fn refused_data(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let map = |data: Value| json!({"metadata": {"name": "a"}, "data": data});
        let mut both = map(json!({"k": "x"}));
        both["binaryData"] = json!({"k": "AA=="});
        let bodies = vec![
            ("key", map(json!({"not good": "x"}))),
            ("long key", map(json!({"x".repeat(254): "x"}))),
            ("dots", map(json!({"..": "x"}))),
            ("twice", both),
            ("large", map(json!({"k": "x".repeat(1_048_577)}))),
        ];
        refused(r, MAPS, bodies).await;
        let secret = |ty: &str, data: Value| json!({"metadata": {"name": "a"}, "type": ty, "stringData": data});
        let docker = "kubernetes.io/dockerconfigjson";
        let bodies = vec![
            ("key", secret("Opaque", json!({"not good": "x"}))),
            ("docker", secret(docker, json!({}))),
            (
                "good docker",
                secret(docker, json!({".dockerconfigjson": "{}"})),
            ),
            ("TLS", secret("kubernetes.io/tls", json!({"tls.crt": "x"}))),
            ("basic", secret("kubernetes.io/basic-auth", json!({}))),
            (
                "good basic",
                secret("kubernetes.io/basic-auth", json!({"username": "x"})),
            ),
            ("SSH", secret("kubernetes.io/ssh-auth", json!({}))),
            (
                "token",
                secret("kubernetes.io/service-account-token", json!({})),
            ),
        ];
        refused(r, SECRETS, bodies).await;
    })
}

fn refused_services(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let service = |spec: Value| json!({"metadata": {"name": "a"}, "spec": spec});
        let ports = |ports: Value| service(json!({"ports": ports}));
        let bodies = vec![
            ("no ports", service(json!({}))),
            ("port zero", ports(json!([{"port": 0}]))),
            ("high port", ports(json!([{"port": 70000}]))),
            ("no names", ports(json!([{"port": 80}, {"port": 81}]))),
            (
                "one name",
                ports(json!([{"name": "a", "port": 80}, {"name": "a", "port": 81}])),
            ),
            (
                "one number",
                ports(json!([{"name": "a", "port": 80}, {"name": "b", "port": 80}])),
            ),
            ("name", ports(json!([{"name": "A_", "port": 80}]))),
            ("protocol", ports(json!([{"protocol": "X", "port": 80}]))),
            (
                "target",
                ports(json!([{"targetPort": "Not_Good", "port": 80}])),
            ),
            (
                "type",
                service(json!({"type": "X", "ports": [{"port": 80}]})),
            ),
            (
                "selector",
                service(json!({"selector": {"a": "not good"}, "ports": [{"port": 80}]})),
            ),
            ("external", service(json!({"type": "ExternalName"}))),
            (
                "address",
                service(json!({"clusterIP": "x", "ports": [{"port": 80}]})),
            ),
        ];
        refused(r, SERVICES, bodies).await;
    })
}

/// By each way of changing an object.
fn refused_changes(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        r.ask("POST", DEPLOYMENTS, JSON, &deployment("a", "nginx:1"))
            .await;
        let one = format!("{DEPLOYMENTS}/a?fieldManager=tester");
        let labels = json!({"spec": {"template": {"metadata": {"labels": {"app": "b"}}}}});
        let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": ""}]}}}});
        let selector = json!({"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}});
        for (name, kind, patch) in [
            ("labels", MERGE, &labels),
            ("labels, strategic", STRATEGIC, &labels),
            ("image", STRATEGIC, &image),
            ("selector", MERGE, &selector),
        ] {
            r.step(name, "PATCH", &one, kind, patch.clone()).await;
        }
        let mut body = deployment("a", "");
        let forced = format!("{one}&force=true");
        r.step("applied", "PATCH", &forced, APPLY, body.clone())
            .await;
        body["metadata"]["name"] = json!("new");
        let path = format!("{DEPLOYMENTS}/new?fieldManager=tester");
        r.step("applied new", "PATCH", &path, APPLY, body).await;
        let secret = json!({"metadata": {"name": "a"}, "immutable": true, "data": {"k": "AA=="}});
        r.ask("POST", SECRETS, JSON, &secret).await;
        let path = format!("{SECRETS}/a?fieldManager=tester");
        for (name, patch) in [
            ("fixed data", json!({"data": {"k": "AQ=="}})),
            ("no longer fixed", json!({"immutable": false})),
        ] {
            r.step(name, "PATCH", &path, MERGE, patch).await;
        }
    })
}

/// A binding names a role.
fn refused_references(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let role = |value: Value| json!({"metadata": {"name": "a"}, "roleRef": value});
        let bodies = vec![
            ("nothing", json!({"metadata": {"name": "a"}})),
            ("empty", role(json!({}))),
            ("no kind", role(json!({"name": "a"}))),
            ("other kind", role(json!({"kind": "Pod", "name": "a"}))),
            (
                "other group",
                role(json!({"apiGroup": "x", "kind": "Role", "name": "a"})),
            ),
            ("good", role(json!({"kind": "ClusterRole", "name": "a"}))),
        ];
        let group = "/apis/rbac.authorization.k8s.io/v1";
        refused(r, &format!("{group}/namespaces/NS/rolebindings"), bodies).await;
        let mut good = role(json!({"kind": "Role", "name": "a"}));
        good["subjects"] = json!([{"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"},
            {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]);
        let path = format!("{group}/namespaces/NS/rolebindings?fieldManager=tester");
        r.step("kept", "POST", &path, JSON, good).await;
        let path = format!("{group}/clusterrolebindings");
        let bodies = vec![
            ("everywhere nothing", json!({"metadata": {"name": "a"}})),
            (
                "everywhere a role",
                role(json!({"kind": "Role", "name": "a"})),
            ),
        ];
        refused(r, &path, bodies).await;
    })
}

/// An autoscaler says what it scales.
fn refused_scalers(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let scaler = |spec: Value| json!({"metadata": {"name": "a"}, "spec": spec});
        let bodies = vec![
            ("scales nothing", scaler(json!({"maxReplicas": 3}))),
            (
                "scales empty",
                scaler(json!({"maxReplicas": 3, "scaleTargetRef": {}})),
            ),
            (
                "scales no name",
                scaler(json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment"}})),
            ),
            (
                "scales without a group",
                scaler(
                    json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "v1", "kind": "Deployment", "name": "a"}}),
                ),
            ),
            (
                "scales the core group",
                scaler(
                    json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": "a"}}),
                ),
            ),
            (
                "scales the core group unsaid",
                scaler(
                    json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "ReplicationController", "name": "a"}}),
                ),
            ),
        ];
        let path = "/apis/autoscaling/v2/namespaces/NS/horizontalpodautoscalers";
        refused(r, path, bodies).await;
    })
}

/// JSON patches that do not fit.
fn refused_patches(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let body = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
        r.ask("POST", MAPS, JSON, &body).await;
        let one = format!("{MAPS}/a?fieldManager=tester");
        for (name, operation) in [
            (
                "test",
                json!({"op": "test", "path": "/data/k", "value": "w"}),
            ),
            ("remove", json!({"op": "remove", "path": "/data/l"})),
            (
                "replace",
                json!({"op": "replace", "path": "/data/l", "value": "w"}),
            ),
            (
                "add below nothing",
                json!({"op": "add", "path": "/none/l", "value": "w"}),
            ),
            (
                "replace in nothing",
                json!({"op": "replace", "path": "/none/l", "value": "w"}),
            ),
            ("remove again", json!({"op": "remove", "path": "/data/l"})),
        ] {
            r.step(name, "PATCH", &one, PATCH, json!([operation])).await;
        }
    })
}
