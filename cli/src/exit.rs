//! With what the program exits.
//!
//! Owns the table of exit codes: the help text prints [`TABLE`], `docs/cli.md` carries the same
//! rows, and a test holds them together.

use std::process::ExitCode;

/// Outcome of a command, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed that no other code names.
    Failure = 1,
    /// The command line or the configuration file is wrong.
    Usage = 2,
    /// The hub knows no such thing.
    NotFound = 3,
    /// The hub does not let the caller do this.
    Refused = 4,
    /// The hub cannot be reached.
    Unreachable = 5,
    /// What was waited for did not come in time.
    Timeout = 6,
    /// The run ended otherwise than well.
    RunFailed = 7,
    /// A document that was to be applied is wrong.
    InvalidInput = 8,
    /// A comparison found a difference, and the user wants that as a code.
    Differs = 9,
    /// Ctrl-C: 128 + SIGINT, as shells have it.
    Interrupted = 130,
}

/// The codes and what they mean, for people.
pub const TABLE: &[(Exit, &str)] = &[
    (Exit::Ok, "done"),
    (Exit::Failure, "failure that no other code names"),
    (Exit::Usage, "wrong usage or wrong configuration file"),
    (Exit::NotFound, "not found"),
    (
        Exit::Refused,
        "refused: no permission, or the certificate is not accepted",
    ),
    (
        Exit::Unreachable,
        "hub unreachable, or what answers is not this hub",
    ),
    (Exit::Timeout, "wait or watch ran out of time"),
    (
        Exit::RunFailed,
        "the run failed, was rolled back, cancelled or superseded",
    ),
    (
        Exit::InvalidInput,
        "apply, diff: a document is invalid; nothing was written",
    ),
    (Exit::Differs, "diff --exit-code: something differs"),
    (Exit::Interrupted, "interrupted"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table as the help text shows it.
pub fn help() -> String {
    let rows: Vec<_> = TABLE
        .iter()
        .map(|(exit, meaning)| format!("  {:>3}  {meaning}", *exit as u8))
        .collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_says_the_same() {
        let guide = include_str!("../../docs/cli.md");
        for (exit, meaning) in TABLE {
            let row = format!("| {} | {meaning} |", *exit as u8);
            assert!(guide.contains(&row), "docs/cli.md lacks the row {row:?}");
        }
    }
}
