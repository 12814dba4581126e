//! What the server makes of an object before it is kept: defaults, and what Go leaves out.
//!
//! Owns the defaults of the kinds that Tidegate's users deliver most (k8s.io/kubernetes
//! `pkg/apis/*/v1/defaults.go`) and the form of empty values. Never refuses.

use serde_json::{Map, Value, json};

use crate::{
    encoded,
    object::{meta, set_meta, take},
    quantity::Quantity,
    resources::Resource,
    schema::{Scalar, Type, resolve},
};

mod workloads;

/// Optional strings that are pointers in Go: an empty one is kept.
const KEPT_EMPTY: [&str; 4] = [
    "storageClassName",
    "ingressClassName",
    "appProtocol",
    "volumeAttributesClassName",
];

/// Optional flags and numbers that are no pointers in Go: "no" and zero are left out.
const DROPPED_ZERO: [&str; 14] = [
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "minReadySeconds",
    "nodePort",
    "paused",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
    "unschedulable",
];

/// The old count of a `DaemonSet`'s templates, which the server still keeps.
const TEMPLATE: &str = "deprecated.daemonset.template.generation";

/// Fields of a Service that the server chose once.
const CHOSEN: [&str; 4] = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];

/// Brings an object of a kind into the form that is kept.
pub(crate) fn complete(resource: &Resource, ty: &Type, object: &mut Value) {
    if resource.custom {
        whole_numbers(object);
        custom(ty, object);
        return;
    }
    if resource.kind == "Secret" && resource.group.is_empty() {
        fold_string_data(object);
    }
    if let Some(Value::Object(data)) = bytes_of(resource).and_then(|it| object.get_mut(it)) {
        for value in data.values_mut() {
            if let Some(Ok(bytes)) = value.as_str().map(encoded::decode) {
                *value = json!(encoded::encode(bytes));
            }
        }
    }
    form(ty, object);
    workloads::fill(&resource.kind, object);
    if resource.kind == "DaemonSet" && object["metadata"]["annotations"][TEMPLATE].is_null() {
        note(object, "annotations", TEMPLATE, "1");
    }
    if resource.kind == "Namespace" {
        let name = meta(object, "name").to_owned();
        note(object, "labels", "kubernetes.io/metadata.name", &name);
    }
}

/// The field of a kind that maps names to bytes.
pub(crate) fn bytes_of(resource: &Resource) -> Option<&'static str> {
    match &*resource.id {
        "secrets" => Some("data"),
        "configmaps" => Some("binaryData"),
        _ => None,
    }
}

/// Puts a label or annotation.
fn note(object: &mut Value, kind: &str, key: &str, value: &str) {
    let mut notes = object["metadata"][kind].take();
    if !notes.is_object() {
        notes = json!({});
    }
    notes[key] = json!(value);
    set_meta(object, kind, Some(notes));
}

/// What a change keeps of the live object although it does not say it.
pub(crate) fn carry_over(resource: &Resource, live: &Value, object: &mut Value) {
    match &*resource.id {
        "services" if object["spec"].is_object() => {
            for field in CHOSEN {
                let said = object["spec"].get(field).is_some_and(|it| !it.is_null());
                if let (false, Some(chosen)) = (said, live["spec"].get(field)) {
                    object["spec"][field] = chosen.clone();
                }
            }
        }
        "daemonsets.apps" => {
            let kept = live["metadata"]["annotations"][TEMPLATE].as_str();
            let kept = kept.and_then(|it| it.parse::<u64>().ok()).unwrap_or(1);
            let changed = live["spec"]["template"] != object["spec"]["template"];
            let count = kept + u64::from(changed);
            note(object, "annotations", TEMPLATE, &count.to_string());
        }
        _ => {}
    }
}

/// How many addresses there are for Services.
pub(crate) const ADDRESSES: usize = 250 * 250;

/// The address of a number.
pub(crate) fn address(number: u64) -> String {
    let (high, low) = (number / 250 % 250, number % 250 + 1);
    format!("10.0.{high}.{low}")
}

/// Chooses the addresses of a new Service that needs some.
pub(crate) fn allocate(service: &mut Value, free: impl FnOnce() -> String) {
    if service["spec"]["type"] == "ExternalName" || !service["spec"].is_object() {
        return;
    }
    let spec = &mut service["spec"];
    if spec.get("clusterIP").is_none_or(Value::is_null) {
        spec["clusterIP"] = json!(free());
    }
    spec["clusterIPs"] = json!([spec["clusterIP"]]);
    let bare = spec["selector"].as_object().is_none_or(Map::is_empty);
    if spec["clusterIP"] == "None" && bare {
        spec["ipFamilies"] = json!(["IPv4", "IPv6"]);
        spec["ipFamilyPolicy"] = json!("RequireDualStack");
        return;
    }
    spec["ipFamilies"] = json!(["IPv4"]);
    spec["ipFamilyPolicy"] = json!("SingleStack");
}

