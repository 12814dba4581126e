//! What can be wrong with a file: where, what, and what to do about it.
//!
//! Never holds file content beyond the short text that is wrong.

use std::fmt;

/// A file that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {place}: {problem}")]
pub struct Error {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub problem: Problem,
}

/// A place in a file. Prints as `file:line:column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the caller named it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters; 0 when only the line is known.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// More bytes than the limit.
    #[error("the file has {bytes} bytes, more than the {limit} allowed; split it")]
    TooLarge {
        /// Bytes it has.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("the text is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// Neither YAML nor JSON.
    #[error("{0}; correct the syntax")]
    Syntax(String),
    /// A key twice in one map.
    #[error("key {key:?} is already set on line {first_line}; remove one of the two")]
    DuplicateKey {
        /// The key, as Kubernetes would see it.
        key: String,
        /// Where it is set first.
        first_line: u32,
    },
    /// A key that is no text, number or boolean.
    #[error("{what} cannot be a key; use a text")]
    BadKey {
        /// What it is.
        what: &'static str,
    },
    /// A numeric key that Kubernetes would print differently.
    #[error("key {text} is a number that Kubernetes would rewrite; quote it")]
    RewrittenKey {
        /// As written.
        text: String,
    },
    /// `<<` with something else than maps.
    #[error("<< takes a map, an alias of a map, or a list of these; correct its value")]
    BadMerge,
    /// A tag that means nothing in Kubernetes.
    #[error("tag {tag} has no meaning in Kubernetes; remove it")]
    UnknownTag {
        /// As written.
        tag: String,
    },
    /// A tag that the value does not fit.
    #[error("{text:?} is not a {tag}; correct the value or remove the tag")]
    TagMismatch {
        /// As written.
        tag: String,
        /// The value.
        text: String,
    },
    /// `!!binary` that is no base64 of text.
    #[error("!!binary needs base64 of UTF-8 text; correct it, or use the object's binaryData")]
    BadBinary,
    /// Infinity or not-a-number.
    #[error(
        "{text} cannot be written in JSON, so Kubernetes cannot hold it; quote it if it is text"
    )]
    NotFinite {
        /// As written.
        text: String,
    },
    /// An integer that does not fit 64 bits with sign.
    #[error(
        "integer {text} does not fit 64 bits with sign, so Kubernetes would round it; quote it if it is text"
    )]
    IntegerTooLarge {
        /// As written.
        text: String,
    },
    /// Nested too deeply.
    #[error("values are nested more than {limit} levels deep; flatten the document")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// Too many values.
    #[error("the file has more than {limit} values; split it")]
    TooManyNodes {
        /// Values allowed.
        limit: usize,
    },
    /// Aliases that copy too much.
    #[error("aliases copy more than {limit} {unit}; write the values out")]
    AliasesTooLarge {
        /// How much they may copy.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// An alias inside its own anchor.
    #[error("the alias stands inside the value it names; write the value out")]
    AliasOfItself,
    /// A `v1` `List` whose items are not a list of objects.
    #[error("{0}")]
    BadList(&'static str),
}

impl Error {
    pub(super) fn new(file: &str, line: u32, column: u32, problem: Problem) -> Self {
        let file = file.to_owned();
        Self {
            place: Place { file, line, column },
            problem,
        }
    }
}
