//! A release: every generated application of a set with its content, frozen and numbered.
//!
//! Immutable. Never says how far it got: that is a run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    digest::Digest,
    ids::{AppUid, ClusterUid, ReleaseId, SetUid},
    policy::Policy,
    source::RepoRevision,
};

/// A numbered release of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The set.
    pub set: SetUid,
    /// Rises by one within the set, from 1.
    pub number: u64,
    /// Names the content: equal content published again has the same.
    pub content: Digest,
    /// Its applications, ordered by uid.
    pub entries: Vec<ReleaseEntry>,
    /// Commits it was rendered from.
    pub sources: Vec<SourceCommit>,
    /// Version of the set's document.
    pub set_version: u64,
    /// What asked for it, for example `git` or `apply`.
    pub cause: String,
    /// Who made it, as far as is known: the authors of its commits by e-mail address, and whoever
    /// applied the set as it is.
    pub authors: Vec<String>,
    /// When it was made, by the hub's clock.
    pub created_at: Timestamp,
}

/// A source and the commit that a release pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceCommit {
    /// The source as written.
    #[serde(flatten)]
    pub source: RepoRevision,
    /// The commit's full id.
    pub commit: String,
}

/// One application of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseEntry {
    /// The application.
    pub app: AppUid,
    /// Its name.
    pub name: String,
    /// Its cluster.
    pub cluster: ClusterUid,
    /// Its content, or why there is none.
    pub content: EntryContent,
    /// Prune and drift.
    pub policy: Policy,
    /// Namespace for namespaced objects that name none.
    pub namespace: String,
    /// A person approved that this content removes more than the brake allows.
    pub prune_approved: bool,
}

/// What an application of a release consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryContent {
    /// This bundle.
    Bundle(Digest),
    /// It could not be rendered: fails in its wave, never stops the others.
    Unrendered {
        /// What went wrong, with its place.
        cause: String,
    },
}

impl EntryContent {
    /// The bundle, if it was rendered.
    pub fn bundle(&self) -> Option<Digest> {
        match self {
            Self::Bundle(digest) => Some(*digest),
            Self::Unrendered { .. } => None,
        }
    }
}

/// The content id of a release with these entries: who made it, when, why and
/// what was approved on the way are left out.
pub fn content_id(entries: &[ReleaseEntry]) -> Digest {
    let mut rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let content = match &entry.content {
                EntryContent::Bundle(digest) => json!(digest.to_string()),
                EntryContent::Unrendered { cause } => json!({ "unrendered": cause }),
            };
            json!([
                entry.app.to_string(),
                content,
                entry.policy.digest().to_string()
            ])
        })
        .collect();
    rows.sort_by_key(ToString::to_string);
    Digest::of("release", &rows.into())
}
