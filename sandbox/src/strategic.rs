//! Strategic merge patch: what `kubectl apply`, `edit` and `patch` send for built-in kinds.
//!
//! Owns the rules of k8s.io/apimachinery `pkg/util/strategicpatch`, on types of the built-in table
//! (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`). Pure. Never checks the result.

use serde_json::{Map, Value};

use crate::schema::{Merge, Type, resolve};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Why a patch does not fit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("unknown patch type: {0}")]
    Directive(String),
    #[error("{RETAIN} list must contain all fields present in the patch")]
    Retain,
    #[error("the order in patch list:\n{0}\n doesn't match {ORDER} list:\n{1}")]
    Order(Value, Value),
    #[error("map: {0} does not contain declared merge key: {1}")]
    Key(Value, String),
    #[error("cannot merge a list of {0} and one of {1}")]
    Mixed(&'static str, &'static str),
}

type Object = Map<String, Value>;

/// Patches an object of a type.
pub(crate) fn patch(ty: &Type, object: &mut Value, patch: Value) -> Result<(), Error> {
    match (object.as_object_mut(), patch) {
        (Some(live), Value::Object(patch)) => merge(ty, live, patch),
        (_, patch) => {
            *object = patch;
            Ok(())
        }
    }
}

/// The type of a field and how it is merged.
fn field<'a>(ty: &'a Type, name: &str) -> (&'a Type, Option<&'a Merge>) {
    match resolve(ty).0 {
        Type::Struct(it) => match it.fields.get(name) {
            Some(field) => (&field.ty, field.merge.as_deref()),
            None => (&Type::Any, None),
        },
        Type::Map(below) => (below, None),
        _ => (&Type::Any, None),
    }
}

fn merge(ty: &Type, live: &mut Object, mut patch: Object) -> Result<(), Error> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        match directive.as_str() {
            Some("replace") => *live = patch,
            Some("delete") => live.clear(),
            _ => return Err(Error::Directive(plain(&directive))),
        }
        return Ok(());
    }
    if let Some(Value::Array(keys)) = patch.remove(RETAIN) {
        let named = |name: &String| keys.iter().any(|key| key == name);
        if !patch.keys().all(named) {
            return Err(Error::Retain);
        }
        live.retain(|name, _| named(name));
    }
    ordered(ty, live, &mut patch)?;
    for (name, value) in patch {
        if let Some(name) = name.strip_prefix(DELETE) {
            delete_values(live, name, &value);
        } else if value.is_null() {
            live.remove(&name);
        } else {
            one(ty, live, name, value)?;
        }
    }
    Ok(())
}

fn one(ty: &Type, live: &mut Object, name: String, value: Value) -> Result<(), Error> {
    let (below, how) = field(ty, &name);
    match (live.get_mut(&name), value) {
        (Some(Value::Object(old)), Value::Object(new)) if !how.is_some_and(|it| it.replaces) => {
            merge(below, old, new)
        }
        (Some(Value::Array(old)), Value::Array(new)) if how.is_some_and(|it| it.merges) => {
            *old = lists(below, how, old, new)?;
            Ok(())
        }
        (_, mut value) => {
            drop_nulls(&mut value);
            live.insert(name, value);
            Ok(())
        }
    }
}

/// Lists whose order the patch says.
fn ordered(ty: &Type, live: &mut Object, patch: &mut Object) -> Result<(), Error> {
    let said: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(ORDER))
        .cloned()
        .collect();
    for directive in said {
        let order = patch.remove(&directive);
        let (Some(Value::Array(order)), Some(name)) = (order, directive.strip_prefix(ORDER)) else {
            continue;
        };
        let (below, how) = field(ty, name);
        let new = match patch.get(name) {
            Some(Value::Array(_)) => patch.remove(name),
            // Deleted or replaced by something else: there is nothing to order.
            Some(_) => continue,
            None => None,
        };
        let key = how.and_then(|it| it.key.as_deref());
        let old = live.get(name).and_then(Value::as_array).cloned();
        let merged = match (&old, new) {
            (None, None) => continue,
            (Some(old), None) => old.clone(),
            (old, Some(new)) => {
                check_order(&new, &order, key)?;
                let new = new.as_array().cloned().unwrap_or_default();
                let old = old.clone().unwrap_or_default();
                if how.is_some_and(|it| it.merges) {
                    lists(below, how, &old, new)?
                } else {
                    new
                }
            }
        };
        let sorted = sort(merged, &order, &old.unwrap_or_default(), key);
        live.insert(name.to_owned(), Value::Array(sorted));
    }
    Ok(())
}

