//! JSON paths as kubectl and the columns of definitions write them (client-go `util/jsonpath`).
//!
//! Owns what a path finds in an object; [`read`] owns the text. RFC 9535 is another dialect: it
//! knows no `\.`, and finds nothing where this one fails. A path never changes an object.

use std::borrow::Cow;

use serde_json::{Value, json};

mod read;

/// A path that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath {
    /// `{.a}text{.b}` has three parts; a column shows the first, and nothing if one of them fails.
    parts: Vec<Vec<Node>>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Field(String),
    Wildcard,
    /// `..`: what is found so far and all that is below.
    Recursive,
    Index(i64),
    Slice {
        from: Option<i64>,
        to: Option<i64>,
        step: Option<i64>,
    },
    Union(Vec<Vec<Node>>),
    Exists(Vec<Node>),
    Filter {
        left: Vec<Node>,
        operator: String,
        right: Vec<Node>,
    },
    /// Itself, once.
    Text(String),
    /// Itself, for each that was found so far.
    Constant(Value),
    /// A word that means nothing in a column.
    Word,
}

type Found<'a> = Vec<Cow<'a, Value>>;

impl JsonPath {
    /// Reads a path without its braces; none if it is no path.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let parts = read::parts(&format!("{{{text}}}"))?;
        Some(Self { parts })
    }

    /// The first value that the path finds.
    pub(crate) fn find<'a>(&self, object: &'a Value) -> Option<Cow<'a, Value>> {
        let parts = self.parts.iter();
        let found: Option<Vec<_>> = parts
            .map(|nodes| walk(nodes, vec![Cow::Borrowed(object)]))
            .collect();
        found?.into_iter().next()?.into_iter().next()
    }
}

/// What steps find one after the other; none if one of them fails.
fn walk<'a>(nodes: &[Node], from: Found<'a>) -> Option<Found<'a>> {
    nodes.iter().try_fold(from, |from, node| step(node, from))
}

fn step<'a>(node: &Node, from: Found<'a>) -> Option<Found<'a>> {
    let found = match node {
        Node::Field(name) => {
            let all = from.into_iter();
            all.filter_map(|value| part(value, name.as_str())).collect()
        }
        Node::Wildcard => from.iter().flat_map(below).collect(),
        Node::Recursive => from.into_iter().flat_map(everything).collect(),
        Node::Index(index) => {
            let mut found = Vec::new();
            for value in from.into_iter().filter(|it| !it.is_null()) {
                let length = length(&value)?;
                let at = index + if *index < 0 { length } else { 0 };
                found.push(part(value, usize::try_from(at).ok()?)?);
            }
            found
        }
        Node::Slice { from: a, to, step } => return slice(from, *a, *to, *step),
        Node::Union(all) => {
            let all = all.iter().map(|nodes| walk(nodes, from.clone()));
            all.collect::<Option<Vec<_>>>()?.concat()
        }
        Node::Exists(_) | Node::Filter { .. } => {
            let mut found = Vec::new();
            for value in from {
                length(&value)?;
                for item in below(&value) {
                    if fits(node, &item)? {
                        found.push(item);
                    }
                }
            }
            found
        }
        Node::Text(text) => vec![Cow::Owned(json!(text))],
        Node::Constant(value) => from.iter().map(|_| Cow::Owned(value.clone())).collect(),
        Node::Word => return None,
    };
    Some(found)
}

/// How many items a list has; none if it is no list.
fn length(value: &Value) -> Option<i64> {
    i64::try_from(value.as_array()?.len()).ok()
}

/// A field or an item.
fn part<I>(value: Cow<'_, Value>, at: I) -> Option<Cow<'_, Value>>
where
    I: serde_json::value::Index,
{
    match value {
        Cow::Borrowed(value) => value.get(at).map(Cow::Borrowed),
        Cow::Owned(value) => value.get(at).cloned().map(Cow::Owned),
    }
}

/// All fields or items.
fn below<'a>(value: &Cow<'a, Value>) -> Found<'a> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        // Only what a path says itself is owned; that has no parts.
        _ => Vec::new(),
    }
}

/// A value and all that is below it, as far as it has parts.
fn everything(value: Cow<'_, Value>) -> Found<'_> {
    let parts = below(&value);
    let has_parts = !parts.is_empty() || value.as_str().is_some_and(|text| !text.is_empty());
    let this = has_parts.then_some(value);
    let parts = parts.into_iter().flat_map(everything);
    this.into_iter().chain(parts).collect()
}

fn slice(
    all: Found<'_>,
    from: Option<i64>,
    to: Option<i64>,
    step: Option<i64>,
) -> Option<Found<'_>> {
    let mut found = Vec::new();
    for value in all.into_iter().filter(|it| !it.is_null()) {
        let length = length(&value)?;
        let end = |at: i64| if at < 0 { at + length } else { at };
        let (from, to) = (end(from.unwrap_or(0)), end(to.unwrap_or(length)));
        if from == to {
            // The server ends here, whatever lists would follow.
            return Some(found);
        }
        let step = step.unwrap_or(1);
        if from < 0 || from > to || to > length || step < 1 {
            return None;
        }
        let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
        let items = below(&value).into_iter().take(to).skip(from);
        found.extend(items.step_by(usize::try_from(step).ok()?));
    }
    Some(found)
}

/// Whether a filter lets an item through; none if it cannot be asked.
fn fits(filter: &Node, item: &Value) -> Option<bool> {
    let ask = |nodes: &[Node]| walk(nodes, vec![Cow::Borrowed(item)]);
    match filter {
        // The server takes a path that fails for one that finds.
        Node::Exists(nodes) => Some(ask(nodes).is_none_or(|found| !found.is_empty())),
        Node::Filter {
            left,
            operator,
            right,
        } => match (&*ask(left)?, &*ask(right)?) {
            ([], _) | (_, []) => Some(false),
            ([left], [right]) => holds(left, operator, right),
            _ => None,
        },
        _ => None,
    }
}

/// Go compares only what is of one kind.
fn holds(left: &Value, operator: &str, right: &Value) -> Option<bool> {
    let equality = matches!(operator, "==" | "!=");
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) if equality => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?)?,
            _ => return None,
        },
        _ => return None,
    };
    match operator {
        "==" => Some(order.is_eq()),
        "!=" => Some(order.is_ne()),
        "<" => Some(order.is_lt()),
        "<=" => Some(order.is_le()),
        ">" => Some(order.is_gt()),
        ">=" => Some(order.is_ge()),
        _ => None,
    }
}
