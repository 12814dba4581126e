//! Syntax of names, keys and ports, in the server's words (apimachinery `util/validation`).

use serde_json::Value;

use crate::answer::Cause;

pub(super) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case \
    alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character \
    (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case \
    alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. \
    'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
    used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, \
    '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
    'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
    (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
    '[-._a-zA-Z0-9]+')";
const PORT: &str = "must be between 1 and 65535, inclusive";

fn outer(text: &str) -> bool {
    let bytes = text.as_bytes();
    let good = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    good(bytes.first()) && good(bytes.last())
}

/// `my-name`
pub(super) fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.chars().all(inner) && outer(text)
}

fn is_qualified(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().all(inner) && outer(text)
}

/// What is wrong with a name of labels between dots.
pub(super) fn subdomain(text: &str) -> Vec<String> {
    let long = text.len() > 253;
    let mut wrong: Vec<String> = long
        .then(|| "must be no more than 253 characters".to_owned())
        .into_iter()
        .collect();
    if !text.split('.').all(is_label) {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// What is wrong with a name that is one label.
pub(super) fn label(text: &str) -> Vec<String> {
    let long = text.len() > 63;
    let mut wrong: Vec<String> = long
        .then(|| "must be no more than 63 characters".to_owned())
        .into_iter()
        .collect();
    if !is_label(text) {
        wrong.push(LABEL.to_owned());
    }
    wrong
}

/// What is wrong with a key of labels or annotations: `example.com/name`.
pub(super) fn key(text: &str, what: &str) -> Vec<String> {
    let (prefix, name) = match text.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "{what}{QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let mut wrong = Vec::new();
    match prefix {
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            let parts = subdomain(prefix).into_iter();
            wrong.extend(parts.map(|it| format!("prefix part {it}")));
        }
        None => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 characters".to_owned());
    }
    if !is_qualified(name) {
        wrong.push(format!("name part {QUALIFIED}"));
    }
    wrong
}

/// What is wrong with the value of a label.
pub(super) fn value(text: &str) -> Vec<String> {
    let long = text.len() > 63;
    let mut wrong: Vec<String> = long
        .then(|| "must be no more than 63 bytes".to_owned())
        .into_iter()
        .collect();
    if !text.is_empty() && !is_qualified(text) {
        wrong.push(VALUE.to_owned());
    }
    wrong
}

/// What is wrong with a key of a config map or secret.
pub(super) fn config_key(text: &str) -> Vec<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() > 253 {
        return vec!["must be no more than 253 characters".to_owned()];
    }
    if text.is_empty() || !text.chars().all(inner) {
        return vec![CONFIG.to_owned()];
    }
    match text {
        "." => vec!["must not be '.'".to_owned()],
        ".." => vec!["must not be '..'".to_owned()],
        text if text.starts_with("..") => vec!["must not start with '..'".to_owned()],
        _ => Vec::new(),
    }
}

/// What is wrong with the name of a container's port.
pub(super) fn port_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 15 {
        wrong.push("must be no more than 15 characters".to_owned());
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.chars().all(inner) {
        let words = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        wrong.push(words.to_owned());
    }
    if !text.chars().any(|c| c.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// A port's number, or its name.
pub(super) fn port(at: &str, port: &Value) -> Vec<Cause> {
    match port {
        Value::String(name) => all(at, port, port_name(name)),
        number if (1..=65535).contains(&number.as_i64().unwrap_or(0)) => Vec::new(),
        number => vec![Cause::invalid(at, number, PORT)],
    }
}

/// Each finding as a cause of one field.
pub(super) fn all(at: &str, value: &Value, words: Vec<String>) -> Vec<Cause> {
    let words = words.into_iter();
    words
        .map(|words| Cause::invalid(at, value, &words))
        .collect()
}
