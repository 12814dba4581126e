//! The `scale` subresource: replicas seen and changed apart from the rest of a workload.

use serde_json::{Value, json};

use super::{Patch, WriteOptions, existing, frame, json_patched, keep, manager, merge_change};
use crate::{
    answer::{Cause, Refusal},
    cluster::{Cluster, Target},
    fields,
    object::meta,
    resources::Scale,
};

/// The `Scale` of an object.
pub(crate) fn read(cluster: &Cluster, target: &Target) -> Result<Value, Refusal> {
    let live = existing(cluster, target)?;
    Ok(shown(paths(target)?, &live))
}

fn paths(target: &Target) -> Result<&Scale, Refusal> {
    let scale = target.served()?.scale.as_ref();
    scale.ok_or_else(Refusal::unserved)
}

fn shown(paths: &Scale, object: &Value) -> Value {
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let mut spec = json!({});
    if number(&paths.spec) != 0 {
        spec["replicas"] = json!(number(&paths.spec));
    }
    let mut status = json!({"replicas": number(&paths.status)});
    if let Some(selector) = paths.selector.as_deref().and_then(|it| object.pointer(it)) {
        status["selector"] = json!(selector_text(selector));
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec,
        "status": status,
    })
}

/// A label selector as one line: `app=web,tier in (a,b)`.
pub(crate) fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let pairs = |map: &Value| -> Vec<String> {
        let map = map.as_object().into_iter().flatten();
        map.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect()
    };
    if !selector["matchLabels"].is_object() && !selector["matchExpressions"].is_array() {
        return pairs(selector).join(",");
    }
    let mut parts = pairs(&selector["matchLabels"]);
    for row in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = row["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> = row["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push(match row["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    parts.sort();
    parts.join(",")
}

/// Replaces or patches the `Scale` of an object.
pub(crate) fn write(
    cluster: &mut Cluster,
    target: &Target,
    change: impl FnOnce(Value) -> Result<Value, Refusal>,
    options: &WriteOptions,
) -> Result<Value, Refusal> {
    let live = existing(cluster, target)?;
    let paths = paths(target)?;
    let scale = change(shown(paths, &live))?;
    if !matches!(scale["kind"].as_str(), None | Some("Scale")) {
        return Err(Refusal::bad_request(
            "the body is not a Scale of autoscaling/v1",
        ));
    }
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        value => value
            .as_i64()
            .ok_or_else(|| Refusal::bad_request("spec.replicas is not a whole number"))?,
    };
    if replicas < 0 {
        let words = "must be greater than or equal to 0";
        let cause = Cause::invalid("spec.replicas", &json!(replicas), words);
        return Err(Refusal::invalid_scale(meta(&scale, "name"), &[cause]));
    }
    let mut object = live.clone();
    for field in ["uid", "resourceVersion"] {
        if let Some(said) = scale["metadata"].get(field).filter(|it| !it.is_null()) {
            object["metadata"][field] = said.clone();
        }
    }
    let mut below = &mut object;
    for part in paths.spec.split('/').skip(1) {
        below = &mut below[part];
    }
    *below = json!(replicas);
    let object = merge_change(cluster, target, &live, object)?;
    let mut manager = manager(target, options, false);
    "scale".clone_into(&mut manager.subresource);
    let frame = frame(target, &manager, options.now)?;
    let owners = fields::managers(&live);
    let mut owners = fields::update(&frame.borrow(), &live, &object, owners);
    // Whoever owned the replicas owns them no more, and nobody else does, as on the real server.
    owners.retain(|it, _| *it != manager);
    let object = keep(cluster, target, &live, object, &owners, options);
    Ok(shown(paths, &object))
}

/// A `Scale` with a patch.
pub(crate) fn patched(mut scale: Value, patch: &Patch) -> Result<Value, Refusal> {
    match patch {
        // It has no lists, so both merge alike.
        Patch::Merge(patch) | Patch::Strategic(patch) => json_patch::merge(&mut scale, patch),
        Patch::Json(patch) => json_patched(&mut scale, patch)?,
    }
    Ok(scale)
}
