//! Which files of a source directory are manifests.
//!
//! Globs are matched against the path relative to the source's directory, and `*` also matches
//! `/`, as in Argo CD's `directory.include` and `exclude`. Never reads a file.

use globset::{Glob, GlobMatcher};
use tidegate_model::source::Directory;

use crate::Error;

/// The choice of one source.
pub(crate) struct Selection {
    include: Option<GlobMatcher>,
    exclude: Option<GlobMatcher>,
}

impl Selection {
    pub(crate) fn new(directory: &Directory) -> Result<Self, Error> {
        Ok(Self {
            include: compile("include", &directory.include)?,
            exclude: compile("exclude", &directory.exclude)?,
        })
    }

    /// Whether the globs let a path through, whatever its name.
    pub(crate) fn admits(&self, relative: &str) -> bool {
        let is_out = self
            .exclude
            .as_ref()
            .is_some_and(|glob| glob.is_match(relative));
        let is_in = self
            .include
            .as_ref()
            .is_none_or(|glob| glob.is_match(relative));
        is_in && !is_out
    }
}

/// Whether a file is a manifest by its name. Case counts, as for Argo CD and kubectl.
pub(crate) fn is_manifest(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml" | "json")))
}

fn compile(field: &'static str, pattern: &str) -> Result<Option<GlobMatcher>, Error> {
    if pattern.is_empty() {
        return Ok(None);
    }
    match Glob::new(pattern) {
        Ok(glob) => Ok(Some(glob.compile_matcher())),
        Err(error) => Err(Error::Glob {
            field,
            pattern: pattern.to_owned(),
            detail: error.kind().to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(include: &str, exclude: &str, path: &str) -> bool {
        let directory = Directory {
            recurse: true,
            include: include.to_owned(),
            exclude: exclude.to_owned(),
        };
        Selection::new(&directory).unwrap().admits(path)
    }

    #[test]
    fn globs_choose_and_exclude_wins() {
        assert!(admits("", "", "a/b.yaml"));
        assert!(admits("*.yaml", "", "a/b.yaml"));
        assert!(admits("{a,b}/*.yaml", "", "b/x.yaml"));
        assert!(!admits("{a,b}/*.yaml", "", "c/x.yaml"));
        assert!(!admits("*.yaml", "a/*", "a/b.yaml"));
        assert!(admits("*.yaml", "a/*", "b/b.yaml"));
        assert!(!admits("", "{test-*,*/values.yaml}", "x/values.yaml"));
    }

    #[test]
    fn a_wrong_glob_says_which_field() {
        let directory = Directory {
            exclude: "a{b".to_owned(),
            ..Directory::default()
        };
        let error = Selection::new(&directory).err().unwrap().to_string();
        assert!(error.contains("directory.exclude \"a{b\""), "{error}");
    }

    #[test]
    fn manifests_are_known_by_name() {
        for yes in ["a.yaml", "x/a.yml", "a.b.json", ".hidden.yaml"] {
            assert!(is_manifest(yes), "{yes}");
        }
        for no in ["a", "yaml", "a.yaml.gpg", "a.YAML", "x.yaml/readme.md"] {
            assert!(!is_manifest(no), "{no}");
        }
    }
}
