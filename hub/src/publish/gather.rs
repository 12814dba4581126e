//! The I/O of publishing: trees read from Git objects, expansion and rendering run over them, blobs
//! written.
//!
//! Owns the order of these and a cache of what was rendered. Never decides what a result means:
//! `pass` does, and `inputs` whether there is anything new.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tidegate_generators::{Expansion, GitInput, Need};
use tidegate_model::{
    application::Application,
    bundle::{BUNDLE_TAG, Bundle, OBJECT_TAG},
    canonical,
    deny::{self, Deny},
    digest::Digest,
    release::{ReleaseEntry, SourceCommit},
    source::{RepoRevision, Source},
    strategy::DenyScope,
};
use tidegate_render::tree::SourceTree as _;
use tidegate_store::{Blob, BlobId, BlobStore, blob};
use tokio::{
    sync::{RwLock, RwLockReadGuard},
    task::spawn_blocking,
    time::Instant,
};

use super::{Candidate, CandidateApp, Content, inputs::Inputs, pass::ENTRIES_TAG, warn};
use crate::{
    git::{self, Git},
    state::Known,
    telemetry::content::Work,
};

/// Why content could not be read or written. The next pass tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The blob store failed.
    #[error(transparent)]
    Blob(#[from] blob::Error),
    /// A blob that a record names is not there.
    #[error("failed to read {tag} {digest}: it is not in the blob store; restore it from a backup")]
    Missing {
        /// Type of the content.
        tag: String,
        /// Its digest.
        digest: Digest,
    },
    /// A blob holds something else than its type says.
    #[error("failed to read {tag} {digest}: it holds no such thing")]
    Malformed {
        /// Type of the content.
        tag: String,
        /// Its digest.
        digest: Digest,
    },
}

/// Results of rendering that are remembered. One holds names and digests of a bundle's objects.
const CACHE: usize = 10_000;

/// Does the I/O.
pub struct Gatherer {
    git: Git,
    blobs: Arc<dyn BlobStore>,
    cache: Mutex<BTreeMap<(String, Source), Arc<Rendered>>>,
    /// E-mail addresses of authors by repository and commit, which never change.
    authors: Mutex<BTreeMap<(String, String), String>>,
    /// Read by passes, written by whoever must know that none is under way.
    passes: RwLock<()>,
}

type Outcome = Result<Arc<Content>, String>;

/// What became of a rendering, and when.
struct Rendered {
    outcome: Outcome,
    work: Work,
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatherer").finish_non_exhaustive()
    }
}

impl Gatherer {
    /// A gatherer over these repositories and blobs.
    pub fn new(git: Git, blobs: Arc<dyn BlobStore>) -> Self {
        Self {
            git,
            blobs,
            cache: Mutex::default(),
            authors: Mutex::default(),
            passes: RwLock::default(),
        }
    }

