//! From a release to the clusters: the controller around the promotion engine.
//!
//! Owns when a run begins, the facts a step sees and how its effects become records. Every decision
//! is `tidegate-waves`'. Pure: what needs blobs (denies) is asked for and comes back as a value.

mod debts;
mod effects;
mod facts;
mod frozen;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidegate_model::{
    application::Application,
    audit::Outcome,
    cluster::Cluster,
    digest::Digest,
    ids::{AppUid, ClusterUid, Epoch, RunId},
    release::{Release, ReleaseEntry},
    run::{MemberId, Request, Run},
    strategy::{SupersedeWhen, Unmatched},
};
use tidegate_proto::v1 as wire;
use tidegate_store::txn::MAX_BYTES;
use tidegate_waves::{AppStart, Begin, Candidate, Facts, PlanError, Planned, Turn};
use uuid::Uuid;

pub use self::effects::{DenyOrder, Stick, with_denies};
use crate::{
    changes::{Changes, Decision},
    evidence::Evidence,
    records::{MemberRecord, ReleaseRecord, RunRecord, SetRecord},
    restored::{self, Standing},
    state::{Row, State},
};

/// What a pass looks at.
#[derive(Debug)]
pub struct View<'a> {
    /// The store, decoded.
    pub state: &'a State,
    /// Which evidence is fresh.
    pub evidence: &'a Evidence,
    /// The set.
    pub set: &'a Row<SetRecord>,
    /// Entries of [`wanted_release`], empty when there is none.
    pub entries: &'a [ReleaseEntry],
    /// Which those are, as [`wanted_release`] said when they were read.
    pub release: Option<Digest>,
    /// The hub's term.
    pub epoch: Epoch,
    /// The hub's time.
    pub now: Timestamp,
}

/// What a pass wants done.
#[derive(Debug, Default)]
#[must_use = "a pass that is not committed never happened"]
pub struct Pass {
    /// To be committed, together with what `deny` comes to.
    pub changes: Changes,
    /// Pins with the record of why, for [`with_denies`].
    pub stick: BTreeMap<AppUid, Stick>,
    /// Denies that need a look at content.
    pub deny: Vec<DenyOrder>,
}

/// The most members that are created in one transaction.
const BATCH: usize = 60;
/// And the most bytes of them, half of what a transaction may hold.
const BATCH_BYTES: usize = MAX_BYTES / 2;
/// More applications than this in one member would not fit into one step's transaction.
const APPLICATIONS_A_MEMBER: usize = 30;

/// What is next for a set.
enum Next<'a> {
    /// Carry on with this run.
    Step(&'a Row<RunRecord>),
    /// Some of its members are not stored yet.
    Complete(&'a Row<RunRecord>, &'a ReleaseRecord),
    /// Begin a run of this release.
    Begin(&'a ReleaseRecord),
    Nothing,
}

fn next<'a>(state: &'a State, set: &SetRecord) -> Next<'a> {
    let latest = set.latest_run.and_then(|id| state.run(id));
    if let Some(row) = latest {
        let run = &row.record.run;
        let planned: usize = run.plan.waves.iter().map(|wave| wave.members.len()).sum();
        if !run.state.is_terminal()
            && state.members_of(&row.record).count() < planned
            && let Some(release) = state.release(set, run.release_number)
        {
            return Next::Complete(row, &release.record);
        }
        if !run.state.is_terminal() || run.request.is_some() {
            return Next::Step(row);
        }
        if run.release_number >= set.last_release {
            return Next::Nothing;
        }
    }
    match state.release(
        set,
        next_number(state, set, latest.map(|row| &row.record.run)),
    ) {
        Some(release) if !set.deleting && release.record.number > set.void_through => {
            Next::Begin(&release.record)
        }
        _ => Next::Nothing,
    }
}

/// Number of the release whose turn it is: the newest, or where they queue the first that had none.
fn next_number(state: &State, set: &SetRecord, latest: Option<&Run>) -> u64 {
    if state.strategy(set).supersede.newer != SupersedeWhen::Queue {
        return set.last_release;
    }
    let had = latest.map_or(0, |run| run.release_number);
    let mut waiting = had.max(set.void_through) + 1..set.last_release;
    waiting
        .find(|number| state.release(set, *number).is_some())
        .unwrap_or(set.last_release)
}

