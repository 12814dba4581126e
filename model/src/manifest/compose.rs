//! YAML events to nodes: anchors, aliases, merge keys, duplicate keys, limits.
//!
//! The parser (granit-parser) knows YAML's grammar; this module knows what `kubectl` makes of it.
//! Works on a stack of its own, so depth of input is never depth of recursion.

use std::{borrow::Cow, collections::BTreeMap, rc::Rc};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag, options};
use indexmap::IndexMap;

use super::{
    Error, Limits, Problem,
    node::{Cost, Entry, Kind, Node},
    scalar::{self, CORE, Scalar},
    to_u32,
};

/// The documents with content in `text`.
pub(super) fn compose(text: &str, file: &str, limits: &Limits) -> Result<Vec<Rc<Node>>, Error> {
    let parser_options = options! {
        emit_comments: false,
        // The depth limit is checked here, where it can be named; the parser's own is a net.
        flow_nesting_limit: limits.depth.saturating_add(2),
        block_nesting_limit: limits.depth.saturating_add(2),
    };
    let mut composer = Composer {
        limits,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        open_anchors: Vec::new(),
        roots: Vec::new(),
        spent: Spent::default(),
    };
    for event in Parser::new_from_str_with_options(text, parser_options) {
        let (event, span) = event.map_err(|error| {
            let mark = error.marker();
            let problem = Problem::Syntax(error.info().clone());
            Error::new(file, to_u32(mark.line()), to_u32(mark.col() + 1), problem)
        })?;
        composer.event(event, &span).map_err(|problem| {
            let start = span.start;
            Error::new(file, to_u32(start.line()), to_u32(start.col() + 1), problem)
        })?;
    }
    Ok(composer.roots)
}

/// What the limits count, over the whole file.
#[derive(Default)]
struct Spent {
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
}

struct Composer<'a> {
    limits: &'a Limits,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Rc<Node>>,
    /// Anchors of the lists and maps on the stack: naming one of them now is a loop.
    open_anchors: Vec<usize>,
    roots: Vec<Rc<Node>>,
    spent: Spent,
}

/// A list or map that is being read.
struct Frame {
    line: u32,
    anchor: usize,
    body: Body,
}

enum Body {
    List(Vec<Rc<Node>>),
    Map {
        entries: IndexMap<String, Entry>,
        key: Key,
    },
}

/// What the next node of a map is.
enum Key {
    /// A key.
    Expected,
    /// The value of this key, which stands on this line.
    Read(String, u32),
    /// The value of `<<`.
    Merge,
}

