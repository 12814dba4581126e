//! Files that hold keys: whole or not there, and closed to others.
//!
//! Never reads keys: callers do.

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt as _, path::Path};

use super::Error;
use crate::files;
pub(super) use crate::files::{IfThere, Written};

/// Writes a private file.
pub(super) fn write_private(
    path: &Path,
    content: &str,
    if_there: IfThere,
) -> Result<Written, Error> {
    let failed = |source| Error::File {
        action: "write",
        path: path.to_owned(),
        source,
    };
    files::write(path, content.as_bytes(), if_there).map_err(failed)
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
    use std::fs::Permissions;

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
