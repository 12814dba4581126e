//! Everything that can end a command, and the exit code it ends with.
//!
//! Owns how an answer of the hub that says no is told to a person. Never prints: `output` does.

use std::io;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{config, connect, exit::Exit, up};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments fit no request.
    #[error("{0}")]
    Usage(String),
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The way to the hub.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// The hub said no.
    #[error("{}", describe(.0))]
    Hub(Box<Status>),
    /// The hub refused a document.
    #[error("{0}")]
    Input(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// What was waited for did not come.
    #[error("{0}")]
    Timeout(String),
    /// The run ended otherwise than well.
    #[error("{0}")]
    RunFailed(String),
    /// A source could not be looked at.
    #[error("failed to refresh: {0}")]
    Refresh(String),
    /// Something could not be compared.
    #[error("{0}")]
    Incomplete(String),
    /// Something differs; what was printed says what.
    #[error("something differs")]
    Differs,
    /// An agent could not be asked.
    #[error("failed to sync: {0}")]
    Sync(String),
    /// An audit chain does not hold.
    #[error("{0}")]
    Audit(String),
    /// The demo.
    #[error(transparent)]
    Up(#[from] up::Error),
    /// A file of the user's.
    #[error("failed to {action} {path}: {source}")]
    File {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A key or certificate request could not be made.
    #[error("failed to make a key: {0}")]
    Key(#[from] rcgen::Error),
    /// Standard output.
    #[error("failed to write the result: {0}")]
    Output(#[from] io::Error),
    /// A message could not be turned into JSON or YAML.
    #[error("failed to print the answer: {0}")]
    Print(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Hub(Box::new(status))
    }
}

impl Error {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Config(_) => Exit::Usage,
            Self::Connect(error) => error.exit(),
            Self::Hub(status) => exit_of(status.code()),
            Self::Input(_) => Exit::InvalidInput,
            Self::NotFound(_) => Exit::NotFound,
            Self::Timeout(_) => Exit::Timeout,
            Self::RunFailed(_) => Exit::RunFailed,
            Self::Output(_) if self.is_silent() => Exit::Ok,
            Self::Differs => Exit::Differs,
            Self::Up(error) => error.exit(),
            Self::Incomplete(_)
            | Self::Refresh(_)
            | Self::Sync(_)
            | Self::Audit(_)
            | Self::File { .. }
            | Self::Key(_)
            | Self::Output(_)
            | Self::Print(_) => Exit::Failure,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    /// Whether the hub may answer the same request a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Hub(status) => status.code() == Code::Unavailable,
            Self::Connect(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Whether there is nothing to tell: who read our output went away, as `head` does, or the
    /// result has said it.
    pub fn is_silent(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Differs => true,
            _ => false,
        }
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::NotFound => Exit::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => Exit::Refused,
        Code::Unavailable => Exit::Unreachable,
        Code::InvalidArgument => Exit::Usage,
        _ => Exit::Failure,
    }
}

/// What the hub said, with those of its details that the message does not already hold
/// (`google/rpc/error_details.proto`).
pub fn describe(status: &Status) -> String {
    let mut lines = vec![match status.message() {
        "" => format!("the hub answered {:?} without a reason", status.code()),
        message => message.to_owned(),
    }];
    let details = status.get_error_details();
    let mut add = |line: String, essence: &str| {
        if !lines.iter().any(|known| known.contains(essence)) {
            lines.push(line);
        }
    };
    for violation in details
        .bad_request()
        .iter()
        .flat_map(|bad| &bad.field_violations)
    {
        add(
            format!("{}: {}", violation.field, violation.description),
            &violation.description,
        );
    }
    for violation in details
        .precondition_failure()
        .iter()
        .flat_map(|failed| &failed.violations)
    {
        add(
            format!("{}: {}", violation.subject, violation.description),
            &violation.description,
        );
    }
    for link in details.help().iter().flat_map(|help| &help.links) {
        add(format!("{}: {}", link.description, link.url), &link.url);
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        add(
            format!("try again in {} s", delay.as_secs().max(1)),
            "try again in",
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn details_are_told_once() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("a.yaml:3", "spec.generators: required");
        details.add_bad_request_violation("a.yaml:9", "spec.template: required");
        let message = "nothing was written:\na.yaml:3: spec.generators: required";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        assert_eq!(
            describe(&status),
            "nothing was written:\na.yaml:3: spec.generators: required\n\
             a.yaml:9: spec.template: required"
        );
    }

    #[test]
    fn a_status_without_a_message_still_says_something() {
        let told = describe(&Status::new(Code::Internal, ""));
        assert!(told.contains("Internal"), "{told}");
    }
}
