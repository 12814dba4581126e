//! Server-side apply: who owns which field, and what an apply or update makes of that.
//!
//! Owns the rules of structured-merge-diff (kubernetes-sigs/structured-merge-diff `merge/update.go`)
//! over objects and `metadata.managedFields`. Pure. Never checks a type or a precondition.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) use self::set::FieldSet;
use self::{
    compare::{compare, field_set},
    merge::{merge, remove},
};
use crate::schema::{Type, structure};

mod compare;
mod merge;
mod set;
mod walk;

/// Fields that nobody owns (apiserver `managedfields/internal/stripmeta.go`).
const STRIPPED: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Names a manager: one entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) apply: bool,
    /// API version of an update; an apply has one entry whatever the version.
    pub(crate) version: String,
    pub(crate) subresource: String,
}

/// What a manager owns, since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) version: String,
    pub(crate) time: String,
    pub(crate) set: FieldSet,
}

/// All managers of an object.
pub(crate) type Managers = BTreeMap<Manager, Owned>;

/// Which part of an object a request may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    All,
    /// All but status.
    Main,
    /// Status alone.
    Status,
}

/// One request's frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) ty: &'a Type,
    pub(crate) manager: &'a Manager,
    pub(crate) version: &'a str,
    pub(crate) part: Part,
    /// Now, as in `time` of an entry.
    pub(crate) time: &'a str,
}

/// Reads `metadata.managedFields`; an entry that cannot be read owns nothing.
pub(crate) fn managers(object: &Value) -> Managers {
    let entries = object["metadata"]["managedFields"].as_array();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let entries = entries.into_iter().flatten().map(|entry| {
        let apply = entry["operation"] == "Apply";
        let version = text(entry, "apiVersion");
        let manager = Manager {
            name: text(entry, "manager"),
            apply,
            version: if apply {
                String::new()
            } else {
                version.clone()
            },
            subresource: text(entry, "subresource"),
        };
        let owned = Owned {
            version,
            time: text(entry, "time"),
            set: FieldSet::read(&entry["fieldsV1"]),
        };
        (manager, owned)
    });
    entries.collect()
}

/// The managers that an update begins with: those that it says, or else those of the live object. A
/// single empty entry stands for none; a subresource cannot say any.
pub(crate) fn said(live: &Value, new: &Value, subresource: bool) -> Managers {
    let entries = new["metadata"]["managedFields"].as_array();
    match entries.map(Vec::as_slice) {
        Some([one]) if one.as_object().is_some_and(serde_json::Map::is_empty) && !subresource => {
            Managers::new()
        }
        Some([_, ..]) if !subresource => managers(new),
        _ => managers(live),
    }
}

/// The fields that a configuration says something about, as conflicts name them.
pub(crate) fn names(ty: &Type, config: &Value) -> std::collections::BTreeSet<String> {
    field_set(ty, config).paths().into_iter().collect()
}

/// Writes `metadata.managedFields` in the server's order: applies, then updates, each by time.
pub(crate) fn set_managers(object: &mut Value, managers: &Managers) {
    let mut entries: Vec<_> = managers.iter().collect();
    entries.sort_by_key(|(manager, owned)| {
        let names = (&manager.name, &owned.version, &manager.subresource);
        (!manager.apply, &owned.time, names)
    });
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(manager, owned)| {
            let mut entry = json!({
                "manager": manager.name, "apiVersion": owned.version,
                "operation": if manager.apply { "Apply" } else { "Update" },
                "fieldsType": "FieldsV1", "fieldsV1": owned.set.write(),
            });
            if !owned.time.is_empty() {
                entry["time"] = json!(owned.time);
            }
            if !manager.subresource.is_empty() {
                entry["subresource"] = json!(manager.subresource);
            }
            entry
        })
        .collect();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if !entries.is_empty() {
            metadata.insert("managedFields".to_owned(), entries.into());
        }
    }
}

/// What an update from `live` to `new` makes of the owners: what it changes is the writer's.
pub(crate) fn update(frame: &Frame<'_>, live: &Value, new: &Value, mut all: Managers) -> Managers {
    let before = all.clone();
    let change = compare(frame.ty, Some(live), Some(new));
    let changed = within(frame.part, &change.modified.union(&change.added));
    let removed = within(frame.part, &change.removed);
    for (manager, owned) in &mut all {
        if manager != frame.manager {
            owned.set = owned.set.without(&changed).without(&removed);
        }
    }
    let mine = all.remove(frame.manager).map(|owned| owned.set);
    let mine = mine.unwrap_or_default().without(&removed).union(&changed);
    let owned = Owned {
        version: frame.version.to_owned(),
        time: frame.time.to_owned(),
        set: mine,
    };
    all.insert(frame.manager.clone(), owned);
    let time = match before.get(frame.manager) {
        Some(old)
            if all
                .get(frame.manager)
                .is_some_and(|it| stripped(it.set.clone()) == old.set) =>
        {
            old.time.clone()
        }
        _ => frame.time.to_owned(),
    };
    finished(all, frame.manager, &time)
}

