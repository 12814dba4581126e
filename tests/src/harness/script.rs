//! Scripts of the project that bring a program and print its path.
//!
//! Owns how one is run and what its exit status says. Never knows what it brings.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The exit status when a tool that the script needs is not installed.
const LACKS_TOOL: i32 = 3;

/// Why there is no program.
pub(super) enum Trouble {
    /// The machine lacks a tool that the script needs.
    Lacks,
    /// Anything else.
    Failed(String),
}

/// Runs the script of this path below `tests`: the path that it prints.
pub(super) fn run(script: &str) -> Result<PathBuf, Trouble> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    // Its stderr is the progress of minutes: shown as it comes.
    let run = Command::new("bash")
        .arg(&path)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Trouble::Lacks),
        Err(error) => {
            let reason = format!("failed to run {}: {error}", path.display());
            return Err(Trouble::Failed(reason));
        }
    };
    match output.status.code() {
        Some(0) => {
            let program = String::from_utf8_lossy(&output.stdout);
            Ok(PathBuf::from(program.trim_end()))
        }
        Some(LACKS_TOOL) => Err(Trouble::Lacks),
        _ => {
            let reason = format!("{} failed; its words are above", path.display());
            Err(Trouble::Failed(reason))
        }
    }
}
