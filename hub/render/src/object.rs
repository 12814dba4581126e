//! One document becomes one object: what it must have, what is taken out.
//!
//! Never fills anything in: the namespace stays as written, the agent knows the destination.

use serde_json::{Map, Value};
use tidegate_model::{manifest::Document, object::ObjectKey};

use crate::error::{Error, Place};

/// Fields of `metadata` that only a server writes; `kubectl get -o yaml` leaves them in files.
const SERVER_METADATA: [&str; 4] = [
    "creationTimestamp",
    "managedFields",
    "resourceVersion",
    "uid",
];

/// Checks a document and takes out what only a server writes.
pub(crate) fn read(document: Document, file: &str) -> Result<(ObjectKey, Value, Place), Error> {
    let place = Place {
        file: file.to_owned(),
        line: document.line,
    };
    let at = |pointer: &str| Place {
        file: file.to_owned(),
        line: document.line_of(pointer),
    };
    let refuse = |pointer: &str, problem: String| Err(Error::not_an_object(at(pointer), problem));
    let Value::Object(object) = &document.value else {
        return refuse("", "the document is not a Kubernetes object".to_owned());
    };
    for field in ["apiVersion", "kind"] {
        if let Err(problem) = text(object, field) {
            return refuse(&format!("/{field}"), problem);
        }
    }
    let metadata = match object.get("metadata") {
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return refuse("/metadata", "metadata is not a map".to_owned()),
        None => return refuse("", "metadata is missing; give the object a name".to_owned()),
    };
    if metadata.contains_key("generateName") {
        return refuse(
            "/metadata/generateName",
            "metadata.generateName makes a new object at each sync; set metadata.name instead"
                .to_owned(),
        );
    }
    if let Err(problem) = text(metadata, "name") {
        return refuse("/metadata/name", format!("metadata.{problem}"));
    }
    if matches!(metadata.get("namespace"), Some(namespace) if !namespace.is_string()) {
        return refuse(
            "/metadata/namespace",
            "metadata.namespace is not text; quote it or leave it out".to_owned(),
        );
    }
    for map in ["labels", "annotations"] {
        if let Some((pointer, problem)) = wrong_entry(metadata, map) {
            return refuse(&pointer, problem);
        }
    }
    let Some(key) = ObjectKey::of(&document.value) else {
        return refuse(
            "/apiVersion",
            "apiVersion has no version; write it as `v1` or `group/version`".to_owned(),
        );
    };
    Ok((key, strip(document.value), place))
}

fn text(map: &Map<String, Value>, field: &str) -> Result<(), String> {
    match map.get(field) {
        None | Some(Value::Null) => Err(format!("{field} is missing; add it")),
        Some(Value::String(text)) if text.is_empty() => Err(format!("{field} is empty; set it")),
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(format!("{field} is not text; quote it")),
    }
}

/// The first label or annotation whose value is not text: `true` without quotes, mostly.
fn wrong_entry(metadata: &Map<String, Value>, map: &str) -> Option<(String, String)> {
    match metadata.get(map)? {
        Value::Null => None,
        Value::Object(entries) => {
            let (key, _) = entries.iter().find(|(_, value)| !value.is_string())?;
            let pointer = format!(
                "/metadata/{map}/{}",
                key.replace('~', "~0").replace('/', "~1")
            );
            let problem = format!("metadata.{map}[{key:?}] is not text; quote it");
            Some((pointer, problem))
        }
        _ => Some((
            format!("/metadata/{map}"),
            format!("metadata.{map} is not a map"),
        )),
    }
}

fn strip(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in SERVER_METADATA {
                metadata.remove(field);
            }
        }
    }
    value
}
