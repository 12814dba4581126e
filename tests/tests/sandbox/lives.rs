//! Cases: how objects end, and what custom kinds do.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::discovers::main_resources;
use super::recorder::{APPLY, Case, DEFINITIONS, JSON, MAPS, MERGE, PATCH, Recorder};

pub(crate) const CASES: &[Case] = &[
    ("finalizers", finalizers),
    ("owners", owners),
    ("orphans", orphans),
    ("foreground", foreground),
    ("foreground_not_blocked", foreground_not_blocked),
    ("namespace_life", namespace_life),
    ("custom_kind", custom_kind),
    ("custom_versions", custom_versions),
];

pub(crate) fn gone(code: u16, _: &Value) -> bool {
    code == 404
}

fn finalizers(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let body = json!({"metadata": {"name": "a", "finalizers": ["a.example/hold"]}});
        let one = format!("{MAPS}/a");
        r.step(
            "create",
            "POST",
            &format!("{MAPS}?fieldManager=tester"),
            JSON,
            body,
        )
        .await;
        r.step("delete", "DELETE", &one, JSON, Value::Null).await;
        r.get("waits", &one).await;
        r.step("delete again", "DELETE", &one, JSON, Value::Null)
            .await;
        let more = json!({"metadata": {"finalizers": ["a.example/hold", "a.example/more"]}});
        r.step("one more", "PATCH", &one, MERGE, more).await;
        let patch = format!("{one}?fieldManager=tester");
        r.step(
            "change",
            "PATCH",
            &patch,
            MERGE,
            json!({"data": {"k": "v"}}),
        )
        .await;
        let none = json!({"metadata": {"finalizers": null}});
        let (code, answer) = r.ask("PATCH", &patch, MERGE, &none).await;
        r.note("let go", code, answer["metadata"]["finalizers"].clone());
        r.get("gone", &one).await;
    })
}

/// An owner and its dependent.
async fn family(r: &mut Recorder) -> Value {
    family_as(r, &json!(true)).await
}

/// An owner and a dependent that holds up the owner's end or does not.
async fn family_as(r: &mut Recorder, blocks: &Value) -> Value {
    let body = json!({"metadata": {"name": "owner"}});
    let (_, owner) = r.ask("POST", MAPS, JSON, &body).await;
    let uid = owner["metadata"]["uid"].clone();
    let body = json!({"metadata": {"name": "dependent", "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": blocks},
    ]}});
    r.step(
        "dependent",
        "POST",
        &format!("{MAPS}?fieldManager=tester"),
        JSON,
        body,
    )
    .await;
    // The collector of the real server learns of both in its own time.
    owner
}

fn owners(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        family(r).await;
        r.step(
            "delete",
            "DELETE",
            &format!("{MAPS}/owner"),
            JSON,
            Value::Null,
        )
        .await;
        r.until("dependent goes", &format!("{MAPS}/dependent"), gone)
            .await;
    })
}

fn orphans(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        family(r).await;
        let orphan = json!({"propagationPolicy": "Orphan"});
        let (code, _) = r
            .ask("DELETE", &format!("{MAPS}/owner"), JSON, &orphan)
            .await;
        r.note("delete", code, Value::Null);
        r.until("owner goes", &format!("{MAPS}/owner"), gone).await;
        let (code, left) = r
            .ask("GET", &format!("{MAPS}/dependent"), JSON, &Value::Null)
            .await;
        r.note(
            "dependent stays",
            code,
            left["metadata"]["ownerReferences"].clone(),
        );
    })
}

fn foreground(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        family(r).await;
        let hold = json!({"metadata": {"finalizers": ["a.example/hold"]}});
        let dependent = format!("{MAPS}/dependent");
        r.ask("PATCH", &dependent, MERGE, &hold).await;
        let foreground = json!({"propagationPolicy": "Foreground"});
        r.step(
            "delete",
            "DELETE",
            &format!("{MAPS}/owner"),
            JSON,
            foreground,
        )
        .await;
        let ending = |_: u16, it: &Value| it["metadata"]["deletionTimestamp"].is_string();
        let (code, _) = r.wait("dependent ends", &dependent, ending).await;
        r.note("dependent ends", code, Value::Null);
        let (code, owner) = r
            .ask("GET", &format!("{MAPS}/owner"), JSON, &Value::Null)
            .await;
        r.note("owner waits", code, owner["metadata"]["finalizers"].clone());
        r.ask(
            "PATCH",
            &dependent,
            MERGE,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
        r.until("owner goes", &format!("{MAPS}/owner"), gone).await;
    })
}

