//! Sets of fields: the tree behind `fieldsV1` and its algebra.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::schema::{Type, resolve};

/// A set of paths; elements are written as in `fieldsV1` (`f:spec`, `k:{"name":"x"}`, `v:1`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    /// Whether the path to here is itself in the set.
    pub(crate) member: bool,
    pub(crate) children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The path to here and nothing below.
    pub(crate) fn leaf() -> Self {
        Self {
            member: true,
            children: BTreeMap::new(),
        }
    }

    /// Reads `fieldsV1`; what is no object owns nothing.
    pub(crate) fn read(value: &Value) -> Self {
        let Some(map) = value.as_object() else {
            return Self::default();
        };
        let mut set = Self {
            // Only an element can be in the set by itself; the root is read as its fields.
            member: false,
            children: BTreeMap::new(),
        };
        for (element, below) in map {
            if element == "." {
                set.member = true;
                continue;
            }
            let empty = below.as_object().is_some_and(Map::is_empty);
            let child = if empty {
                Self::leaf()
            } else {
                Self::read(below)
            };
            set.children.insert(element.clone(), child);
        }
        set
    }

    /// The form of `fieldsV1`.
    pub(crate) fn write(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        for (element, below) in &self.children {
            map.insert(element.clone(), below.write());
        }
        Value::Object(map)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Puts a set below an element, if there is something in it.
    pub(crate) fn put(&mut self, element: String, below: Self) {
        if !below.is_empty() {
            self.children.insert(element, below);
        }
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.member |= other.member;
        for (element, below) in &other.children {
            let both = match all.children.get(element) {
                Some(mine) => mine.union(below),
                None => below.clone(),
            };
            all.children.insert(element.clone(), both);
        }
        all
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut both = Self {
            member: self.member && other.member,
            children: BTreeMap::new(),
        };
        for (element, mine) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                both.put(element.clone(), mine.intersection(theirs));
            }
        }
        both
    }

    /// What is here and not there, path by path.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut rest = Self {
            member: self.member && !other.member,
            children: BTreeMap::new(),
        };
        for (element, mine) in &self.children {
            let mine = match other.children.get(element) {
                Some(theirs) => mine.without(theirs),
                None => mine.clone(),
            };
            rest.put(element.clone(), mine);
        }
        rest
    }

    /// Without a field of the root and all below.
    pub(crate) fn except(&self, element: &str) -> Self {
        let mut rest = self.clone();
        rest.children.remove(element);
        rest
    }

    /// A field of the root and all below, alone.
    pub(crate) fn only(&self, element: &str) -> Self {
        let mut rest = Self::default();
        if let Some(below) = self.children.get(element) {
            rest.put(element.to_owned(), below.clone());
        }
        rest
    }

    /// Removes a path and all below it.
    pub(crate) fn remove(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [last] => {
                self.children.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(below) = self.children.get_mut(*first) {
                    below.remove(rest);
                    if below.is_empty() {
                        self.children.remove(*first);
                    }
                }
            }
        }
    }

    /// Removes a field's path, and keeps what is below it.
    pub(crate) fn forget(&mut self, path: &[&str; 1]) {
        if let Some(below) = self.children.get_mut(path[0]) {
            below.member = false;
            if below.is_empty() {
                self.children.remove(path[0]);
            }
        }
    }

    /// With the fields that a type knows as members wherever something below them is one.
    pub(crate) fn with_named(&self, ty: &Type) -> Self {
        let mut all = Self {
            member: self.member,
            children: BTreeMap::new(),
        };
        for (element, below) in &self.children {
            let (below_type, known) = below_element(ty, element);
            let mut below = below.with_named(below_type);
            below.member |= known && !below.children.is_empty();
            all.children.insert(element.clone(), below);
        }
        all
    }

    /// The members as the server writes paths in words: `.spec.containers[name="c"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk("", &mut paths);
        paths
    }

    fn walk(&self, at: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(at.to_owned());
        }
        for (element, below) in &self.children {
            below.walk(&format!("{at}{}", in_words(element)), paths);
        }
    }
}

fn in_words(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<_> = keys.iter().map(|(key, it)| format!("{key}={it}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        _ => format!("[{element}]"),
    }
}

/// The type below an element, and whether it is a field that the type names.
fn below_element<'a>(ty: &'a Type, element: &str) -> (&'a Type, bool) {
    match resolve(ty).0 {
        Type::List(_, item) | Type::Map(item) => (item, false),
        Type::Struct(it) => {
            let name = element.strip_prefix("f:").unwrap_or_default();
            let field = it.fields.get(name);
            field.map_or((&Type::Any, false), |field| (&field.ty, true))
        }
        _ => (&Type::Any, false),
    }
}
