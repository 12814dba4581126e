//! The text of JSON paths (client-go `util/jsonpath/parser.go`): what the server takes for a path and
//! what it does not, odd ones included.

use std::str::Chars;

use serde_json::json;

use super::Node;

/// The parts of a template: what is in braces, and the text around.
pub(super) fn parts(text: &str) -> Option<Vec<Vec<Node>>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let plain = |text: &str| vec![Node::Text(text.to_owned())];
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(plain(before));
        }
        let mut reader = Reader { rest: after };
        parts.push(reader.nodes()?);
        rest = reader.rest;
    }
    if !rest.is_empty() {
        parts.push(plain(rest));
    }
    Some(parts)
}

/// A path inside a path.
fn inner(text: &str) -> Option<Vec<Node>> {
    parts(&format!("{{{text}}}"))?.into_iter().next()
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Everything up to the closing brace.
    fn nodes(&mut self) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            if self.has("}") {
                return Some(nodes);
            }
            if self.has("[?(") {
                nodes.push(self.filter()?);
                continue;
            }
            if self.has("..") {
                if nodes.last() == Some(&Node::Recursive) {
                    return None;
                }
                nodes.push(Node::Recursive);
                if self.rest.starts_with(is_word) {
                    nodes.push(self.field());
                }
                continue;
            }
            match self.rest.chars().next()? {
                ' ' | '@' | '$' => drop(self.take(1)),
                '[' => self.brackets(&mut nodes)?,
                quote @ ('"' | '\'') => nodes.push(self.quoted(quote)?),
                '.' => {
                    self.take(1);
                    nodes.push(self.field());
                }
                first if matches!(first, '+' | '-') || first.is_ascii_digit() => {
                    nodes.push(self.number()?);
                }
                first if is_word(first) => nodes.push(self.word()),
                _ => return None,
            }
        }
    }

    fn has(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// Up to what ends a name.
    fn take_until(&mut self, ends: impl FnMut(char) -> bool) -> &'a str {
        let end = self.rest.find(ends);
        self.take(end.unwrap_or(self.rest.len()))
    }

    fn field(&mut self) -> Node {
        let mut escaped = false;
        let name = self.take_until(|it| {
            let ends = !escaped && is_end(it);
            escaped = !escaped && it == '\\';
            ends
        });
        if name == "*" {
            return Node::Wildcard;
        }
        Node::Field(name.replace('\\', ""))
    }

    fn word(&mut self) -> Node {
        match self.take_until(is_end) {
            "true" => Node::Constant(json!(true)),
            "false" => Node::Constant(json!(false)),
            _ => Node::Word,
        }
    }

    fn number(&mut self) -> Option<Node> {
        let mut first = true;
        let text = self.take_until(|it| {
            let sign = std::mem::take(&mut first) && matches!(it, '+' | '-');
            !(sign || it == '.' || it.is_ascii_digit())
        });
        let whole = text.parse::<i64>().map(|it| json!(it));
        let value = whole.or_else(|_| text.parse::<f64>().map(|it| json!(it)));
        value.ok().map(Node::Constant)
    }

    fn quoted(&mut self, quote: char) -> Option<Node> {
        let mut before = quote;
        let inside = self.rest.get(1..)?;
        let end = inside.find(|it| {
            let ends = it == '\n' || (it == quote && before != '\\');
            before = it;
            ends
        })?;
        let text = inside.get(..end)?;
        self.rest = inside.get(end..)?.strip_prefix(quote)?;
        unescaped(text, quote).map(Node::Text)
    }

    /// An index, a slice, a key or several of them.
    fn brackets(&mut self, nodes: &mut Vec<Node>) -> Option<()> {
        let (inside, rest) = self.rest.split_once(']')?;
        self.rest = rest;
        let inside = inside.get(1..).filter(|it| !it.contains('\n'))?;
        let key = inside
            .strip_prefix('\'')
            .and_then(|it| it.strip_suffix('\''));
        if inside.contains(',') {
            let all = inside.split(',');
            let all = all.map(|one| inner(&format!("[{}]", one.trim_matches(' '))));
            nodes.push(Node::Union(all.collect::<Option<_>>()?));
        } else if let Some(key) = key.filter(|key| !key.contains('\'')) {
            // A dot in a key goes below, as the server has it.
            nodes.extend(inner(&format!(".{key}"))?);
        } else {
            nodes.push(slice(inside)?);
        }
        Some(())
    }

    fn filter(&mut self) -> Option<Node> {
        let (mut quote, mut closed, mut before) = (None, false, '(');
        for (at, it) in self.rest.char_indices() {
            match it {
                '\n' => return None,
                '"' | '\'' if quote.is_none() => quote = Some(it),
                '"' | '\'' if quote == Some(it) && before != '\\' => closed = true,
                ')' if quote.is_some() == closed => {
                    let inside = self.take(at);
                    self.rest = self.rest.strip_prefix(")]")?;
                    return comparison(inside);
                }
                _ => {}
            }
            before = it;
        }
        None
    }
}

/// What is between the brackets of a filter.
fn comparison(text: &str) -> Option<Node> {
    let compares = |it: char| "!<>=".contains(it);
    let exists = || inner(text).map(Node::Exists);
    let Some(at) = text.find(compares).filter(|at| *at > 0) else {
        return exists();
    };
    let (left, rest) = text.split_at(at);
    let right = rest.trim_start_matches(compares);
    let operator = rest.strip_suffix(right).unwrap_or(rest);
    if right.is_empty() {
        // One sign at the end is part of the name before, two are nothing.
        return exists().filter(|_| operator.len() == 1);
    }
    Some(Node::Filter {
        left: inner(left)?,
        operator: operator.to_owned(),
        right: inner(right)?,
    })
}

fn slice(text: &str) -> Option<Node> {
    let bound = |text: Option<&str>| match text.unwrap_or_default() {
        "" => Some(None),
        text if text.starts_with('+') => None,
        text => text.parse::<i64>().ok().map(Some),
    };
    let text = if text == "*" { ":" } else { text };
    let mut bounds = text.split(':');
    let from = bound(bounds.next())?;
    if !text.contains(':') {
        return Some(Node::Index(from.unwrap_or(0)));
    }
    let (to, step) = (bound(bounds.next())?, bound(bounds.next())?);
    let all = bounds.next().is_none();
    all.then_some(Node::Slice { from, to, step })
}

/// A text without Go's escapes.
fn unescaped(text: &str, quote: char) -> Option<String> {
    let mut found = String::new();
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        if it != '\\' {
            found.push(it);
            continue;
        }
        found.push(match rest.next()? {
            'x' => code(&mut rest, 2)?,
            'u' => code(&mut rest, 4)?,
            'U' => code(&mut rest, 8)?,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            it if it == quote => it,
            _ => return None,
        });
    }
    Some(found)
}

fn code(rest: &mut Chars<'_>, digits: usize) -> Option<char> {
    let text: String = rest.take(digits).collect();
    let code = u32::from_str_radix(&text, 16).ok();
    code.filter(|_| text.len() == digits)
        .and_then(char::from_u32)
}

/// What ends a name.
fn is_end(it: char) -> bool {
    " \t\r\n.,[]$@{}".contains(it)
}

fn is_word(it: char) -> bool {
    it == '_' || it.is_alphanumeric()
}
