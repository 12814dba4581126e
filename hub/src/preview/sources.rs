//! Where the sources of a previewed set are: fetched now, or at the commit that somebody asks about.
//!
//! Owns which source a revision is meant for. Records nothing: a fetch only fills the mirror, which
//! is a cache.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use tidegate_model::source::RepoRevision;

use super::Error;
use crate::{
    git::{self, Git},
    publish::{Candidate, gather::Gatherer, inputs::Inputs},
    state::State,
};

/// Fetches under way at once.
const CONCURRENCY: usize = 4;
/// A generator's commit tells the applications, and theirs tell the content: a set whose sources
/// are not all known after this many looks names ever new ones.
const LOOKS: usize = 4;

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct At {
    /// A commit, branch or tag instead of what the set follows; empty for that.
    pub revision: String,
    /// Of which source: URL or URL@REVISION; empty for the only one.
    pub source: String,
}

/// It is not clear where to look, or there is nothing there.
#[derive(Debug, thiserror::Error)]
pub enum Unclear {
    /// A revision needs one source.
    #[error(
        "the set has {} sources that {revision} could be of; name one of them with --source: {}",
        sources.len(), sources.join(", ")
    )]
    Several {
        /// What was asked for.
        revision: String,
        /// The sources.
        sources: Vec<String>,
    },
    /// No source is called that.
    #[error("the set has no source {source_name:?}; it has {}", sources.join(", "))]
    NoSource {
        /// What was asked for.
        source_name: String,
        /// The sources.
        sources: Vec<String>,
    },
    /// The revision that was asked for could not be fetched.
    #[error("failed to look at {revision}: {error}")]
    Revision {
        /// What was asked for.
        revision: String,
        /// Why.
        error: git::Error,
    },
}

type Found = BTreeMap<RepoRevision, (Option<String>, Option<String>)>;

/// Expands and renders with each source where it is to be. A source that is followed and cannot be
/// fetched stays at its last commit, as it does for real. `literal` are the sources that the
/// document names outright.
pub(super) async fn gather(
    git: &Git,
    content: &Arc<Gatherer>,
    state: &State,
    inputs: Inputs,
    literal: BTreeSet<RepoRevision>,
    at: &At,
) -> Result<Candidate, Error> {
    let mut found = Found::new();
    let mut looks = 0;
    loop {
        let commits = found.iter();
        let commits = commits
            .map(|(source, (commit, error))| (source.clone(), commit.clone(), error.clone()));
        let candidate = content.gather(inputs.clone().at(commits)).await?;
        let wanted = candidate
            .wanted
            .iter()
            .filter(|source| !found.contains_key(*source));
        let missing: Vec<_> = wanted.cloned().collect();
        looks += 1;
        // Before anything is fetched: in the wrong repository the revision is not to be found.
        let known = literal.union(&candidate.wanted).cloned().collect();
        not_several(&known, at)?;
        if missing.is_empty() || looks > LOOKS {
            not_none(&candidate.wanted, at)?;
            return Ok(candidate);
        }
        let fetches = missing
            .into_iter()
            .map(|source| fetch(git, state, source, at));
        let mut fetched = stream::iter(fetches).buffered(CONCURRENCY);
        while let Some(one) = fetched.next().await {
            let (source, commit, error) = one?;
            found.insert(source, (commit, error));
        }
    }
}

async fn fetch(
    git: &Git,
    state: &State,
    source: RepoRevision,
    at: &At,
) -> Result<(RepoRevision, Option<String>, Option<String>), Error> {
    if is_meant(&source, at) {
        let there = RepoRevision {
            repo_url: source.repo_url.clone(),
            revision: at.revision.clone(),
        };
        let fetched = git.fetch(&there).await.map_err(|error| Unclear::Revision {
            revision: at.revision.clone(),
            error,
        })?;
        return Ok((source, Some(fetched.commit), None));
    }
    match git.fetch(&source).await {
        Ok(fetched) => Ok((source, Some(fetched.commit), None)),
        Err(error) => {
            let known = state.sources.find(|row| row.source == source);
            let commit = known.and_then(|row| row.record.commit.clone());
            Ok((source, commit, Some(error.to_string())))
        }
    }
}

/// Whether the revision that is asked about stands for this source.
fn is_meant(source: &RepoRevision, at: &At) -> bool {
    !at.revision.is_empty()
        && (at.source.is_empty() || at.source == source.repo_url || at.source == named(source))
}

fn named(source: &RepoRevision) -> String {
    format!("{}@{}", source.repo_url, source.revision)
}

/// Refuses a revision that is meant for several sources.
fn not_several(wanted: &BTreeSet<RepoRevision>, at: &At) -> Result<(), Unclear> {
    let meant: Vec<_> = wanted
        .iter()
        .filter(|source| is_meant(source, at))
        .collect();
    if meant.len() < 2 {
        return Ok(());
    }
    Err(Unclear::Several {
        revision: at.revision.clone(),
        sources: meant.into_iter().map(named).collect(),
    })
}

/// Refuses a revision that is meant for none of the set's sources.
fn not_none(wanted: &BTreeSet<RepoRevision>, at: &At) -> Result<(), Unclear> {
    // A set of which nothing is known has problems of its own, and they are told.
    let unknown = wanted.is_empty() && at.source.is_empty();
    if unknown || at.revision.is_empty() || wanted.iter().any(|source| is_meant(source, at)) {
        return Ok(());
    }
    Err(Unclear::NoSource {
        source_name: at.source.clone(),
        sources: wanted.iter().map(named).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str, revision: &str) -> RepoRevision {
        RepoRevision {
            repo_url: url.to_owned(),
            revision: revision.to_owned(),
        }
    }

    #[test]
    fn a_revision_that_several_sources_could_mean_needs_one_of_their_names() {
        let wanted = BTreeSet::from([
            source("u/a", "main"),
            source("u/a", "v1"),
            source("u/b", "main"),
        ]);
        for (name, others) in [("", 3), ("u/a", 2), ("u/b", 0), ("u/a@v1", 0)] {
            let at = At {
                revision: "abc".to_owned(),
                source: name.to_owned(),
            };
            let told = not_several(&wanted, &at).map_err(|error| error.to_string());
            let count = told
                .as_ref()
                .err()
                .map_or(0, |told| told.matches("u/").count());
            assert_eq!(count, others, "{name}: {told:?}");
            assert!(not_none(&wanted, &at).is_ok());
        }
        let nobody = At {
            revision: "abc".to_owned(),
            source: "u/c".to_owned(),
        };
        assert!(
            not_none(&wanted, &nobody)
                .unwrap_err()
                .to_string()
                .contains("u/a@v1")
        );
        assert!(not_several(&wanted, &At::default()).is_ok());
    }
}
