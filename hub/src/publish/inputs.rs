//! What a publication depends on, and whether anything of it is new since the last one came to rest.
//!
//! Pure. What a run does to applications is none of a publication's business as long as they move to
//! what it released: it need not follow every step.

use std::{collections::BTreeMap, sync::Arc};

use tidegate_model::{
    application_set::ApplicationSet,
    assignment::Assignment,
    cluster::Cluster,
    digest::Digest,
    ids::{AppUid, SetUid},
    source::RepoRevision,
};

use crate::{
    records::SetRecord,
    state::{Commits, Known, Row, State},
};

/// Everything that a publication depends on.
#[derive(Clone, Debug)]
pub struct Inputs {
    set: Arc<SetRecord>,
    /// Whether some gate of its strategy keeps the authors of a release from approving it.
    pub(super) separates_duties: bool,
    pub(super) clusters: Arc<Vec<Cluster>>,
    pub(super) commits: Arc<Commits>,
    apps: Vec<Stored>,
    /// Revisions of the other records that `pass` compares with, the set's first.
    marks: Vec<u64>,
}

/// What `pass` asks of a stored application. Nobody else writes the rest of what it compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    uid: AppUid,
    vanished: bool,
    /// For the brake.
    running: Option<Digest>,
}

impl Inputs {
    /// The inputs of a set as the store shows them.
    pub fn of(state: &State, set: &Row<SetRecord>) -> Self {
        let record = &set.record;
        let mut marks = vec![set.revision];
        marks.extend(state.pins_of(record).map(|row| row.revision));
        marks.extend(state.denies_of(record).map(|row| row.revision));
        marks.extend(state.holds_of(record).map(|row| row.revision));
        marks.extend(state.restored_of(record).map(|row| row.revision));
        marks.extend(state.reissue(record).map(|row| row.revision));
        let apps = state.apps_of(record).map(|row| Stored {
            uid: row.record.uid,
            vanished: row.record.vanished,
            running: row.record.assignment.as_ref().and_then(Assignment::bundle),
        });
        Self {
            set: Arc::clone(record),
            separates_duties: state.strategy(record).separates_duties(),
            clusters: state.fleet(),
            commits: state.commits(),
            apps: apps.collect(),
            marks,
        }
    }

    /// The same set where its sources are at these commits; each may carry why it is not where it
    /// should be. A source that is not among them counts as never fetched.
    #[must_use]
    pub fn at(
        mut self,
        commits: impl IntoIterator<Item = (RepoRevision, Option<String>, Option<String>)>,
    ) -> Self {
        let known = |(source, commit, error)| (source, Known { commit, error });
        self.commits = Arc::new(commits.into_iter().map(known).collect());
        self
    }

    /// The set.
    pub fn uid(&self) -> SetUid {
        self.set.uid
    }

    /// Its document.
    pub fn document(&self) -> &ApplicationSet {
        &self.set.document
    }

    /// Whether nothing of it is rolled out any more.
    pub fn is_deleting(&self) -> bool {
        self.set.deleting
    }

    /// What its applications run now.
    pub fn running(&self) -> impl Iterator<Item = (AppUid, Digest)> {
        let running = |app: &Stored| Some((app.uid, app.running?));
        self.apps.iter().filter_map(running)
    }

    /// The commit of a source, or why there is none.
    pub(super) fn commit(&self, source: &RepoRevision) -> Result<&str, String> {
        let known = self.commits.get(source);
        match known.map(|known| (&known.commit, &known.error)) {
            Some((Some(commit), _)) => Ok(commit),
            Some((None, Some(error))) => Err(error.clone()),
            _ => Err(format!(
                "{} at {} {UNFETCHED}",
                source.repo_url, source.revision
            )),
        }
    }
}

/// How a problem ends that the first fetch of a source solves.
const UNFETCHED: &str = "has not been fetched yet";

/// Whether this problem of a set is that a source is on its way: nothing is wrong then.
pub fn is_unfetched(problem: &str) -> bool {
    problem.ends_with(UNFETCHED)
}

/// A publication that came to rest: the inputs that had nothing new to say, and what it released.
#[derive(Clone, Debug)]
pub struct Rest {
    inputs: Inputs,
    /// Bundles of the applications to which the brake had no objection.
    quiet: BTreeMap<AppUid, Digest>,
}

impl Rest {
    /// A publication of these inputs changed nothing.
    pub fn new(inputs: Inputs, quiet: BTreeMap<AppUid, Digest>) -> Self {
        Self { inputs, quiet }
    }

    /// Whether one of `now` would change nothing either: all is as it was, or applications have moved
    /// to the bundle that there was nothing to say against. To replace a bundle by itself there never
    /// is.
    pub fn holds(&self, now: &Inputs) -> bool {
        let before = &self.inputs;
        let moved = |app: &Stored| app.running == self.quiet.get(&app.uid).copied();
        let apps = || before.apps.iter().zip(&now.apps);
        before.marks == now.marks
            && before.set.uid == now.set.uid
            && before.separates_duties == now.separates_duties
            && is_same(&before.clusters, &now.clusters)
            && is_same(&before.commits, &now.commits)
            && before.apps.len() == now.apps.len()
            && apps().all(|(before, now)| {
                (before.uid, before.vanished) == (now.uid, now.vanished)
                    && (before.running == now.running || (now.running.is_some() && moved(now)))
            })
    }
}

/// The lists of a view are the same until one of their records changes.
fn is_same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}
