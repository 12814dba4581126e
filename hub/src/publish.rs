//! From a set to its next release: the controller that expands, renders and freezes.
//!
//! `gather` does the I/O (trees read from Git objects, blobs written); `pass` decides. Never rolls
//! anything out: a release that nobody runs yet changes no cluster.

pub mod brake;
pub mod gather;
pub mod hold;
pub mod inputs;
pub mod pass;
pub mod warn;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidegate_model::{
    application::Application, bundle::Bundle, deny::Deny, digest::Digest, ids::AppUid,
    release::SourceCommit, source::RepoRevision,
};

use crate::telemetry::content::Timing;

/// What a set would be now: the result of expanding and rendering it.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// Applications that have a row and a commit, by name.
    pub apps: BTreeMap<String, CandidateApp>,
    /// Names whose row or source failed: what they run is left alone.
    pub failed: BTreeSet<String>,
    /// Some input is missing or failed, so that an absent row proves nothing.
    pub incomplete: bool,
    /// What went wrong, with places.
    pub problems: Vec<String>,
    /// Commits that were used.
    pub commits: BTreeSet<SourceCommit>,
    /// E-mail addresses of those who wrote these commits, as far as they can be read.
    pub authors: BTreeSet<String>,
    /// Sources that the set follows.
    pub wanted: BTreeSet<RepoRevision>,
    /// Bundles that its applications run now, for the brake.
    pub running: BTreeMap<AppUid, Arc<Bundle>>,
    /// When it came to be.
    pub timing: Timing,
}

/// One application of a candidate.
#[derive(Clone, Debug)]
pub struct CandidateApp {
    /// As expanded.
    pub app: Application,
    /// Its content, or why it could not be rendered.
    pub content: Result<Arc<Content>, String>,
}

/// The rendered content of an application; its blobs are written already. Shared by all applications
/// of the source.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its objects by digest.
    pub bundle: Bundle,
    /// The bundle's digest.
    pub digest: Digest,
    /// Each object as a deny would name it.
    pub denies: Vec<Deny>,
    /// What a person should look at, with places.
    pub warnings: Vec<String>,
}

impl CandidateApp {
    /// The bundle's digest, if it was rendered.
    pub fn bundle(&self) -> Option<Digest> {
        self.content.as_ref().ok().map(|content| content.digest)
    }
}
