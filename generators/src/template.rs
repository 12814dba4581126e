//! Go templates over rows, on gotmpl.
//!
//! Stricter than Go: a missing key, a `null`, an unknown function and a verb that does not fit are
//! errors, never `<no value>` in the name of an application. Bounded: no template of a user takes
//! more than its steps and bytes. Never renders the text that a parameter holds.

mod functions;
mod harden;
pub(crate) mod text;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use gotmpl::{
    MissingKey, TemplateError, Value as GoValue,
    parse::{DefineNode, ListNode, Node, Parser},
};
use serde_json::{Map, Value};

/// Bytes of one template.
const TEMPLATE_BYTES: usize = 16 * 1024;
/// Bytes that one template, or one function in it, may make: a quarter of what Kubernetes allows
/// for all annotations of an object together.
pub(crate) const OUTPUT_BYTES: usize = 64 * 1024;
/// Values printed, functions called and templates invoked in one rendering.
const STEPS: usize = 50_000;
/// Iterations of `range` in one rendering.
const ITERATIONS: u64 = 10_000;

/// The parameters of a row, as templates see them.
pub(crate) struct Data {
    value: GoValue,
    keys: Vec<String>,
}

impl Data {
    /// Takes the parameters over. An integer stays an integer.
    pub(crate) fn new(params: &Map<String, Value>) -> Self {
        let mut keys: Vec<_> = params.keys().cloned().collect();
        keys.sort_unstable();
        Self {
            value: object(params),
            keys,
        }
    }
}

fn object(map: &Map<String, Value>) -> GoValue {
    let entries = map
        .iter()
        .map(|(key, it)| (Arc::from(key.as_str()), value(it)));
    GoValue::Map(Arc::new(entries.collect::<BTreeMap<_, _>>()))
}

fn value(it: &Value) -> GoValue {
    match it {
        Value::Null => GoValue::Nil,
        Value::Bool(it) => GoValue::Bool(*it),
        Value::Number(it) => match (it.as_i64(), it.as_u64(), it.as_f64()) {
            (Some(it), _, _) => GoValue::Int(it),
            (_, Some(it), _) => GoValue::Uint(it),
            (_, _, it) => GoValue::Float(it.unwrap_or_default()),
        },
        Value::String(it) => GoValue::String(Arc::from(it.as_str())),
        Value::Array(items) => GoValue::List(items.iter().map(value).collect()),
        Value::Object(map) => object(map),
    }
}

/// A template that was read.
pub(crate) struct Template {
    text: String,
    body: Body,
}

enum Body {
    /// No braces in it: it stands for itself.
    Literal,
    Parsed {
        template: Box<gotmpl::Template>,
        steps: Steps,
    },
}

/// The budget of one rendering, shared with the functions that spend it.
#[derive(Clone, Default)]
struct Steps(Arc<AtomicUsize>);

impl Steps {
    fn refill(&self) {
        self.0.store(STEPS, Ordering::Relaxed);
    }

    fn take(&self) -> Result<(), TemplateError> {
        let left = self.0.load(Ordering::Relaxed);
        let left = left
            .checked_sub(1)
            .ok_or_else(|| exec(format!("it takes more than {STEPS} steps; make it simpler")))?;
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

fn exec(message: impl Into<String>) -> TemplateError {
    TemplateError::Exec(message.into())
}

/// Why a template could not be read or rendered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is no template.
    #[error("failed to read the template {}: {cause}", Quoted(text))]
    Read { text: String, cause: String },
    /// It cannot be rendered with this row.
    #[error("failed to render {}: {cause}", Quoted(text))]
    Render { text: String, cause: String },
}

/// A template in a message: its beginning, when it is long.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(120) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
        }
    }
}

/// Names that no template can call or define: the parser knows no such identifiers.
const MAIN: &str = "(main)";