/// A dependent that does not block is deleted too, but its owner does not wait for its end.
fn foreground_not_blocked(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        for (name, blocks) in [("unsaid", Value::Null), ("no", json!(false))] {
            family_as(r, &blocks).await;
            let dependent = format!("{MAPS}/dependent");
            let hold = json!({"metadata": {"finalizers": ["a.example/hold"]}});
            r.ask("PATCH", &dependent, MERGE, &hold).await;
            let foreground = json!({"propagationPolicy": "Foreground"});
            let owner = format!("{MAPS}/owner");
            r.ask("DELETE", &owner, JSON, &foreground).await;
            r.until(&format!("{name}: owner goes"), &owner, gone).await;
            let ending = |_: u16, it: &Value| it["metadata"]["deletionTimestamp"].is_string();
            let (code, left) = r.wait("dependent ends", &dependent, ending).await;
            let finalizers = left["metadata"]["finalizers"].clone();
            r.note(&format!("{name}: dependent ends"), code, finalizers);
            let free = json!({"metadata": {"finalizers": null}});
            r.ask("PATCH", &dependent, MERGE, &free).await;
            r.until(&format!("{name}: dependent goes"), &dependent, gone)
                .await;
        }
    })
}

fn namespace_life(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let path = "/api/v1/namespaces";
        let made =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "NS-life"}});
        let name = format!("{}-life", r.namespace);
        let mut body = made;
        body["metadata"]["name"] = json!(name);
        let one = format!("{path}/{name}");
        let (code, answer) = r
            .ask("PATCH", &format!("{one}?fieldManager=tester"), APPLY, &body)
            .await;
        r.note("apply", code, answer);
        let inside = format!("{one}/configmaps");
        let held = json!({"metadata": {"name": "held", "finalizers": ["a.example/hold"]}});
        r.ask("POST", &inside, JSON, &held).await;
        r.ask(
            "POST",
            &inside,
            JSON,
            &json!({"metadata": {"name": "free"}}),
        )
        .await;
        let (code, answer) = r.ask("DELETE", &one, JSON, &Value::Null).await;
        r.note("delete", code, answer["status"]["phase"].clone());
        let late = json!({"metadata": {"name": "late"}});
        r.step("no more", "POST", &inside, JSON, late).await;
        let lately = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}});
        let path = format!("{inside}/late?fieldManager=tester");
        r.step("no more by apply", "PATCH", &path, APPLY, lately)
            .await;
        r.until("contents go", &format!("{inside}/free"), gone)
            .await;
        let ending = |_: u16, it: &Value| it["metadata"]["deletionTimestamp"].is_string();
        let (code, _) = r
            .wait("held content ends", &format!("{inside}/held"), ending)
            .await;
        r.note("held content ends", code, Value::Null);
        let told = |_: u16, it: &Value| {
            let all = it["status"]["conditions"].as_array();
            all.is_some_and(|all| {
                all.iter().any(|it| it["reason"] == "SomeFinalizersRemain")
                    && all.iter().any(|it| {
                        let message = it["message"].as_str();
                        message
                            .is_some_and(|it| it.ends_with("configmaps. has 1 resource instances"))
                    })
            })
        };
        let (code, answer) = r.wait("it says what it waits for", &one, told).await;
        r.note("it waits", code, answer["status"].clone());
        let free = json!({"metadata": {"finalizers": null}});
        r.ask("PATCH", &format!("{inside}/held"), MERGE, &free)
            .await;
        r.until("it goes", &one, gone).await;
    })
}

