//! Whether an object has the fields and JSON types of its type.

use serde_json::Value;

use super::{Scalar, Type, resolve};

/// What is wrong with an object.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// Paths of fields that the type does not have, as in `spec.containers[0].foo`.
    pub(crate) unknown: Vec<String>,
    /// Path, what is wanted, what is there.
    pub(crate) mistyped: Vec<(String, &'static str, &'static str)>,
}

/// Compares an object with its type.
pub(crate) fn unknown_or_mistyped(ty: &Type, object: &Value) -> Findings {
    let mut findings = Findings::default();
    walk(ty, object, "", &mut findings);
    findings
}

fn walk(ty: &Type, value: &Value, at: &str, findings: &mut Findings) {
    if value.is_null() {
        return;
    }
    match resolve(ty).0 {
        Type::Scalar(scalar) => {
            if let Some(wanted) = mismatch(*scalar, value) {
                findings.mistyped.push((at.to_owned(), wanted, name(value)));
            }
        }
        Type::List(_, item) => match value.as_array() {
            Some(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(item, value, &format!("{at}[{index}]"), findings);
                }
            }
            None => findings.mistyped.push((at.to_owned(), "list", name(value))),
        },
        Type::Map(item) => match value.as_object() {
            Some(map) => {
                for (key, value) in map {
                    walk(item, value, &below(at, key), findings);
                }
            }
            None => findings.mistyped.push((at.to_owned(), "map", name(value))),
        },
        Type::Struct(it) => match value.as_object() {
            Some(map) => {
                for (key, value) in map {
                    match it.fields.get(&**key) {
                        Some(field) => walk(&field.ty, value, &below(at, key), findings),
                        None if it.open => {}
                        None => findings.unknown.push(below(at, key)),
                    }
                }
            }
            None => findings.mistyped.push((at.to_owned(), "map", name(value))),
        },
        Type::Any | Type::Named(_) | Type::Atomic(_) => {}
    }
}

fn below(at: &str, key: &str) -> String {
    if at.is_empty() {
        return key.to_owned();
    }
    format!("{at}.{key}")
}

fn mismatch(scalar: Scalar, value: &Value) -> Option<&'static str> {
    let (fits, wanted) = match scalar {
        Scalar::String => (value.is_string(), "string"),
        Scalar::Integer => (value.is_i64() || value.is_u64(), "numeric (int or float)"),
        Scalar::Number => (value.is_number(), "numeric (int or float)"),
        Scalar::Boolean => (value.is_boolean(), "boolean"),
        Scalar::IntOrString | Scalar::Quantity => {
            (value.is_string() || value.is_number(), "scalar")
        }
    };
    (!fits).then_some(wanted)
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}