/// The blob with the entries that [`pass`] will need, if it needs any.
pub fn wanted_release(state: &State, set: &Row<SetRecord>) -> Option<Digest> {
    match next(state, &set.record) {
        Next::Complete(_, release) | Next::Begin(release) => Some(release.entries),
        Next::Step(row) => back_release(state, &set.record, &row.record.run).map(|(_, at)| at),
        Next::Nothing => None,
    }
}

/// Whether a run of the set that is over still owes something to somebody.
pub fn owes(state: &State, set: &SetRecord) -> bool {
    !debts::owing(state, set).is_empty()
}

/// Number of the release that a run goes back to, or is asked to.
pub fn goes_back_to(run: &Run) -> Option<u64> {
    let asked = run.request.as_ref().and_then(|request| request.way.to);
    let open = !run.state.is_terminal();
    let begun = run.rollback.as_ref().filter(|_| open);
    asked.or_else(|| begun.and_then(|by| by.way.to))
}

/// That release and the blob with its entries.
fn back_release(state: &State, set: &SetRecord, run: &Run) -> Option<(u64, Digest)> {
    let number = goes_back_to(run)?;
    let release = state.release(set, number)?;
    Some((number, release.record.entries))
}

/// Moves a set's promotion on by one transaction.
pub fn pass(view: &View<'_>, id: &mut dyn FnMut() -> Uuid) -> Pass {
    // Debts first: a newer run waits where one stands (`debts`).
    for row in debts::owing(view.state, &view.set.record) {
        let facts = gather(view, row);
        if !debts::may_move(view.state, &row.record, &facts) {
            continue;
        }
        let pass = step(view, row, facts);
        if !pass.changes.is_empty() {
            return pass;
        }
    }
    // Members are made from entries: those of what was next a moment ago would be others.
    let read = |release: &ReleaseRecord| view.release == Some(release.entries);
    match next(view.state, &view.set.record) {
        Next::Step(row) => step(view, row, gather(view, row)),
        Next::Complete(row, release) if read(release) => complete(view, row, release),
        Next::Begin(release) if read(release) => begin(view, release, RunId(id())),
        Next::Nothing | Next::Complete(..) | Next::Begin(_) => Pass::default(),
    }
}

fn gather(view: &View<'_>, row: &Row<RunRecord>) -> Facts {
    let set = &view.set.record;
    facts::gather(view.state, view.evidence, set, &row.record, view.epoch)
}

fn step(view: &View<'_>, row: &Row<RunRecord>, mut facts: Facts) -> Pass {
    // Those of another release were read for what was next a moment ago.
    facts.back = back_release(view.state, &view.set.record, &row.record.run)
        .filter(|(_, at)| view.release == Some(*at))
        .map(|(number, _)| tidegate_waves::back_to(number, view.entries));
    let rows: BTreeMap<_, _> = view
        .state
        .members_of(&row.record)
        .map(|row| (row.record.member.id.clone(), row))
        .collect();
    let members: BTreeMap<_, _> = rows
        .iter()
        .map(|(id, row)| (id.clone(), row.record.member.clone()))
        .collect();
    let walk = tidegate_waves::walk(&row.record.run, &members, &facts, view.now);
    effects::apply(view, row, &rows, walk)
}

/// Everything a person may want to know about what a run waits for.
pub fn explain(
    state: &State,
    evidence: &Evidence,
    record: &RunRecord,
    epoch: Epoch,
    now: Timestamp,
) -> Vec<wire::Blocking> {
    let Some(set) = state.set_by_uid(record.run.set) else {
        return Vec::new();
    };
    let facts = facts::gather(state, evidence, set, record, epoch);
    let members = state
        .members_of(record)
        .map(|row| (row.record.member.id.clone(), row.record.member.clone()));
    let blocking = tidegate_waves::explain(&record.run, &members.collect(), &facts, now);
    blocking.into_iter().map(effects::blocking).collect()
}