/// Removes the fields that a type does not have.
pub(crate) fn drop_unknown(ty: &Type, value: &mut Value) {
    match (resolve(ty).0, value) {
        (Type::Struct(it), Value::Object(map)) => {
            map.retain(|name, _| it.open || it.fields.contains_key(&**name));
            for (name, value) in map {
                if let Some(field) = it.fields.get(&**name) {
                    drop_unknown(&field.ty, value);
                }
            }
        }
        (Type::Map(below), Value::Object(map)) => {
            map.values_mut()
                .for_each(|value| drop_unknown(below, value));
        }
        (Type::List(_, item), Value::Array(items)) => {
            for value in items {
                drop_unknown(item, value);
            }
        }
        _ => {}
    }
}

/// Go writes a float without a fraction as a whole number.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) if number.is_f64() => {
            let text = number.as_f64().map(|it| format!("{it:.0}"));
            let whole = text.and_then(|it| it.parse::<i64>().ok());
            if let Some(whole) = whole.filter(|it| json!(*it).as_f64() == number.as_f64()) {
                *value = json!(whole);
            }
        }
        _ => {}
    }
}

/// Defaults of a custom kind's schema, where what holds them is there.
fn custom(ty: &Type, value: &mut Value) {
    match (resolve(ty).0, value) {
        (Type::Struct(it), Value::Object(map)) => {
            for (name, field) in &it.fields {
                let missing = match map.get(&**name) {
                    Some(Value::Null) => !field.nullable,
                    other => other.is_none(),
                };
                match &field.default {
                    Some(default) if missing => {
                        map.insert(name.to_string(), default.clone());
                    }
                    // A field that may not be null and has no default is dropped when it is.
                    _ if missing => {
                        map.remove(&**name);
                    }
                    _ => {}
                }
                if let Some(value) = map.get_mut(&**name) {
                    custom(&field.ty, value);
                }
            }
        }
        (Type::Map(below), Value::Object(map)) => {
            map.values_mut().for_each(|value| custom(below, value));
        }
        (Type::List(_, item), Value::Array(items)) => {
            for value in items {
                custom(item, value);
            }
        }
        _ => {}
    }
}

/// The form that Go gives a value of a built-in type.
fn form(ty: &Type, value: &mut Value) {
    match (resolve(ty).0, value) {
        (Type::Struct(it), Value::Object(map)) => {
            for (name, field) in &it.fields {
                let left_out = map
                    .get(&**name)
                    .is_some_and(|value| is_left_out(name, &field.ty, value, field.required));
                if left_out {
                    map.remove(&**name);
                }
                if !map.contains_key(&**name) {
                    let zero = || {
                        if field.required {
                            zero(&field.ty)
                        } else {
                            None
                        }
                    };
                    if let Some(value) = field.default.clone().or_else(zero) {
                        map.insert(name.to_string(), value);
                    }
                }
                if let Some(value) = map.get_mut(&**name) {
                    form(&field.ty, value);
                }
            }
        }
        (Type::Map(below), Value::Object(map)) => {
            map.values_mut().for_each(|value| form(below, value));
        }
        (Type::List(_, item), Value::Array(items)) => {
            for value in items {
                form(item, value);
            }
        }
        (Type::Scalar(Scalar::Quantity), value) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            if let Some(quantity) = Quantity::read(&text) {
                *value = json!(quantity.canonical());
            }
        }
        (Type::Any, Value::Object(_)) | (_, _) => {}
    }
}

/// Numbers and flags that Go writes even when nobody set them.
fn zero(ty: &Type) -> Option<Value> {
    match resolve(ty).0 {
        Type::Scalar(Scalar::Integer) => Some(json!(0)),
        Type::Scalar(Scalar::Boolean) => Some(json!(false)),
        _ => None,
    }
}

fn is_left_out(name: &str, ty: &Type, value: &Value, required: bool) -> bool {
    match value {
        Value::Null => true,
        _ if required => false,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && matches!(resolve(ty).0, Type::Map(_)),
        Value::String(text) => text.is_empty() && !KEPT_EMPTY.contains(&name),
        Value::Bool(yes) => !yes && DROPPED_ZERO.contains(&name),
        Value::Number(number) => number.as_i64() == Some(0) && DROPPED_ZERO.contains(&name),
    }
}

fn fold_string_data(object: &mut Value) {
    let Some(Value::Object(plain)) = take(object, "stringData") else {
        return;
    };
    if plain.is_empty() {
        return;
    }
    if !object["data"].is_object() {
        object["data"] = Value::Object(Map::new());
    }
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        object["data"][key] = json!(encoded::encode(text));
    }
}