impl Template {
    /// Text that stands for itself.
    pub(crate) fn literal(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            body: Body::Literal,
        }
    }

    /// Reads a template. Every function in it must exist, also where it is never called.
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        let wrong = |cause: String| Error::Read {
            text: text.to_owned(),
            cause,
        };
        if !text.contains("{{") {
            return Ok(Self::literal(text));
        }
        if text.len() > TEMPLATE_BYTES {
            return Err(wrong(format!(
                "it has more than {TEMPLATE_BYTES} bytes; shorten it"
            )));
        }
        let (mut main, mut defines) = parse(text).map_err(wrong)?;
        let steps = Steps::default();
        let functions = functions::all(&steps);
        harden::main(&mut main, &functions).map_err(wrong)?;
        let mut template = gotmpl::Template::new(MAIN)
            .missing_key(MissingKey::Error)
            .max_range_iters(ITERATIONS)
            .funcs(functions.clone());
        for define in &mut defines {
            harden::define(&mut define.body, &functions).map_err(wrong)?;
            template = template.add_parse_tree(&define.name, define.body.clone());
        }
        let template = Box::new(template.add_parse_tree(MAIN, main));
        let body = Body::Parsed { template, steps };
        let text = text.to_owned();
        Ok(Self { text, body })
    }

    /// The template's text with this row's parameters. Exclusive, because a rendering has a budget.
    pub(crate) fn render(&mut self, data: &Data) -> Result<String, Error> {
        let Body::Parsed { template, steps } = &self.body else {
            return Ok(self.text.clone());
        };
        steps.refill();
        let mut out = Bounded::default();
        match template.execute_template_fmt(&mut out, MAIN, &data.value) {
            Ok(()) => Ok(out.0),
            Err(error) => Err(Error::Render {
                text: self.text.clone(),
                cause: cause(error, data),
            }),
        }
    }
}

/// Text up to [`OUTPUT_BYTES`].
#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > OUTPUT_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// A character that no template may hold: it marks the end of the text for the parser.
const END: char = '\u{0}';

/// Reads a template's syntax.
fn parse(text: &str) -> Result<(ListNode, Vec<DefineNode>), String> {
    if text.contains(END) {
        return Err("it has a NUL character; remove it".to_owned());
    }
    // The parser stops without a word at an `end` too many, and takes the end of the text for an
    // `end` that is missing. Where a mark at the end of the text turns up tells both.
    let marked = format!("{text}{END}");
    let parsed = Parser::new(&marked, "{{", "}}").and_then(Parser::parse);
    let (mut main, defines) = parsed.map_err(syntax)?;
    let last = match main.nodes.last_mut() {
        Some(Node::Text(last)) => Some(&mut last.text),
        _ => None,
    };
    let unmarked = last.and_then(|text| {
        let rest = text.strip_suffix(END)?.into();
        *text = rest;
        Some(())
    });
    unmarked.ok_or(
        "a block is not closed by {{end}}, or an {{end}} or {{else}} has no block; correct it",
    )?;
    Ok((main, defines))
}

fn syntax(error: TemplateError) -> String {
    match error {
        TemplateError::Parse {
            line, col, message, ..
        }
        | TemplateError::Lex {
            line, col, message, ..
        } => {
            format!("{message} at line {line}, column {col}; correct it")
        }
        other => other.to_string(),
    }
}

fn cause(error: TemplateError, data: &Data) -> String {
    match error {
        TemplateError::MissingKey { key } => {
            let keys = data.keys.join(", ");
            format!(
                "there is no key {key:?}; at the top the row has: {keys}. Correct the key, or ask \
                 first with hasKey"
            )
        }
        TemplateError::Write => {
            format!("the result has more than {OUTPUT_BYTES} bytes; shorten it")
        }
        TemplateError::RecursionLimit => {
            "templates call each other too deeply; untangle them".to_owned()
        }
        TemplateError::RangeIterLimit => {
            format!("range takes more than {ITERATIONS} turns; shorten what it goes over")
        }
        TemplateError::Exec(message) => message,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
