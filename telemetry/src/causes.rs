//! An error with all that led to it, in one line. Never decides who is told.

use std::{error::Error, io::Write as _, sync::mpsc, thread, time::Duration};

/// An error with its causes, for a log line or a person.
pub fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

/// How long a complaint waits for whoever reads standard error.
const WITHIN: Duration = Duration::from_secs(1);

/// Says on standard error why `program` ends, where nobody logs. Waits a second for whoever reads it,
/// and is silent if nobody does: nothing is left to do then but to end.
pub fn complain(program: &str, error: &dyn Error) {
    let line = format!("{program}: {}\n", describe(error));
    let (written, wait) = mpsc::channel();
    thread::spawn(move || {
        let outcome = std::io::stderr().write_all(line.as_bytes());
        written.send(outcome).ok();
    });
    wait.recv_timeout(WITHIN).ok();
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] io::Error);

    #[test]
    fn causes_follow_unless_they_are_said_already() {
        let cause = || io::Error::other("the disk is full");
        let error = Outer("failed to write a", cause());
        assert_eq!(describe(&error), "failed to write a: the disk is full");
        let error = Outer("failed: the disk is full", cause());
        assert_eq!(describe(&error), "failed: the disk is full");
    }
}
