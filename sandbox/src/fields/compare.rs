//! The fields of an object, and in which of them two objects differ.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    set::FieldSet,
    walk::{Child, children, granular},
};
use crate::schema::Type;

/// In what two objects differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// Every field that an object says something about.
pub(super) fn field_set(ty: &Type, value: &Value) -> FieldSet {
    let Some(children) = children(ty, value) else {
        return FieldSet::leaf();
    };
    let mut set = FieldSet::default();
    for child in children {
        let mut below = field_set(child.ty, child.value);
        let empty = child.value.as_object().is_some_and(Map::is_empty);
        below.member |= child.item || !child.declared || child.value.is_null() || empty;
        set.put(child.element, below);
    }
    set
}

/// What changes from `old` to `new`.
pub(super) fn compare(ty: &Type, old: Option<&Value>, new: Option<&Value>) -> Change {
    let mut change = Change::default();
    let empty = |side: Option<&Value>| match side {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    };
    let parts = |side: Option<&Value>| side.is_some_and(|value| granular(ty, value));
    let leaf = !(parts(old) || parts(new)) || (empty(old) && empty(new));
    if leaf || mixed(old, new) {
        match (old, new) {
            (None, None) => {}
            (None, Some(_)) => change.added.member = true,
            (Some(_), None) => change.removed.member = true,
            (Some(old), Some(new)) => change.modified.member = !same(old, new),
        }
        return change;
    }
    let (before, after) = (by_element(ty, old), by_element(ty, new));
    let mut elements: Vec<&String> = before.keys().chain(after.keys()).collect();
    elements.sort_unstable();
    elements.dedup();
    for element in elements {
        let (old, new) = (before.get(element), after.get(element));
        let Some(ty) = new.or(old).map(|child| child.ty) else {
            continue;
        };
        let below = compare(ty, old.map(|it| it.value), new.map(|it| it.value));
        change.added.put(element.clone(), below.added);
        change.modified.put(element.clone(), below.modified);
        change.removed.put(element.clone(), below.removed);
    }
    change.added.member |= old.is_none();
    change.removed.member |= new.is_none();
    change
}

/// Two values of different JSON types are compared as wholes.
fn mixed(old: Option<&Value>, new: Option<&Value>) -> bool {
    let shape = |value: &Value| match value {
        Value::Object(_) => Some(true),
        Value::Array(_) => Some(false),
        _ => None,
    };
    matches!((old.and_then(shape), new.and_then(shape)), (Some(a), Some(b)) if a != b)
}

fn by_element<'a>(ty: &'a Type, side: Option<&'a Value>) -> BTreeMap<String, Child<'a>> {
    let children = side.and_then(|value| children(ty, value));
    let children = children.into_iter().flatten();
    children
        .map(|child| (child.element.clone(), child))
        .collect()
}

/// Equal as numbers too: 1 and 1.0 are one value.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}
