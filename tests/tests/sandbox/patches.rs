//! Cases: strategic merge patches, scale, deletion of collections, selection by field.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    recorder::{
        Case, DEPLOYMENTS, JSON, MAPS, MERGE, PATCH, Recorder, SECRETS, SERVICES, STRATEGIC,
    },
    writes::{deployment, without_status},
};

pub(crate) const CASES: &[Case] = &[
    ("strategic_lists", strategic_lists),
    ("strategic_directives", strategic_directives),
    ("strategic_values", strategic_values),
    ("strategic_refused", strategic_refused),
    ("scale", scale),
    ("scale_refused", scale_refused),
    ("delete_collection", delete_collection),
    ("selected_by_field", selected_by_field),
];

/// Two containers with variables, ports and volumes.
fn rich() -> Value {
    let mut body = deployment("a", "nginx:1");
    body["spec"]["template"]["spec"] = json!({
        "containers": [
            {"name": "main", "image": "nginx:1", "args": ["a", "b"],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
                "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 90}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            {"name": "side", "image": "side:1"},
        ],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "w"}}],
    });
    body
}

async fn made(r: &mut Recorder) {
    let path = format!("{DEPLOYMENTS}?fieldManager=maker");
    let (code, answer) = r.ask("POST", &path, JSON, &rich()).await;
    assert_eq!(code, 201, "{answer}");
}

/// Patches the Deployment and notes what it is then.
async fn patched(r: &mut Recorder, name: &str, patch: Value) {
    let path = format!("{DEPLOYMENTS}/a?fieldManager=patcher");
    let (code, answer) = r.ask("PATCH", &path, STRATEGIC, &patch).await;
    r.note(name, code, without_status(answer));
}

fn containers(items: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": items}}}})
}

fn strategic_lists(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        made(r).await;
        let patch = containers(&json!([{"name": "main", "image": "nginx:2"}]));
        patched(r, "an image", patch).await;
        let patch = containers(
            &json!([{"name": "main", "env": [{"name": "B", "value": "9"}, {"name": "D", "value": "4"}]}]),
        );
        patched(r, "variables", patch).await;
        let patch = containers(&json!([{"name": "main", "args": ["c"]}]));
        patched(r, "an atomic list is replaced", patch).await;
        let patch = containers(&json!([{"name": "new", "image": "new:1"}]));
        patched(r, "a container", patch).await;
        let patch =
            containers(&json!([{"name": "main", "ports": [{"containerPort": 80, "name": "web"}]}]));
        patched(r, "a port by its number", patch).await;
        let patch = json!({"spec": {"template": {"spec": {"volumes": [
            {"name": "v", "emptyDir": null, "secret": {"secretName": "s"}}]}}}});
        patched(r, "another source of a volume", patch).await;
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "side"}, {"name": "main"}],
            "containers": [{"name": "side", "image": "side:2"}]}}}});
        patched(r, "a said order", patch).await;
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "main"}, {"name": "new"}, {"name": "side"}]}}}});
        patched(r, "only an order", patch).await;
    })
}

fn strategic_directives(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        made(r).await;
        let patch =
            containers(&json!([{"name": "main", "env": [{"$patch": "delete", "name": "B"}]}]));
        patched(r, "delete an item", patch).await;
        let patch = containers(
            &json!([{"name": "main", "ports": [{"$patch": "delete", "containerPort": 90}, {"containerPort": 70}]}]),
        );
        patched(r, "delete one and add one", patch).await;
        let patch = containers(
            &json!([{"name": "main", "env": [{"$patch": "replace"}, {"name": "Z", "value": "26"}]}]),
        );
        patched(r, "replace a list", patch).await;
        let patch =
            json!({"spec": {"template": {"metadata": {"labels": {"app": "a", "more": "1"}}}}});
        patched(r, "a label", patch).await;
        let patch = json!({"spec": {"template": {"metadata": {"labels": {"$patch": "replace", "app": "a"}}}}});
        patched(r, "replace a map", patch).await;
        let patch = json!({"spec": {"template": {"spec": {"securityContext": {"runAsUser": 1}, "nodeSelector": {"a": "b"}}}}});
        patched(r, "maps", patch).await;
        let patch = json!({"spec": {"template": {"spec": {"nodeSelector": {"$patch": "delete"}}}}});
        patched(r, "delete a map", patch).await;
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        patched(r, "retain keys", patch).await;
        let patch = json!({"spec": {"template": {"spec": {"volumes": [
            {"$retainKeys": ["name", "secret"], "name": "v", "secret": {"secretName": "s"}}]}}}});
        patched(r, "retain keys of an item", patch).await;
    })
}

