//! Field ownership (`metadata.managedFields[].fieldsV1`, KEP-555): sets of fields and what they say
//! about an object.
//!
//! Owns the algebra: read, union, projection of an object to the fields of a set, and the cautious
//! comparison that tells that applying a manifest would change nothing. Never asks a server, and
//! never guesses a schema: where only the server knows, the answer is "maybe".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tidegate_model::{digest::Digest, names::FIELD_MANAGER};

/// Why a value is not a set of fields.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Not an object where the format has one.
    #[error("failed to read fieldsV1 at {0:?}: expected an object")]
    NotAnObject(String),
    /// A key that is none of `f:`, `k:`, `v:`, `i:`, `.`.
    #[error("failed to read fieldsV1: unknown path element {0:?}")]
    UnknownElement(String),
}

/// A set of fields of one object: a tree of the path elements of fieldsV1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether the path to here is itself in the set.
    member: bool,
    /// Path elements as they are written (`f:spec`, `k:{"name":"x"}`, `v:"x"`, `i:0`).
    children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// Reads a `fieldsV1` value.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        let map = value
            .as_object()
            .ok_or_else(|| Error::NotAnObject(value.to_string()))?;
        let mut set = Self {
            member: map.is_empty(),
            children: BTreeMap::new(),
        };
        for (element, below) in map {
            match element.split_once(':') {
                None if element == "." => set.member = true,
                Some(("f" | "k" | "v" | "i", _)) => {
                    set.children.insert(element.clone(), Self::parse(below)?);
                }
                _ => return Err(Error::UnknownElement(element.clone())),
            }
        }
        Ok(set)
    }

    /// The `fieldsV1` form.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        for (element, below) in &self.children {
            map.insert(element.clone(), below.to_value());
        }
        Value::Object(map)
    }

    /// Everything in either set.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.member |= other.member;
        for (element, below) in other.children {
            let mine = self.children.remove(&element);
            let both = match mine {
                Some(mine) => mine.union(below),
                None => below,
            };
            self.children.insert(element, both);
        }
        self
    }

    /// The part of `value` that the set names; lists by key become objects by key.
    pub fn project(&self, value: &Value) -> Value {
        if self.children.is_empty() {
            return value.clone();
        }
        let projected = self.children.iter().filter_map(|(element, below)| {
            resolve(element, value).map(|found| (element.clone(), below.project(found)))
        });
        Value::Object(projected.collect())
    }

    /// Whether applying `manifest` on an object of which this set is owned surely changes nothing.
    ///
    /// `false` means "ask the server": defaults, quantities and schemas are its own.
    pub fn surely_equal(&self, manifest: &Value, live: &Value) -> bool {
        if self.children.is_empty() {
            return manifest == live;
        }
        match (manifest, live) {
            (Value::Object(wanted), Value::Object(_)) => {
                self.children
                    .keys()
                    .all(|element| resolve(element, manifest).is_some())
                    && wanted.iter().all(|(field, wanted)| {
                        let element = format!("f:{field}");
                        self.below(&element, wanted, live)
                    })
            }
            (Value::Array(wanted), Value::Array(_)) => {
                // Same number of owned items as wanted ones, and each owned one is wanted.
                self.children.len() == wanted.len()
                    && self.children.iter().all(|(element, below)| {
                        match (resolve(element, manifest), resolve(element, live)) {
                            (Some(wanted), Some(live)) => below.surely_equal(wanted, live),
                            _ => false,
                        }
                    })
                    && same_order(self.children.keys(), manifest, live)
            }
            _ => false,
        }
    }

    fn below(&self, element: &str, wanted: &Value, live: &Value) -> bool {
        match (self.children.get(element), resolve(element, live)) {
            (Some(below), Some(live)) => below.surely_equal(wanted, live),
            _ => false,
        }
    }
}

/// Whether the owned items stand in the same order in both lists: order can matter (environment
/// variables refer back), and apply restores it.
fn same_order<'a>(
    elements: impl Iterator<Item = &'a String>,
    manifest: &Value,
    live: &Value,
) -> bool {
    let mut places: Vec<_> = elements
        .map(|element| (position(element, manifest), position(element, live)))
        .collect();
    places.sort_unstable();
    places.is_sorted_by_key(|(_, live)| *live)
}

