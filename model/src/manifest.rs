//! The one reader of manifests: YAML or JSON text to JSON values with line numbers.
//!
//! Reads what `kubectl` reads, value for value (YAML 1.1 scalars as Kubernetes' own YAML library
//! resolves them, merge keys, streams of documents), and refuses what `kubectl` would change
//! without a word: duplicate keys, integers beyond 64 bits, invalid base64 text. Never decides
//! what a document means, never touches a disk, and never expands an alias before it has counted
//! what that would cost.

mod compose;
mod error;
mod json;
mod lines;
mod list;
mod node;
mod scalar;

use serde_json::Value;

pub(crate) use self::lines::pointer_part;
pub use self::{
    error::{Error, Place, Problem},
    lines::Lines,
};

/// How much one file may hold. All are checked while reading, before the memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text. Checked before the first byte is parsed. Also bounds the text that aliases
    /// may copy.
    pub bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Values (scalars, lists, maps) of all documents together, copies by aliases included.
    pub nodes: usize,
    /// Values that aliases and merge keys may copy, of all documents together.
    pub alias_nodes: usize,
}

impl Default for Limits {
    /// 10 MiB, 100 levels, a million values, a hundred thousand of them by aliases.
    fn default() -> Self {
        Self {
            bytes: 10 * 1024 * 1024,
            depth: 100,
            nodes: 1_000_000,
            alias_nodes: 100_000,
        }
    }
}

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The document as a JSON value. A number without a fraction is an integer, however it was
    /// written (`1e3` is 1000), so that equal content has one digest.
    pub value: Value,
    /// Its place among the documents that were returned, from 0.
    pub index: usize,
    /// Line of its first value, from 1.
    pub line: u32,
    /// The line of every value in it.
    pub lines: Lines,
}

impl Document {
    /// The line of the value that a JSON pointer (RFC 6901) names, or of the nearest value around
    /// it. A map's entry has the line of its key.
    pub fn line_of(&self, pointer: &str) -> u32 {
        self.lines.line_of(pointer)
    }
}

/// Reads the manifests in `text`. Documents without content are skipped and each `v1` `List` is
/// replaced by its items. `file` is named in errors and nothing else.
///
/// # Errors
/// The first thing in the text that cannot be read exactly, with its line and what to do.
pub fn read(text: impl AsRef<[u8]>, file: &str, limits: &Limits) -> Result<Vec<Document>, Error> {
    let documents = read_documents(text, file, limits)?;
    let mut flat = Vec::with_capacity(documents.len());
    for document in documents {
        list::expand(document, file, &mut flat)?;
    }
    for (index, document) in flat.iter_mut().enumerate() {
        document.index = index;
    }
    Ok(flat)
}

/// Like [`read`], for files that are data and not manifests: a `List` stays what it is.
///
/// # Errors
/// Those of [`read`].
pub fn read_documents(
    text: impl AsRef<[u8]>,
    file: &str,
    limits: &Limits,
) -> Result<Vec<Document>, Error> {
    let text = text.as_ref();
    if text.len() > limits.bytes {
        let (bytes, limit) = (text.len(), limits.bytes);
        return Err(Error::new(file, 1, 1, Problem::TooLarge { bytes, limit }));
    }
    let text = utf8(text, file)?;
    let roots = if looks_like_json(text) {
        match json::compose(text, file, limits) {
            Ok(roots) => Ok(roots),
            Err(json::Failure::Refused(error)) => Err(error),
            // YAML's flow style begins with a brace too: `kubectl` tries both in this order. The
            // name of the file tells which of the two messages helps.
            Err(json::Failure::NotJson(error)) => match compose::compose(text, file, limits) {
                Err(yaml) if is_syntax(&yaml) && has_json_name(file) => Err(error),
                result => result,
            },
        }
    } else {
        compose::compose(text, file, limits)
    }?;
    let documents = roots.into_iter().enumerate().map(|(index, root)| {
        let line = root.line;
        let (value, lines) = root.to_value();
        Document {
            value,
            index,
            line,
            lines,
        }
    });
    Ok(documents.collect())
}

fn utf8<'a>(text: &'a [u8], file: &str) -> Result<&'a str, Error> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let good = &text[..error.valid_up_to()];
        let (before, column) = match good.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => (&good[..=at], good.len() - at),
            None => (&good[..0], good.len() + 1),
        };
        let line = before.split(|byte| *byte == b'\n').count();
        Error::new(file, to_u32(line), to_u32(column), Problem::NotUtf8)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

fn has_json_name(file: &str) -> bool {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn is_syntax(error: &Error) -> bool {
    matches!(error.problem, Problem::Syntax(_))
}

/// Lines and columns are for people: a file of more than four billion lines is over every limit.
fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
