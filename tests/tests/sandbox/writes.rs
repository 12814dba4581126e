//! Cases: create, replace, patch and delete.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::recorder::{Case, DEPLOYMENTS, JSON, MAPS, MERGE, PATCH, Recorder, SECRETS, SERVICES};

pub(crate) const CASES: &[Case] = &[
    ("create_and_get", create_and_get),
    ("create_refused", create_refused),
    ("create_deployment", create_deployment),
    ("create_kinds", create_kinds),
    ("replace", replace),
    ("patches", patches),
    ("delete_preconditions", delete_preconditions),
    ("status", status),
    ("generations", generations),
    ("immutable", immutable),
    ("lists", lists),
    ("pages", pages),
];

pub(crate) fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    })
}

/// Without what controllers write on their own time.
pub(crate) fn without_status(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
        metadata.remove("annotations");
        if let Some(Value::Array(entries)) = metadata.get_mut("managedFields") {
            entries.retain(|entry| entry["manager"] != "kube-controller-manager");
        }
    }
    object
}

fn create_and_get(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = format!("{MAPS}?fieldManager=tester");
        let body = json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}});
        r.step("create", "POST", &path, JSON, body.clone()).await;
        r.step("again", "POST", &path, JSON, body).await;
        r.get("get", &format!("{MAPS}/a")).await;
        r.get("absent", &format!("{MAPS}/none")).await;
        r.get(
            "unserved group",
            "/apis/none.example/v1/namespaces/NS/things/a",
        )
        .await;
        r.get("unserved kind", "/api/v1/namespaces/NS/things/a")
            .await;
        let dry = format!("{MAPS}?fieldManager=tester&dryRun=All");
        let body = json!({"metadata": {"name": "dry"}, "data": {"k": "v"}});
        let (code, mut answer) = r.ask("POST", &dry, JSON, &body).await;
        answer["metadata"]["resourceVersion"] = json!("");
        r.note("dry run", code, answer);
        r.get("dry run made nothing", &format!("{MAPS}/dry")).await;
        let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let path = format!("{MAPS}/a");
        let (code, answer) = r.ask_as("GET", &path, JSON, metadata, &Value::Null).await;
        r.note("metadata", code, answer);
    })
}

fn create_refused(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let bad = json!({"metadata": {"name": "Bad_Name"}});
        r.step("bad name", "POST", MAPS, JSON, bad).await;
        let other = json!({"metadata": {"name": "a", "namespace": "default"}});
        r.step("other namespace", "POST", MAPS, JSON, other).await;
        let lost = "/api/v1/namespaces/no-such-namespace/configmaps";
        let body = json!({"metadata": {"name": "a"}});
        r.step("no namespace", "POST", lost, JSON, body).await;
        let mut unknown = deployment("a", "nginx:1");
        unknown["spec"]["foo"] = json!(1);
        let strict = format!("{DEPLOYMENTS}?fieldValidation=Strict");
        r.step("unknown field", "POST", &strict, JSON, unknown)
            .await;
        let versioned = json!({"metadata": {"name": "a", "resourceVersion": "5"}});
        r.step("with a version", "POST", MAPS, JSON, versioned)
            .await;
        let kind = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}});
        let (code, _) = r.ask("POST", MAPS, JSON, &kind).await;
        r.note("another kind", code, Value::Null);
        let (code, _) = r.ask("POST", MAPS, JSON, &json!({"metadata": {}})).await;
        r.note("no name", code, Value::Null);
        let (code, _) = r
            .ask(
                "POST",
                MAPS,
                JSON,
                &json!({"metadata": {"name": "a"}, "data": 1}),
            )
            .await;
        r.note("wrong type", code, Value::Null);
        let mut empty = deployment("a", "nginx:1");
        empty["spec"].as_object_mut().unwrap().remove("selector");
        let (code, _) = r.ask("POST", DEPLOYMENTS, JSON, &empty).await;
        r.note("without a selector", code, Value::Null);
    })
}

