//! Cases: server-side apply and the owners of fields.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    recorder::{APPLY, Case, DEPLOYMENTS, JSON, MAPS, MERGE, PATCH, Recorder},
    writes::{deployment, without_status},
};

pub(crate) const CASES: &[Case] = &[
    ("apply_and_drop", apply_and_drop),
    ("apply_conflict", apply_conflict),
    ("apply_shared", apply_shared),
    ("apply_lists", apply_lists),
    ("apply_refused", apply_refused),
    ("apply_dry_run", apply_dry_run),
    ("apply_after_update", apply_after_update),
    ("apply_sets", apply_sets),
    ("apply_from_client_side", apply_from_client_side),
    ("managed_fields_said", managed_fields_said),
];

#[expect(
    clippy::needless_pass_by_value,
    reason = "written in place by each caller"
)]
fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn by(path: &str, name: &str, manager: &str) -> String {
    format!("{path}/{name}?fieldManager={manager}")
}

fn apply_and_drop(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = by(MAPS, "a", "one");
        r.step(
            "create",
            "PATCH",
            &path,
            APPLY,
            map("a", json!({"k": "v", "l": "w"})),
        )
        .await;
        r.step(
            "the same",
            "PATCH",
            &path,
            APPLY,
            map("a", json!({"k": "v", "l": "w"})),
        )
        .await;
        r.step(
            "drop one",
            "PATCH",
            &path,
            APPLY,
            map("a", json!({"k": "v"})),
        )
        .await;
        let mut labelled = map("a", json!({"k": "v"}));
        labelled["metadata"]["labels"] = json!({"x": "y"});
        r.step("add a label", "PATCH", &path, APPLY, labelled).await;
        let mut empty = map("a", json!({}));
        empty.as_object_mut().unwrap().remove("data");
        r.step("drop all", "PATCH", &path, APPLY, empty).await;
    })
}

fn apply_conflict(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (one, two) = (by(MAPS, "a", "one"), by(MAPS, "a", "two"));
        r.step(
            "create",
            "PATCH",
            &one,
            APPLY,
            map("a", json!({"k": "v", "l": "w"})),
        )
        .await;
        r.step(
            "conflict",
            "PATCH",
            &two,
            APPLY,
            map("a", json!({"k": "2"})),
        )
        .await;
        r.step(
            "two conflicts",
            "PATCH",
            &two,
            APPLY,
            map("a", json!({"k": "2", "l": "2"})),
        )
        .await;
        let force = format!("{two}&force=true");
        r.step(
            "forced",
            "PATCH",
            &force,
            APPLY,
            map("a", json!({"k": "2"})),
        )
        .await;
        let update = by(MAPS, "a", "three");
        r.step(
            "update",
            "PATCH",
            &update,
            MERGE,
            json!({"data": {"l": "3"}}),
        )
        .await;
        r.step(
            "conflict with an update",
            "PATCH",
            &one,
            APPLY,
            map("a", json!({"l": "1"})),
        )
        .await;
        let both = map("a", json!({"k": "1", "l": "1"}));
        r.step("conflict with two", "PATCH", &one, APPLY, both)
            .await;
    })
}

fn apply_shared(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (one, two) = (by(MAPS, "a", "one"), by(MAPS, "a", "two"));
        r.step(
            "create",
            "PATCH",
            &one,
            APPLY,
            map("a", json!({"k": "v", "l": "w"})),
        )
        .await;
        r.step("share", "PATCH", &two, APPLY, map("a", json!({"k": "v"})))
            .await;
        r.step(
            "one lets go",
            "PATCH",
            &one,
            APPLY,
            map("a", json!({"l": "w"})),
        )
        .await;
        let mut nothing = map("a", json!({}));
        nothing.as_object_mut().unwrap().remove("data");
        r.step("both let go", "PATCH", &two, APPLY, nothing).await;
    })
}

