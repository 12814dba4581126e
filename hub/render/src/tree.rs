//! What a renderer may see of a repository: paths and contents, nothing else.
//!
//! Every tree holds the same rule: no path and no symbolic link leaves it. Links are never
//! followed, not even inside: what a link shows depends on a file that is named nowhere in the
//! source, and two readers (Git objects, a checkout) would have to agree on every corner of
//! resolving it. A link in the way is an error that says so.

mod directory;
mod memory;

use std::collections::BTreeSet;

pub use self::{directory::DirectoryTree, memory::MemoryTree};

/// What stands under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link, wherever it leads.
    Symlink,
    /// Another repository's commit; its files are not in the tree.
    Submodule,
}

/// Something in a tree that is not a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path from the root of the tree, `/`-separated.
    pub path: String,
    /// Bytes of a file; 0 for anything else.
    pub size: u64,
    /// What it is.
    pub kind: EntryKind,
}

/// A directory tree at one revision. Paths are `/`-separated, relative to the root, without `..`;
/// the empty path and `.` are the root.
pub trait SourceTree {
    /// What is in `dir`, and with `recurse` below it, in byte order of paths.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such directory, [`Error::NotADirectory`],
    /// [`Error::Link`] or [`Error::Submodule`] if one stands in the path.
    fn files(&self, dir: &str, recurse: bool) -> Result<Vec<FileEntry>, Error>;

    /// The content of a regular file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAFile`], [`Error::Link`], [`Error::Submodule`].
    fn read(&self, path: &str) -> Result<Vec<u8>, Error>;
}

/// Every directory that holds a file at any depth, sorted, without the root. A submodule or a link
/// is not a directory.
///
/// # Errors
/// Those of [`SourceTree::files`].
pub fn directories(tree: &dyn SourceTree) -> Result<Vec<String>, Error> {
    let mut found = BTreeSet::new();
    for entry in tree.files("", true)? {
        let mut path = entry.path.as_str();
        while let Some((parent, _)) = path.rsplit_once('/') {
            if !found.insert(parent.to_owned()) {
                break;
            }
            path = parent;
        }
    }
    Ok(found.into_iter().collect())
}

/// Writes a path in its one form, without `.` and doubled or trailing slashes; the root is empty.
///
/// # Errors
/// [`Error::Escapes`] for an absolute path, a `..`, a backslash or a NUL.
pub fn normalize(path: &str) -> Result<String, Error> {
    let escapes = |reason| Error::Escapes {
        path: path.chars().take(300).collect(),
        reason,
    };
    if path.starts_with('/') {
        return Err(escapes("it is absolute"));
    }
    if path.contains(['\\', '\0']) {
        return Err(escapes(
            "it has a character that paths in Git must not have",
        ));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(escapes("it has `..` in it")),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// A path that a tree cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path that would leave the tree.
    #[error(
        "failed to use path {path:?}: {reason}; write it relative to the root of the repository"
    )]
    Escapes {
        /// The path, cut to 300 characters.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// Nothing is there.
    #[error("failed to find {path:?}")]
    NotFound {
        /// The path.
        path: String,
    },
    /// A file stands where a directory is wanted.
    #[error("failed to list {path:?}: it is not a directory")]
    NotADirectory {
        /// The path of the file.
        path: String,
    },
    /// Something else than a regular file.
    #[error("failed to read {path:?}: it is not a file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// A symbolic link stands in the way.
    #[error(
        "failed to read {path:?}: {link:?} is a symbolic link, and links are not followed; name \
         the file or directory it points to"
    )]
    Link {
        /// The wanted path.
        path: String,
        /// The link in it.
        link: String,
    },
    /// A submodule stands in the way.
    #[error(
        "failed to read {path:?}: {submodule:?} is a submodule, and submodules are not fetched; \
         use the other repository as a source of its own"
    )]
    Submodule {
        /// The wanted path.
        path: String,
        /// The submodule in it.
        submodule: String,
    },
    /// A name that is not text.
    #[error("failed to list {path:?}: the name is not UTF-8; rename the file")]
    NotUtf8 {
        /// The path with replacement characters.
        path: String,
    },
    /// A listing or a file is larger than the tree gives out.
    #[error(
        "failed to read {path:?}: more than {limit} {unit}; use a smaller repository, or take it \
         out of the repository"
    )]
    TooLarge {
        /// The directory or file.
        path: String,
        /// How much is allowed.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// The disk or the object database failed.
    #[error("failed to read {path:?}: {detail}")]
    Unreadable {
        /// The path.
        path: String,
        /// What it said.
        detail: String,
    },
}

/// Where in `path` the `index`-th component ends: for naming the component in the way.
pub fn up_to(path: &str, index: usize) -> &str {
    path.match_indices('/')
        .nth(index)
        .map_or(path, |(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        for (path, normal) in [
            ("", ""),
            (".", ""),
            ("./", ""),
            ("a", "a"),
            ("./a//b/./c/", "a/b/c"),
            ("a/..b/...", "a/..b/..."),
        ] {
            assert_eq!(normalize(path).unwrap(), normal);
        }
    }

    #[test]
    fn no_path_leaves_the_tree() {
        for path in [
            "/", "/etc", "..", "a/..", "a/../b", "../x", "a\\..\\b", "a\0",
        ] {
            assert!(
                matches!(normalize(path), Err(Error::Escapes { .. })),
                "{path:?}"
            );
        }
    }

    #[test]
    fn a_component_is_named() {
        assert_eq!(up_to("a/b/c", 0), "a");
        assert_eq!(up_to("a/b/c", 1), "a/b");
        assert_eq!(up_to("a/b/c", 2), "a/b/c");
    }

    #[test]
    fn directories_are_those_with_files() {
        let tree = MemoryTree::new()
            .file("a/b/c.yaml", "")
            .file("top.yaml", "")
            .file("a/x/y/z.yaml", "")
            .submodule("vendor/lib");
        assert_eq!(
            directories(&tree).unwrap(),
            ["a", "a/b", "a/x", "a/x/y", "vendor"]
        );
    }
}