pub(crate) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.conformance.example"},
        "spec": {
            "group": "conformance.example", "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList", "shortNames": ["gd"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "integer", "default": 3}, "name": {"type": "string"},
                        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                            "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "count": {"type": "integer"}}}},
                        "tags": {"type": "array", "items": {"type": "string"}},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    }},
                    "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
                }}},
            }],
        },
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "written in place by each caller"
)]
pub(crate) fn gadget(spec: Value) -> Value {
    json!({"apiVersion": "conformance.example/v1", "kind": "Gadget", "metadata": {"name": "a"}, "spec": spec})
}

fn custom_kind(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        define(r).await;
        let gadgets = "/apis/conformance.example/v1/namespaces/NS/gadgets";
        r.wait("served", gadgets, |code, _| code == 200).await;
        let a = format!("{gadgets}/a");
        let by = |manager: &str| format!("{a}?fieldManager={manager}");
        let spec =
            json!({"parts": [{"id": "x", "count": 1}], "tags": ["t"], "free": {"deep": {"er": 1}}});
        r.step("apply", "PATCH", &by("one"), APPLY, gadget(spec))
            .await;
        let spec = json!({"parts": [{"id": "y", "count": 2}]});
        r.step("another's part", "PATCH", &by("two"), APPLY, gadget(spec))
            .await;
        let spec = json!({"tags": ["t", "u"]});
        r.step(
            "drop the first part",
            "PATCH",
            &by("one"),
            APPLY,
            gadget(spec),
        )
        .await;
        let unknown = gadget(json!({"unknown": 1}));
        r.step("unknown field", "PATCH", &by("one"), APPLY, unknown)
            .await;
        let status = json!({"status": {"phase": "Done"}, "spec": {"size": 9}});
        r.step(
            "status",
            "PATCH",
            &format!("{a}/status?fieldManager=ctl"),
            MERGE,
            status,
        )
        .await;
        let main = json!({"status": {"phase": "Ignored"}});
        r.step("status by the main path", "PATCH", &by("one"), MERGE, main)
            .await;
        r.step(
            "spec",
            "PATCH",
            &by("one"),
            MERGE,
            json!({"spec": {"size": 4}}),
        )
        .await;
        let unversioned = gadget(json!({}));
        r.step(
            "replace without a version",
            "PUT",
            &by("one"),
            JSON,
            unversioned,
        )
        .await;
        r.get("list", gadgets).await;
        undefine(r, &a).await;
    })
}

