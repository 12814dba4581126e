//! Reads the table of built-in types.
//!
//! A type is an object of fields (`name!` is required, `=` says that all is atomic) or one
//! expression: `string`, `integer`, `number`, `boolean`, `intstr`, `quantity`, `any`, `#Name`,
//! `[] T` (atomic list), `[set] T`, `[map key,key] T`, `{} T`, `atomic T`; ` @STRATEGY KEY` is how a
//! strategic merge patch treats the field, ` = JSON` a default.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{Field, Kind, Merge, Scalar, Struct, Table, Type};

/// The table is part of the program and the suite compares it with a real server, so what cannot be
/// read is left out and shows there.
pub(super) fn table(text: &str) -> Table {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let types = value.get("types").and_then(Value::as_object);
    let types = types.into_iter().flatten();
    Table {
        server: value["server"].as_str().unwrap_or_default().to_owned(),
        resources: value["resources"].as_array().cloned().unwrap_or_default(),
        types: types
            .map(|(name, it)| (name.as_str().into(), definition(it)))
            .collect(),
    }
}

fn definition(value: &Value) -> Type {
    let Some(rows) = value.as_object() else {
        return expression(value.as_str().unwrap_or_default());
    };
    let mut fields = BTreeMap::new();
    for (name, text) in rows.iter().filter(|(name, _)| *name != "=") {
        let text = text.as_str().unwrap_or_default();
        let (text, default) = match text.split_once(" = ") {
            Some((text, default)) => (text, serde_json::from_str(default).ok()),
            None => (text, None),
        };
        let (text, merge) = match text.split_once(" @") {
            Some((text, merge)) => (text, Some(Box::new(strategy(merge)))),
            None => (text, None),
        };
        let field = Field {
            ty: expression(text),
            required: name.ends_with('!'),
            default,
            nullable: false,
            merge,
        };
        fields.insert(name.trim_end_matches('!').into(), field);
    }
    Type::Struct(Arc::new(Struct {
        fields,
        open: false,
        atomic: rows.contains_key("="),
    }))
}

fn strategy(text: &str) -> Merge {
    let (strategies, key) = match text.split_once(' ') {
        Some((strategies, key)) => (strategies, Some(key.into())),
        None => (text, None),
    };
    let has = |wanted: &str| strategies.split(',').any(|it| it == wanted);
    Merge {
        merges: has("merge"),
        retains: has("retainKeys"),
        replaces: has("replace"),
        key,
    }
}

fn expression(text: &str) -> Type {
    if let Some(rest) = text.strip_prefix("atomic ") {
        return Type::Atomic(Arc::new(expression(rest)));
    }
    if let Some(rest) = text.strip_prefix("{} ") {
        return Type::Map(Arc::new(expression(rest)));
    }
    if let Some((head, rest)) = text.strip_prefix('[').and_then(|it| it.split_once("] ")) {
        let kind = match head.strip_prefix("map ") {
            Some(keys) => Kind::Map(keys.split(',').map(Into::into).collect()),
            None if head == "set" => Kind::Set,
            None => Kind::Atomic,
        };
        return Type::List(kind, Arc::new(expression(rest)));
    }
    if let Some(name) = text.strip_prefix('#') {
        return Type::Named(name.into());
    }
    Type::Scalar(match text {
        "string" => Scalar::String,
        "integer" => Scalar::Integer,
        "number" => Scalar::Number,
        "boolean" => Scalar::Boolean,
        "intstr" => Scalar::IntOrString,
        "quantity" => Scalar::Quantity,
        _ => return Type::Any,
    })
}
