//! Tests of the field algebra.

use super::*;

fn live() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "labels": {"app": "web", "by": "someone"},
            "managedFields": [
                {"manager": "kubelet", "operation": "Update", "subresource": "status",
                 "fieldsV1": {"f:status": {"f:replicas": {}}}},
                {"manager": "kubectl-edit", "operation": "Update",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:by": {}}}}},
                {"manager": "tidegate-agent", "operation": "Apply", "fieldsV1": owned_fields()},
            ],
        },
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [
                {"name": "side", "image": "side:1"},
                {"name": "web", "image": "web:1", "imagePullPolicy": "Always", "args": ["a", "b"]},
            ]}},
        },
        "status": {"replicas": 2},
    })
}

fn owned_fields() -> Value {
    json!({
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}, "f:args": {}},
            }}},
        },
    })
}

fn manifest() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "replicas": 2,
            "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1", "args": ["a", "b"]},
            ]}},
        },
    })
}

#[test]
fn what_is_read_is_written_back() {
    let set = FieldSet::parse(&owned_fields()).unwrap();
    assert_eq!(set.to_value(), owned_fields());
    assert_eq!(
        FieldSet::parse(&json!({"x": {}})),
        Err(Error::UnknownElement("x".into()))
    );
    assert!(matches!(
        FieldSet::parse(&json!({"f:x": 1})),
        Err(Error::NotAnObject(_))
    ));
}

#[test]
fn a_union_keeps_what_either_owns() {
    let one =
        FieldSet::parse(&json!({"f:a": {}, "f:l": {"k:{\"n\":1}": {".": {}, "f:n": {}}}})).unwrap();
    let two = FieldSet::parse(&json!({"f:b": {}, "f:l": {"k:{\"n\":1}": {"f:v": {}}}})).unwrap();
    let both =
        json!({"f:a": {}, "f:b": {}, "f:l": {"k:{\"n\":1}": {".": {}, "f:n": {}, "f:v": {}}}});
    assert_eq!(one.clone().union(two.clone()).to_value(), both);
    assert_eq!(two.union(one).to_value(), both);
}

#[test]
fn the_projection_holds_what_is_owned_and_nothing_else() {
    assert_eq!(
        owned(&live()).project(&live()),
        json!({
            "f:metadata": {"f:labels": {"f:app": "web"}},
            "f:spec": {"f:replicas": 2, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"web\"}": {"f:name": "web", "f:image": "web:1", "f:args": ["a", "b"]},
            }}}},
        })
    );
}

#[test]
fn the_fingerprint_changes_with_owned_values_and_with_the_owner_only() {
    let before = fingerprint(&live());
    let changed = |pointer: &str, value: Value| {
        let mut object = live();
        *object.pointer_mut(pointer).unwrap() = value;
        fingerprint(&object)
    };
    for (pointer, value) in [
        ("/status/replicas", json!(1)),
        ("/metadata/labels/by", json!("other")),
        ("/spec/template/spec/containers/0/image", json!("side:2")),
        (
            "/spec/template/spec/containers/1/imagePullPolicy",
            json!("Never"),
        ),
        (
            "/metadata/managedFields/0/fieldsV1",
            json!({"f:status": {}}),
        ),
    ] {
        assert_eq!(changed(pointer, value), before, "{pointer} is not ours");
    }
    for (pointer, value) in [
        ("/spec/replicas", json!(3)),
        ("/spec/template/spec/containers/1/image", json!("web:2")),
        ("/spec/template/spec/containers/1/args", json!(["b", "a"])),
        ("/metadata/labels", json!({"by": "someone"})),
        (
            "/metadata/managedFields/2/fieldsV1/f:spec",
            json!({"f:replicas": {}}),
        ),
        ("/metadata/managedFields/2/operation", json!("Update")),
    ] {
        assert_ne!(changed(pointer, value), before, "{pointer} is ours");
    }
}

#[test]
fn an_equal_manifest_is_surely_equal_and_any_difference_is_not() {
    let set = owned(&live());
    assert!(set.children["f:spec"].surely_equal(&manifest()["spec"], &live()["spec"]));
    let strip = |value: &Value| json!({"metadata": value["metadata"], "spec": value["spec"]});
    assert!(set.surely_equal(&manifest(), &strip(&live())));

    for (pointer, value) in [
        ("/spec/replicas", json!(3)),
        ("/spec/replicas", json!("2")),
        // Added: not owned yet. Removed: still owned.
        ("/metadata/labels", json!({"app": "web", "tier": "front"})),
        ("/metadata/labels", json!({})),
        ("/spec/template/spec/containers/0/args", json!(["a"])),
        (
            "/spec/template/spec/containers/0",
            json!({"name": "web", "image": "web:1"}),
        ),
        ("/spec/template/spec/containers", json!([])),
    ] {
        let mut wanted = manifest();
        *wanted.pointer_mut(pointer).unwrap() = value;
        assert!(!set.surely_equal(&wanted, &live()), "{pointer}");
    }
}

#[test]
fn the_order_of_owned_items_counts() {
    let set = FieldSet::parse(&json!({"f:env": {
        "k:{\"name\":\"A\"}": {".": {}, "f:name": {}},
        "k:{\"name\":\"B\"}": {".": {}, "f:name": {}},
    }}))
    .unwrap();
    let list = |names: &[&str]| json!({"env": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    assert!(set.surely_equal(&list(&["B", "A"]), &list(&["B", "X", "A"])));
    assert!(!set.surely_equal(&list(&["A", "B"]), &list(&["B", "A"])));
}

#[test]
fn who_else_writes_is_named_without_status_writers() {
    assert_eq!(other_managers(&live()), ["kubectl-edit"]);
}

#[test]
fn an_adoption_takes_over_what_kubectl_owns_and_leaves_the_rest() {
    let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
    let mut live = json!({"metadata": {"managedFields": [
        entry("kubectl-client-side-apply", "Update", json!({"f:data": {"f:a": {}}})),
        entry("kubectl", "Apply", json!({"f:data": {"f:b": {}}})),
        entry("operator", "Update", json!({"f:data": {"f:c": {}}})),
    ]}});
    let managers = inherited(&live, &json!({"apiVersion": "v1"})).unwrap();
    assert_eq!(managers.len(), 2);
    assert_eq!(managers[0]["manager"], "operator");
    assert_eq!(managers[1]["manager"], "tidegate-agent");
    assert_eq!(
        managers[1]["fieldsV1"],
        json!({"f:data": {"f:a": {}, "f:b": {}}})
    );

    live["metadata"]["managedFields"] = json!(managers);
    assert_eq!(inherited(&live, &json!({"apiVersion": "v1"})), None);
}
