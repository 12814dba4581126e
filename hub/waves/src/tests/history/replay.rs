//! Invariant 40, second half: what was recorded, read from the beginning, gives the run as it is.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    ids::{AppUid, Generation},
    run::{GatePosition, MemberId, MemberState, Run, RunState},
};

use super::setup::Setup;
use crate::{Action, AssignKind, Audit, Effect, step::work::is_opened, tests::world::World};

/// As much of a run as its records tell: rolling and soaking are both an open wave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    phase: Phase,
    /// Generations written forward and back.
    forward: BTreeMap<AppUid, Generation>,
    back: BTreeMap<AppUid, Generation>,
    failed: BTreeSet<MemberId>,
    skipped: BTreeSet<MemberId>,
    deferred: BTreeSet<MemberId>,
    pinned: BTreeSet<AppUid>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Before the first wave, or between two.
    #[default]
    Closed,
    Open(usize),
    Paused(Box<Phase>),
    Breached,
    Back,
    Over(String),
}

/// Reads the effects of a history and compares.
pub(crate) fn check(setup: &Setup, world: &World) {
    let mut told = Told::default();
    for effect in &world.log {
        told.hear(effect);
    }
    let mut seen = look(world);
    if world.run.rollback.is_some() {
        // On the way back a failure may be the end of a revert; who failed forward is taken back.
        told.failed.clear();
        seen.failed.clear();
        told.skipped.clear();
        seen.skipped.clear();
    }
    assert_eq!(
        told, seen,
        "replay: the records tell something else of {setup:?}"
    );
    let genesis = setup.world();
    let goods = world.log.iter().filter_map(|effect| match effect {
        Effect::RecordLastGood { app, good, .. } => Some((*app, good.clone())),
        _ => None,
    });
    let first = genesis
        .apps
        .iter()
        .filter_map(|(uid, app)| Some((*uid, app.last_good.clone()?)));
    let told: BTreeMap<_, _> = first.chain(goods).collect();
    let apps = world.apps.iter();
    let seen: BTreeMap<_, _> = apps
        .filter_map(|(uid, app)| Some((*uid, app.last_good.clone()?)))
        .collect();
    assert_eq!(told, seen, "replay: last known good");
}

impl Told {
    fn hear(&mut self, effect: &Effect) {
        match effect {
            Effect::Assign(assign) => {
                let written = match assign.kind {
                    AssignKind::Forward => &mut self.forward,
                    AssignKind::Revert => &mut self.back,
                };
                written.insert(assign.assignment.app, assign.assignment.generation);
            }
            Effect::Pin(pin) => drop(self.pinned.insert(pin.app)),
            Effect::Audit(audit) => self.read(audit),
            Effect::RecordLastGood { .. } | Effect::Deny { .. } => {}
        }
    }

    fn read(&mut self, audit: &Audit) {
        let phase = std::mem::take(&mut self.phase);
        self.phase = match audit.action {
            Action::OpenWave => Phase::Open(audit.wave),
            Action::FinishWave => Phase::Closed,
            Action::Pause => match phase {
                Phase::Paused(from) => Phase::Paused(from),
                from => Phase::Paused(Box::new(from)),
            },
            Action::Resume => match phase {
                Phase::Paused(from) => *from,
                other => other,
            },
            Action::Retry => match phase {
                Phase::Paused(_) => Phase::Paused(Box::new(Phase::Closed)),
                _ => Phase::Closed,
            },
            Action::Breach => Phase::Breached,
            Action::Rollback => Phase::Back,
            Action::Finish => {
                let state = audit.reason.split(':').next().unwrap_or_default();
                Phase::Over(state.to_owned())
            }
            _ => phase,
        };
        let member = audit.member.clone();
        if let Some(member) = &member
            && matches!(
                audit.action,
                Action::FailMember | Action::SkipMember | Action::PayDebt | Action::Revert
            )
        {
            self.deferred.remove(member);
        }
        match audit.action {
            Action::FailMember => self.failed.extend(member),
            Action::SkipMember => self.skipped.extend(member),
            Action::DeferMember => self.deferred.extend(member),
            Action::RetryMember => self.failed.retain(|known| Some(known) != member.as_ref()),
            _ => {}
        }
    }
}

fn look(world: &World) -> Told {
    let members = || world.members.values();
    let ids = |is: fn(MemberState) -> bool| {
        let those = members().filter(|member| is(member.state));
        those.map(|member| member.id.clone()).collect()
    };
    let apps = || members().flat_map(|member| &member.apps);
    let known = &world.apps;
    Told {
        phase: phase(&world.run),
        forward: apps()
            .filter(|(_, app)| app.touched)
            .filter_map(|(uid, _)| Some((*uid, written(world, AssignKind::Forward, *uid)?)))
            .collect(),
        back: apps()
            .filter_map(|(uid, app)| Some((*uid, app.revert?)))
            .filter(|(uid, revert)| known[uid].highest >= *revert)
            .filter(|(uid, revert)| written(world, AssignKind::Revert, *uid) == Some(*revert))
            .collect(),
        failed: ids(MemberState::is_failed),
        skipped: ids(|state| state == MemberState::Skipped),
        deferred: ids(|state| state == MemberState::Deferred),
        pinned: world.pins.iter().map(|pin| pin.app).collect(),
    }
}

/// The last generation that was written that way.
fn written(world: &World, kind: AssignKind, app: AppUid) -> Option<Generation> {
    let mut all = world.assigned.iter().rev();
    all.find(|(known, assignment)| *known == kind && assignment.app == app)
        .map(|(_, assignment)| assignment.generation)
}

fn phase(run: &Run) -> Phase {
    let open = |run: &Run| {
        if is_opened(run) {
            Phase::Open(run.wave)
        } else {
            Phase::Closed
        }
    };
    match run.state {
        RunState::Paused => Phase::Paused(Box::new(open(run))),
        RunState::Breached => Phase::Breached,
        RunState::RollingBack => Phase::Back,
        state if state.is_terminal() => Phase::Over(format!("{state:?}")),
        RunState::WaitingGate if run.gate == Some(GatePosition::After) => Phase::Open(run.wave),
        _ => open(run),
    }
}