fn create_deployment(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = format!("{DEPLOYMENTS}?fieldManager=tester");
        let mut body = deployment("a", "nginx:1");
        body["spec"]["template"]["spec"]["hostNetwork"] = json!(false);
        body["spec"]["template"]["spec"]["containers"][0] = json!({
            "name": "main", "image": "example/nginx", "args": [], "command": ["run"],
            "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP", "name": "dns"}],
            "env": [{"name": "EMPTY", "value": ""}, {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "readinessProbe": {"httpGet": {"port": 80}},
            "volumeMounts": [{"name": "config", "mountPath": "/config"}],
        });
        body["spec"]["template"]["spec"]["volumes"] = json!([{"name": "config", "configMap": {"name": "a"}}, {"name": "tmp", "emptyDir": {}}]);
        let answer = r.ask("POST", &path, JSON, &body).await;
        r.note("create", answer.0, answer.1);
    })
}

fn claim() -> Value {
    json!({"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                "resources": {"requests": {"storage": "1Gi"}}}})
}

/// One object of many kinds, with the path of its collection.
pub(crate) fn kinds() -> Vec<(&'static str, Value)> {
    let pod =
        json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "nginx:1"}]});
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "nginx:latest"}]}});
    let selector = json!({"matchLabels": {"app": "a"}});
    vec![
        (
            "/apis/apps/v1/namespaces/NS/statefulsets",
            json!({"spec": {"serviceName": "a", "replicas": 0, "selector": selector, "template": template}}),
        ),
        (
            "/apis/apps/v1/namespaces/NS/daemonsets",
            json!({"spec": {"selector": selector, "template": template}}),
        ),
        ("/api/v1/namespaces/NS/persistentvolumeclaims", claim()),
        (
            "/apis/batch/v1/namespaces/NS/cronjobs",
            json!({"spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
        ),
        (SECRETS, json!({"stringData": {"password": "secret"}})),
        ("/api/v1/namespaces/NS/serviceaccounts", json!({})),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles",
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"},
                    "subjects": [{"kind": "ServiceAccount", "name": "a"}]}),
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
            json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/NS/ingresses",
            json!({"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}),
        ),
        (
            "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
            json!({"spec": {"maxUnavailable": 1, "selector": selector}}),
        ),
        (
            "/apis/autoscaling/v2/namespaces/NS/horizontalpodautoscalers",
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}}),
        ),
        (
            "/api/v1/namespaces/NS/limitranges",
            json!({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}}),
        ),
        (
            SERVICES,
            json!({"spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]}}),
        ),
    ]
}

fn create_kinds(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for (path, mut body) in kinds() {
            body["metadata"] = json!({"name": "a"});
            let path = format!("{path}?fieldManager=tester");
            let (code, answer) = r.ask("POST", &path, JSON, &body).await;
            let name = path.split(['/', '?']).rev().nth(1).unwrap().to_owned();
            r.note(&name, code, answer);
        }
    })
}

fn replace(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let one = format!("{MAPS}/a?fieldManager=other");
        let absent = json!({"metadata": {"name": "a"}});
        r.step("absent", "PUT", &one, JSON, absent).await;
        let body = json!({"metadata": {"name": "a"}, "data": {"k": "v", "l": "w"}});
        let path = format!("{MAPS}?fieldManager=tester");
        let mut made = r.step("create", "POST", &path, JSON, body).await;
        made["data"] = json!({"k": "new", "m": "x"});
        let old = made.clone();
        r.step("replace", "PUT", &one, JSON, made).await;
        r.step("replace an old one", "PUT", &one, JSON, old).await;
        let now = r.get("get", &format!("{MAPS}/a")).await;
        r.step("replace with the same", "PUT", &one, JSON, now.clone())
            .await;
        let mut other = now;
        other["metadata"]["uid"] = json!("another");
        let (code, answer) = r.ask("PUT", &one, JSON, &other).await;
        r.note("another uid", code, answer["reason"].clone());
        let named = json!({"metadata": {"name": "b"}});
        r.step("another name", "PUT", &one, JSON, named).await;
    })
}