fn strategic_values(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let finalizers = ["a.example/1", "a.example/2", "a.example/3"];
        let body = json!({"metadata": {"name": "a", "finalizers": finalizers}, "data": {"k": "v", "l": "w"}});
        let path = format!("{MAPS}?fieldManager=maker");
        r.step("create", "POST", &path, JSON, body).await;
        let one = format!("{MAPS}/a?fieldManager=patcher");
        for (name, patch) in [
            ("map", json!({"data": {"k": null, "m": "x"}})),
            (
                "add a value",
                json!({"metadata": {"finalizers": ["a.example/4"]}}),
            ),
            (
                "delete a value",
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example/2"]}}),
            ),
            (
                "order values",
                json!({"metadata": {
                    "$setElementOrder/finalizers": ["a.example/3", "a.example/5", "a.example/1"],
                    "finalizers": ["a.example/5"]}}),
            ),
            ("nothing", json!({"data": {"m": "x"}})),
            ("let go", json!({"metadata": {"finalizers": null}})),
        ] {
            r.step(name, "PATCH", &one, STRATEGIC, patch).await;
        }
        let body = json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "None", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}});
        r.ask("POST", SERVICES, JSON, &body).await;
        let patch = json!({"spec": {"ports": [{"port": 81, "targetPort": 8081}]}});
        let path = format!("{SERVICES}/a?fieldManager=patcher");
        r.step("ports of a service", "PATCH", &path, STRATEGIC, patch)
            .await;
    })
}

fn strategic_refused(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        made(r).await;
        let one = format!("{DEPLOYMENTS}/a?fieldManager=patcher");
        for (name, patch) in [
            ("unknown directive", json!({"spec": {"$patch": "what"}})),
            (
                "retain without a key",
                json!({"spec": {"strategy": {"$retainKeys": ["other"], "type": "Recreate"}}}),
            ),
            ("without a key", containers(&json!([{"image": "x"}]))),
            (
                "against its order",
                json!({"spec": {"template": {"spec": {
                    "$setElementOrder/containers": [{"name": "side"}, {"name": "main"}],
                    "containers": [{"name": "main"}, {"name": "side"}]}}}}),
            ),
        ] {
            let (code, answer) = r.ask("PATCH", &one, STRATEGIC, &patch).await;
            r.note(name, code, answer["reason"].clone());
        }
        let old = json!({"metadata": {"resourceVersion": "1"}, "spec": {"paused": true}});
        r.step("an old version", "PATCH", &one, STRATEGIC, old)
            .await;
        let absent = format!("{DEPLOYMENTS}/none");
        r.step("absent", "PATCH", &absent, STRATEGIC, json!({}))
            .await;
    })
}

fn scale(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        made(r).await;
        let scale = format!("{DEPLOYMENTS}/a/scale");
        let by = format!("{scale}?fieldManager=scaler");
        let spec = |answer: &Value| {
            json!([
                answer["kind"],
                answer["apiVersion"],
                answer["metadata"]["name"],
                answer["spec"],
                answer["status"]["selector"]
            ])
        };
        let (code, answer) = r.ask("GET", &scale, JSON, &Value::Null).await;
        r.note("get", code, spec(&answer));
        let mut wanted = answer;
        // Not more: what nodes do is not compared here.
        wanted["spec"] = json!({"replicas": 0});
        for (name, kind, patch) in [
            ("merge", MERGE, json!({"spec": {"replicas": 1}})),
            ("strategic", STRATEGIC, json!({"spec": {"replicas": 0}})),
            (
                "JSON patch",
                PATCH,
                json!([{"op": "add", "path": "/spec/replicas", "value": 2}]),
            ),
        ] {
            let (code, answer) = r.ask("PATCH", &by, kind, &patch).await;
            r.note(name, code, spec(&answer));
        }
        wanted["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
        let (code, answer) = r.ask("PUT", &by, JSON, &wanted).await;
        r.note("to none", code, spec(&answer));
        let (code, answer) = r
            .ask("GET", &format!("{DEPLOYMENTS}/a"), JSON, &Value::Null)
            .await;
        r.note("whose replicas", code, without_status(answer));
        let sets = "/apis/apps/v1/namespaces/NS/statefulsets";
        let mut body = deployment("s", "nginx:1");
        body["kind"] = json!("StatefulSet");
        body["spec"]["serviceName"] = json!("s");
        let (code, answer) = r.ask("POST", sets, JSON, &body).await;
        assert_eq!(code, 201, "{answer}");
        let patch = json!({"spec": {"replicas": 1}});
        let path = format!("{sets}/s/scale");
        let (code, answer) = r.ask("PATCH", &path, MERGE, &patch).await;
        r.note("stateful set", code, spec(&answer));
    })
}

