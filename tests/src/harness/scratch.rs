//! Folders of running fleets, and the folder that test processes share.
//!
//! Owns where the harness writes: one folder a fleet, removed with the fleet.
//! A killed test process cannot remove its folder, so the next fleet does: each
//! folder holds a lock file, and a lock nobody holds means that its owner ended.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::error::Error;

/// Set to anything, keeps a fleet's folder (logs, kubeconfigs) after the test.
const KEEP: &str = "TIDEGATE_KEEP_FLEET";

/// A folder of one fleet; dropped, it is removed with what it contains.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    // Held for as long as the folder is in use.
    _lock: File,
}

impl Scratch {
    /// Makes a fresh folder, and removes those that killed processes left.
    pub(crate) fn create() -> Result<Self, Error> {
        let root = shared("fleets")?;
        // Nobody can be between making a folder and locking it while this is held.
        let gate = open(&root.join("gate.lock"))?;
        gate.lock()
            .map_err(Error::io(format!("lock {}", root.display())))?;
        sweep(&root).map_err(Error::io(format!(
            "remove old fleets in {}",
            root.display()
        )))?;
        let path = tempfile::Builder::new()
            .prefix("fleet-")
            .tempdir_in(&root)
            .map_err(Error::io(format!("make a folder in {}", root.display())))?
            .keep();
        let lock = open(&path.join("lock"))?;
        lock.lock()
            .map_err(Error::io(format!("lock {}", path.display())))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os(KEEP).is_some() {
            eprintln!("kept the fleet's folder {}", self.path.display());
            // Without its lock file the next sweep takes it for a stranger's.
            let _ = fs::remove_file(self.path.join("lock"));
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("failed to remove {}: {error}", self.path.display());
        } else if std::thread::panicking() {
            eprintln!("the fleet's logs are gone; run again with {KEEP}=1 to keep them");
        }
    }
}

/// A folder that every test process of this user shares.
pub(crate) fn shared(purpose: &str) -> Result<PathBuf, Error> {
    let user = fs::metadata("/proc/self")
        .map_err(Error::io("read /proc/self"))?
        .uid();
    let path = std::env::temp_dir()
        .join(format!("tidegate-{user}"))
        .join(purpose);
    fs::create_dir_all(&path).map_err(Error::io(format!("make {}", path.display())))?;
    Ok(path)
}

/// Opens a lock file, making it if need be. Children never inherit it.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::io(format!("open {}", path.display())))
}

fn sweep(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let folder = entry?.path();
        let Ok(lock) = File::options().write(true).open(folder.join("lock")) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            fs::remove_dir_all(&folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_stays_and_a_forsaken_one_goes() {
        let used = Scratch::create().unwrap();
        let forsaken = Scratch::create().unwrap();
        let forsaken_path = forsaken.path.clone();
        // What a killed process leaves: the folder, and a lock that nobody holds.
        let Scratch { _lock: lock, .. } = &forsaken;
        lock.unlock().unwrap();
        let fresh = Scratch::create().unwrap();
        assert!(used.path.is_dir() && fresh.path.is_dir());
        assert!(!forsaken_path.exists());
        std::mem::forget(forsaken);
    }

    #[test]
    fn a_dropped_folder_is_gone() {
        let path = Scratch::create().unwrap().path.clone();
        assert!(!path.exists());
    }
}
