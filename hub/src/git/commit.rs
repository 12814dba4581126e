//! Who made a commit, when and what for.
//!
//! Reads what Git recorded; anybody can write any name into a commit, so it proves nothing.

use gix::{Repository, actor::SignatureRef};
use jiff::Timestamp;

use super::{Error, address::Address, error::chain, mirror::Mirror};

/// The most characters of a name or a subject.
const LENGTH: usize = 200;

/// A person as Git recorded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// When, by their clock; `None` if what is there is no time.
    pub at: Option<Timestamp>,
}

/// What Git says of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Who wrote the change.
    pub author: Signature,
    /// Who made the commit of it.
    pub committer: Signature,
    /// The first line of its message.
    pub subject: String,
}

impl Mirror {
    /// Reads a commit that is in the mirror.
    pub(super) fn info(&self, address: &Address, commit: &str) -> Result<CommitInfo, Error> {
        let (id, repository) = self.with_commit(address, commit)?;
        read(&repository, id).map_err(|error| Error::Mirror {
            path: repository.git_dir().to_owned(),
            detail: chain(&error),
        })
    }
}

fn read(repository: &Repository, id: gix::ObjectId) -> Result<CommitInfo, gix::Error> {
    let commit = repository.find_commit(id)?;
    let decoded = commit.decode()?;
    Ok(CommitInfo {
        author: signature(decoded.author()?),
        committer: signature(decoded.committer()?),
        subject: short(&decoded.message().summary()),
    })
}

fn signature(signature: SignatureRef<'_>) -> Signature {
    let seconds = signature.time().map(|time| time.seconds);
    Signature {
        name: short(signature.name),
        email: short(signature.email),
        at: seconds
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
    }
}

fn short(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim().chars().take(LENGTH).collect()
}