fn scale_refused(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        made(r).await;
        let scale = format!("{DEPLOYMENTS}/a/scale");
        let less = json!({"spec": {"replicas": -1}});
        r.step("below none", "PATCH", &scale, MERGE, less).await;
        r.get("absent", &format!("{DEPLOYMENTS}/none/scale")).await;
        r.get("of a map", &format!("{MAPS}/a/scale")).await;
        let old = json!({"metadata": {"name": "a", "namespace": r.namespace, "resourceVersion": "1"}, "spec": {"replicas": 1}});
        let (code, answer) = r.ask("PUT", &scale, JSON, &old).await;
        r.note("an old version", code, answer["reason"].clone());
    })
}

fn delete_collection(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for (name, label) in [("a", "x"), ("b", "x"), ("c", "y"), ("held", "y")] {
            let mut body = json!({"metadata": {"name": name, "labels": {"case": label}}});
            if name == "held" {
                body["metadata"]["finalizers"] = json!(["a.example/hold"]);
            }
            r.ask("POST", MAPS, JSON, &body).await;
        }
        let dry = format!("{MAPS}?labelSelector=case&dryRun=All");
        let (code, answer) = r.ask("DELETE", &dry, JSON, &Value::Null).await;
        r.note("dry run", code, answer["kind"].clone());
        let left = |answer: &Value| -> Value {
            let items = answer["items"].as_array().unwrap().iter();
            items.map(|it| it["metadata"]["name"].clone()).collect()
        };
        let all = format!("{MAPS}?labelSelector=case");
        let (code, answer) = r.ask("GET", &all, JSON, &Value::Null).await;
        r.note("all are left", code, left(&answer));
        let path = format!("{MAPS}?labelSelector=case%3Dx");
        let (code, answer) = r.ask("DELETE", &path, JSON, &Value::Null).await;
        r.note("selected", code, json!([answer["kind"], left(&answer)]));
        let (code, answer) = r.ask("GET", &all, JSON, &Value::Null).await;
        r.note("others are left", code, left(&answer));
        r.ask("DELETE", &all, JSON, &Value::Null).await;
        let (code, answer) = r.ask("GET", &all, JSON, &Value::Null).await;
        r.note("the held one is left", code, left(&answer));
        let (code, _) = r
            .ask("DELETE", "/api/v1/namespaces", JSON, &Value::Null)
            .await;
        r.note("not namespaces", code, Value::Null);
        let free = json!({"metadata": {"finalizers": null}});
        r.ask("PATCH", &format!("{MAPS}/held"), MERGE, &free).await;
    })
}

fn selected_by_field(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for (name, ty) in [("a", "a.example/a"), ("b", "a.example/b")] {
            let body = json!({"metadata": {"name": name}, "type": ty});
            r.ask("POST", SECRETS, JSON, &body).await;
        }
        for query in [
            "type%3Da.example/a",
            "type!%3Da.example/a",
            "type%3Da.example/b,metadata.name%3Da",
        ] {
            let path = format!("{SECRETS}?fieldSelector={query}");
            let (code, answer) = r.ask("GET", &path, JSON, &Value::Null).await;
            let names = answer["items"].as_array().unwrap().iter();
            let names: Value = names.map(|it| it["metadata"]["name"].clone()).collect();
            r.note(query, code, names);
        }
        let path = format!("{MAPS}?fieldSelector=spec.x%3D1");
        let (code, answer) = r.ask("GET", &path, JSON, &Value::Null).await;
        r.note("unknown", code, answer["reason"].clone());
        let path = "/api/v1/namespaces/NS/events?fieldSelector=involvedObject.name%3Dnone";
        let (code, answer) = r.ask("GET", path, JSON, &Value::Null).await;
        r.note("events", code, answer["items"].clone());
    })
}