fn apply_lists(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (one, two) = (by(DEPLOYMENTS, "a", "one"), by(DEPLOYMENTS, "a", "two"));
        let mut body = deployment("a", "nginx:1");
        body["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
        body["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80}]);
        let answer = r.ask("PATCH", &one, APPLY, &body).await;
        r.note("create", answer.0, without_status(answer.1));
        let mut side = deployment("a", "nginx:1");
        side["spec"] = json!({"template": {"spec": {"containers": [
            {"name": "side", "image": "side:1"},
            {"name": "main", "env": [{"name": "C", "value": "3"}], "ports": [{"containerPort": 81, "protocol": "TCP"}]},
        ]}}});
        let answer = r.ask("PATCH", &two, APPLY, &side).await;
        r.note(
            "a container and a variable of another",
            answer.0,
            without_status(answer.1),
        );
        body["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "B", "value": "2"}]);
        let answer = r.ask("PATCH", &one, APPLY, &body).await;
        r.note("drop a variable", answer.0, without_status(answer.1));
        side["spec"]["template"]["spec"]["containers"] =
            json!([{"name": "main", "image": "nginx:2"}]);
        let answer = r.ask("PATCH", &two, APPLY, &side).await;
        r.note("conflict below a key", answer.0, answer.1);
        let answer = r
            .ask("PATCH", &format!("{two}&force=true"), APPLY, &side)
            .await;
        r.note(
            "forced, the side container goes",
            answer.0,
            without_status(answer.1),
        );
        body["spec"]["template"]["spec"]["containers"] =
            json!([{"name": "renamed", "image": "nginx:1"}]);
        let answer = r.ask("PATCH", &one, APPLY, &body).await;
        r.note(
            "renamed, the forced part stays",
            answer.0,
            without_status(answer.1),
        );
    })
}

fn apply_refused(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let one = by(DEPLOYMENTS, "a", "one");
        let mut unknown = deployment("a", "nginx:1");
        unknown["spec"]["foo"] = json!(1);
        r.step("unknown field", "PATCH", &one, APPLY, unknown).await;
        let mut typed = deployment("a", "nginx:1");
        typed["spec"]["replicas"] = json!("x");
        r.step("wrong type", "PATCH", &one, APPLY, typed).await;
        let path = format!("{MAPS}/a");
        r.step("no manager", "PATCH", &path, APPLY, map("a", json!({})))
            .await;
        let mut uid = map("a", json!({}));
        uid["metadata"]["uid"] = json!("another");
        r.step("uid of nothing", "PATCH", &by(MAPS, "a", "one"), APPLY, uid)
            .await;
        let mut managed = map("a", json!({}));
        managed["metadata"]["managedFields"] = json!([{"manager": "x"}]);
        r.step(
            "managed fields",
            "PATCH",
            &by(MAPS, "a", "one"),
            APPLY,
            managed,
        )
        .await;
        r.step(
            "another name",
            "PATCH",
            &by(MAPS, "a", "one"),
            APPLY,
            map("b", json!({})),
        )
        .await;
        let lost = "/api/v1/namespaces/no-such-namespace/configmaps";
        r.step(
            "no namespace",
            "PATCH",
            &by(lost, "a", "one"),
            APPLY,
            map("a", json!({})),
        )
        .await;
        r.step(
            "create",
            "PATCH",
            &by(MAPS, "a", "one"),
            APPLY,
            map("a", json!({"k": "v"})),
        )
        .await;
        let mut old = map("a", json!({"k": "w"}));
        old["metadata"]["resourceVersion"] = json!("1");
        r.step("an old version", "PATCH", &by(MAPS, "a", "one"), APPLY, old)
            .await;
        let mut other = map("a", json!({"k": "w"}));
        other["metadata"]["uid"] = json!("another");
        let (code, answer) = r.ask("PATCH", &by(MAPS, "a", "one"), APPLY, &other).await;
        r.note("another uid", code, answer["reason"].clone());
    })
}

fn apply_dry_run(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let one = by(MAPS, "a", "one");
        let dry = format!("{one}&dryRun=All");
        let (code, answer) = r
            .ask("PATCH", &dry, APPLY, &map("a", json!({"k": "v"})))
            .await;
        r.note("create", code, answer["data"].clone());
        r.get("made nothing", &format!("{MAPS}/a")).await;
        r.step(
            "create for real",
            "PATCH",
            &one,
            APPLY,
            map("a", json!({"k": "v"})),
        )
        .await;
        r.step(
            "the same",
            "PATCH",
            &dry,
            APPLY,
            map("a", json!({"k": "v"})),
        )
        .await;
        let (code, answer) = r
            .ask("PATCH", &dry, APPLY, &map("a", json!({"k": "w"})))
            .await;
        r.note(
            "another value",
            code,
            json!([answer["data"], answer["metadata"]["managedFields"]]),
        );
        r.get("changed nothing", &format!("{MAPS}/a")).await;
    })
}