fn patches(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let one = format!("{MAPS}/a?fieldManager=other");
        let body =
            json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v", "l": "w"}});
        let path = format!("{MAPS}?fieldManager=tester");
        r.step("create", "POST", &path, JSON, body).await;
        r.step(
            "absent",
            "PATCH",
            &format!("{MAPS}/none"),
            MERGE,
            json!({"data": {}}),
        )
        .await;
        let patch = json!({"metadata": {"labels": {"new": "1", "x": null}}, "data": {"k": "2"}});
        r.step("merge", "PATCH", &one, MERGE, patch).await;
        let old = json!({"metadata": {"resourceVersion": "1"}, "data": {"k": "3"}});
        r.step("merge on an old version", "PATCH", &one, MERGE, old)
            .await;
        r.step(
            "merge of nothing",
            "PATCH",
            &one,
            MERGE,
            json!({"data": {"k": "2"}}),
        )
        .await;
        let now = r.get("get", &format!("{MAPS}/a")).await;
        let version = now["metadata"]["resourceVersion"].clone();
        let on = json!({"metadata": {"resourceVersion": version}, "data": {"k": "4"}});
        r.step("merge on this version", "PATCH", &one, MERGE, on)
            .await;
        let patch = json!([{"op": "test", "path": "/data/k", "value": "4"}, {"op": "remove", "path": "/data/l"}]);
        r.step("JSON patch", "PATCH", &one, PATCH, patch).await;
        let dry = format!("{one}&dryRun=All");
        let (code, answer) = r
            .ask("PATCH", &dry, MERGE, &json!({"data": {"dry": "run"}}))
            .await;
        r.note("dry run", code, answer["data"].clone());
        r.get("dry run changed nothing", &format!("{MAPS}/a")).await;
    })
}

fn delete_preconditions(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        r.step("absent", "DELETE", &format!("{MAPS}/a"), JSON, Value::Null)
            .await;
        let body = json!({"metadata": {"name": "a"}});
        let made = r.step("create", "POST", MAPS, JSON, body).await;
        let one = format!("{MAPS}/a");
        let with = |what: Value| json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", "preconditions": what});
        let meta = made["metadata"].clone();
        r.step(
            "another uid",
            "DELETE",
            &one,
            JSON,
            with(json!({"uid": "another"})),
        )
        .await;
        r.step(
            "an old version",
            "DELETE",
            &one,
            JSON,
            with(json!({"uid": meta["uid"], "resourceVersion": "1"})),
        )
        .await;
        r.get("still there", &one).await;
        let dry = format!("{one}?dryRun=All");
        r.step("dry run", "DELETE", &dry, JSON, Value::Null).await;
        r.get("still there after the dry run", &one).await;
        let right = json!({"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]});
        r.step("right ones", "DELETE", &one, JSON, with(right))
            .await;
        r.get("gone", &one).await;
    })
}

fn status(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let budgets = "/apis/policy/v1/namespaces/NS/poddisruptionbudgets";
        let mut body = json!({"metadata": {"name": "a"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "a"}}}});
        body["status"] = json!({"disruptionsAllowed": 5, "currentHealthy": 5, "desiredHealthy": 5, "expectedPods": 5});
        let made = r
            .ask(
                "POST",
                &format!("{budgets}?fieldManager=tester"),
                JSON,
                &body,
            )
            .await;
        r.note("create drops status", made.0, without_status(made.1));
        let one = format!("{budgets}/a?fieldManager=tester");
        let spec = r
            .ask(
                "PATCH",
                &one,
                MERGE,
                &json!({"spec": {"maxUnavailable": 2}}),
            )
            .await;
        r.note("spec", spec.0, spec.1["metadata"]["generation"].clone());
        let label = r
            .ask(
                "PATCH",
                &one,
                MERGE,
                &json!({"metadata": {"labels": {"x": "y"}}}),
            )
            .await;
        r.note("label", label.0, label.1["metadata"]["generation"].clone());
        r.get("no status subresource", &format!("{MAPS}/a/status"))
            .await;
    })
}

fn generations(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = DEPLOYMENTS;
        let made = r.ask("POST", path, JSON, &deployment("a", "nginx:1")).await;
        r.note(
            "deployment",
            made.0,
            made.1["metadata"]["generation"].clone(),
        );
        let one = format!("{path}/a?fieldManager=tester");
        let note = json!({"metadata": {"annotations": {"note": "x"}}});
        let noted = r.ask("PATCH", &one, MERGE, &note).await;
        r.note(
            "annotation",
            noted.0,
            noted.1["metadata"]["generation"].clone(),
        );
        let label = r
            .ask(
                "PATCH",
                &one,
                MERGE,
                &json!({"metadata": {"labels": {"x": "y"}}}),
            )
            .await;
        r.note(
            "label of a deployment",
            label.0,
            label.1["metadata"]["generation"].clone(),
        );
        let image = json!({"spec": {"paused": true}});
        let paused = r.ask("PATCH", &one, MERGE, &image).await;
        r.note(
            "paused",
            paused.0,
            paused.1["metadata"]["generation"].clone(),
        );
        let done =
            |_: u16, it: &Value| it["status"]["observedGeneration"] == it["metadata"]["generation"];
        let (code, seen) = r
            .wait("the controller has seen it", &format!("{path}/a"), done)
            .await;
        r.note(
            "observed",
            code,
            seen["status"]["observedGeneration"].clone(),
        );
    })
}

