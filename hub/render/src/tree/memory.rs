//! A tree written down in a test.

use std::collections::BTreeMap;

use super::{EntryKind, Error, FileEntry, SourceTree, normalize, up_to};

/// A source tree in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    entries: BTreeMap<String, (EntryKind, Vec<u8>)>,
}

impl MemoryTree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path, EntryKind::File, content.into())
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str) -> Self {
        self.entry(path, EntryKind::Symlink, Vec::new())
    }

    /// Adds a submodule.
    #[must_use]
    pub fn submodule(self, path: &str) -> Self {
        self.entry(path, EntryKind::Submodule, Vec::new())
    }

    fn entry(mut self, path: &str, kind: EntryKind, content: Vec<u8>) -> Self {
        self.entries.insert(path.to_owned(), (kind, content));
        self
    }

    /// Refuses a link or submodule among the parents of `path`.
    fn check_parents(&self, path: &str) -> Result<(), Error> {
        for index in 0..path.matches('/').count() {
            self.check_component(path, up_to(path, index))?;
        }
        Ok(())
    }

    fn check_component(&self, path: &str, part: &str) -> Result<(), Error> {
        let (path, part) = (path.to_owned(), part.to_owned());
        match self.entries.get(&part) {
            Some((EntryKind::Symlink, _)) => Err(Error::Link { path, link: part }),
            Some((EntryKind::Submodule, _)) => Err(Error::Submodule {
                path,
                submodule: part,
            }),
            _ => Ok(()),
        }
    }
}

impl SourceTree for MemoryTree {
    fn files(&self, dir: &str, recurse: bool) -> Result<Vec<FileEntry>, Error> {
        let dir = normalize(dir)?;
        self.check_parents(&dir)?;
        self.check_component(&dir, &dir)?;
        if self.entries.contains_key(&dir) {
            return Err(Error::NotADirectory { path: dir });
        }
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let below = || {
            self.entries
                .iter()
                .filter_map(|(path, entry)| Some((path, path.strip_prefix(&prefix)?, entry)))
        };
        if !dir.is_empty() && below().next().is_none() {
            return Err(Error::NotFound { path: dir });
        }
        let entries = below()
            .filter(|(_, rest, _)| recurse || !rest.contains('/'))
            .map(|(path, _, (kind, content))| FileEntry {
                path: path.clone(),
                size: content.len() as u64,
                kind: *kind,
            });
        Ok(entries.collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let path = normalize(path)?;
        self.check_parents(&path)?;
        self.check_component(&path, &path)?;
        match self.entries.get(&path) {
            Some((_, content)) => Ok(content.clone()),
            None if self.files(&path, false).is_ok() => Err(Error::NotAFile { path }),
            None => Err(Error::NotFound { path }),
        }
    }
}
