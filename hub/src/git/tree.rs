//! The files of a commit, read from Git's objects.
//!
//! Nothing is checked out, so links and submodules are names and nothing more. Every listing is
//! bounded: a repository of a few kilobytes can describe a tree of more files than there is
//! memory. Never writes.

use std::collections::BTreeMap;

use gix::{ObjectId, Repository, objs::tree::EntryKind as GitKind};
use tidegate_render::{
    EntryKind, FileEntry, SourceTree,
    tree::{self, Error, normalize, up_to},
};

use super::error::chain;

/// How much of a tree is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries in one listing, directories included.
    pub entries: usize,
    /// Levels of directories.
    pub depth: usize,
    /// Bytes of one file that is read.
    pub file_bytes: u64,
    /// Bytes of all files that [`Tree::matching`] reads.
    pub matching_bytes: u64,
}

impl Default for Limits {
    /// 200,000 entries, 100 levels, 64 MiB a file and together.
    fn default() -> Self {
        Self {
            entries: 200_000,
            depth: 100,
            file_bytes: 64 << 20,
            matching_bytes: 64 << 20,
        }
    }
}

/// The tree of one commit. Reading it blocks on the disk.
#[derive(Debug)]
pub struct Tree {
    repository: Repository,
    root: ObjectId,
    limits: Limits,
}

/// An entry of one directory.
struct Entry {
    path: String,
    kind: GitKind,
    id: ObjectId,
}

impl Entry {
    /// The id, if this is a directory on the way to `path`.
    fn directory(&self, path: &str) -> Result<ObjectId, Error> {
        match self.kind {
            GitKind::Tree => Ok(self.id),
            GitKind::Link => Err(Error::Link {
                path: path.to_owned(),
                link: self.path.clone(),
            }),
            GitKind::Commit => Err(Error::Submodule {
                path: path.to_owned(),
                submodule: self.path.clone(),
            }),
            GitKind::Blob | GitKind::BlobExecutable => Err(Error::NotADirectory {
                path: self.path.clone(),
            }),
        }
    }
}

impl Tree {
    pub(super) fn new(repository: Repository, root: ObjectId, limits: Limits) -> Self {
        Self {
            repository,
            root,
            limits,
        }
    }

    /// Every directory, sorted, without the root.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Unreadable`], [`Error::NotUtf8`].
    pub fn directories(&self) -> Result<Vec<String>, Error> {
        let entries = self.walk("", self.root, true)?;
        let mut directories: Vec<_> = entries
            .into_iter()
            .filter(|entry| entry.kind == GitKind::Tree)
            .map(|entry| entry.path)
            .collect();
        directories.sort();
        Ok(directories)
    }

    /// Path and content of every file that `wanted` takes by its path.
    ///
    /// # Errors
    /// As [`SourceTree::read`]: a wanted link is an error and not left out, because whoever wants
    /// it would take its absence for a decision.
    pub fn matching(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut found = BTreeMap::new();
        let mut left = self.limits.matching_bytes;
        for entry in self.walk("", self.root, true)? {
            if entry.kind == GitKind::Tree || !wanted(&entry.path) {
                continue;
            }
            let content = self.content(&entry)?;
            let bytes = content.len() as u64;
            left = left.checked_sub(bytes).ok_or_else(|| Error::TooLarge {
                path: entry.path.clone(),
                limit: self.limits.matching_bytes,
                unit: "bytes in all wanted files",
            })?;
            found.insert(entry.path, content);
        }
        Ok(found)
    }

    /// What stands under a normalized path that is not the root.
    fn find(&self, path: &str) -> Result<Entry, Error> {
        let mut at = self.root;
        let last = path.matches('/').count();
        for index in 0..=last {
            let part = up_to(path, index);
            let entry = self
                .children(part.rsplit_once('/').map_or("", |(parent, _)| parent), at)?
                .into_iter()
                .find(|entry| entry.path == part)
                .ok_or_else(|| Error::NotFound {
                    path: path.to_owned(),
                })?;
            if index == last {
                return Ok(entry);
            }
            at = entry.directory(path)?;
        }
        Err(Error::NotFound {
            path: path.to_owned(),
        })
    }

