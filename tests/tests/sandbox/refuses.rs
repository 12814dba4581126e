//! Cases: what is refused, with which words and for which field.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    recorder::{APPLY, Case, JSON, MERGE, PATCH, Recorder, STRATEGIC},
    writes::deployment,
};

pub(crate) const CASES: &[Case] = &[
    ("refused_metadata", refused_metadata),
    ("refused_workloads", refused_workloads),
    ("refused_containers", refused_containers),
    ("refused_data", refused_data),
    ("refused_services", refused_services),
    ("refused_changes", refused_changes),
    ("quantities", quantities),
];

const MAPS: &str = "/api/v1/namespaces/NS/configmaps";
const SECRETS: &str = "/api/v1/namespaces/NS/secrets";
const SERVICES: &str = "/api/v1/namespaces/NS/services";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/NS/deployments";

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
fn without_names(r: &Recorder, answer: Value) -> Value {
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
        no_base64(r).await;
    })
}

/// The object that a refusal quotes is written by each server in its own order.
fn without_value(answer: &Value) -> Value {
    let words = answer["message"].as_str().unwrap();
    let (before, rest) = words
        .split_once("\"{")
        .or(words.split_once("\"map["))
        .unwrap();
    let (_, after) = rest.rsplit_once("\": ").unwrap();
    let causes = answer["details"]["causes"].as_array().unwrap();
    let fields: Vec<_> = causes.iter().map(|it| &it["field"]).collect();
    json!([before, after, answer["reason"], fields])
}

/// Made and applied, new and over what is there.
async fn no_base64(r: &mut Recorder) {
    for (kind, plural, field) in [
        ("Secret", SECRETS, "data"),
        ("ConfigMap", MAPS, "binaryData"),
    ] {
        for text in [
            "not base64!",
            "AAA",
            "AA=A",
            "A=",
            "AA=",
            "AA==\nAA==",
            "A\nAA",
        ] {
            let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
            body[field] = json!({ "k": text });
            let path = format!("{plural}?dryRun=All&fieldManager=tester");
            let (code, answer) = r.ask("POST", &path, JSON, &body).await;
            r.note(&format!("{kind} {text:?}"), code, without_names(r, answer));
            let path = format!("{plural}/a?dryRun=All&fieldManager=tester");
            let (code, answer) = r.ask("PATCH", &path, APPLY, &body).await;
            r.note(
                &format!("{kind} {text:?} applied"),
                code,
                without_names(r, answer),
            );
        }
        for text in ["AB==", "A\nA=\r\n=\n"] {
            let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
            body[field] = json!({ "k": text });
            let path = format!("{plural}/a?dryRun=All&fieldManager=tester");
            let (code, answer) = r.ask("PATCH", &path, APPLY, &body).await;
            r.note(
                &format!("{kind} {text:?} kept"),
                code,
                answer[field].clone(),
            );
        }
        let good = json!({"metadata": {"name": "there"}});
        r.ask("POST", plural, JSON, &good).await;
        let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "there"}});
        body[field] = json!({"k": "not base64!"});
        let path = format!("{plural}/there?fieldManager=tester");
        r.step("applied over", "PATCH", &path, APPLY, body.clone())
            .await;
        let add = json!([{"op": "add", "path": format!("/{field}"), "value": {"k": "AAA"}}]);
        for (name, kind, patch) in [
            ("merged", MERGE, &body),
            ("merged by type", STRATEGIC, &body),
            ("patched", PATCH, &add),
        ] {
            let (code, answer) = r.ask("PATCH", &path, kind, patch).await;
            r.note(name, code, without_value(&answer));
        }
    }
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

/// Quantities are kept in one form.
fn quantities(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = format!("{DEPLOYMENTS}?dryRun=All");
        for (cpu, memory) in [
            (json!("1000m"), json!("1024Mi")),
            (json!("0.5"), json!("1.5Gi")),
            (json!(2), json!("1000k")),
            (json!("1500m"), json!("0.5Ki")),
            (json!("1e3"), json!("12e6")),
            (json!("0.1"), json!("100M")),
            (json!("0"), json!("1000000")),
        ] {
            let mut body = deployment("a", "nginx:1");
            let amounts = json!({"limits": {"cpu": cpu, "memory": memory}});
            body["spec"]["template"]["spec"]["containers"][0]["resources"] = amounts.clone();
            let (code, answer) = r.ask("POST", &path, JSON, &body).await;
            let at = "/spec/template/spec/containers/0/resources";
            r.note(
                &amounts.to_string(),
                code,
                answer.pointer(at).unwrap().clone(),
            );
        }
        let applied = format!("{DEPLOYMENTS}/a?dryRun=All&fieldManager=tester");
        for cpu in [json!("abc"), json!(""), json!("1x"), json!(1.5)] {
            let mut body = deployment("a", "nginx:1");
            let amounts = json!({"limits": {"cpu": cpu}});
            body["spec"]["template"]["spec"]["containers"][0]["resources"] = amounts.clone();
            for (method, path, kind) in [("POST", &path, JSON), ("PATCH", &applied, APPLY)] {
                let (code, answer) = r.ask(method, path, kind, &body).await;
                let name = format!("{method} {amounts}");
                r.note(&name, code, without_names(r, answer));
            }
        }
        let there = format!("{DEPLOYMENTS}/there");
        r.ask("POST", DEPLOYMENTS, JSON, &deployment("there", "nginx:1"))
            .await;
        let patch = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "main", "image": "x", "resources": {"limits": {"cpu": "abc"}}}]}}}});
        for kind in [MERGE, STRATEGIC] {
            let (code, answer) = r.ask("PATCH", &there, kind, &patch).await;
            r.note(kind, code, without_value(&answer));
        }
    })
}
