//! What a rollback would write, before anybody asks for it.
//!
//! Plays the production steps on a copy. Never writes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidegate_model::{
    assignment::Assignment,
    digest::Digest,
    ids::AppUid,
    run::{CauseCode, Member, MemberId, Request, Run, RunState},
    strategy::RollbackOrder,
};

use super::goal::may_go_back;
use crate::{AssignKind, Effect, Facts, step::advance};

/// One application on a way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its member.
    pub member: MemberId,
    /// The application.
    pub app: AppUid,
    /// What it is told to run now.
    pub from: Option<Digest>,
    /// What it would be told to run; as now where it only is pinned.
    pub to: Option<Digest>,
    /// Whether it would be pinned there.
    pub pinned: bool,
    /// Bundles whose objects would be denied as far as they differ from `to`.
    pub denied: BTreeSet<Digest>,
    /// Why it would be left as it is, where it has nothing to go back to.
    pub left: Option<String>,
}

/// Everything that this rollback would write, application by application.
pub fn turns(
    run: &Run,
    members: &BTreeMap<MemberId, Member>,
    facts: &Facts,
    request: Request,
    now: Timestamp,
) -> Result<Vec<Turn>, &'static str> {
    may_go_back(run, members.values(), facts.newer_run, &request.way)?;
    let mut turns: BTreeMap<(MemberId, AppUid), Turn> = BTreeMap::new();
    let (mut run, mut members) = (run.clone(), members.clone());
    run.request = Some(request);
    // Nobody gets well here, so nobody is waited for.
    run.strategy.rollback.order = RollbackOrder::Parallel;
    // Every step takes somebody back, or is the last.
    for _ in 0..members.len() + 3 {
        let (next, changed, effects) = advance(&run, &members, facts, now);
        if changed.is_empty() && effects.is_empty() {
            break;
        }
        for effect in &effects {
            note(&mut turns, &members, facts, effect);
        }
        leave(&mut turns, facts, &changed);
        members.extend(changed);
        let over = next.state != RunState::RollingBack;
        run = next;
        if over {
            break;
        }
    }
    Ok(turns.into_values().collect())
}

fn note(
    turns: &mut BTreeMap<(MemberId, AppUid), Turn>,
    members: &BTreeMap<MemberId, Member>,
    facts: &Facts,
    effect: &Effect,
) {
    let uid = match effect {
        Effect::Assign(assign) if assign.kind == AssignKind::Revert => assign.assignment.app,
        Effect::Pin(pin) => pin.app,
        Effect::Deny { app, .. } => *app,
        _ => return,
    };
    let mut owners = members.values();
    let Some(owner) = owners.find(|member| member.apps.contains_key(&uid)) else {
        return;
    };
    let turn = turn(turns, facts, &owner.id, uid);
    match effect {
        Effect::Assign(assign) => turn.to = assign.assignment.bundle(),
        Effect::Pin(_) => turn.pinned = true,
        Effect::Deny { bad, .. } => drop(turn.denied.insert(*bad)),
        _ => {}
    }
}

/// Whoever has nothing to go back to.
fn leave(
    turns: &mut BTreeMap<(MemberId, AppUid), Turn>,
    facts: &Facts,
    changed: &BTreeMap<MemberId, Member>,
) {
    for member in changed.values() {
        let cause = member.cause.as_ref();
        let Some(cause) = cause.filter(|cause| cause.code == CauseCode::NoLastKnownGood) else {
            continue;
        };
        for (uid, _) in member.apps.iter().filter(|(_, app)| app.revert.is_none()) {
            turn(turns, facts, &member.id, *uid).left = Some(cause.message.clone());
        }
    }
}

fn turn<'a>(
    turns: &'a mut BTreeMap<(MemberId, AppUid), Turn>,
    facts: &Facts,
    id: &MemberId,
    uid: AppUid,
) -> &'a mut Turn {
    let known = facts.clusters.get(&id.cluster);
    let known = known.and_then(|cluster| cluster.apps.get(&uid));
    let last = known.and_then(|app| app.current.as_ref());
    let from = last.and_then(Assignment::bundle);
    turns.entry((id.clone(), uid)).or_insert_with(|| Turn {
        member: id.clone(),
        app: uid,
        from,
        to: from,
        pinned: false,
        denied: BTreeSet::new(),
        left: None,
    })
}