    /// The entries of a directory and, with `recurse`, of those below it; in byte order of paths.
    fn walk(&self, dir: &str, id: ObjectId, recurse: bool) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        let mut open = vec![(dir.to_owned(), id, 1)];
        while let Some((dir, id, depth)) = open.pop() {
            if depth > self.limits.depth {
                return Err(Error::TooLarge {
                    path: dir,
                    limit: self.limits.depth as u64,
                    unit: "levels of directories",
                });
            }
            for entry in self.children(&dir, id)? {
                if recurse && entry.kind == GitKind::Tree {
                    open.push((entry.path.clone(), entry.id, depth + 1));
                }
                found.push(entry);
                if found.len() > self.limits.entries {
                    return Err(Error::TooLarge {
                        path: dir,
                        limit: self.limits.entries as u64,
                        unit: "entries",
                    });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn children(&self, dir: &str, id: ObjectId) -> Result<Vec<Entry>, Error> {
        let tree = self
            .repository
            .find_tree(id)
            .map_err(|error| unreadable(dir, &error))?;
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(|error| unreadable(dir, &error))?;
            let name = entry.filename();
            let Ok(name_text) = str::from_utf8(name) else {
                return Err(Error::NotUtf8 {
                    path: join(dir, &name.to_string()),
                });
            };
            // Git refuses to make such names, but a tree can be made without Git.
            if matches!(name_text, "" | "." | ".." | ".git") || name_text.contains(['/', '\\']) {
                return Err(Error::Escapes {
                    path: join(dir, name_text),
                    reason: "Git does not allow the name",
                });
            }
            entries.push(Entry {
                path: join(dir, name_text),
                kind: entry.mode().kind(),
                id: entry.oid().to_owned(),
            });
        }
        Ok(entries)
    }

    fn content(&self, entry: &Entry) -> Result<Vec<u8>, Error> {
        let path = entry.path.as_str();
        match entry.kind {
            GitKind::Blob | GitKind::BlobExecutable => {}
            GitKind::Tree => {
                return Err(Error::NotAFile {
                    path: path.to_owned(),
                });
            }
            GitKind::Link | GitKind::Commit => {
                entry.directory(path)?;
            }
        }
        if self.size(entry)? > self.limits.file_bytes {
            return Err(Error::TooLarge {
                path: path.to_owned(),
                limit: self.limits.file_bytes,
                unit: "bytes",
            });
        }
        let object = self.repository.find_object(entry.id);
        let mut object = object.map_err(|error| unreadable(path, &error))?;
        Ok(std::mem::take(&mut object.data))
    }

    fn size(&self, entry: &Entry) -> Result<u64, Error> {
        let header = self.repository.find_header(entry.id);
        let header = header.map_err(|error| unreadable(&entry.path, &error))?;
        Ok(header.size())
    }
}

impl SourceTree for Tree {
    fn files(&self, dir: &str, recurse: bool) -> Result<Vec<FileEntry>, Error> {
        let dir = normalize(dir)?;
        let id = if dir.is_empty() {
            self.root
        } else {
            let entry = self.find(&dir)?;
            entry.directory(&dir)?
        };
        let entries = self.walk(&dir, id, recurse)?.into_iter();
        let files = entries.filter(|entry| entry.kind != GitKind::Tree);
        files
            .map(|entry| {
                let (kind, size) = match entry.kind {
                    GitKind::Link => (EntryKind::Symlink, 0),
                    GitKind::Commit => (EntryKind::Submodule, 0),
                    _ => (EntryKind::File, self.size(&entry)?),
                };
                Ok(FileEntry {
                    path: entry.path,
                    size,
                    kind,
                })
            })
            .collect()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let path = normalize(path)?;
        if path.is_empty() {
            return Err(Error::NotAFile { path });
        }
        self.content(&self.find(&path)?)
    }
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}

fn unreadable(path: &str, error: &gix::Error) -> tree::Error {
    tree::Error::Unreadable {
        path: path.to_owned(),
        detail: chain(error),
    }
}
