//! What differs between two forms of one object, as JSON pointers.
//!
//! Pure. Pointers only, never values: a report can therefore not carry a secret. What the server
//! counts and dates, and status, is no difference.

use serde_json::{Map, Value};
use tidegate_model::digest::Digest;

use crate::fields;

/// Most pointers that are reported for one object; one more says that there are more.
const MOST: usize = 30;

/// Fields of metadata that the server writes.
const SERVER_METADATA: [&str; 7] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "uid",
    "selfLink",
    "deletionGracePeriodSeconds",
];

/// JSON pointers (RFC 6901) of the fields in which `live` differs from `wanted`, the object as an
/// apply would leave it (a dry run's answer).
pub fn pointers(live: &Value, wanted: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(
        &without_server_fields(live),
        &without_server_fields(wanted),
        "",
        &mut found,
    );
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        tracing::debug!(more, "left out pointers of a much changed object");
    }
    found
}

/// JSON pointers of the fields of the manifest that `live` does not have as written: the cautious
/// answer where no dry run is possible. Only what the manifest says is compared.
pub fn unapplied(live: &Value, body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk_wanted(live, body, "", &mut found);
    found.truncate(MOST);
    found
}

/// Names everything about an object that a person or a controller can change besides status.
pub fn content(object: &Value) -> Digest {
    Digest::of("content", &without_server_fields(object))
}

/// Whether applying `body` on `live` surely changes nothing, without asking the server.
pub fn surely_applied(live: &Value, body: &Value) -> bool {
    let mut wanted = body.clone();
    if let Some(map) = wanted.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("name");
            metadata.remove("namespace");
        }
    }
    fields::owned(live).surely_equal(&wanted, live)
}

fn without_server_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in SERVER_METADATA {
                metadata.remove(field);
            }
        }
    }
    object
}

fn walk(live: &Value, wanted: &Value, at: &str, found: &mut Vec<String>) {
    match (live, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            for field in keys(a, b) {
                let below = format!("{at}/{}", escaped(field));
                match (a.get(field), b.get(field)) {
                    (Some(a), Some(b)) => walk(a, b, &below, found),
                    _ => found.push(below),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                walk(a, b, &format!("{at}/{index}"), found);
            }
        }
        _ if live != wanted => found.push(at.to_owned()),
        _ => {}
    }
}

fn walk_wanted(live: &Value, wanted: &Value, at: &str, found: &mut Vec<String>) {
    match (live, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            for (field, b) in b {
                let below = format!("{at}/{}", escaped(field));
                match a.get(field) {
                    Some(a) => walk_wanted(a, b, &below, found),
                    None => found.push(below),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for (index, b) in b.iter().enumerate() {
                let name = b.get("name");
                // A list by name may hold items of others; any other list must stand as written.
                let same = match name {
                    Some(_) => a.iter().find(|item| item.get("name") == name),
                    None => a.get(index),
                };
                match same {
                    Some(a) => walk_wanted(a, b, &format!("{at}/{index}"), found),
                    None => found.push(format!("{at}/{index}")),
                }
            }
        }
        _ if live != wanted => found.push(at.to_owned()),
        _ => {}
    }
}

fn keys<'a>(a: &'a Map<String, Value>, b: &'a Map<String, Value>) -> Vec<&'a String> {
    let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn escaped(field: &str) -> String {
    field.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_difference_has_its_pointer_and_server_fields_have_none() {
        let live = json!({"metadata": {"resourceVersion": "1", "labels": {"a/b": "1", "x~y": "1"}},
            "spec": {"l": [1, {"b": 2}], "m": [1], "same": {}}, "status": {"a": 1}});
        let wanted = json!({"metadata": {"resourceVersion": "2", "labels": {"a/b": "2", "new": "1"}},
            "spec": {"l": [1, {"b": 3}], "m": [1, 2], "same": {}}, "status": {"a": 2}});
        assert_eq!(
            pointers(&live, &wanted),
            [
                "/metadata/labels/a~1b",
                "/metadata/labels/new",
                "/metadata/labels/x~0y",
                "/spec/l/1/b",
                "/spec/m",
            ]
        );
        assert!(pointers(&live, &live).is_empty());
    }

    #[test]
    fn no_value_of_a_secret_is_in_its_drift() {
        let live = json!({"kind": "Secret", "data": {"password": "b2xk", "extra": "eA=="}});
        let wanted = json!({"kind": "Secret", "data": {"password": "bmV3"}});
        assert_eq!(pointers(&live, &wanted), ["/data/extra", "/data/password"]);
    }

    #[test]
    fn without_a_dry_run_only_what_the_manifest_says_is_compared() {
        let live = json!({"a": 1, "defaulted": 2, "l": [{"name": "side"}, {"name": "x", "v": 1}]});
        assert!(unapplied(&live, &json!({"a": 1, "l": [{"name": "x", "v": 1}]})).is_empty());
        assert_eq!(
            unapplied(
                &live,
                &json!({"a": 2, "b": 1, "l": [{"name": "x", "v": 2}, {"name": "y"}]})
            ),
            ["/a", "/b", "/l/0/v", "/l/1"]
        );
    }
}