    /// Held by a pass from before it looks at content until its commit.
    pub async fn pass(&self) -> RwLockReadGuard<'_, ()> {
        self.passes.read().await
    }

    /// Looks at the records while no pass is between content and commit, and forgets what was
    /// rendered: whatever a later pass refers to that the records do not name now, it puts anew.
    /// So a sweep that keeps what the records name takes nothing from under a pass.
    pub async fn between_passes<T>(&self, look: impl FnOnce() -> T) -> T {
        let _alone = self.passes.write().await;
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        look()
    }

    /// Expands and renders a set. What cannot be read is a problem of the candidate, never a
    /// smaller candidate.
    pub async fn gather(self: &Arc<Self>, inputs: Inputs) -> Result<Candidate, Error> {
        let mut candidate = Candidate::default();
        if inputs.is_deleting() {
            return Ok(candidate);
        }
        let begun = Instant::now();
        let expansion = self.expand(&inputs, &mut candidate).await;
        candidate.timing.expanded = Some(Work::since(begun));
        candidate.incomplete |= expansion.incomplete;
        candidate
            .failed
            .extend(expansion.failed_names.iter().cloned());
        candidate
            .problems
            .extend(expansion.problems.iter().map(ToString::to_string));
        for app in expansion.applications {
            self.add(&inputs, &mut candidate, app).await?;
        }
        // Most clusters of a set run the same: one reading serves them all.
        let mut read: BTreeMap<Digest, Arc<Bundle>> = BTreeMap::new();
        for (app, digest) in inputs.running() {
            let bundle = match read.entry(digest) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(place) => {
                    Arc::clone(place.insert(Arc::new(self.bundle(digest).await?)))
                }
            };
            candidate.running.insert(app, bundle);
        }
        self.add_authors(&inputs, &mut candidate).await;
        Ok(candidate)
    }

    /// Who wrote the commits. A pass follows every assignment of a run, so each is read once. Where a gate
    /// keeps authors from approving, nothing is released whose author is not known.
    async fn add_authors(&self, inputs: &Inputs, candidate: &mut Candidate) {
        for SourceCommit { source, commit } in &candidate.commits {
            match self.author(&source.repo_url, commit).await {
                Ok(author) => drop(candidate.authors.insert(author)),
                Err(error) => {
                    let error = tidegate_telemetry::describe(&error);
                    tracing::warn!(commit, error, "the author of a commit is not known");
                    if inputs.separates_duties {
                        candidate.incomplete = true;
                        let problem =
                            format!("the author of commit {commit} is not known: {error}");
                        candidate.problems.push(problem);
                    }
                }
            }
        }
    }

    async fn author(&self, repo_url: &str, commit: &str) -> Result<String, git::Error> {
        let key = (repo_url.to_owned(), commit.to_owned());
        if let Some(author) = self.known_authors().get(&key) {
            return Ok(author.clone());
        }
        let author = self
            .git
            .fetched_commit(repo_url, commit)
            .await?
            .author
            .email;
        let mut known = self.known_authors();
        if known.len() >= CACHE {
            known.clear();
        }
        known.insert(key, author.clone());
        Ok(author)
    }

    fn known_authors(&self) -> MutexGuard<'_, BTreeMap<(String, String), String>> {
        self.authors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn expand(&self, inputs: &Inputs, candidate: &mut Candidate) -> Expansion {
        let needs = tidegate_generators::needs(inputs.document());
        let mut git: BTreeMap<RepoRevision, Result<GitInput, String>> = BTreeMap::new();
        for need in needs {
            candidate.wanted.insert(need.repo.clone());
            let read = match inputs.commit(&need.repo) {
                Ok(commit) => {
                    candidate.commits.insert(SourceCommit {
                        source: need.repo.clone(),
                        commit: commit.to_owned(),
                    });
                    self.read(&need, commit).await
                }
                Err(error) => Err(error),
            };
            git.insert(need.repo, read);
        }
        let document = inputs.document().clone();
        let clusters = Arc::clone(&inputs.clusters);
        let expanded = spawn_blocking(move || {
            let inputs = tidegate_generators::Inputs {
                clusters: &clusters,
                git,
            };
            tidegate_generators::expand(&document, &inputs)
        });
        expanded.await.unwrap_or_else(|error| Expansion {
            incomplete: true,
            problems: vec![tidegate_generators::Problem {
                message: format!("the expansion failed: {error}"),
                ..Default::default()
            }],
            ..Expansion::default()
        })
    }

    /// What a generator needs of a commit.
    async fn read(&self, need: &Need, commit: &str) -> Result<GitInput, String> {
        let (git, need, commit) = (self.git.clone(), need.clone(), commit.to_owned());
        let read = spawn_blocking(move || {
            let tree = git
                .tree(&need.repo.repo_url, &commit)
                .map_err(|error| error.to_string())?;
            let text = |error: tidegate_render::tree::Error| error.to_string();
            let directories = if need.directories {
                tidegate_render::tree::directories(&tree).map_err(text)?
            } else {
                Vec::new()
            };
            let mut files = BTreeMap::new();
            if !need.files.is_empty() {
                let all = tree.files("", true).map_err(text)?;
                for path in need.select_files(all.iter().map(|entry| entry.path.as_str())) {
                    files.insert(path.to_owned(), tree.read(path).map_err(text)?);
                }
            }
            Ok(GitInput {
                commit,
                directories,
                files,
            })
        });
        read.await
            .unwrap_or_else(|error| Err(format!("reading the repository failed: {error}")))
    }

    /// Renders one application. A source that was never fetched leaves it out instead of failing
    /// it: what it runs is left alone until there is something to compare with.
    async fn add(
        self: &Arc<Self>,
        inputs: &Inputs,
        candidate: &mut Candidate,
        app: Application,
    ) -> Result<(), Error> {
        let source = app.source.repo_revision();
        candidate.wanted.insert(source.clone());
        let commit = match inputs.commit(&source) {
            Ok(commit) => commit.to_owned(),
            Err(error) => {
                candidate
                    .problems
                    .push(format!("application {}: {error}", app.name));
                candidate.failed.insert(app.name);
                return Ok(());
            }
        };
        let rendered = self.render(&app.source, &commit).await?;
        let content = &rendered.outcome;
        candidate
            .timing
            .rendered
            .insert(app.name.clone(), rendered.work);
        if let Err(error) = content {
            candidate
                .problems
                .push(format!("application {}: {error}", app.name));
        }
        if let Some(Known {
            error: Some(error), ..
        }) = inputs.commits.get(&source)
        {
            candidate.problems.push(format!(
                "application {} stays at {commit}: {error}",
                app.name
            ));
        }
        candidate.commits.insert(SourceCommit { source, commit });
        let name = app.name.clone();
        candidate.apps.insert(
            name,
            CandidateApp {
                app,
                content: Outcome::clone(content),
            },
        );
        Ok(())
    }

    async fn render(
        self: &Arc<Self>,
        source: &Source,
        commit: &str,
    ) -> Result<Arc<Rendered>, Error> {
        let key = (commit.to_owned(), source.clone());
        if let Some(known) = self.remembered(&key) {
            return Ok(known);
        }
        let begun = Instant::now();
        let (gatherer, (commit, source)) = (Arc::clone(self), key.clone());
        let rendered = spawn_blocking(move || gatherer.render_now(&source, &commit)).await;
        let (outcome, objects) = rendered
            .unwrap_or_else(|error| (Err(format!("rendering failed: {error}")), Vec::new()));
        self.blobs.put(objects).await?;
        let rendered = Arc::new(Rendered {
            outcome,
            work: Work::since(begun),
        });
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(key, Arc::clone(&rendered));
        Ok(rendered)
    }

    fn remembered(&self, key: &(String, Source)) -> Option<Arc<Rendered>> {
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn render_now(&self, source: &Source, commit: &str) -> (Outcome, Vec<Blob>) {
        match self.render_blobs(source, commit) {
            Ok((content, blobs)) => (Ok(Arc::new(content)), blobs),
            Err(error) => (Err(error), Vec::new()),
        }
    }

    fn render_blobs(&self, source: &Source, commit: &str) -> Result<(Content, Vec<Blob>), String> {
        let tree = self
            .git
            .tree(&source.repo_url, commit)
            .map_err(|error| error.to_string())?;
        let rendered = tidegate_render::render(&tree, source, &tidegate_render::Limits::default())
            .map_err(|error| error.to_string())?;
        let mut blobs = Vec::new();
        let mut denies: BTreeSet<Deny> = BTreeSet::new();
        for bytes in rendered.objects.into_values() {
            let manifest = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            denies.extend(deny::deny_of(&manifest));
            blobs.push(Blob::new(OBJECT_TAG, bytes).map_err(|error| error.to_string())?);
        }
        let bytes = canonical::to_vec(&rendered.bundle.to_value());
        blobs.push(Blob::new(BUNDLE_TAG, bytes).map_err(|error| error.to_string())?);
        let warnings = rendered.warnings.iter();
        let content = Content {
            digest: rendered.bundle.digest(),
            bundle: rendered.bundle,
            denies: denies.into_iter().collect(),
            warnings: warnings.map(|warning| warn::of(source, warning)).collect(),
        };
        Ok((content, blobs))
    }

    /// Writes a blob that `pass` made.
    pub async fn keep(&self, tag: &str, bytes: Vec<u8>) -> Result<(), Error> {
        Ok(self.blobs.put(vec![Blob::new(tag, bytes)?]).await?)
    }

    async fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        tag: &str,
        digest: Digest,
    ) -> Result<T, Error> {
        let bytes = self.blobs.get(&BlobId::new(tag, digest)?).await?;
        let tag = tag.to_owned();
        let Some(bytes) = bytes else {
            return Err(Error::Missing { tag, digest });
        };
        serde_json::from_slice(&bytes).map_err(|_| Error::Malformed { tag, digest })
    }

    /// A bundle by its digest.
    pub async fn bundle(&self, digest: Digest) -> Result<Bundle, Error> {
        let value: Value = self.read_json(BUNDLE_TAG, digest).await?;
        let tag = BUNDLE_TAG.to_owned();
        Bundle::from_value(&value).ok_or(Error::Malformed { tag, digest })
    }

    /// The entries of a release.
    pub async fn entries(&self, digest: Digest) -> Result<Vec<ReleaseEntry>, Error> {
        self.read_json(ENTRIES_TAG, digest).await
    }

    /// What going back from `bad` to `good` denies: every object whose content differs between the
    /// two, or all of `bad` as a whole (design/waves.md, "Rollback that sticks").
    pub async fn denied(
        &self,
        bad: Digest,
        good: Digest,
        scope: DenyScope,
    ) -> Result<BTreeSet<Deny>, Error> {
        if scope == DenyScope::Release {
            return Ok(BTreeSet::from([Deny::whole(bad)]));
        }
        let bad = self.denies_of(bad).await?;
        let good = self.denies_of(good).await?;
        Ok(bad.difference(&good).cloned().collect())
    }

    async fn denies_of(&self, bundle: Digest) -> Result<BTreeSet<Deny>, Error> {
        let mut denies = BTreeSet::new();
        for entry in self.bundle(bundle).await?.objects() {
            let manifest: Value = self.read_json(OBJECT_TAG, entry.digest).await?;
            denies.extend(deny::deny_of(&manifest));
        }
        Ok(denies)
    }
}

#[cfg(test)]
mod tests;
