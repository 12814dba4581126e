//! Documents as typed values, with errors that name file, line and field.
//!
//! Never reads text (`manifest` does) and never knows a type: what a type demands beyond its shape
//! it says in [`Violation`]s, which are placed here.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::manifest::{Document, pointer_part};

/// A document that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to use {file}:{line}: {}{message}", Field(field))]
pub struct DocumentError {
    /// The file, as the caller named it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// The field as people write it, for example `spec.generators[0].git`; empty for the whole
    /// document.
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

struct Field<'a>(&'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            field => write!(f, "{field}: "),
        }
    }
}

/// Something in a document that its shape allows and its meaning does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer (RFC 6901) of the field.
    pub pointer: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Violation {
    /// A violation at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// Reads a document as a `T`.
///
/// # Errors
/// The first field that does not fit, with its line. For a field that `T` does not know, the
/// message lists those it knows.
pub fn parse<T>(document: &Document, file: &str) -> Result<T, DocumentError>
where
    T: DeserializeOwned + Serialize,
{
    let value: T = serde_path_to_error::deserialize(&document.value).map_err(|error| {
        let pointer = pointer(error.path());
        let mut message = error.inner().to_string();
        if message.starts_with("unknown field") {
            message += "; correct its name or remove it";
        } else if message.starts_with("missing field") {
            message += "; add it";
        } else if message.starts_with("invalid ") {
            message += "; correct the value";
        }
        place(document, file, Violation { pointer, message })
    })?;
    // A value that was read from JSON can be written as JSON.
    let read = serde_json::to_value(&value).unwrap_or_default();
    match list_for_map(&document.value, &read) {
        Some(pointer) => {
            let message = "invalid type: a list, expected a map; write key: value pairs, or {}";
            let violation = Violation::new(pointer, message);
            Err(place(document, file, violation))
        }
        None => Ok(value),
    }
}

/// Where a list was taken for a map: serde reads `[]` as a struct of defaults, and a selector of
/// defaults selects everything. `read` is what became of `given`.
fn list_for_map(given: &Value, read: &Value) -> Option<String> {
    match (given, read) {
        (Value::Array(_), Value::Object(_)) => Some(String::new()),
        (Value::Array(given), Value::Array(read)) => {
            let mut pairs = given.iter().zip(read).enumerate();
            pairs.find_map(|(index, (given, read))| {
                Some(format!("/{index}{}", list_for_map(given, read)?))
            })
        }
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(key, given)| {
            let inner = list_for_map(given, read.get(key)?)?;
            Some(pointer_part(key) + &inner)
        }),
        _ => None,
    }
}

/// Gives violations their lines.
pub fn locate(document: &Document, file: &str, violations: Vec<Violation>) -> Vec<DocumentError> {
    violations
        .into_iter()
        .map(|violation| place(document, file, violation))
        .collect()
}

fn place(document: &Document, file: &str, violation: Violation) -> DocumentError {
    DocumentError {
        file: file.to_owned(),
        line: document.line_of(&violation.pointer),
        field: field(&violation.pointer),
        message: violation.message,
    }
}

fn pointer(path: &Path) -> String {
    let parts = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => pointer_part(key),
        Segment::Enum { variant } => pointer_part(variant),
        Segment::Unknown => String::new(),
    });
    parts.collect()
}

/// `/spec/generators/0/git` as `spec.generators[0].git`.
fn field(pointer: &str) -> String {
    let mut field = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty() {
            field.extend(["[", &part, "]"]);
        } else {
            if !field.is_empty() {
                field.push('.');
            }
            field += &part;
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::manifest::{Limits, read};

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: String,
        list: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, u32>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        size: u32,
    }

    #[test]
    fn errors_name_line_and_field() {
        for (text, want) in [
            (
                "name: x\nlist:\n- size: 1\n- sise: 2\n",
                "failed to use f.yaml:4: list[1].sise: unknown field `sise`, expected `size`; correct its name or remove it",
            ),
            (
                "name: x\nlist:\n- {}\n",
                "failed to use f.yaml:3: list[0]: missing field `size`; add it",
            ),
            (
                "name: x\nlist:\n- size: big\n",
                "failed to use f.yaml:3: list[0].size: invalid type: string \"big\", expected u32; correct the value",
            ),
            (
                "name: x\nlist: []\nmap:\n  a/b: -1\n",
                "failed to use f.yaml:4: map.a/b: invalid value: integer `-1`, expected u32; correct the value",
            ),
            (
                "name: x\nlist:\n- size: 1\n- [1]\n",
                "failed to use f.yaml:4: list[1]: invalid type: a list, expected a map; write key: value pairs, or {}",
            ),
            (
                "- x\n- []\n- {}\n",
                "failed to use f.yaml:1: invalid type: a list, expected a map; write key: value pairs, or {}",
            ),
            (
                "- 1\n",
                "failed to use f.yaml:1: [0]: invalid type: integer `1`, expected a string; correct the value",
            ),
            (
                "list: []\n",
                "failed to use f.yaml:1: missing field `name`; add it",
            ),
        ] {
            let documents = read(text, "f.yaml", &Limits::default()).unwrap();
            let error = parse::<Outer>(&documents[0], "f.yaml").unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }
}
