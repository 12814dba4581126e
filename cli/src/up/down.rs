//! `down`: removes the folder of a fleet.
//!
//! Never removes a folder that `up` did not make, or one that is in use.

use std::fs;

use super::{
    error::Error,
    layout::Layout,
    state::{Lock, State, file},
};
use crate::{args, error, output::Output};

pub(crate) fn down(options: &args::Down, output: &mut Output) -> Result<(), error::Error> {
    let layout = Layout::new(options.dir.clone());
    let root = layout.root().to_owned();
    if !layout.state().exists() {
        return Err(Error::NoFleet { path: root }.into());
    }
    let _lock = Lock::take(&layout)?;
    // A newer or damaged record does not keep anybody from clearing up.
    let real = State::load(&layout).ok().flatten();
    let real = real.is_some_and(|state| state.kubeconfig.is_some());
    // The record goes last: what is interrupted can be done again.
    for entry in fs::read_dir(&root).map_err(file("read", &root))? {
        let path = entry.map_err(file("read", &root))?.path();
        if path == layout.state() {
            continue;
        }
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(file("remove", &path))?;
    }
    fs::remove_dir_all(&root).map_err(file("remove", &root))?;
    if real {
        output.note(
            "what was delivered to the real clusters, and the namespace tidegate-system with the \
             agents' state, stays there",
        );
    }
    output.value(
        &serde_json::json!({"removed": root}),
        &format!("removed {}", root.display()),
    )
}
