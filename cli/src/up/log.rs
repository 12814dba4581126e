//! What hub and agents log, kept in a file: the screen is for the waves.

use std::{fs, sync::Mutex};

use tracing_subscriber::EnvFilter;

use super::{error::Error, layout::Layout, state::file};

/// Longest log that is kept of the `up` before, bytes.
const KEEP: u64 = 10 << 20;

/// Begins logging into the fleet's folder. A process that logs already goes on as it does.
pub(super) fn start(layout: &Layout) -> Result<(), Error> {
    let path = layout.log();
    if fs::metadata(&path).is_ok_and(|data| data.len() > KEEP) {
        let _ = fs::remove_file(&path);
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    let log = options.open(&path).map_err(file("write", &path))?;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_writer(Mutex::new(log))
        .with_ansi(false)
        .try_init();
    Ok(())
}
