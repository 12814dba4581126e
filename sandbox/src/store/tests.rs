//! History: what is remembered, what is forgotten, and old moments.

use std::sync::Arc;

use serde_json::json;

use super::*;

fn put(store: &mut Store, name: &str, value: &str) {
    let resource: Arc<str> = "configmaps".into();
    let mut object =
        json!({"metadata": {"namespace": "n", "name": name, "uid": name}, "data": value});
    store.put(&resource, &mut object);
}

#[test]
fn an_old_moment_is_undone_from_the_history() {
    let mut store = Store::default();
    put(&mut store, "a", "1");
    put(&mut store, "b", "1");
    let then = store.revision();
    put(&mut store, "a", "2");
    put(&mut store, "c", "1");
    store.remove(&"configmaps".into(), &("n".into(), "b".into()));
    let old = store.at("configmaps", then).unwrap();
    let names: Vec<_> = old.keys().map(|(_, name)| &**name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(old[&("n".into(), "a".into())].value()["data"], "1");
    assert_eq!(store.all("configmaps").count(), 2);
}

#[test]
fn history_is_bounded_and_what_is_forgotten_is_refused() {
    let mut store = Store::default();
    for _ in 0..10 {
        put(&mut store, "a", &"x".repeat(HISTORY / 4));
    }
    assert!(store.bytes <= HISTORY, "{}", store.bytes);
    let latest = store.revision();
    let oldest = store.since(1).map(Iterator::count).unwrap_err();
    assert!(oldest > 1 && oldest < latest, "{oldest}");
    assert_eq!(
        store.since(oldest).map(Iterator::count),
        Ok(usize::try_from(latest - oldest).unwrap())
    );
    assert_eq!(store.since(latest).map(Iterator::count), Ok(0));
}