fn apply_after_update(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = format!("{DEPLOYMENTS}?fieldManager=kubectl-create");
        let made = r
            .ask("POST", &path, JSON, &deployment("a", "nginx:1"))
            .await;
        r.note("create", made.0, without_status(made.1));
        let one = by(DEPLOYMENTS, "a", "one");
        let answer = r
            .ask("PATCH", &one, APPLY, &deployment("a", "nginx:1"))
            .await;
        r.note("adopt", answer.0, without_status(answer.1));
        let answer = r
            .ask("PATCH", &one, APPLY, &deployment("a", "nginx:2"))
            .await;
        r.note("conflict", answer.0, answer.1);
        let force = format!("{one}&force=true");
        let answer = r
            .ask("PATCH", &force, APPLY, &deployment("a", "nginx:2"))
            .await;
        r.note("forced", answer.0, without_status(answer.1));
    })
}

fn apply_sets(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let name = r.namespace.clone();
        let with = |finalizers: Value, owner: &str| {
            let mut body = map("a", json!({}));
            body["metadata"]["finalizers"] = finalizers;
            body["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": owner}]);
            body
        };
        let (_, namespace) = r
            .ask("GET", "/api/v1/namespaces/NS", JSON, &Value::Null)
            .await;
        let owner = namespace["metadata"]["uid"].as_str().unwrap().to_owned();
        let (one, two) = (by(MAPS, "a", "one"), by(MAPS, "a", "two"));
        r.step(
            "create",
            "PATCH",
            &one,
            APPLY,
            with(json!(["a.example/1", "a.example/2"]), &owner),
        )
        .await;
        r.step(
            "another's",
            "PATCH",
            &two,
            APPLY,
            with(json!(["a.example/3"]), &owner),
        )
        .await;
        r.step(
            "one goes",
            "PATCH",
            &one,
            APPLY,
            with(json!(["a.example/2"]), &owner),
        )
        .await;
        r.step("all go", "PATCH", &one, APPLY, map("a", json!({})))
            .await;
        r.step("the other's go", "PATCH", &two, APPLY, map("a", json!({})))
            .await;
    })
}

/// What `kubectl apply` left behind is no conflict for `kubectl apply --server-side`.
fn apply_from_client_side(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let note = "kubectl.kubernetes.io/last-applied-configuration";
        let mut body = map("a", json!({"k": "v", "l": "w"}));
        let applied = map("a", json!({"k": "v"})).to_string();
        body["metadata"]["annotations"] = json!({note: applied, "other": "x"});
        let path = format!("{MAPS}?fieldManager=kubectl-client-side-apply");
        r.step("client side", "POST", &path, JSON, body).await;
        let both = map("a", json!({"k": "2", "l": "2"}));
        let one = by(MAPS, "a", "kubectl");
        r.step("more than was applied", "PATCH", &one, APPLY, both)
            .await;
        let same = map("a", json!({"k": "2"}));
        let other = by(MAPS, "a", "one");
        r.step("by another", "PATCH", &other, APPLY, same.clone())
            .await;
        r.step("what was applied", "PATCH", &one, APPLY, same).await;
    })
}

/// An update may say the managed fields, as kubectl does when it moves to server-side apply.
fn managed_fields_said(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = format!("{MAPS}?fieldManager=old");
        let body = json!({"metadata": {"name": "a"}, "data": {"k": "v", "l": "w"}});
        let made = r.step("create", "POST", &path, JSON, body).await;
        let mut entries = made["metadata"]["managedFields"].clone();
        entries[0]["manager"] = json!("new");
        entries[0]["operation"] = json!("Apply");
        let patch = json!([{"op": "replace", "path": "/metadata/managedFields", "value": entries}]);
        let one = by(MAPS, "a", "mover");
        r.step("another manager", "PATCH", &one, PATCH, patch).await;
        let less = map("a", json!({"k": "v"}));
        r.step(
            "it drops a field",
            "PATCH",
            &by(MAPS, "a", "new"),
            APPLY,
            less,
        )
        .await;
        let none = json!({"metadata": {"managedFields": [{}]}});
        r.step("reset", "PATCH", &one, MERGE, none).await;
        let nothing = json!({"metadata": {"managedFields": []}, "data": {"k": "2"}});
        r.step("nothing said", "PATCH", &one, MERGE, nothing.clone())
            .await;
        r.step("nothing said again", "PATCH", &one, MERGE, nothing)
            .await;
        let first = map("a", json!({"k": "3"}));
        let path = by(MAPS, "a", "first");
        r.step("applied again", "PATCH", &path, APPLY, first.clone())
            .await;
        let force = format!("{path}&force=true");
        r.step("by force", "PATCH", &force, APPLY, first).await;
    })
}
