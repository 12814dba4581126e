//! Which blobs must stay. Pure, over the hub's view and what its blobs hold.
//!
//! Two steps, because records name only releases and bundles: [`Roots::of`] reads the records, then
//! entries and bundles are read by somebody else and given to a [`Keep`]. Never reads a blob.

use std::collections::BTreeSet;

use tidegate_model::{
    assignment::Assignment,
    bundle::{BUNDLE_TAG, Bundle, OBJECT_TAG},
    digest::Digest,
    release::ReleaseEntry,
    run::Member,
    strategy::SupersedeWhen,
};
use tidegate_store::{BlobId, blob};

use crate::{promote, publish::pass::ENTRIES_TAG, records::SetRecord, state::State};

/// Releases of a set whose content stays, besides the one of its open run (design, §4).
pub const RELEASES: u64 = 10;

/// What the records refer to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Entries of releases.
    pub entries: BTreeSet<Digest>,
    /// Bundles.
    pub bundles: BTreeSet<Digest>,
}

/// Whether what this release holds stays readable. Of others only the header does.
pub fn keeps_release(state: &State, set: &SetRecord, number: u64) -> bool {
    keeps(state, set, &open_releases(state, set), number)
}

fn keeps(state: &State, set: &SetRecord, open: &BTreeSet<u64>, number: u64) -> bool {
    is_recent(set, number) || is_waiting(state, set, number) || open.contains(&number)
}

fn is_recent(set: &SetRecord, number: u64) -> bool {
    number.saturating_add(RELEASES) > set.last_release
}

/// Whether its run is still to come: where releases queue, however long the queue is.
fn is_waiting(state: &State, set: &SetRecord, number: u64) -> bool {
    let queued = state.strategy(set).supersede.newer == SupersedeWhen::Queue;
    let latest = set.latest_run.and_then(|id| state.run(id));
    queued
        && number > set.void_through
        && latest.is_none_or(|run| run.record.run.release_number < number)
}

/// Releases that runs of the set still bring out, owe to somebody, or go back to.
fn open_releases(state: &State, set: &SetRecord) -> BTreeSet<u64> {
    let runs = state.runs_of(set).map(|row| &row.record.run);
    runs.flat_map(|run| {
        let forward = run.is_live().then_some(run.release_number);
        forward.into_iter().chain(promote::goes_back_to(run))
    })
    .collect()
}

impl Roots {
    /// What must stay: current assignments, what they would go back to, pins, the releases of open
    /// runs and the last ones of each set.
    pub fn of(state: &State) -> Self {
        let mut roots = Self::default();
        for app in state.apps.iter() {
            let assigned = app.assignment.as_ref().and_then(Assignment::bundle);
            let good = app.last_good.as_ref().map(|good| good.bundle);
            roots.bundles.extend(assigned.into_iter().chain(good));
        }
        for row in state.pins.iter() {
            roots.bundles.extend([row.pin.bundle, row.pin.bad]);
        }
        for set in state.sets.iter() {
            let releases = state.releases_of(set).map(|row| &row.record);
            let open = open_releases(state, set);
            let kept = releases.filter(|row| keeps(state, set, &open, row.number));
            roots.entries.extend(kept.map(|release| release.entries));
            roots.members(state, set);
        }
        roots
    }

    /// What members of open runs, and of a set's latest, bring and would go back to. The latest
    /// may be over: a person can still roll it back.
    fn members(&mut self, state: &State, set: &SetRecord) {
        let runs = state.runs_of(set).map(|row| &row.record).filter(|record| {
            let run = &record.run;
            run.is_live() || set.latest_run == Some(run.id)
        });
        for run in runs {
            for row in state.members_of(run) {
                self.member(&row.record.member);
            }
        }
    }

    fn member(&mut self, member: &Member) {
        for app in member.apps.values() {
            let good = app.last_good.as_ref().map(|good| good.bundle);
            self.bundles
                .extend(app.target.bundle().into_iter().chain(good));
        }
    }
}

/// The names of all blobs that stay.
#[derive(Debug, Default)]
pub struct Keep {
    ids: BTreeSet<BlobId>,
    bundles: BTreeSet<Digest>,
}

impl Keep {
    /// Keeps the entries of a release, and notes the bundles that they name.
    pub fn entries(&mut self, digest: Digest, entries: &[ReleaseEntry]) -> Result<(), blob::Error> {
        self.ids.insert(BlobId::new(ENTRIES_TAG, digest)?);
        let bundles = entries.iter().filter_map(|entry| entry.content.bundle());
        self.bundles.extend(bundles);
        Ok(())
    }

    /// The bundles that entries named so far.
    pub fn bundles(&self) -> &BTreeSet<Digest> {
        &self.bundles
    }

    /// Keeps a bundle and its objects.
    pub fn bundle(&mut self, digest: Digest, bundle: &Bundle) -> Result<(), blob::Error> {
        self.ids.insert(BlobId::new(BUNDLE_TAG, digest)?);
        for object in bundle.objects() {
            self.ids.insert(BlobId::new(OBJECT_TAG, object.digest)?);
        }
        Ok(())
    }

    /// All of them.
    pub fn into_ids(self) -> BTreeSet<BlobId> {
        self.ids
    }
}
