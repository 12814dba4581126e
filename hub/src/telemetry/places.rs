//! Where in the trace of a commit each thing stands.
//!
//! One commit is one trace: commit → publish → run → wave → assign, and what agents do below. Each
//! place is worked out from the records alone, so a hub that restarts in the middle, and another
//! one that takes over, go on in the same trace with nothing kept for it. Pure.

use tidegate_model::{
    assignment::{Assignment, Desired},
    ids::RunId,
    release::SourceCommit,
    run::MemberId,
    source::RepoRevision,
};
use tidegate_telemetry::{Place, tracer};

use crate::{
    records::{ReleaseRecord, RunRecord},
    state::State,
};

/// Clusters of one wave whose applications are traced; of a larger wave as many are chosen, always
/// the same. What a person reads is not ten thousand times the same.
const CLUSTERS_A_WAVE: usize = 50;

/// The beginning: a source came to stand at this commit.
pub fn commit(source: &RepoRevision, commit: &str) -> Place {
    Place::root(&["commit", &source.repo_url, &source.revision, commit])
}

/// The commits that a release has and the one before it had not; all of a first one.
pub fn news<'a>(state: &State, release: &'a ReleaseRecord) -> Vec<&'a SourceCommit> {
    if release.number <= 1 {
        return release.sources.iter().collect();
    }
    let Some(before) = find(state, release, release.number - 1) else {
        return Vec::new();
    };
    let new = |source: &&SourceCommit| !before.sources.contains(source);
    release.sources.iter().filter(new).collect()
}

fn find<'a>(state: &'a State, of: &ReleaseRecord, number: u64) -> Option<&'a ReleaseRecord> {
    let path = format!("{}/{}/{number:020}", of.project, of.set);
    Some(state.releases.at(&path)?.record.as_ref())
}

/// A release belongs to the trace of its first new commit; one that has none (a changed set, a new
/// cluster) begins a trace of its own.
pub fn release(state: &State, record: &ReleaseRecord) -> Place {
    let id = record.id.to_string();
    match news(state, record).first() {
        Some(source) => commit(&source.source, &source.commit).child(&["publish", &id]),
        None => Place::root(&["publish", &id]),
    }
}

/// A run is below its release; `None` if that is gone.
pub fn run(state: &State, record: &RunRecord) -> Option<Place> {
    let run = &record.run;
    let path = format!("{}/{}/{:020}", record.project, run.set, run.release_number);
    let release = &state.releases.at(&path)?.record;
    Some(self::release(state, release).child(&["run", &run.id.to_string()]))
}

/// A wave of a run.
pub fn wave(run: &Place, id: RunId, index: usize) -> Place {
    run.child(&["wave", &id.to_string(), &index.to_string()])
}

/// An assignment of a run is below its wave; `None` for one that is of no run, or of a cluster that
/// is not traced.
pub fn assignment(state: &State, assignment: &Assignment) -> Option<Place> {
    let Desired::Run { run: id, .. } = &assignment.desired else {
        return None;
    };
    let record = &state.run(*id)?.record;
    let place = run(state, record)?;
    let index = traced_wave(state, record, assignment, &place)?;
    let (app, generation) = (
        assignment.app.to_string(),
        assignment.generation.to_string(),
    );
    Some(wave(&place, *id, index).child(&["assign", &app, &generation]))
}

/// What an agent is told of an assignment's place; `None` if nobody traces it.
pub fn traceparent(state: &State, assignment: &Assignment) -> Option<String> {
    let tracer = tracer()?;
    let place = self::assignment(state, assignment)?;
    tracer.keeps(place.trace).then(|| place.traceparent())
}

/// The wave that an assignment is of, if its cluster is one of those that are traced of it. Looks at
/// one member a wave: a wave may have ten thousand.
fn traced_wave(
    state: &State,
    record: &RunRecord,
    assignment: &Assignment,
    place: &Place,
) -> Option<usize> {
    let of = |wave| MemberId {
        wave,
        cluster: assignment.cluster,
    };
    let has = |wave| {
        let member = state.member(record, &of(wave));
        member.is_some_and(|row| row.record.member.apps.contains_key(&assignment.app))
    };
    let mut waves = record.run.plan.waves.iter().zip(0_u32..);
    let (wave, index) = waves.find(|(_, index)| has(*index))?;
    let members = wave.members.len() as u64;
    let cluster = assignment.cluster.to_string();
    let lot = u64::from_be_bytes(place.child(&["lot", &cluster]).span.to_bytes());
    (lot % members < CLUSTERS_A_WAVE as u64).then_some(index as usize)
}
