//! What can go wrong with a Git source, in words for the person who wrote it.

use std::path::PathBuf;

/// An error of a Git source. Addresses in it carry no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one that a hub fetches from.
    #[error("failed to use repository {repo:?}: {reason}")]
    Address {
        /// The address, without user and password.
        repo: String,
        /// What is wrong, and what to write.
        reason: &'static str,
    },
    /// A `file://` address, and the hub does not allow them.
    #[error(
        "failed to use repository {repo:?}: file:// repositories are refused, because the hub \
         would read them with its own rights; use https:// or ssh://, or start the hub with \
         --allow-file-sources"
    )]
    FileRefused {
        /// The address.
        repo: String,
    },
    /// The revision is not the name of a branch, tag or commit.
    #[error("failed to use revision {revision:?}: {reason}")]
    Revision {
        /// The revision, cut to 200 characters.
        revision: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file that the hub's options name cannot be read.
    #[error("failed to use {path}, which {option} of the hub names: {detail}")]
    Options {
        /// The flag.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The server was not reached, or hung up.
    #[error(
        "failed to reach repository {repo}: {detail}; check the address, and network, proxy and \
         certificate authorities of the hub"
    )]
    Unreachable {
        /// The address.
        repo: String,
        /// What was said.
        detail: String,
    },
    /// The server asks for credentials that the hub does not have, or refuses those it has.
    #[error(
        "failed to log in to repository {repo}: {detail}; check that it exists and that the hub \
         has credentials for its host"
    )]
    Authentication {
        /// The address.
        repo: String,
        /// What was said.
        detail: String,
    },
    /// The server has no such repository.
    #[error("failed to find repository {repo}: {detail}; check the address")]
    NoRepository {
        /// The address.
        repo: String,
        /// What was said.
        detail: String,
    },
    /// The repository has no commit yet.
    #[error("failed to read repository {repo}: it is empty; push a commit")]
    Empty {
        /// The address.
        repo: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error(
        "failed to find revision {revision:?} in {repo}: no such branch, tag or commit; correct \
         targetRevision (commits by all 40 digits), or push it"
    )]
    UnknownRevision {
        /// The address.
        repo: String,
        /// The revision.
        revision: String,
    },
    /// A branch and a tag have the name.
    #[error(
        "failed to choose revision {revision:?} in {repo}: it is a branch and a tag; write \
         refs/heads/{revision} or refs/tags/{revision}"
    )]
    Ambiguous {
        /// The address.
        repo: String,
        /// The revision.
        revision: String,
    },
    /// The revision leads to something else than a commit.
    #[error("failed to use revision {revision:?} in {repo}: it is a {kind}, not a commit")]
    NotACommit {
        /// The address.
        repo: String,
        /// The revision.
        revision: String,
        /// What it is.
        kind: String,
    },
    /// The commit was never fetched, or its mirror is gone.
    #[error("failed to find commit {commit} of {repo} in the mirror; refresh the source")]
    MissingCommit {
        /// The address.
        repo: String,
        /// The commit.
        commit: String,
    },
    /// The fetch took too long and was given up.
    #[error(
        "failed to fetch {repo}: it took longer than {seconds} s; check the server, or use a \
         smaller repository"
    )]
    Timeout {
        /// The address.
        repo: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// The fetch brought more than allowed and was given up.
    #[error("failed to fetch {repo}: it brought more than {limit} bytes; use a smaller repository")]
    TooLarge {
        /// The address.
        repo: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The repository has an object that is larger than allowed.
    #[error(
        "failed to fetch {repo}: it has a file of more than {limit} bytes; take it out of the \
         revision"
    )]
    ObjectTooLarge {
        /// The address.
        repo: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The mirror on the hub's disk failed.
    #[error(
        "failed to use the mirror in {path}: {detail}; check the disk, or delete the directory: \
         it is only a cache"
    )]
    Mirror {
        /// The mirror's directory.
        path: PathBuf,
        /// What was said.
        detail: String,
    },
    /// A defect of the hub.
    #[error("failed to fetch because of a defect: {detail}; report it")]
    Internal {
        /// What is known.
        detail: String,
    },
}

impl Error {
    /// Whether the same fetch can succeed later without anyone changing the source or the hub.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Mirror { .. }
        )
    }
}

/// Every message of a Git error from the outermost to the cause, without repetition.
pub(super) fn chain(error: &gix::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in error.iter_errors() {
        let text = part.to_string();
        if !text.is_empty() && !parts.iter().any(|known| known.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}