/// What a rollback that is asked for now would write; `entries` are those of the release that it
/// names.
pub fn turns(
    view: &View<'_>,
    record: &RunRecord,
    request: Request,
) -> Result<Vec<Turn>, &'static str> {
    let set = &view.set.record;
    // Asked, so that the facts are those of everybody, also of a run that is over and owes.
    let mut asked = record.clone();
    asked.run.request = Some(request.clone());
    let mut facts = facts::gather(view.state, view.evidence, set, &asked, view.epoch);
    let to = request.way.to;
    facts.back = to.map(|number| tidegate_waves::back_to(number, view.entries));
    let members = view
        .state
        .members_of(record)
        .map(|row| (row.record.member.id.clone(), row.record.member.clone()));
    tidegate_waves::turns(&record.run, &members.collect(), &facts, request, view.now)
}

/// What a plan is made over, from applications that have no record yet.
pub fn candidates_of(clusters: &[Cluster], applications: &[Application]) -> Vec<Candidate> {
    let named = |app: &Application| {
        AppUid(Uuid::from_u128(u128::from_be_bytes(
            Digest::of("candidate", &serde_json::json!([app.name])).as_bytes()[..16]
                .try_into()
                .unwrap_or_default(),
        )))
    };
    applications
        .iter()
        .filter_map(|app| candidate(clusters, named(app), app))
        .collect()
}

fn candidate(clusters: &[Cluster], uid: AppUid, app: &Application) -> Option<Candidate> {
    let cluster = clusters.iter().find(|cluster| cluster.uid == app.cluster)?;
    Some(Candidate {
        cluster: cluster.uid,
        cluster_name: cluster.name.clone(),
        cluster_labels: cluster.labels.clone(),
        app: uid,
        app_labels: app.labels.clone(),
    })
}

/// The same for every run of a set, so that its canaries stay the same.
fn seed(set: &SetRecord) -> u64 {
    u64::try_from(set.uid.0.as_u128() & u128::from(u64::MAX)).unwrap_or_default()
}

fn candidates(view: &View<'_>) -> Vec<Candidate> {
    let clusters = view.state.fleet();
    view.entries
        .iter()
        .filter_map(|entry| view.state.app(entry.app))
        .filter_map(|app| candidate(&clusters, app.uid, &app.app))
        .collect()
}

/// The waves over the applications that a set has now, as a run that began now would have them. What
/// no wave picks is left out, with the error that says so.
pub fn planned(state: &State, set: &SetRecord) -> Result<(Planned, Option<PlanError>), PlanError> {
    let clusters = state.fleet();
    let apps = state.apps_of(set).filter(|row| !row.record.vanished);
    let candidates: Vec<_> = apps
        .filter_map(|row| candidate(&clusters, row.record.uid, &row.record.app))
        .collect();
    plan_over(state, set, &candidates)
}

fn plan(view: &View<'_>) -> Result<(Planned, Option<PlanError>), PlanError> {
    plan_over(view.state, &view.set.record, &candidates(view))
}

fn plan_over(
    state: &State,
    set: &SetRecord,
    candidates: &[Candidate],
) -> Result<(Planned, Option<PlanError>), PlanError> {
    let strategy = state.strategy(set);
    match tidegate_waves::plan(strategy, candidates, seed(set)) {
        Ok(planned) => Ok((planned, None)),
        // An error when the set is written; a member that shows up later is left out and named
        // (design/waves.md, `unmatched`).
        Err(error @ PlanError::Unmatched { .. }) if set.latest_run.is_some() => {
            let mut lenient = strategy.clone();
            lenient.unmatched = Unmatched::Exclude;
            tidegate_waves::plan(&lenient, candidates, seed(set))
                .map(|planned| (planned, Some(error)))
        }
        Err(error) => Err(error),
    }
}

fn begin(view: &View<'_>, release: &ReleaseRecord, id: RunId) -> Pass {
    let set = &view.set.record;
    let mut pass = Pass::default();
    let mut record = SetRecord::clone(set);
    record.problems.retain(|problem| !is_problem(problem));
    let planned = match plan(view) {
        Ok((planned, excluded)) => {
            if let Some(error) = excluded {
                note(&mut record, &error.to_string());
            }
            planned
        }
        Err(error) => {
            note(&mut record, &error.to_string());
            pass.changes.update(view.set, &record);
            return pass;
        }
    };
    if let Some(problem) = too_large(view, &planned) {
        note(&mut record, &problem);
        pass.changes.update(view.set, &record);
        return pass;
    }
    let (run, _) = start(view, release, &planned, id, view.now, view.epoch);
    let header = RunRecord {
        project: set.project.clone(),
        run,
    };
    record.latest_run = Some(id);
    let outcome = Outcome::of(&header.run);
    pass.changes.create(&header);
    pass.changes.update(view.set, &record);
    pass.changes.decide(
        Decision::by_system(
            &set.project,
            "run.create",
            format!("set/{} run/{id}", set.name),
            format!("release {} is new", release.number),
        )
        .from_to("", release.content)
        .leading_to(outcome),
    );
    pass
}

