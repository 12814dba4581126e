//! Files that hold keys: whole or not there, and closed to others.
//!
//! Never reads keys: callers do.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use tempfile::NamedTempFile;

use super::Error;

/// Owner only.
const PRIVATE: u32 = 0o600;

/// What to do when the file is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfThere {
    Keep,
    Replace,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Written,
    /// The file was there and is as it was.
    Kept,
}

/// Writes a private file so that a crash leaves the old one or the new one, never a part, and
/// never one that others can read.
pub(super) fn write_private(
    path: &Path,
    content: &str,
    if_there: IfThere,
) -> Result<Written, Error> {
    let failed = |action, source| Error::File {
        action,
        path: path.to_owned(),
        source,
    };
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new()
            .prefix(".tidegate-")
            .permissions(Permissions::from_mode(PRIVATE))
            .tempfile_in(dir)?;
        file.write_all(content.as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file = write().map_err(|source| failed("write", source))?;
    let named = match if_there {
        IfThere::Keep => file.persist_noclobber(path),
        IfThere::Replace => file.persist(path),
    };
    match named {
        Ok(_) => {}
        Err(error)
            if if_there == IfThere::Keep && error.error.kind() == ErrorKind::AlreadyExists =>
        {
            return Ok(Written::Kept);
        }
        Err(error) => return Err(failed("write", error.error)),
    }
    // The name is durable only once the directory is.
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced
        .map(|()| Written::Written)
        .map_err(|source| failed("write", source))
}

/// Reads a private file, if it is there.
///
/// A group may read it: Kubernetes opens every file of a volume to the pod's group (`fsGroup`).
pub(super) fn read_private(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if mode & 0o007 != 0 {
        return Err(Error::OpenToAll {
            path: path.to_owned(),
            mode,
        });
    }
    fs::read_to_string(path).map(Some).map_err(failed)
}

/// Makes the directory of a private file.
pub(super) fn make_dir(dir: &Path) -> Result<(), Error> {
    let failed = |source| Error::File {
        action: "make the directory",
        path: dir.to_owned(),
        source,
    };
    fs::create_dir_all(dir).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_private_and_replaced_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, "one", IfThere::Keep).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );

        assert_eq!(
            write_private(&path, "two", IfThere::Keep).unwrap(),
            Written::Kept
        );
        assert_eq!(read_private(&path).unwrap().as_deref(), Some("one"));

        let written = write_private(&path, "two", IfThere::Replace).unwrap();
        assert_eq!(written, Written::Written);
        assert_eq!(read_private(&path).unwrap().as_deref(), Some("two"));
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "temporary files were left behind");
    }

    #[test]
    fn a_file_that_everybody_can_read_is_refused_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, "one", IfThere::Keep).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = read_private(&path).unwrap_err().to_string();
        assert!(
            error.contains("0644") && error.contains("chmod 600"),
            "{error}"
        );
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert!(read_private(&path).is_ok());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none/key");
        assert_eq!(read_private(&path).unwrap(), None);
        let error = write_private(&path, "one", IfThere::Keep)
            .unwrap_err()
            .to_string();
        assert!(error.contains("none/key"), "{error}");
    }
}
