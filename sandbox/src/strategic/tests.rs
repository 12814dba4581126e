//! Properties of merging that hold for any patch.

use serde_json::json;

use super::*;

fn pod() -> Type {
    Type::Named("core.v1.PodSpec".into())
}

fn patched(mut live: Value, change: Value) -> Result<Value, Error> {
    patch(&pod(), &mut live, change)?;
    Ok(live)
}

#[test]
fn items_merge_by_key_and_new_ones_come_first() {
    let live = json!({"containers": [{"name": "a", "image": "1", "tty": true}, {"name": "b"}]});
    let change = json!({"containers": [{"name": "c", "image": null}, {"name": "a", "image": "2"}]});
    let wanted = json!({"containers": [
        {"name": "c"}, {"name": "a", "image": "2", "tty": true}, {"name": "b"},
    ]});
    assert_eq!(patched(live, change), Ok(wanted));
}

#[test]
fn a_said_order_holds_and_what_only_the_server_has_keeps_its_place() {
    let live = json!({"containers": [{"name": "a"}, {"name": "server"}, {"name": "b"}]});
    let change = json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]});
    let found = patched(live, change).unwrap();
    let names = found["containers"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["server", "b", "a"]);
}

#[test]
fn a_patch_against_its_own_order_is_refused() {
    let live = json!({"containers": [{"name": "a"}]});
    let change = json!({
        "containers": [{"name": "a"}, {"name": "b"}],
        "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
    });
    let error = patched(live, change).unwrap_err();
    assert!(matches!(error, Error::Order(_, _)), "{error}");
}