/// How a set's problem begins that is about its promotion.
const PROBLEM: &str = "promotion: ";

/// Whether a set's problem is about its promotion: those come and go with the beginning of a run,
/// all others with a publication, and neither touches the other's.
pub fn is_problem(problem: &str) -> bool {
    problem.starts_with(PROBLEM)
}

fn note(record: &mut SetRecord, problem: &str) {
    record.problems.push(format!("{PROBLEM}{problem}"));
}

fn too_large(view: &View<'_>, planned: &Planned) -> Option<String> {
    let mut sizes: BTreeMap<&MemberId, usize> = BTreeMap::new();
    for id in planned.placement.values() {
        *sizes.entry(id).or_default() += 1;
    }
    let (id, size) = sizes
        .into_iter()
        .find(|(_, size)| *size > APPLICATIONS_A_MEMBER)?;
    let cluster = view
        .state
        .cluster(id.cluster)
        .map_or("", |row| &row.record.cluster.name);
    Some(format!(
        "cluster {cluster} has {size} applications of this set in one wave; at most \
         {APPLICATIONS_A_MEMBER} can move together: split the set"
    ))
}

/// Members are stored after the header, in batches; until all of them are there nothing moves, and
/// a hub that dies in between carries on here, with the plan of the header.
fn complete(view: &View<'_>, row: &Row<RunRecord>, release: &ReleaseRecord) -> Pass {
    let mut pass = Pass::default();
    let run = &row.record.run;
    let frozen = frozen::planned(view, run);
    let (_, mut members) = start(view, release, &frozen, run.id, run.started_at, run.epoch);
    frozen::add_empty(run, &frozen, &mut members);
    let known: BTreeSet<_> = view
        .state
        .members_of(&row.record)
        .map(|row| &row.record.member.id)
        .collect();
    for (id, member) in members {
        let full = pass.changes.operations() >= BATCH || pass.changes.bytes() >= BATCH_BYTES;
        if full || known.contains(&id) {
            continue;
        }
        pass.changes.create(&MemberRecord {
            project: row.record.project.clone(),
            set: run.set,
            run: run.id,
            member,
        });
    }
    pass
}

fn start(
    view: &View<'_>,
    release: &ReleaseRecord,
    planned: &Planned,
    id: RunId,
    now: Timestamp,
    epoch: Epoch,
) -> (Run, BTreeMap<MemberId, tidegate_model::run::Member>) {
    let set = &view.set.record;
    let release = Release {
        id: release.id,
        set: release.set,
        number: release.number,
        content: release.content,
        entries: view.entries.to_vec(),
        sources: release.sources.clone(),
        set_version: release.set_version,
        cause: release.cause.clone(),
        authors: release.authors.clone(),
        created_at: release.created_at,
    };
    let apps = view.entries.iter().filter_map(|entry| {
        let app = view.state.app(entry.app)?;
        let known = restored::standing(view.state, app) == Standing::Given;
        let start = AppStart {
            name: format!("{}/{}", app.app.project, app.app.name),
            current: app.assignment.clone().filter(|_| known),
            last_good: app.last_good.clone(),
        };
        Some((entry.app, start))
    });
    tidegate_waves::start(&Begin {
        id,
        epoch,
        now,
        release: &release,
        strategy: view.state.strategy(set),
        planned,
        apps: &apps.collect(),
    })
}

/// The cluster's name, or its uid when it is gone.
fn cluster_name(state: &State, uid: ClusterUid) -> String {
    state
        .cluster(uid)
        .map_or_else(|| uid.to_string(), |row| row.record.cluster.name.clone())
}
