//! The way from `kubectl apply` to `kubectl apply --server-side`: what the annotation of the former
//! says is no conflict for the latter, and the annotation follows.
//!
//! Owns the rules of apimachinery `managedfields/internal/lastappliedmanager.go` and
//! `lastappliedupdater.go`. Pure.

use serde_json::{Value, json};

use crate::{fields, object::set_meta, schema::Type};

/// Only kubectl's own manager moves over.
pub(super) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The conflicts that are none of the last client-side configuration's.
pub(super) fn others(
    ty: &Type,
    live: &Value,
    taken: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let said = live["metadata"]["annotations"][ANNOTATION].as_str();
    let Some(config) = said.and_then(|it| serde_json::from_str::<Value>(it).ok()) else {
        return taken;
    };
    let own = fields::names(ty, &config);
    let others = taken.into_iter().filter(|(_, field)| !own.contains(field));
    others.collect()
}

/// The annotation, if there is one, says the configuration that was applied.
pub(super) fn renew(object: &mut Value, mut config: Value) {
    if !object["metadata"]["annotations"][ANNOTATION].is_string() {
        return;
    }
    let annotations = config.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let mut annotations = object["metadata"]["annotations"].take();
    annotations[ANNOTATION] = json!(format!("{config}\n"));
    set_meta(object, "annotations", Some(annotations));
}
