//! Where an application's manifests come from.
//!
//! Never fetches: `hub::git` does, and hands trees to `render`.

use serde::{Deserialize, Serialize};

/// A directory of a Git repository at a revision. Field names are those of Argo CD's
/// `Application.spec.source`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// `https://`, `ssh://`, `user@host:path`, or `file://` where the hub allows it.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch, tag or commit. `HEAD` is the remote's default branch.
    #[serde(default = "head")]
    pub target_revision: String,
    /// Directory in the repository, `/`-separated, relative, without `..`. `.` is the root.
    #[serde(default = "root")]
    pub path: String,
    /// Which files of the directory are manifests.
    #[serde(default)]
    pub directory: Directory,
}

/// Which files of a source directory are manifests: by default every `*.yaml`, `*.yml` and
/// `*.json` directly in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Directory {
    /// Also the directories below.
    #[serde(default)]
    pub recurse: bool,
    /// Glob over the path relative to the directory; empty takes all manifests.
    #[serde(default)]
    pub include: String,
    /// Glob that takes files out again; wins over `include`.
    #[serde(default)]
    pub exclude: String,
}

fn head() -> String {
    "HEAD".to_owned()
}

fn root() -> String {
    ".".to_owned()
}

/// A revision of a repository: the unit that is polled, resolved and pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepoRevision {
    /// The repository's address.
    pub repo_url: String,
    /// Branch, tag or commit as the user wrote it.
    pub revision: String,
}

impl Source {
    /// The repository and revision without the path.
    pub fn repo_revision(&self) -> RepoRevision {
        RepoRevision {
            repo_url: self.repo_url.clone(),
            revision: self.target_revision.clone(),
        }
    }
}
