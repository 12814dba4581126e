//! Metadata: names, labels, annotations, finalizers and owners.

use serde_json::{Value, json};

use super::{names, syntax};
use crate::{
    answer::Cause,
    object::{finalizers, meta},
    resources::Resource,
};

/// Bytes of all annotations together.
const ANNOTATIONS: usize = 256 * 1024;

/// Finalizers that need no prefix.
const STANDARD: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// What is wrong with the metadata of an object.
pub(super) fn causes(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let prefix = meta(object, "generateName");
    if !prefix.is_empty() {
        // It may end in a hyphen, as more follows.
        let prefix = prefix.strip_suffix('-').unwrap_or(prefix);
        let found = names::wrong(resource, prefix);
        let value = &object["metadata"]["generateName"];
        causes.extend(syntax::all("metadata.generateName", value, found));
    }
    causes.extend(names::causes(resource, meta(object, "name")));
    causes.extend(owners(object));
    causes.extend(held(resource, object));
    causes.extend(labels("metadata.labels", &object["metadata"]["labels"]));
    causes.extend(annotations(&object["metadata"]["annotations"]));
    causes
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

/// Labels of an object or a template.
pub(super) fn labels(at: &str, labels: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in entries(labels) {
        causes.extend(syntax::all(
            at,
            &json!(key),
            syntax::key(key, "a valid label key "),
        ));
        let text = value.as_str().unwrap_or_default();
        causes.extend(syntax::all(at, value, syntax::value(text)));
    }
    causes
}

fn annotations(annotations: &Value) -> Vec<Cause> {
    let at = "metadata.annotations";
    let mut causes = Vec::new();
    let mut bytes = 0;
    for (key, value) in entries(annotations) {
        bytes += key.len() + value.as_str().map_or(0, str::len);
        // Keys may have capitals.
        let wrong = syntax::key(&key.to_lowercase(), "a valid annotation key ");
        causes.extend(syntax::all(at, &json!(key), wrong));
    }
    if bytes > ANNOTATIONS {
        causes.push(Cause::too_long(at, ANNOTATIONS));
    }
    causes
}

fn held(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let at = "metadata.finalizers";
    for name in finalizers(object) {
        let wrong = syntax::key(name, "a valid finalizer name ");
        causes.extend(syntax::all(at, &json!(name), wrong));
    }
    // Definitions are written by a server of their own, which does not ask for a prefix.
    if resource.custom || resource.group.ends_with(".k8s.io") && resource.group.starts_with("api") {
        return causes;
    }
    for (index, name) in finalizers(object).into_iter().enumerate() {
        if !name.contains('/') && !STANDARD.contains(&name) {
            let words = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(
                &format!("{at}[{index}]"),
                &json!(name),
                words,
            ));
        }
    }
    causes
}

fn owners(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let owners = object["metadata"]["ownerReferences"].as_array();
    for owner in owners.into_iter().flatten() {
        for (field, words) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let at = format!("metadata.ownerReferences.{field}");
                causes.push(Cause::invalid(&at, &json!(""), words));
            }
        }
    }
    causes
}
