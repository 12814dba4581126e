//! Merging what is applied into what is there, and removing a set of fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    set::FieldSet,
    walk::{Child, children, granular},
};
use crate::schema::Type;

/// `live` with everything that `config` says.
pub(super) fn merge(ty: &Type, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let (Some(old), Some(new)) = (live, config) else {
        return config.or(live).cloned();
    };
    if !granular(ty, new) {
        return Some(new.clone());
    }
    match (old, new) {
        (Value::Object(_), Value::Object(_)) => {
            let (old, new) = (kids(ty, old), kids(ty, new));
            let old: BTreeMap<_, _> = old.into_iter().map(|it| (it.element.clone(), it)).collect();
            let mut merged: Map<String, Value> = old
                .values()
                .map(|child| (field(child), child.value.clone()))
                .collect();
            for child in new {
                let live = old.get(&child.element).map(|it| it.value);
                if let Some(value) = merge(child.ty, live, Some(child.value)) {
                    merged.insert(field(&child), value);
                }
            }
            Some(Value::Object(merged))
        }
        (Value::Array(_), Value::Array(_)) => Some(lists(&kids(ty, old), &kids(ty, new))),
        _ => Some(new.clone()),
    }
}

/// Items in the order of the applied list, with the others where they stood between them.
fn lists(old: &[Child<'_>], new: &[Child<'_>]) -> Value {
    let there: BTreeMap<&str, &Value> = old.iter().map(|it| (&*it.element, it.value)).collect();
    let wanted: BTreeSet<&str> = new.iter().map(|it| &*it.element).collect();
    let shared: Vec<&str> = new
        .iter()
        .map(|it| &*it.element)
        .filter(|element| there.contains_key(element))
        .collect();
    let mut shared = shared.into_iter();
    let mut next = shared.next();
    let mut out = Vec::new();
    let (mut left, mut right) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if l.element == r.element => {
                out.extend(merge(r.ty, Some(l.value), Some(r.value)));
                if next == Some(&*r.element) {
                    next = shared.next();
                }
                left.next();
                right.next();
            }
            (Some(l), _) if !wanted.contains(&*l.element) => {
                out.push(l.value.clone());
                left.next();
            }
            // Shared, and its turn comes with another item of the applied list.
            (Some(l), _) if next != Some(&*l.element) => {
                left.next();
            }
            (_, Some(r)) => {
                out.extend(merge(r.ty, there.get(&*r.element).copied(), Some(r.value)));
                if next == Some(&*r.element) {
                    next = shared.next();
                }
                right.next();
            }
            _ => return Value::Array(out),
        }
    }
}

/// `value` without these fields; what becomes empty by that is nothing.
pub(super) fn remove(ty: &Type, value: &Value, set: &FieldSet) -> Value {
    if set.children.is_empty() {
        return value.clone();
    }
    let Some(children) = children(ty, value) else {
        return value.clone();
    };
    let mut kept = Vec::new();
    for child in children {
        match set.children.get(&child.element) {
            Some(gone) if gone.member => {}
            Some(below) => kept.push((field(&child), remove(child.ty, child.value, below))),
            None => kept.push((field(&child), child.value.clone())),
        }
    }
    if kept.is_empty() {
        return Value::Null;
    }
    match value {
        Value::Array(_) => Value::Array(kept.into_iter().map(|(_, value)| value).collect()),
        _ => Value::Object(kept.into_iter().collect()),
    }
}

fn kids<'a>(ty: &'a Type, value: &'a Value) -> Vec<Child<'a>> {
    children(ty, value).unwrap_or_default()
}

fn field(child: &Child<'_>) -> String {
    let name = child.element.split_once(':').map(|(_, name)| name);
    name.unwrap_or_default().to_owned()
}
