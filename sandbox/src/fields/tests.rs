//! Rules of ownership that a comparison with a real server cannot time or force.

use serde_json::{Value, json};

use super::*;
use crate::schema::Type;

fn manager(name: &str, apply: bool) -> Manager {
    Manager {
        name: name.to_owned(),
        apply,
        version: if apply {
            String::new()
        } else {
            "v1".to_owned()
        },
        subresource: String::new(),
    }
}

fn map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn by(name: &str, time: &str, live: &Value, config: &Value, owners: Managers) -> (Value, Managers) {
    let ty = Type::Named("core.v1.ConfigMap".into());
    let manager = manager(name, true);
    let frame = Frame {
        ty: &ty,
        manager: &manager,
        version: "v1",
        part: Part::All,
        time,
    };
    apply(&frame, live, config, owners, true).unwrap()
}

#[test]
fn an_apply_that_changes_nothing_keeps_its_time_and_a_change_takes_the_new_one() {
    let config = map(&json!({"k": "v"}));
    let (first, owners) = by("one", "1", &map(&json!({})), &config, Managers::new());
    let (same, owners) = by("one", "2", &first, &config, owners);
    assert_eq!((&same, &*owners[&manager("one", true)].time), (&first, "1"));
    let (_, owners) = by("one", "3", &same, &map(&json!({"k": "w"})), owners);
    assert_eq!(owners[&manager("one", true)].time, "3");
}

#[test]
fn entries_stand_applies_first_then_by_time_and_read_back() {
    let mut all = Managers::new();
    for (name, apply, time) in [("b", false, "1"), ("z", true, "2"), ("a", true, "3")] {
        let owned = Owned {
            version: "v1".to_owned(),
            time: time.to_owned(),
            set: FieldSet::read(&json!({"f:data": {".": {}, "f:k": {}}})),
        };
        all.insert(manager(name, apply), owned);
    }
    let mut object = map(&json!({"k": "v"}));
    set_managers(&mut object, &all);
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let names: Vec<_> = entries.iter().map(|it| it["manager"].clone()).collect();
    assert_eq!(names, [json!("z"), json!("a"), json!("b")]);
    assert_eq!(managers(&object), all);
    set_managers(&mut object, &Managers::new());
    assert!(object["metadata"].get("managedFields").is_none());
}

#[test]
fn an_applied_list_keeps_its_order_and_foreign_items_keep_their_place() {
    let ty = Type::Named("core.v1.PodSpec".into());
    let pod = |names: &[&str]| {
        let containers: Vec<_> = names.iter().map(|it| json!({"name": it})).collect();
        json!({"containers": containers})
    };
    for (live, config, merged) in [
        (&["a", "b"][..], &["b", "a"][..], &["b", "a"][..]),
        (&["x", "a", "b"], &["b", "a"], &["x", "b", "a"]),
        (&["a", "x", "b"], &["b", "c", "a"], &["x", "b", "c", "a"]),
        (&["a"], &["c", "a", "d"], &["c", "a", "d"]),
        (&["a", "b"], &[], &["a", "b"]),
    ] {
        let found = super::merge::merge(&ty, Some(&pod(live)), Some(&pod(config))).unwrap();
        assert_eq!(found, pod(merged), "{live:?} + {config:?}");
    }
}
