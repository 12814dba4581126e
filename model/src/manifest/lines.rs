//! The lines of a document's values, in the shape of the document.
//!
//! A tree, not a map from pointer to line: a pointer per value would cost more than the values.

use std::collections::BTreeMap;

/// The lines of a value and of everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    line: u32,
    inner: Inner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    Scalar,
    List(Vec<Lines>),
    Map(BTreeMap<String, Lines>),
}

impl Lines {
    pub(super) fn scalar(line: u32) -> Self {
        let inner = Inner::Scalar;
        Self { line, inner }
    }

    pub(super) fn list(line: u32, items: Vec<Self>) -> Self {
        let inner = Inner::List(items);
        Self { line, inner }
    }

    pub(super) fn map(line: u32, entries: BTreeMap<String, Self>) -> Self {
        let inner = Inner::Map(entries);
        Self { line, inner }
    }

    /// The line of this value.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The line of the value that a JSON pointer (RFC 6901) names, or of the nearest value around
    /// it: what is missing is reported where it should be.
    pub fn line_of(&self, pointer: &str) -> u32 {
        let mut here = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            match here.child(&part) {
                Some(child) => here = child,
                None => break,
            }
        }
        here.line
    }

    fn child(&self, part: &str) -> Option<&Self> {
        match &self.inner {
            Inner::Scalar => None,
            Inner::List(items) => items.get(part.parse::<usize>().ok()?),
            Inner::Map(entries) => entries.get(part),
        }
    }

    /// Takes the lines of a list's items out of a map's entry.
    pub(super) fn take_items(&mut self, key: &str) -> Vec<Self> {
        let Inner::Map(entries) = &mut self.inner else {
            return Vec::new();
        };
        match entries.remove(key).map(|lines| lines.inner) {
            Some(Inner::List(items)) => items,
            _ => Vec::new(),
        }
    }
}

/// Writes a key as one part of a JSON pointer, with its leading slash.
pub(crate) fn pointer_part(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}