/// Whether two items are the same one.
fn same(a: &Value, b: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    }
}

fn place(list: &[Value], item: &Value, key: Option<&str>) -> Option<usize> {
    list.iter().position(|it| same(it, item, key))
}

/// What is patched stands in the order that the patch says; special items are not looked at.
fn check_order(patch: &Value, order: &[Value], key: Option<&str>) -> Result<(), Error> {
    let items = patch.as_array().into_iter().flatten();
    let items = items.filter(|it| it.get(DIRECTIVE).is_none());
    let mut at = 0;
    for item in items {
        match place(&order[at..], item, key) {
            Some(found) => at += found + 1,
            None => return Err(Error::Order(patch.clone(), Value::Array(order.to_vec()))),
        }
    }
    Ok(())
}

/// Merges the items of a patch into a list.
fn lists(
    item: &Type,
    how: Option<&Merge>,
    live: &[Value],
    patch: Vec<Value>,
) -> Result<Vec<Value>, Error> {
    let item = match resolve(item).0 {
        Type::List(_, item) => item,
        _ => &Type::Any,
    };
    let maps = |list: &[Value]| list.first().map(Value::is_object);
    let name = |yes: bool| if yes { "objects" } else { "plain values" };
    if let (Some(a), Some(b)) = (maps(live), maps(&patch))
        && a != b
    {
        return Err(Error::Mixed(name(a), name(b)));
    }
    let mut live = live.to_vec();
    let Some(key) = how.and_then(|it| it.key.as_deref()) else {
        let mut merged: Vec<Value> = Vec::new();
        for value in live.iter().chain(&patch) {
            if !merged.contains(value) {
                merged.push(value.clone());
            }
        }
        return Ok(sort(merged, &patch, &live, None));
    };
    let patch = special(&mut live, patch, key)?;
    let mut merged = live.clone();
    for value in &patch {
        if value.get(key).is_none() {
            return Err(Error::Key(value.clone(), key.to_owned()));
        }
        let found = merged.iter_mut().find(|it| same(it, value, Some(key)));
        if let (Some(Value::Object(old)), Value::Object(new)) = (found, value) {
            merge(item, old, new.clone())?;
        } else {
            let mut value = value.clone();
            drop_nulls(&mut value);
            merged.push(value);
        }
    }
    Ok(sort(merged, &patch, &live, Some(key)))
}

/// Does what `$patch` items say; the other items of the patch.
fn special(live: &mut Vec<Value>, patch: Vec<Value>, key: &str) -> Result<Vec<Value>, Error> {
    let mut rest = Vec::new();
    let mut replaces = false;
    for item in patch {
        match item.get(DIRECTIVE).map(plain) {
            None => rest.push(item),
            Some(directive) if directive == "delete" => {
                if item.get(key).is_none() {
                    return Err(Error::Key(item, key.to_owned()));
                }
                live.retain(|it| !same(it, &item, Some(key)));
            }
            Some(directive) if directive == "replace" => replaces = true,
            Some(other) => return Err(Error::Directive(other)),
        }
    }
    if replaces {
        live.clear();
    }
    Ok(rest)
}

/// What the patch names in the patch's order, the others where they stood on the server.
fn sort(merged: Vec<Value>, patch: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let by = |mut items: Vec<Value>, order: &[Value]| {
        items.sort_by_key(|it| place(order, it, key).unwrap_or(usize::MAX));
        items
    };
    let (named, others): (Vec<_>, Vec<_>) = merged
        .into_iter()
        .partition(|it| place(patch, it, key).is_some());
    let (named, others) = (by(named, patch), by(others, live));
    let mut all = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let first = match (others.peek(), named.peek()) {
            (None, None) => return all,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(name)) => {
                let places = (place(live, other, key), place(live, name, key));
                matches!(places, (Some(a), Some(b)) if a < b)
            }
        };
        all.extend(if first { others.next() } else { named.next() });
    }
}

fn delete_values(live: &mut Object, name: &str, gone: &Value) {
    let gone = gone.as_array().map_or(&[][..], Vec::as_slice);
    if let Some(Value::Array(items)) = live.get_mut(name) {
        items.retain(|item| !gone.contains(item));
    }
}

/// What is new has no "nothing" to delete.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