fn immutable(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        r.ask("POST", DEPLOYMENTS, JSON, &deployment("a", "nginx:1"))
            .await;
        let patch = json!({"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}});
        let answer = r
            .ask("PATCH", &format!("{DEPLOYMENTS}/a"), MERGE, &patch)
            .await;
        r.note(
            "selector",
            answer.0,
            json!([
                answer.1["reason"],
                answer.1["details"]["causes"][0]["field"]
            ]),
        );
        let body = json!({"metadata": {"name": "fixed"}, "immutable": true, "data": {"k": "v"}});
        r.step("fixed", "POST", MAPS, JSON, body).await;
        r.step(
            "change it",
            "PATCH",
            &format!("{MAPS}/fixed"),
            MERGE,
            json!({"data": {"k": "w"}}),
        )
        .await;
        let secret = json!({"metadata": {"name": "a"}, "type": "example.com/a"});
        r.ask("POST", SECRETS, JSON, &secret).await;
        r.step(
            "another type",
            "PATCH",
            "/api/v1/namespaces/NS/secrets/a",
            MERGE,
            json!({"type": "example.com/b"}),
        )
        .await;
    })
}

fn lists(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        four(r).await;
        for selector in [
            "x",
            "!x",
            "x=1",
            "x==2",
            "x!=1",
            "x in (1,2)",
            "x notin (1)",
            "x=1,case",
            "x=3",
        ] {
            let query = selector.replace(' ', "%20").replace("==", "%3D%3D");
            let path = format!("{MAPS}?labelSelector=case%3Dlists,{query}");
            let (code, list) = r.ask("GET", &path, JSON, &Value::Null).await;
            let names = list["items"].as_array().unwrap().iter();
            let names: Vec<_> = names.map(|it| it["metadata"]["name"].clone()).collect();
            r.note(selector, code, json!(names));
        }
        r.get("whole", &format!("{MAPS}?labelSelector=case")).await;
        r.get(
            "by name",
            &format!("{MAPS}?fieldSelector=metadata.name%3Dc"),
        )
        .await;
        let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let path = format!("{MAPS}?labelSelector=x%3D2");
        let (code, answer) = r.ask_as("GET", &path, JSON, list, &Value::Null).await;
        r.note("metadata", code, answer);
    })
}

async fn four(r: &mut Recorder) {
    for (name, label) in [("b", "1"), ("a", "1"), ("c", "2"), ("d", "")] {
        let mut body = json!({"metadata": {"name": name, "labels": {"case": "lists"}}});
        if !label.is_empty() {
            body["metadata"]["labels"]["x"] = json!(label);
        }
        r.ask("POST", MAPS, JSON, &body).await;
    }
}

fn pages(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        four(r).await;
        let first = format!("{MAPS}?labelSelector=case&limit=3");
        let (code, page) = r.ask("GET", &first, JSON, &Value::Null).await;
        let token = page["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        r.note(
            "first page",
            code,
            json!([page["items"].as_array().unwrap().len(), token.is_empty()]),
        );
        // A list is of one moment, whatever happens between its pages.
        r.ask("DELETE", &format!("{MAPS}/d"), JSON, &Value::Null)
            .await;
        let late = json!({"metadata": {"name": "e", "labels": {"case": "lists"}}});
        r.ask("POST", MAPS, JSON, &late).await;
        let (code, page) = r
            .ask(
                "GET",
                &format!("{first}&continue={token}"),
                JSON,
                &Value::Null,
            )
            .await;
        r.note(
            "last page",
            code,
            json!([page["items"], page["metadata"]["continue"]]),
        );
    })
}
