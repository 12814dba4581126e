//! JSON text to nodes, with `serde_json`'s grammar.
//!
//! YAML cannot stand in for it: surrogate pairs, tabs as indentation and long keys are JSON but no
//! YAML. Lines come from counting the bytes that `serde_json` has taken. Never guesses what a number
//! means: JSON says it.

use std::{
    cell::{Cell, RefCell},
    fmt,
    io::{self, Read},
    rc::Rc,
};

use indexmap::{IndexMap, map::Entry as Slot};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Value, error::Category};

use super::{
    Error, Limits, Problem,
    node::{Entry, Node},
    scalar, to_u32,
};

/// Why text was not read.
pub(super) enum Failure {
    /// It is not JSON.
    NotJson(Error),
    /// It is JSON, and refused.
    Refused(Error),
}

/// The documents in `text`: JSON values one after the other.
pub(super) fn compose(text: &str, file: &str, limits: &Limits) -> Result<Vec<Rc<Node>>, Failure> {
    let state = State {
        position: Position::default(),
        nodes: Cell::new(0),
        refused: RefCell::new(None),
        limits,
    };
    let reader = Counted {
        rest: text.trim_end().as_bytes(),
        position: &state.position,
    };
    let mut json = Deserializer::from_reader(reader);
    let mut roots = Vec::new();
    loop {
        match json.end() {
            Ok(()) => return Ok(roots),
            // Something follows, of which `end` has seen the first byte.
            Err(error) if error.classify() == Category::Syntax => {}
            Err(error) => return Err(failure(&error, &state, file)),
        }
        let seed = Seed {
            state: &state,
            depth: 0,
        };
        match seed.deserialize(&mut json) {
            Ok(node) if node.is_null() => {}
            Ok(node) => roots.push(node),
            Err(error) => return Err(failure(&error, &state, file)),
        }
    }
}

fn failure(error: &serde_json::Error, state: &State<'_>, file: &str) -> Failure {
    let (line, column) = (to_u32(error.line()), to_u32(error.column()));
    if let Some((problem, line)) = state.refused.take() {
        return Failure::Refused(Error::new(file, line, 0, problem));
    }
    // `serde_json` ends its message with the place, which the error has already.
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    let problem = Problem::Syntax(what.to_owned());
    Failure::NotJson(Error::new(file, line.max(1), column, problem))
}

/// How far `serde_json` has read.
struct Position {
    line: Cell<u32>,
    last: Cell<u8>,
    /// Whether the number being read, or read last, has a point or an exponent.
    fraction: Cell<bool>,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            line: Cell::new(1),
            last: Cell::new(b' '),
            fraction: Cell::new(false),
        }
    }
}

/// Hands out one byte at a time, so that the position is never ahead of what was parsed by more
/// than the byte that `serde_json` peeks at.
struct Counted<'a> {
    rest: &'a [u8],
    position: &'a Position,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (Some((byte, rest)), Some(slot)) = (self.rest.split_first(), buffer.first_mut()) else {
            return Ok(0);
        };
        let position = self.position;
        match byte {
            b'\n' => position.line.set(position.line.get().saturating_add(1)),
            b'.' | b'e' | b'E' => position.fraction.set(true),
            b'-' | b'0'..=b'9' if b" \t\r\n,:[{".contains(&position.last.get()) => {
                position.fraction.set(false);
            }
            _ => {}
        }
        position.last.set(*byte);
        *slot = *byte;
        self.rest = rest;
        Ok(1)
    }
}

struct State<'a> {
    position: Position,
    nodes: Cell<usize>,
    /// What was refused and where: a serde error can carry text only.
    refused: RefCell<Option<(Problem, u32)>>,
    limits: &'a Limits,
}

impl State<'_> {
    fn refuse<E: de::Error>(&self, problem: Problem) -> E {
        self.refuse_at(problem, self.position.line.get())
    }

    fn refuse_at<E: de::Error>(&self, problem: Problem, line: u32) -> E {
        self.refused.replace(Some((problem, line)));
        E::custom("refused")
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    state: &'a State<'a>,
    depth: usize,
}

impl<'a> Seed<'a> {
    fn below<E: de::Error>(self) -> Result<Seed<'a>, E> {
        let limit = self.state.limits.depth;
        if self.depth >= limit {
            return Err(self.state.refuse(Problem::TooDeep { limit }));
        }
        let depth = self.depth + 1;
        Ok(Self { depth, ..self })
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the tail of every visit function, which return results"
    )]
    fn scalar<E: de::Error>(self, value: impl Into<Value>) -> Result<Rc<Node>, E> {
        let line = self.state.position.line.get();
        Ok(Rc::new(Node::scalar(line, value.into())))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Rc<Node>;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Rc<Node>, D::Error> {
        let nodes = self.state.nodes.get() + 1;
        self.state.nodes.set(nodes);
        let limit = self.state.limits.nodes;
        if nodes > limit {
            return Err(self.state.refuse(Problem::TooManyNodes { limit }));
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Rc<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Rc<Node>, E> {
        self.scalar(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, it: bool) -> Result<Rc<Node>, E> {
        self.scalar(it)
    }

    fn visit_i64<E: de::Error>(self, it: i64) -> Result<Rc<Node>, E> {
        self.scalar(it)
    }

    fn visit_u64<E: de::Error>(self, it: u64) -> Result<Rc<Node>, E> {
        let Ok(it) = i64::try_from(it) else {
            let text = it.to_string();
            return Err(self.state.refuse(Problem::IntegerTooLarge { text }));
        };
        self.scalar(it)
    }

    fn visit_f64<E: de::Error>(self, it: f64) -> Result<Rc<Node>, E> {
        if self.state.position.fraction.get() || it == 0.0 {
            return self.scalar(scalar::float(it));
        }
        // serde_json makes a float of an integer that is too large for it.
        let text = format!("{it:.0}");
        Err(self.state.refuse(Problem::IntegerTooLarge { text }))
    }

    fn visit_str<E: de::Error>(self, it: &str) -> Result<Rc<Node>, E> {
        self.scalar(it)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rc<Node>, A::Error> {
        let line = self.state.position.line.get();
        let below = self.below()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(below)? {
            items.push(item);
        }
        Ok(Rc::new(Node::list(line, items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rc<Node>, A::Error> {
        let start = self.state.position.line.get();
        let below = self.below()?;
        let mut entries = IndexMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let line = self.state.position.line.get();
            match entries.entry(key) {
                Slot::Vacant(slot) => {
                    let node = map.next_value_seed(below)?;
                    let own = true;
                    slot.insert(Entry { line, own, node });
                }
                Slot::Occupied(slot) => {
                    let key = slot.key().clone();
                    let first_line = slot.get().line;
                    let problem = Problem::DuplicateKey { key, first_line };
                    return Err(self.state.refuse_at(problem, line));
                }
            }
        }
        Ok(Rc::new(Node::map(start, entries)))
    }
}
