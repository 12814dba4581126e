//! Types of custom resources, from the structural schema of their definition.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{Field, Kind, Scalar, Struct, Type};

/// The type of a custom kind's objects: its schema, with the metadata that every object has.
pub(crate) fn custom_type(schema: &Value) -> Type {
    let mut all = match of(schema) {
        Type::Struct(it) => Arc::unwrap_or_clone(it),
        _ => Struct {
            open: true,
            ..Struct::default()
        },
    };
    for (name, ty) in [
        ("apiVersion", Type::Scalar(Scalar::String)),
        ("kind", Type::Scalar(Scalar::String)),
        ("metadata", Type::Named("meta.ObjectMeta".into())),
    ] {
        let field = Field {
            ty,
            required: false,
            default: None,
            nullable: false,
            merge: None,
        };
        all.fields.insert(name.into(), field);
    }
    Type::Struct(Arc::new(all))
}

fn of(schema: &Value) -> Type {
    let says = |field: &str| {
        schema
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let yes = |field: &str| schema.get(field).and_then(Value::as_bool) == Some(true);
    if yes("x-kubernetes-int-or-string") {
        return Type::Scalar(Scalar::IntOrString);
    }
    let ty = match says("type") {
        "string" => Type::Scalar(Scalar::String),
        "integer" => Type::Scalar(Scalar::Integer),
        "number" => Type::Scalar(Scalar::Number),
        "boolean" => Type::Scalar(Scalar::Boolean),
        "array" => {
            let item = schema.get("items").map_or(Type::Any, of);
            let kind = match says("x-kubernetes-list-type") {
                "set" => Kind::Set,
                "map" => Kind::Map(words(schema, "x-kubernetes-list-map-keys")),
                _ => Kind::Atomic,
            };
            Type::List(kind, Arc::new(item))
        }
        "object" => object(schema, yes("x-kubernetes-preserve-unknown-fields")),
        _ => Type::Any,
    };
    if says("x-kubernetes-map-type") == "atomic" {
        return Type::Atomic(Arc::new(ty));
    }
    ty
}

fn object(schema: &Value, open: bool) -> Type {
    if let Some(value) = schema
        .get("additionalProperties")
        .filter(|it| it.is_object())
    {
        return Type::Map(Arc::new(of(value)));
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        if open {
            return Type::Any;
        }
        return Type::Struct(Arc::default());
    };
    let required = words(schema, "required");
    let fields: BTreeMap<Box<str>, Field> = properties
        .iter()
        .map(|(name, schema)| {
            let name: Box<str> = name.as_str().into();
            let field = Field {
                ty: of(schema),
                required: required.contains(&name),
                default: schema.get("default").cloned(),
                nullable: schema["nullable"] == true,
                merge: None,
            };
            (name, field)
        })
        .collect();
    Type::Struct(Arc::new(Struct {
        fields,
        open,
        atomic: false,
    }))
}

fn words(schema: &Value, field: &str) -> Vec<Box<str>> {
    let all = schema.get(field).and_then(Value::as_array);
    let all = all.into_iter().flatten().filter_map(Value::as_str);
    all.map(Into::into).collect()
}
