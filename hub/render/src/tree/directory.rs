//! A tree on the local disk, for the command line.
//!
//! Never follows a link and never shows `.git`. Not a defence against somebody who changes the
//! directory while it is read: whoever can do that runs as the user already.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{EntryKind, Error, FileEntry, SourceTree, normalize, up_to};

/// A source tree in a local directory.
#[derive(Clone, Debug)]
pub struct DirectoryTree {
    root: PathBuf,
}

impl DirectoryTree {
    /// The tree in `root`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`], [`Error::Unreadable`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let shown = root.display().to_string();
        match fs::metadata(&root) {
            Ok(metadata) if metadata.is_dir() => Ok(Self { root }),
            Ok(_) => Err(Error::NotADirectory { path: shown }),
            Err(error) => Err(failed(&shown, &error)),
        }
    }

    /// What stands under a normalized path, after every component before it proved to be a
    /// directory.
    fn inspect(&self, path: &str) -> Result<fs::Metadata, Error> {
        let parents = path.matches('/').count();
        for index in 0..parents {
            let part = up_to(path, index);
            let metadata = self.metadata(path, part)?;
            if !metadata.is_dir() {
                return Err(Error::NotADirectory {
                    path: part.to_owned(),
                });
            }
        }
        self.metadata(path, path)
    }

    fn metadata(&self, path: &str, part: &str) -> Result<fs::Metadata, Error> {
        let metadata =
            fs::symlink_metadata(self.root.join(part)).map_err(|error| failed(path, &error))?;
        if metadata.is_symlink() && !part.is_empty() {
            return Err(Error::Link {
                path: path.to_owned(),
                link: part.to_owned(),
            });
        }
        Ok(metadata)
    }

    fn walk(&self, dir: &str, recurse: bool, found: &mut Vec<FileEntry>) -> Result<(), Error> {
        let unreadable = |error: io::Error| failed(dir, &error);
        for entry in fs::read_dir(self.root.join(dir)).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if name == ".git" {
                continue;
            }
            let path = Path::new(dir).join(&name);
            let Some(path) = path.to_str().map(str::to_owned) else {
                return Err(Error::NotUtf8 {
                    path: path.display().to_string(),
                });
            };
            // Does not follow links.
            let metadata = entry.metadata().map_err(|error| failed(&path, &error))?;
            if metadata.is_dir() {
                if recurse {
                    self.walk(&path, recurse, found)?;
                }
            } else if metadata.is_symlink() || metadata.is_file() {
                let is_file = metadata.is_file();
                found.push(FileEntry {
                    path,
                    size: if is_file { metadata.len() } else { 0 },
                    kind: if is_file {
                        EntryKind::File
                    } else {
                        EntryKind::Symlink
                    },
                });
            }
        }
        Ok(())
    }
}

fn failed(path: &str, error: &io::Error) -> Error {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path },
        _ => Error::Unreadable {
            path,
            detail: error.to_string(),
        },
    }
}

impl SourceTree for DirectoryTree {
    fn files(&self, dir: &str, recurse: bool) -> Result<Vec<FileEntry>, Error> {
        let dir = normalize(dir)?;
        if !dir.is_empty() && !self.inspect(&dir)?.is_dir() {
            return Err(Error::NotADirectory { path: dir });
        }
        let mut found = Vec::new();
        self.walk(&dir, recurse, &mut found)?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let path = normalize(path)?;
        if !self.inspect(&path)?.is_file() {
            return Err(Error::NotAFile { path });
        }
        fs::read(self.root.join(&path)).map_err(|error| failed(&path, &error))
    }
}
