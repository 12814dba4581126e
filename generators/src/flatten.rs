//! A row's parameters as labels, for the selector of a generator: nested keys joined by dots,
//! lists by index.
//!
//! `null`, empty lists and empty maps have no label: a selector sees them as missing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The labels of a row.
pub(crate) fn flatten(params: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in params {
        add(key.clone(), value, &mut labels);
    }
    labels
}

fn add(path: String, value: &Value, labels: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Bool(it) => drop(labels.insert(path, it.to_string())),
        Value::Number(it) => drop(labels.insert(path, it.to_string())),
        Value::String(it) => drop(labels.insert(path, it.clone())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                add(format!("{path}.{index}"), item, labels);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                add(format!("{path}.{key}"), item, labels);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_values_get_dotted_labels() {
        let row = json!({"a": {"b": [1, true]}, "c": "x", "d": null, "e": {}, "f": []});
        let labels = flatten(row.as_object().unwrap());
        let pairs: Vec<_> = labels
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, [("a.b.0", "1"), ("a.b.1", "true"), ("c", "x")]);
    }
}