/// What applying `config` to `live` makes, or the fields that others own: (owner, path).
pub(crate) fn apply(
    frame: &Frame<'_>,
    live: &Value,
    config: &Value,
    mut all: Managers,
    force: bool,
) -> Result<(Value, Managers), Vec<(String, String)>> {
    let merged = merge(frame.ty, Some(live), Some(config)).unwrap_or_default();
    let last = all.get(frame.manager).map(|owned| owned.set.clone());
    let last_time = all.get(frame.manager).map(|owned| owned.time.clone());
    let set = within(frame.part, &field_set(frame.ty, config));
    let owned = Owned {
        version: frame.version.to_owned(),
        time: frame.time.to_owned(),
        set,
    };
    all.insert(frame.manager.clone(), owned);
    let new = match last.filter(|last| !last.is_empty()) {
        Some(last) => pruned(frame.ty, &merged, &last, &all),
        None => merged,
    };
    let change = compare(frame.ty, Some(live), Some(&new));
    let changed = within(frame.part, &change.modified.union(&change.added));
    let removed = within(frame.part, &change.removed);
    let mut conflicts = Vec::new();
    for (manager, owned) in all.iter_mut().filter(|(it, _)| *it != frame.manager) {
        let taken = owned.set.intersection(&changed);
        let owner = describe(manager, &owned.version);
        let paths = taken.paths().into_iter();
        conflicts.extend(paths.map(|path| (owner.clone(), path)));
        owned.set = owned.set.without(&taken).without(&removed);
    }
    if !force && !conflicts.is_empty() {
        conflicts.sort();
        return Err(conflicts);
    }
    // The server notes the time of an apply when the object changes, and of no other.
    let kept = last_time.unwrap_or_default();
    let time = if new == *live { &kept } else { frame.time };
    Ok((new, finished(all, frame.manager, time)))
}

/// Removes what the applier owned before and nobody owns now.
fn pruned(ty: &Type, merged: &Value, last: &FieldSet, all: &Managers) -> Value {
    let named = |set: &FieldSet| set.with_named(ty);
    let less = remove(ty, merged, &named(last));
    let owned = all
        .values()
        .fold(FieldSet::default(), |sum, it| sum.union(&it.set));
    let full = named(&field_set(ty, merged));
    let kept = named(&field_set(ty, &less)).union(&named(&owned));
    let less = remove(ty, merged, &full.without(&kept));
    // What dangles although the applier never owned it was somebody's and stays.
    let gone = full.without(&named(&field_set(ty, &less)));
    remove(ty, merged, &gone.intersection(&named(last)))
}

fn describe(manager: &Manager, version: &str) -> String {
    let sub = if manager.subresource.is_empty() {
        String::new()
    } else {
        format!(" with subresource {:?}", manager.subresource)
    };
    // The server tells the version of updates alone.
    let version = if manager.apply {
        String::new()
    } else {
        format!(" using {version}")
    };
    format!("{:?}{sub}{version}", manager.name)
}

/// Entries that own nothing go; the writer's has this time.
fn finished(all: Managers, writer: &Manager, time: &str) -> Managers {
    let all = all.into_iter().map(|(manager, mut owned)| {
        owned.set = stripped(owned.set);
        if manager == *writer {
            time.clone_into(&mut owned.time);
        }
        (manager, owned)
    });
    all.filter(|(_, owned)| !owned.set.is_empty()).collect()
}

fn stripped(mut set: FieldSet) -> FieldSet {
    set.remove(&["f:apiVersion"]);
    set.remove(&["f:kind"]);
    for field in STRIPPED {
        set.remove(&["f:metadata", &format!("f:{field}")]);
    }
    set.forget(&["f:metadata"]);
    set
}

fn within(part: Part, set: &FieldSet) -> FieldSet {
    match part {
        Part::All => set.clone(),
        Part::Main => set.except("f:status"),
        Part::Status => set.only("f:status"),
    }
}

/// The form in which a new object of a built-in kind is "nothing yet": Go writes structs that are
/// no pointers, and required lists, even when they are empty.
pub(crate) fn nothing(ty: &Type) -> Value {
    let fields = structure(ty).map(|it| &it.fields);
    let fields = fields.into_iter().flatten();
    let present = fields.filter_map(|(name, field)| {
        let empty = match &field.default {
            Some(Value::Object(map)) if map.is_empty() => nothing(&field.ty),
            _ if field.required => Value::Null,
            _ => return None,
        };
        Some((name.to_string(), empty))
    });
    Value::Object(present.collect())
}

#[cfg(test)]
mod tests;
