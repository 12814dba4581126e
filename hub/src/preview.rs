//! What a commit or a document would change: the production passes over a copy of the view.
//!
//! Expands, renders and publishes with the code that does so for real, and writes nothing: records
//! go into a copy of the view, content into a store that is gone with the answer. Never asks what
//! an agent would do with the result, and never promotes.

mod scratch;
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidegate_model::{
    bundle::Bundle,
    deny::Deny,
    digest::Digest,
    ids::Epoch,
    release::{ReleaseEntry, SourceCommit},
    strategy::DenyScope,
};
use tidegate_store::BlobStore;
use tokio::task::spawn_blocking;

pub use self::sources::{At, Unclear};
use crate::{
    clock::Clock,
    diff::{Place, Side, Sides},
    git::Git,
    publish::{
        Candidate,
        gather::{self, Gatherer},
        inputs::Inputs,
        pass,
    },
    records::{self, HoldRecord, SetRecord},
    state::State,
};

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Content that the hub should have.
    #[error(transparent)]
    Content(#[from] gather::Error),
    /// The view could not be carried on.
    #[error(transparent)]
    Record(#[from] records::Error),
    /// It is not clear where to look, or there is nothing there.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// The set is not there, or goes.
    #[error("set {set} {why}")]
    NoSet {
        /// Its name.
        set: String,
        /// What is the matter with it.
        why: &'static str,
    },
    /// The work itself.
    #[error("failed to compute the preview: {0}")]
    Internal(String),
}

/// What a set would become.
#[derive(Debug, Default)]
pub struct Preview {
    /// Commits that it would be made of.
    pub sources: Vec<SourceCommit>,
    /// What its applications are told now.
    pub before: Sides,
    /// What they would be told.
    pub after: Sides,
    /// Results that cannot be rendered: why, and which applications.
    pub unrendered: BTreeMap<String, Vec<Place>>,
    /// What else goes wrong.
    pub problems: Vec<String>,
    /// Some input is missing.
    pub incomplete: bool,
    /// What would wait, and for how long it has.
    pub holds: Vec<HoldRecord>,
    /// The release that would be made.
    pub release: Option<u64>,
}

/// What previews are made with.
#[derive(Clone, Debug)]
pub struct Previewer {
    git: Git,
    blobs: scratch::Shelf,
    content: Arc<Gatherer>,
    clock: Clock,
    epoch: Epoch,
}

impl Previewer {
    /// A previewer for one answer: what it renders is forgotten with it.
    pub fn new(git: Git, blobs: Arc<dyn BlobStore>, clock: Clock, epoch: Epoch) -> Self {
        let blobs = scratch::Shelf::over(blobs);
        Self {
            content: Arc::new(Gatherer::new(git.clone(), Arc::new(blobs.clone()))),
            git,
            blobs,
            clock,
            epoch,
        }
    }

    /// The content that bundles refer to, what was rendered for this answer included.
    pub fn blobs(&self) -> &dyn BlobStore {
        &self.blobs
    }

    /// A bundle by its digest.
    ///
    /// # Errors
    /// [`Error::Content`].
    pub async fn bundle(&self, digest: Digest) -> Result<Bundle, Error> {
        Ok(self.content.bundle(digest).await?)
    }

    /// The entries of a release.
    ///
    /// # Errors
    /// [`Error::Content`].
    pub async fn entries(&self, digest: Digest) -> Result<Vec<ReleaseEntry>, Error> {
        Ok(self.content.entries(digest).await?)
    }

    /// What going back from one bundle to another denies.
    ///
    /// # Errors
    /// [`Error::Content`].
    pub async fn denied(
        &self,
        bad: Digest,
        good: Digest,
        scope: DenyScope,
    ) -> Result<BTreeSet<Deny>, Error> {
        Ok(self.content.denied(bad, good, scope).await?)
    }

    /// Bundles of these releases' entries, as sides to compare.
    pub async fn release(&self, entries: Digest) -> Result<(Sides, Vec<ReleaseEntry>), Error> {
        let entries = self.content.entries(entries).await?;
        let mut bundles = BTreeMap::new();
        let mut sides = Sides::new();
        for entry in &entries {
            let Some(digest) = entry.content.bundle() else {
                continue;
            };
            let bundle = match bundles.get(&digest) {
                Some(known) => Arc::clone(known),
                None => Arc::new(self.content.bundle(digest).await?),
            };
            bundles.insert(digest, Arc::clone(&bundle));
            let side = Side {
                bundle,
                policy: entry.policy.clone(),
                namespace: entry.namespace.clone(),
            };
            sides.insert((entry.name.clone(), entry.cluster), side);
        }
        Ok((sides, entries))
    }

    /// What the set of `state` would become with its sources where `at` says.
    pub async fn preview(
        &self,
        state: State,
        project: &str,
        name: &str,
        at: &At,
    ) -> Result<Preview, Error> {
        let before = state.clone();
        let (after, candidate) = self.published(state, project, name, at).await?;
        let (of, set) = (project.to_owned(), name.to_owned());
        let work = move || {
            let set = before.set(&of, &set).map(|row| &*row.record)?;
            Some(compared(&before, &after, set, candidate))
        };
        let preview = spawn_blocking(work)
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        preview.ok_or_else(|| no_set(name, "is not there"))
    }

    /// `state` when the set is published with its sources where `at` says, and what was published.
    pub async fn published(
        &self,
        state: State,
        project: &str,
        name: &str,
        at: &At,
    ) -> Result<(State, Candidate), Error> {
        let row = state
            .set(project, name)
            .ok_or_else(|| no_set(name, "is not there"))?;
        if row.record.deleting {
            let why = "is being deleted: nothing is rolled out any more";
            return Err(no_set(name, why));
        }
        let inputs = Inputs::of(&state, row);
        let literal = crate::api::sources(&row.record.document);
        let candidate =
            sources::gather(&self.git, &self.content, &state, inputs, literal, at).await?;
        let (clock, epoch) = (self.clock.clone(), self.epoch);
        let (project, name) = (project.to_owned(), name.to_owned());
        let work = move || {
            let after = carry_on(state, &project, &name, &candidate, &clock, epoch)?;
            Ok((after, candidate))
        };
        let published: Result<_, records::Error> = spawn_blocking(work)
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(published?)
    }
}

fn no_set(name: &str, why: &'static str) -> Error {
    Error::NoSet {
        set: name.to_owned(),
        why,
    }
}

/// Publishes into a copy of the view until there is nothing more to publish.
fn carry_on(
    mut state: State,
    project: &str,
    name: &str,
    candidate: &Candidate,
    clock: &Clock,
    epoch: Epoch,
) -> Result<State, records::Error> {
    // Each pass that changes something brings at least one application on.
    let most = 100 + candidate.apps.len() + state.apps.len();
    for _ in 0..most {
        let Some(set) = state.set(project, name).cloned() else {
            break;
        };
        let view = pass::View {
            state: &state,
            set: &set,
            candidate,
            epoch,
            now: clock.now(),
        };
        let publication = pass::pass(&view, &mut || clock.id());
        if publication.changes.is_empty() {
            break;
        }
        state = state.with(&publication.changes)?;
    }
    Ok(state)
}

/// What was and what would be, as sides to compare.
fn compared(before: &State, after: &State, set: &SetRecord, candidate: Candidate) -> Preview {
    let mut preview = Preview {
        sources: candidate.commits.into_iter().collect(),
        incomplete: candidate.incomplete,
        ..Preview::default()
    };
    let mut left_alone = BTreeSet::new();
    let mut told = BTreeSet::new();
    for (name, app) in candidate.apps {
        let place = (name, app.app.cluster);
        match app.content {
            Ok(content) => {
                let side = Side {
                    bundle: Arc::new(content.bundle.clone()),
                    policy: app.app.policy,
                    namespace: app.app.namespace,
                };
                preview.after.insert(place, side);
            }
            Err(cause) => {
                told.insert(format!("application {}: {cause}", place.0));
                left_alone.insert(place.clone());
                preview.unrendered.entry(cause).or_default().push(place);
            }
        }
    }
    let problems = after.set_by_uid(set.uid).map(|set| set.problems.clone());
    let problems = problems.unwrap_or_default().into_iter();
    preview.problems = problems.filter(|text| !told.contains(text)).collect();
    for row in before.apps_of(set).filter(|row| !row.record.vanished) {
        let app = &row.record;
        let Some(side) = app
            .assignment
            .as_ref()
            .and_then(|last| Side::of(last, &candidate.running))
        else {
            continue;
        };
        let place = (app.app.name.clone(), app.app.cluster);
        let untouched = preview.incomplete
            || candidate.failed.contains(&place.0)
            || left_alone.contains(&place);
        if untouched && !preview.after.contains_key(&place) {
            preview.after.insert(place.clone(), side.clone());
        }
        preview.before.insert(place, side);
    }
    let holds = after.holds_of(set).map(|row| &row.record);
    preview.holds = holds
        .filter(|hold| hold.approved_by.is_none())
        .map(|hold| HoldRecord::clone(hold))
        .collect();
    let last = after.set_by_uid(set.uid).map(|set| set.last_release);
    preview.release = last.filter(|number| *number > set.last_release);
    preview
}
