//! What is below a value of a type: fields by name, items by key or by value.

use serde_json::{Map, Value};

use crate::schema::{Kind, Type, resolve, structure};

/// One child of a value.
#[derive(Debug)]
pub(super) struct Child<'a> {
    /// As in `fieldsV1`.
    pub(super) element: String,
    pub(super) value: &'a Value,
    pub(super) ty: &'a Type,
    /// An item of a set or of a list by key.
    pub(super) item: bool,
    /// A field that the type names.
    pub(super) declared: bool,
}

/// The children of a value that is owned in parts; `None` for one that is owned as a whole.
/// Nothing (`null`) has no children, whatever its type.
pub(super) fn children<'a>(ty: &'a Type, value: &'a Value) -> Option<Vec<Child<'a>>> {
    let (ty, atomic) = resolve(ty);
    if atomic {
        return None;
    }
    match (ty, value) {
        (Type::List(Kind::Atomic, _), _) => None,
        (Type::List(kind, item), Value::Array(items)) => {
            let child = |value: &'a Value| Child {
                element: item_element(kind, item, value),
                value,
                ty: item,
                item: true,
                declared: false,
            };
            Some(items.iter().map(child).collect())
        }
        (Type::Map(below), Value::Object(map)) => Some(fields(map, |_| (below, false))),
        (Type::Struct(it), Value::Object(map)) => Some(fields(map, |name| {
            let field = it.fields.get(name);
            field.map_or((&Type::Any, false), |field| (&field.ty, true))
        })),
        (Type::Any, Value::Object(map)) => Some(fields(map, |_| (&Type::Any, false))),
        _ => None,
    }
}

/// Whether values of this type are owned in parts.
pub(super) fn granular(ty: &Type, value: &Value) -> bool {
    let (ty, atomic) = resolve(ty);
    !atomic
        && match ty {
            Type::List(kind, _) => *kind != Kind::Atomic,
            Type::Map(_) | Type::Struct(_) => true,
            Type::Any => value.is_object(),
            _ => false,
        }
}

fn fields<'a>(
    map: &'a Map<String, Value>,
    ty: impl Fn(&str) -> (&'a Type, bool),
) -> Vec<Child<'a>> {
    let child = |(name, value): (&'a String, &'a Value)| {
        let (ty, declared) = ty(name);
        Child {
            element: format!("f:{name}"),
            value,
            ty,
            item: false,
            declared,
        }
    };
    map.iter().map(child).collect()
}

/// How an item of a list is told apart; a key that is left out has its default.
pub(super) fn item_element(kind: &Kind, item: &Type, value: &Value) -> String {
    let Kind::Map(keys) = kind else {
        return format!("v:{value}");
    };
    let defaults = structure(item).map(|it| &it.fields);
    let mut named = Map::new();
    for key in keys {
        let default = || {
            let field = defaults.and_then(|fields| fields.get(key))?;
            field.default.clone()
        };
        let found = value.get(&**key).cloned().or_else(default);
        if let Some(found) = found {
            named.insert(key.to_string(), found);
        }
    }
    format!("k:{}", Value::Object(named))
}