/// Three versions, of which one is stored and one is not served.
fn several() -> Value {
    let version = |name: &str, stored: bool, served: bool, fields: Value| {
        json!({"name": name, "storage": stored, "served": served, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": fields},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}})
    };
    // What only one version has would be lost on the way; the server then forgets who owned it.
    let old = json!({"size": {"type": "integer"}, "more": {"type": "string"}, "gone": {"type": "string"}});
    let new = json!({"size": {"type": "integer"}, "more": {"type": "string", "default": "new"}});
    json!({
        "metadata": {"name": "wheels.versions.example"},
        "spec": {"group": "versions.example", "scope": "Namespaced",
            "names": {"plural": "wheels", "kind": "Wheel"},
            "versions": [version("v1", true, true, new.clone()), version("v1beta1", false, true, old),
                version("v1alpha1", false, false, new)]},
    })
}

fn custom_versions(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        r.ask("POST", DEFINITIONS, JSON, &several()).await;
        let at = |version: &str| format!("/apis/versions.example/{version}/namespaces/NS/wheels");
        let (new, old) = (at("v1"), at("v1beta1"));
        r.wait("served", &new, |code, _| code == 200).await;
        r.wait("served as it was", &old, |code, _| code == 200)
            .await;
        let wheel = |version: &str, spec: Value| json!({"apiVersion": format!("versions.example/{version}"), "kind": "Wheel", "metadata": {"name": "a"}, "spec": spec});
        let body = wheel("v1", json!({"size": 1, "more": "x"}));
        let path = format!("{new}?fieldManager=maker");
        r.step("create", "POST", &path, JSON, body).await;
        r.get("as it was", &format!("{old}/a")).await;
        r.get("all as they were", &old).await;
        r.get("unserved", &at("v1alpha1")).await;
        let kinds = "/apis/versions.example/v1beta1";
        let (code, mut answer) = r.ask("GET", kinds, JSON, &Value::Null).await;
        answer["resources"] = json!(main_resources(&answer["resources"], "name"));
        r.note("kinds", code, answer);
        r.get("group", "/apis/versions.example").await;
        let patch = json!({"spec": {"size": 2}});
        let path = format!("{old}/a?fieldManager=patcher");
        r.step("patched as it was", "PATCH", &path, MERGE, patch)
            .await;
        r.get("now", &format!("{new}/a")).await;
        let body = wheel("v1beta1", json!({"size": 3}));
        let path = format!("{old}/a?fieldManager=applier&force=true");
        r.step("applied as it was", "PATCH", &path, APPLY, body)
            .await;
        let body = wheel("v1", json!({"size": 4}));
        let path = format!("{new}/a?fieldManager=applier&force=true");
        r.step("applied as it is", "PATCH", &path, APPLY, body)
            .await;
        let other = wheel("v1", json!({}));
        let path = format!("{old}?fieldManager=maker");
        let (code, answer) = r.ask("POST", &path, JSON, &other).await;
        r.note("of another version", code, answer["reason"].clone());
        // What is not stored is lost at once, and the stored version's defaults are filled in.
        let mut body = wheel("v1beta1", json!({"size": 5, "gone": "y"}));
        body["metadata"]["name"] = json!("b");
        let (code, answer) = r.ask("POST", &path, JSON, &body).await;
        r.note("what only it has", code, answer["spec"].clone());
        let moved = json!([
            {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
            {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
        ]);
        let definition = format!("{DEFINITIONS}/wheels.versions.example");
        r.ask("PATCH", &definition, PATCH, &moved).await;
        let both = |_: u16, it: &Value| it["status"]["storedVersions"][1].is_string();
        let (code, answer) = r.wait("both are stored", &definition, both).await;
        r.note("stored", code, answer["status"]["storedVersions"].clone());
        r.get("after the move", &format!("{new}/a")).await;
        r.ask("DELETE", &definition, JSON, &Value::Null).await;
        r.until("it goes", &definition, gone).await;
    })
}

/// Defines the kind `Thing` of `GROUP.example` with this schema: the paths of its definition and of
/// its objects.
pub(crate) async fn define_as(r: &mut Recorder, group: &str, schema: &Value) -> (String, String) {
    let definition = json!({
        "metadata": {"name": format!("things.{group}.example")},
        "spec": {"group": format!("{group}.example"), "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
    });
    let (code, answer) = r.ask("POST", DEFINITIONS, JSON, &definition).await;
    assert_eq!(code, 201, "{answer}");
    let things = format!("/apis/{group}.example/v1/namespaces/NS/things");
    r.wait("served", &things, |code, _| code == 200).await;
    (format!("{DEFINITIONS}/things.{group}.example"), things)
}

const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.conformance.example";

async fn define(r: &mut Recorder) {
    let (code, made) = r
        .ask(
            "PATCH",
            &format!("{DEFINITION}?fieldManager=tester"),
            APPLY,
            &definition(),
        )
        .await;
    r.note(
        "define",
        code,
        json!([made["spec"], made["metadata"]["generation"]]),
    );
    let ready = |_: u16, it: &Value| {
        let all = it["status"]["conditions"].as_array();
        all.is_some_and(|all| {
            all.iter()
                .any(|it| it["type"] == "Established" && it["status"] == "True")
        })
    };
    let (code, live) = r.wait("established", DEFINITION, ready).await;
    r.note("established", code, live["status"].clone());
}

async fn undefine(r: &mut Recorder, object: &str) {
    let (code, _) = r.ask("DELETE", DEFINITION, JSON, &Value::Null).await;
    r.note("delete the definition", code, Value::Null);
    r.until("it goes", DEFINITION, gone).await;
    let (code, answer) = r
        .wait("kind goes", object, |code, it| {
            code == 404 && it.is_string()
        })
        .await;
    r.note("kind goes", code, answer);
}
