//! Why a source does not become a bundle: which file and line, and what to do.

use std::fmt;

use tidegate_model::{
    manifest,
    object::{ObjectId, ObjectKey},
};

use crate::tree;

/// A line of a file of the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path from the root of the repository.
    pub file: String,
    /// From 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A source that cannot be rendered. None is retryable: the same commit fails again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source's path is not in the repository.
    #[error(
        "failed to find directory {path:?} in {repo} at {revision}; correct the source's path or \
         targetRevision, or commit the directory"
    )]
    MissingPath {
        /// The repository.
        repo: String,
        /// The directory.
        path: String,
        /// Branch, tag or commit as the source says.
        revision: String,
    },
    /// The source's path is a file.
    #[error(
        "failed to render {path:?} in {repo} at {revision}: it is a file; a source names a \
         directory, and `directory.include` picks files in it"
    )]
    PathIsFile {
        /// The repository.
        repo: String,
        /// The file.
        path: String,
        /// Branch, tag or commit as the source says.
        revision: String,
    },
    /// A path leaves the tree, or something in it cannot be read.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// `include` or `exclude` is not a glob.
    #[error("failed to read directory.{field} {pattern:?}: {detail}; correct the glob")]
    Glob {
        /// `include` or `exclude`.
        field: &'static str,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A manifest is a link or a submodule.
    #[error(
        "failed to render {file}: it is a symbolic link, and links are not followed; commit the \
         file itself, or take it out with directory.exclude"
    )]
    LinkedFile {
        /// The link.
        file: String,
    },
    /// Too many manifests.
    #[error(
        "failed to render {directory:?}: {files} manifest files, at most {limit} are allowed; \
         split the application, or narrow it with directory.include"
    )]
    TooManyFiles {
        /// The directory.
        directory: String,
        /// Files in it.
        files: usize,
        /// Files allowed.
        limit: usize,
    },
    /// A manifest is too large; it was not read.
    #[error(
        "failed to render {file}: it has {bytes} bytes, at most {limit} are allowed for a file; \
         split it, or take it out with directory.exclude"
    )]
    FileTooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// All manifests together are too large; none was read.
    #[error(
        "failed to render {directory:?}: its manifests have {bytes} bytes, at most {limit} are \
         allowed; split the application"
    )]
    TooLarge {
        /// The directory.
        directory: String,
        /// Bytes of all manifests.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Too many objects.
    #[error(
        "failed to render {place}: here is object {limit} and there are more, at most {limit} \
         are allowed; split the application"
    )]
    TooManyObjects {
        /// The first object over the limit.
        place: Place,
        /// Objects allowed.
        limit: usize,
    },
    /// A manifest is not YAML or JSON that Kubernetes reads.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// A document is not a Kubernetes object.
    #[error("failed to render {place}: {problem}")]
    NotAnObject {
        /// Where.
        place: Place,
        /// What is missing or wrong, and what to do.
        problem: String,
    },
    /// An object is defined twice.
    #[error(
        "failed to render {second}: {object} is already defined at {first}; remove one of the two"
    )]
    Duplicate {
        /// The object.
        object: Box<ObjectId>,
        /// Where it is defined first.
        first: Box<Place>,
        /// Where it is defined again.
        second: Box<Place>,
    },
}

impl Error {
    pub(crate) fn not_an_object(place: Place, problem: impl Into<String>) -> Self {
        Self::NotAnObject {
            place,
            problem: problem.into(),
        }
    }

    pub(crate) fn duplicate(key: &ObjectKey, first: &Place, second: Place) -> Self {
        Self::Duplicate {
            object: Box::new(key.id.clone()),
            first: Box::new(first.clone()),
            second: Box::new(second),
        }
    }
}