fn position(element: &str, list: &Value) -> Option<usize> {
    let found = resolve(element, list)?;
    list.as_array()?
        .iter()
        .position(|item| std::ptr::eq(item, found))
}

/// What a path element names in `value`.
fn resolve<'a>(element: &str, value: &'a Value) -> Option<&'a Value> {
    let (kind, text) = element.split_once(':')?;
    match kind {
        "f" => value.as_object()?.get(text),
        "i" => value.as_array()?.get(text.parse::<usize>().ok()?),
        "v" => {
            let wanted: Value = serde_json::from_str(text).ok()?;
            value.as_array()?.iter().find(|item| **item == wanted)
        }
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(text).ok()?;
            value
                .as_array()?
                .iter()
                .find(|item| keys.iter().all(|(name, key)| item.get(name) == Some(key)))
        }
        _ => None,
    }
}

/// The entries of `metadata.managedFields`.
pub fn entries(object: &Value) -> &[Value] {
    object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The fields that our apply owns; empty if it owns none. An unreadable entry counts as none: the
/// next apply writes it anew.
pub fn owned(object: &Value) -> FieldSet {
    let text = |entry: &Value, field: &str| {
        let value = entry.get(field).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    entries(object)
        .iter()
        .filter(|entry| {
            text(entry, "manager") == FIELD_MANAGER
                && text(entry, "operation") == "Apply"
                && text(entry, "subresource").is_empty()
        })
        .filter_map(|entry| FieldSet::parse(entry.get("fieldsV1")?).ok())
        .fold(FieldSet::default(), FieldSet::union)
}

/// Names what we own and the values there. It changes if an owned value changes and also if the
/// owner does; it stays when status, foreign fields or times change.
pub fn fingerprint(object: &Value) -> Digest {
    let set = owned(object);
    let projection = if set.children.is_empty() {
        Value::Null
    } else {
        set.project(object)
    };
    Digest::of("owned-fields", &json!([set.to_value(), projection]))
}

/// Field managers other than ours that own something outside status, sorted: who else writes.
pub fn other_managers(object: &Value) -> Vec<String> {
    let mut managers: Vec<String> = entries(object)
        .iter()
        .filter(|entry| entry.get("subresource").and_then(Value::as_str).is_none())
        .filter_map(|entry| entry.get("manager").and_then(Value::as_str))
        .filter(|manager| *manager != FIELD_MANAGER)
        .map(str::to_owned)
        .collect();
    managers.sort_unstable();
    managers.dedup();
    managers
}

/// Managers whose fields an adopting apply takes over: those under which `kubectl` writes for
/// people, and our own writes that were no apply.
fn is_inherited(entry: &Value) -> bool {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    let manager = text("manager");
    text("subresource").is_empty()
        && match text("operation") {
            "Apply" => manager.starts_with("kubectl"),
            _ => {
                manager.starts_with("kubectl")
                    || manager == "before-first-apply"
                    || manager == FIELD_MANAGER
            }
        }
}

/// The `managedFields` of `live` with everything of kubectl's managers merged into our apply, or
/// `None` if there is nothing to take over. The union keeps every field owned by someone
/// (fluxcd/pkg #562). Entries of another API version than the body's stay: their paths may differ.
pub fn inherited(live: &Value, body: &Value) -> Option<Vec<Value>> {
    let version = body.get("apiVersion")?;
    let taken = |entry: &&Value| is_inherited(entry) && entry.get("apiVersion") == Some(version);
    let set = entries(live)
        .iter()
        .filter(taken)
        .filter_map(|entry| FieldSet::parse(entry.get("fieldsV1")?).ok())
        .reduce(FieldSet::union)?
        .union(owned(live));
    let ours = |entry: &&Value| {
        entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.get("subresource").is_none()
    };
    let mut managers: Vec<_> = entries(live)
        .iter()
        .filter(|entry| !taken(entry) && !ours(entry))
        .cloned()
        .collect();
    managers.push(json!({
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": set.to_value(),
    }));
    Some(managers)
}

#[cfg(test)]
mod tests;