impl Composer<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let line = to_u32(span.start.line());
        match event {
            Event::DocumentStart(..) => {
                // Names are local to a document.
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), line)
            }
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_ref(), "seq")?;
                self.open(line, anchor, Body::List(Vec::new()), "a list")
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_ref(), "map")?;
                let entries = IndexMap::new();
                let key = Key::Expected;
                self.open(line, anchor, Body::Map { entries, key }, "a map")
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        line: u32,
    ) -> Result<(), Problem> {
        let plain = style == ScalarStyle::Plain;
        let tag = tag.map(full);
        let tag = tag.as_deref();
        let scalar = Scalar { text, plain, tag };
        let wants_key = self.wants_key();
        if wants_key && plain && text == "<<" && tag.is_none_or(|tag| tag == MERGE) {
            return self.set_key(Key::Merge);
        }
        let value = |scalar| scalar::value(scalar).map(|it| Rc::new(Node::scalar(line, it)));
        if wants_key {
            let text = scalar::key(scalar)?;
            if anchor != 0 {
                self.anchors.insert(anchor, value(scalar)?);
            }
            return self.set_key(Key::Read(text, line));
        }
        self.count(1)?;
        let node = value(scalar)?;
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, line, false)
    }

    fn alias(&mut self, anchor: usize, line: u32) -> Result<(), Problem> {
        if self.open_anchors.contains(&anchor) {
            return Err(Problem::AliasOfItself);
        }
        // The parser has refused names that were never set.
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or(Problem::AliasOfItself)?;
        self.charge(node.cost)?;
        self.place(node, line, true)
    }

    /// Counts a copy of something that was read before.
    fn charge(&mut self, cost: Cost) -> Result<(), Problem> {
        let spent = &mut self.spent;
        spent.alias_nodes = spent.alias_nodes.saturating_add(cost.nodes);
        spent.alias_bytes = spent.alias_bytes.saturating_add(cost.bytes);
        let limits = self.limits;
        if spent.alias_nodes > limits.alias_nodes {
            let (limit, unit) = (limits.alias_nodes, "values");
            return Err(Problem::AliasesTooLarge { limit, unit });
        }
        if spent.alias_bytes > limits.bytes {
            let (limit, unit) = (limits.bytes, "bytes");
            return Err(Problem::AliasesTooLarge { limit, unit });
        }
        if self.stack.len() + cost.levels > limits.depth {
            let limit = limits.depth;
            return Err(Problem::TooDeep { limit });
        }
        self.count(cost.nodes)
    }

    fn count(&mut self, nodes: usize) -> Result<(), Problem> {
        self.spent.nodes = self.spent.nodes.saturating_add(nodes);
        if self.spent.nodes > self.limits.nodes {
            let limit = self.limits.nodes;
            return Err(Problem::TooManyNodes { limit });
        }
        Ok(())
    }

    fn open(
        &mut self,
        line: u32,
        anchor: usize,
        body: Body,
        what: &'static str,
    ) -> Result<(), Problem> {
        if self.wants_key() {
            return Err(Problem::BadKey { what });
        }
        if self.stack.len() >= self.limits.depth {
            let limit = self.limits.depth;
            return Err(Problem::TooDeep { limit });
        }
        self.count(1)?;
        if anchor != 0 {
            self.open_anchors.push(anchor);
        }
        self.stack.push(Frame { line, anchor, body });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let node = Rc::new(match frame.body {
            Body::List(items) => Node::list(frame.line, items),
            Body::Map { entries, .. } => Node::map(frame.line, entries),
        });
        if frame.anchor != 0 {
            self.open_anchors.retain(|anchor| *anchor != frame.anchor);
            self.anchors.insert(frame.anchor, Rc::clone(&node));
        }
        self.place(node, frame.line, false)
    }

    fn wants_key(&self) -> bool {
        let body = self.stack.last().map(|frame| &frame.body);
        matches!(
            body,
            Some(Body::Map {
                key: Key::Expected,
                ..
            })
        )
    }

    fn set_key(&mut self, next: Key) -> Result<(), Problem> {
        if let Some(Frame {
            body: Body::Map { entries, key },
            ..
        }) = self.stack.last_mut()
        {
            if let Key::Read(text, _) = &next
                && let Some(first) = entries.get(text).filter(|entry| entry.own)
            {
                return Err(Problem::DuplicateKey {
                    key: text.clone(),
                    first_line: first.line,
                });
            }
            *key = next;
        }
        Ok(())
    }

    /// Puts a finished node where it belongs. `copied` says that an alias stands there, which may be
    /// in the place of a key.
    fn place(&mut self, node: Rc<Node>, line: u32, copied: bool) -> Result<(), Problem> {
        if self.wants_key() {
            let key = match &node.kind {
                Kind::Scalar(value) => scalar::key_of(value)?,
                Kind::List(_) => return Err(Problem::BadKey { what: "a list" }),
                Kind::Map(_) => return Err(Problem::BadKey { what: "a map" }),
            };
            return self.set_key(Key::Read(key, line));
        }
        match self.stack.last_mut().map(|frame| &mut frame.body) {
            // Only comments, or `null`: a document without content.
            None if node.is_null() => {}
            None => self.roots.push(node),
            Some(Body::List(items)) => items.push(node),
            Some(Body::Map { entries, key }) => match std::mem::replace(key, Key::Expected) {
                Key::Merge => merge(entries, &node, copied)?,
                Key::Read(text, line) => {
                    let own = true;
                    entries.insert(text, Entry { line, own, node });
                }
                Key::Expected => {}
            },
        }
        Ok(())
    }
}

/// Copies the entries of the map, or of the maps in the list, that `<<` names. As in `kubectl`, a
/// merge replaces what stands before it and is replaced by what stands after it, and of a list of
/// maps the first wins. Costs nothing: what is copied was counted when it was read, or when its
/// alias was.
fn merge(entries: &mut IndexMap<String, Entry>, node: &Node, copied: bool) -> Result<(), Problem> {
    match &node.kind {
        Kind::Map(from) => {
            for (key, entry) in from {
                // A key that stands in the map itself stays taken: setting it again is a mistake.
                let own = entries.get(key).is_some_and(|old| old.own);
                let line = entry.line;
                let node = Rc::clone(&entry.node);
                entries.insert(key.clone(), Entry { line, own, node });
            }
            Ok(())
        }
        // An alias of a list is refused by `kubectl`.
        Kind::List(maps) if !copied => maps.iter().rev().try_for_each(|map| match map.kind {
            Kind::Map(_) => merge(entries, map, false),
            _ => Err(Problem::BadMerge),
        }),
        _ => Err(Problem::BadMerge),
    }
}

const MERGE: &str = "tag:yaml.org,2002:merge";

fn full(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

/// Refuses tags on lists and maps, except the one that says what the thing is anyway.
fn collection_tag(tag: Option<&Cow<'_, Tag>>, kind: &str) -> Result<(), Problem> {
    let Some(tag) = tag.map(|tag| full(tag)) else {
        return Ok(());
    };
    if tag == "!" || tag.strip_prefix(CORE) == Some(kind) {
        return Ok(());
    }
    Err(scalar::unknown(&tag))
}
