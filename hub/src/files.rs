//! Changes to files that a crash cannot halve: what is written, renamed or removed is so after a
//! power loss too, or is as it was.
//!
//! Says only what the system says: callers know what the file is for.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// Owner only: the hub's files hold keys, or say where they belong.
const PRIVATE: u32 = 0o600;

/// How the name of a file begins that is not whole yet. A crash leaves it; it is of no use.
pub(crate) const UNFINISHED: &str = ".tidegate-";

/// What to do when the file is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfThere {
    Keep,
    Replace,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Written,
    /// The file was there and is as it was.
    Kept,
}

/// Writes a private file so that a crash leaves the old one or the new one, never a part, and
/// never one that others can read.
pub(crate) fn write(path: &Path, bytes: &[u8], if_there: IfThere) -> io::Result<Written> {
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(PRIVATE))
        .tempfile_in(parent(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let named = match if_there {
        IfThere::Keep => file.persist_noclobber(path),
        IfThere::Replace => file.persist(path),
    };
    match named {
        Ok(_) => sync_parent(path).map(|()| Written::Written),
        Err(error)
            if if_there == IfThere::Keep && error.error.kind() == ErrorKind::AlreadyExists =>
        {
            Ok(Written::Kept)
        }
        Err(error) => Err(error.error),
    }
}

/// Gives a file another name, in the same directory.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_parent(to)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The directory that a file is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A name is durable only once its directory is.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_only_when_asked_and_removed_if_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        let write = |text: &str, if_there| write(&path, text.as_bytes(), if_there).unwrap();
        let read = || fs::read_to_string(&path).unwrap();
        assert_eq!(write("one", IfThere::Keep), Written::Written);
        assert_eq!(write("two", IfThere::Keep), Written::Kept);
        assert_eq!(read(), "one");
        assert_eq!(write("two", IfThere::Replace), Written::Written);
        assert_eq!(read(), "two");
        rename(&path, &other).unwrap();
        remove(&path).unwrap();
        let left = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap());
        assert_eq!(left.map(|entry| entry.path()).collect::<Vec<_>>(), [other]);
    }

    #[test]
    fn a_bare_name_is_in_the_directory_of_the_process() {
        assert_eq!(parent(Path::new("backup")), Path::new("."));
        assert_eq!(parent(Path::new("to/backup")), Path::new("to"));
    }
}
