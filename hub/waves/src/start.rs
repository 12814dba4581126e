//! How a run begins: header and members, frozen.
//!
//! Never writes an assignment: the first step opens the first wave.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::{
    assignment::{Assignment, Desired},
    ids::{AppUid, Epoch, RunId},
    release::{Release, ReleaseEntry},
    run::{
        LastGood, Member, MemberApp, MemberId, MemberState, ProgressClock, Run, RunClock, RunState,
        SoakClock,
    },
    strategy::Strategy,
};

use crate::Planned;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Begin<'a> {
    /// The new run's id.
    pub id: RunId,
    /// The hub's term.
    pub epoch: Epoch,
    /// The hub's time.
    pub now: Timestamp,
    /// What it brings.
    pub release: &'a Release,
    /// How; a copy is frozen.
    pub strategy: &'a Strategy,
    /// The plan over the release's applications.
    pub planned: &'a Planned,
    /// What is known of each application of the release.
    pub apps: &'a BTreeMap<AppUid, AppStart>,
}

/// Where an application stands when a run begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppStart {
    /// `project/name`.
    pub name: String,
    /// The hub's last word on it.
    pub current: Option<Assignment>,
    /// What it last ran healthy through a wave.
    pub last_good: Option<LastGood>,
}

/// Makes the header and the members of a run. Members without an entry in the release are left out
/// of the plan.
pub fn start(begin: &Begin<'_>) -> (Run, BTreeMap<MemberId, Member>) {
    let members = members(begin);
    let mut plan = begin.planned.plan.clone();
    for wave in &mut plan.waves {
        wave.members.retain(|id| members.contains_key(id));
    }
    let run = Run {
        id: begin.id,
        set: begin.release.set,
        release: begin.release.id,
        release_number: begin.release.number,
        content: begin.release.content,
        epoch: begin.epoch,
        started_at: begin.now,
        finished_at: None,
        strategy: begin.strategy.as_waves(),
        plan,
        state: RunState::Planned,
        cause: None,
        wave: 0,
        gate: None,
        paused: None,
        request: None,
        soak: SoakClock::default(),
        analysing: None,
        authors: begin.release.authors.clone(),
        approvals: Vec::new(),
        broken_glass: Vec::new(),
        rollback: None,
        retry: None,
        clock: RunClock {
            shows: begin.now,
            hub: begin.now,
        },
        owes: false,
    };
    (run, members)
}

fn members(begin: &Begin<'_>) -> BTreeMap<MemberId, Member> {
    let mut members: BTreeMap<MemberId, Member> = BTreeMap::new();
    for entry in &begin.release.entries {
        let Some(id) = begin.planned.placement.get(&entry.app) else {
            continue;
        };
        let names = &begin.planned.cluster_names;
        let member = members.entry(id.clone()).or_insert_with(|| Member {
            id: id.clone(),
            cluster_name: names.get(&id.cluster).cloned().unwrap_or_default(),
            apps: BTreeMap::new(),
            state: MemberState::Unchanged,
            cause: None,
            healthy_since: None,
            reached: false,
            progress: ProgressClock::default(),
            unreachable_since: None,
            deferred: false,
        });
        let app = member_app(entry, begin.apps.get(&entry.app));
        if app.generation.is_none() {
            member.state = MemberState::Queued;
        }
        member.apps.insert(entry.app, app);
    }
    members
}

fn member_app(entry: &ReleaseEntry, start: Option<&AppStart>) -> MemberApp {
    let mut app = MemberApp {
        name: start.map_or_else(|| entry.name.clone(), |start| start.name.clone()),
        target: entry.content.clone(),
        policy: entry.policy.clone(),
        namespace: entry.namespace.clone(),
        prune_approved: entry.prune_approved,
        last_good: start.and_then(|start| start.last_good.clone()),
        generation: None,
        assignment: None,
        touched: false,
        revert: None,
        revert_assignment: None,
    };
    if let Some(current) = start.and_then(|start| start.current.as_ref())
        && runs_target(&app, current)
    {
        app.generation = Some(current.generation);
        app.assignment = Some(current.digest());
    }
    app
}

/// Whether that assignment asks for what the release brings. An approval to prune that it has
/// beyond the release takes nothing away; one that it lacks does.
pub(crate) fn runs_target(app: &MemberApp, current: &Assignment) -> bool {
    match &current.desired {
        Desired::Run {
            bundle,
            policy,
            namespace,
            prune_approved,
            ..
        } => {
            app.target.bundle() == Some(*bundle)
                && app.policy == *policy
                && app.namespace == *namespace
                && (*prune_approved || !app.prune_approved)
        }
        Desired::Tombstone { .. } => false,
    }
}
