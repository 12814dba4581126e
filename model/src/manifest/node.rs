//! A value with its line and its cost, shared between an anchor and its aliases.
//!
//! Sharing makes an alias free until the document is turned into a value, by which time its cost
//! has been checked.

use std::{collections::BTreeMap, rc::Rc};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::Lines;

/// A value that was read.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) cost: Cost,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Rc<Node>>),
    Map(IndexMap<String, Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Line of the key.
    pub(super) line: u32,
    /// Whether the key stands in this map, rather than in one that was merged into it.
    pub(super) own: bool,
    pub(super) node: Rc<Node>,
}

/// What copying a value costs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Values, itself included.
    pub(super) nodes: usize,
    /// Bytes of text in keys and scalars.
    pub(super) bytes: usize,
    /// Levels below and including itself.
    pub(super) levels: usize,
}

impl Cost {
    fn around(children: impl Iterator<Item = (usize, Self)>) -> Self {
        let mut cost = Self {
            nodes: 1,
            bytes: 0,
            levels: 0,
        };
        for (key_bytes, child) in children {
            cost.nodes = cost.nodes.saturating_add(child.nodes);
            cost.bytes = cost.bytes.saturating_add(child.bytes + key_bytes);
            cost.levels = cost.levels.max(child.levels);
        }
        cost.levels += 1;
        cost
    }
}

impl Node {
    pub(super) fn scalar(line: u32, value: Value) -> Self {
        let cost = Cost {
            nodes: 1,
            bytes: value.as_str().map_or(0, str::len),
            levels: 0,
        };
        let kind = Kind::Scalar(value);
        Self { line, cost, kind }
    }

    pub(super) fn list(line: u32, items: Vec<Rc<Self>>) -> Self {
        let cost = Cost::around(items.iter().map(|item| (0, item.cost)));
        let kind = Kind::List(items);
        Self { line, cost, kind }
    }

    pub(super) fn map(line: u32, entries: IndexMap<String, Entry>) -> Self {
        let costs = entries.iter().map(|(key, it)| (key.len(), it.node.cost));
        let cost = Cost::around(costs);
        let kind = Kind::Map(entries);
        Self { line, cost, kind }
    }

    /// The value and the lines of everything in it.
    pub(super) fn to_value(&self) -> (Value, Lines) {
        self.to_value_at(self.line)
    }

    /// Whether it is `null`: as a whole document, no content.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Null))
    }

    fn to_value_at(&self, line: u32) -> (Value, Lines) {
        match &self.kind {
            Kind::Scalar(value) => (value.clone(), Lines::scalar(line)),
            Kind::List(items) => {
                let (values, lines) = items.iter().map(|item| item.to_value()).unzip();
                (Value::Array(values), Lines::list(line, lines))
            }
            Kind::Map(entries) => {
                let mut values = Map::new();
                let mut lines = BTreeMap::new();
                for (key, entry) in entries {
                    let (value, line) = entry.node.to_value_at(entry.line);
                    values.insert(key.clone(), value);
                    lines.insert(key.clone(), line);
                }
                (Value::Object(values), Lines::map(line, lines))
            }
        }
    }
}
