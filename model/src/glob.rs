//! Globs over repository paths: `*` and `?` stay within one path element, `**` crosses them,
//! `[a-z]` and `{a,b}` choose.
//!
//! One meaning for every place that takes a glob. Never looks at a file system.

use globset::{GlobBuilder, GlobMatcher};

/// A glob that is ready to match.
#[derive(Clone, Debug)]
pub struct Glob(GlobMatcher);

/// Why a text is no glob over repository paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing there.
    #[error("the pattern is empty; write a path, ** for everything")]
    Empty,
    /// Not below the root of the repository.
    #[error("pattern {0:?} leaves the repository; write it relative to the root, without ..")]
    Outside(String),
    /// A slash too many.
    #[error("pattern {0:?} has an empty path element; remove the extra /")]
    EmptyElement(String),
    /// Not a glob.
    #[error("pattern {pattern:?} cannot be read: {problem}; correct it, or escape with \\")]
    Syntax {
        /// As written.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
}

impl Glob {
    /// Reads a glob. It must be relative, without `..` and without empty elements.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        if pattern.is_empty() {
            return Err(Error::Empty);
        }
        if pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
            return Err(Error::Outside(pattern.to_owned()));
        }
        if pattern.split('/').any(str::is_empty) {
            return Err(Error::EmptyElement(pattern.to_owned()));
        }
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        match glob {
            Ok(glob) => Ok(Self(glob.compile_matcher())),
            Err(error) => Err(Error::Syntax {
                pattern: pattern.to_owned(),
                problem: error.kind().to_string(),
            }),
        }
    }

    /// Whether the whole of `path`, `/`-separated and relative, fits.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits() {
        for (pattern, path, fits) in [
            ("*", "a", true),
            ("*", "a/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**", "a/b/c", true),
            ("**/c.yaml", "c.yaml", true),
            ("**/c.yaml", "a/b/c.yaml", true),
            ("a/**/c", "a/c", true),
            ("a/?", "a/b", true),
            ("a?b", "a/b", false),
            ("[a-c]x", "bx", true),
            ("{a,b}/x", "b/x", true),
            ("a.b", "axb", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            (".", ".", true),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.matches(path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (pattern, want) in [
            ("", "empty"),
            ("/a", "leaves the repository"),
            ("a/../b", "leaves the repository"),
            ("a//b", "empty path element"),
            ("a/", "empty path element"),
            ("a[", "cannot be read"),
            ("{a", "cannot be read"),
        ] {
            let error = Glob::new(pattern).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
