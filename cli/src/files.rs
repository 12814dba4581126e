//! Files that are replaced in one step, for their owner alone.
//!
//! Owns that whoever reads sees the old file or the new one, whole, and that a writer that dies
//! leaves the old one. Never knows what is in them; one writer at a time is the caller's affair.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// `.NAME.SUFFIX` in the same directory.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// Readable by nobody else from its first moment on.
pub(crate) fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Writes the file anew and makes it durable.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    // One that is there was left by a writer that died.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    let written = private(&mut options).open(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        // Best effort: a key in it must not stay; the old file is as it was.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    #[cfg(unix)]
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::File::open(parent)?.sync_all()?,
        _ => fs::File::open(".")?.sync_all()?,
    }
    Ok(())
}
