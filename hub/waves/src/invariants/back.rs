//! Rollback, pins and superseding: invariants 26 to 33. `reach` has what the strategy says of a
//! rollback.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    assignment::{Assignment, Desired},
    deny::{Deny, Pin, PinRelease},
    digest::Digest,
    ids::AppUid,
    run::{GatePosition, LastGood, Member, MemberState, RequestVerb, Run, RunState},
    strategy::SupersedeWhen,
};

use super::{Transition, Verdict, debt::deferred, failed, settled, touched};
use crate::{
    BlockCode, Blocking, Effect,
    admit::{Admit, Candidate},
};

/// 26: nothing that holds a denied object is admitted.
pub fn i26_sticky_rollback(
    candidates: &[Candidate],
    denies: &BTreeSet<Deny>,
    admitted: &BTreeMap<AppUid, Admit>,
) -> Verdict {
    let bad: Vec<_> = candidates
        .iter()
        .filter(|candidate| {
            candidate
                .objects
                .iter()
                .any(|object| denies.contains(object))
        })
        .collect();
    let through = bad
        .iter()
        .filter(|candidate| !admitted.get(&candidate.app).is_some_and(Admit::is_held));
    Verdict::of(
        !bad.is_empty(),
        through.map(|candidate| format!("{} goes with a denied object", candidate.app)),
    )
}

/// 27: a pinned application gets other content only by what opens its pin.
pub fn i27_pin_dominance(
    candidates: &[Candidate],
    pins: &[Pin],
    admitted: &BTreeMap<AppUid, Admit>,
) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for candidate in candidates {
        let Some(pin) = pins.iter().find(|pin| pin.app == candidate.app) else {
            continue;
        };
        premise = true;
        let goes = admitted.get(&candidate.app);
        let may = match pin.release {
            PinRelease::Converged => candidate.bundle == pin.bundle,
            PinRelease::Changed => candidate.bundle != pin.bad,
            PinRelease::Manual => false,
        };
        let opens = goes == Some(&Admit::Go { opens_pin: true });
        if !(goes.is_some_and(Admit::is_held) || opens && may) {
            problems.push(format!("{} leaves its pin by {goes:?}", candidate.app));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 28: back only whom the rollback is about: what this run wrote, to the application's own last known
/// good, or to what the named release holds; and so that it sticks: with a pin and a deny of what was
/// taken back; forward only the release's content.
pub fn i28_rollback_target(step: &Transition<'_>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    let by = step.run.rollback.as_ref();
    let to = by.and_then(|by| by.way.to);
    for assign in step.assigns(crate::AssignKind::Revert) {
        premise = true;
        let (own, bundle) = (assign.assignment.app, assign.assignment.bundle());
        let known = step.members.get(&assign.member);
        let app = known.and_then(|member| member.apps.get(&own));
        let good = match to {
            Some(_) => step.facts.back.as_ref().and_then(|back| back.get(&own)),
            None => app
                .filter(|app| app.touched)
                .and_then(|app| app.last_good.as_ref()),
        };
        if !good.is_some_and(|good| is_content(&assign.assignment, good)) {
            problems.push(format!("{assign:?} does not go back to {good:?}"));
        }
        if !by.is_some_and(|by| by.way.only.has(&assign.member)) {
            problems.push(format!("{:?} is none of this rollback", assign.member));
        }
        let taken = app.and_then(|app| app.target.bundle());
        if taken.is_some() && bundle != taken && !sticks(step, own, bundle, taken) {
            problems.push(format!("{own} goes back without a pin and a deny"));
        }
        let known = step.facts.clusters.get(&assign.member.cluster);
        let known = known.and_then(|cluster| cluster.apps.get(&own));
        let ran = known
            .and_then(|app| app.current.as_ref())
            .and_then(Assignment::bundle);
        if to.is_some() && ran.is_some() && ran != bundle && !denies(step, own, bundle, ran) {
            problems.push(format!("{own} goes back without a deny of what it ran"));
        }
    }
    for assign in step.forward() {
        let member = step.members_after.get(&assign.member);
        let app = member.and_then(|member| member.apps.get(&assign.assignment.app));
        if app.and_then(|app| app.target.bundle()) != assign.assignment.bundle() {
            problems.push(format!("{assign:?} is not the release's content"));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// Whether an application is pinned to what it goes back to, and what it comes from is denied.
fn sticks(step: &Transition<'_>, own: AppUid, to: Option<Digest>, from: Option<Digest>) -> bool {
    let is_pin = |effect: &Effect| matches!(effect, Effect::Pin(pin) if pin.app == own && Some(pin.bundle) == to && Some(pin.bad) == from);
    step.after.effects.iter().any(is_pin) && denies(step, own, to, from)
}

/// Whether what it comes from is denied.
fn denies(step: &Transition<'_>, own: AppUid, to: Option<Digest>, from: Option<Digest>) -> bool {
    let said = step.run.strategy.rollback.deny;
    let is_deny = |effect: &Effect| matches!(effect, Effect::Deny { app, bad, good, scope, .. } if *app == own && Some(*good) == to && Some(*bad) == from && *scope == said);
    step.after.effects.iter().any(is_deny)
}

/// 29: `RolledBack` only when everybody whom the rollback is about is back, gone, or will get the
/// revert before anything else.
pub fn i29_rollback_reaches_all(step: &Transition<'_>) -> Verdict {
    use MemberState::{Reverted, Skipped, Unreachable};
    if step.after.run.state != RunState::RolledBack || step.run.state == RunState::RolledBack {
        return Verdict::Idle;
    }
    let way = step.after.run.rollback.as_ref().map(|by| &by.way);
    let all = way.is_some_and(|way| way.to.is_some());
    let meant = |member: &&Member| {
        (all || touched(member)) && way.is_none_or(|way| way.only.has(&member.id))
    };
    let astray = step.members_after.values().filter(meant).filter(|member| {
        let pending = step
            .alive(member)
            .filter(|(_, app)| all || app.touched)
            .all(|(_, app)| app.revert.is_some());
        match member.state {
            Reverted | Unreachable => !pending,
            Skipped => {
                let cluster = step.facts.clusters.get(&member.id.cluster);
                step.alive(member).any(|(_, app)| all || app.touched)
                    && !cluster.is_some_and(|c| c.removed)
            }
            _ => true,
        }
    });
    let problems = astray.map(|member| format!("{:?} is {:?}", member.id, member.state));
    Verdict::of(step.members_after.values().any(|m| meant(&m)), problems)
}

/// 30: a rollback opens no wave, moves nothing forward and records no new content as good.
pub fn i30_rollback_is_no_promotion(step: &Transition<'_>) -> Verdict {
    if step.after.run.rollback.is_none() {
        return Verdict::Idle;
    }
    let mut problems: Vec<_> = step
        .forward()
        .map(|assign| format!("{:?} moves forward", assign.member))
        .collect();
    if step.run.wave != step.after.run.wave {
        problems.push("the wave moved".to_owned());
    }
    for effect in &step.after.effects {
        let Effect::RecordLastGood { app, good, .. } = effect else {
            continue;
        };
        let mut members = step.members.values();
        let known = members.find_map(|member| member.apps.get(app));
        let by = step.after.run.rollback.as_ref();
        let own = match by.and_then(|by| by.way.to) {
            Some(_) => step.facts.back.as_ref().and_then(|back| back.get(app)),
            None => known.and_then(|known| known.last_good.as_ref()),
        };
        if own != Some(good) {
            problems.push(format!("{app} gets a new last known good"));
        }
    }
    Verdict::of(true, problems.into_iter())
}

/// 31: a newer release takes over only where the strategy lets it, and only between two assignments:
/// nobody in the open wave is under way, except who is cut off, or where it takes over at once. There
/// nobody is assigned any more once it is known.
pub fn i31_supersede_safety(step: &Transition<'_>) -> Verdict {
    let superseded = step.after.run.state == RunState::Superseded;
    if !superseded || step.run.state == RunState::Superseded || step.facts.newer_run {
        return late(step);
    }
    let when = step.run.strategy.supersede.newer;
    let at_once = when == SupersedeWhen::Immediately;
    // An ended attempt may have left somebody under way; the next one has not opened a wave yet.
    let between = step.run.retry.is_some() && stands_before_a_wave(step.run);
    let on_the_way = step
        .members_after
        .values()
        .filter(|_| !at_once && !between)
        .filter(|member| touched(member) && !settled(member) && !failed(member))
        .filter(|member| member.state != MemberState::Unreachable);
    let mut problems: Vec<_> = on_the_way
        .map(|member| format!("{:?} is {:?}", member.id, member.state))
        .collect();
    problems.extend(
        step.forward()
            .map(|assign| format!("{:?} is assigned", assign.member)),
    );
    if matches!(when, SupersedeWhen::Queue | SupersedeWhen::Never) {
        problems.push(format!("the strategy says {when:?}"));
    }
    if step.facts.newer_release.is_none() {
        problems.push("there is no newer release".to_owned());
    }
    Verdict::of(true, problems.into_iter())
}

/// Whether nobody sets out for what a newer release replaces at once. What a run that came to its end
/// owes comes before anything newer all the same.
fn late(step: &Transition<'_>) -> Verdict {
    let at_once = step.run.strategy.supersede.newer == SupersedeWhen::Immediately
        && !step.run.state.is_terminal();
    let Some(newer) = step.facts.newer_release.filter(|_| at_once) else {
        return Verdict::Idle;
    };
    let late = step
        .forward()
        .map(|assign| format!("{:?} is assigned, release {newer} is newer", assign.member));
    Verdict::of(true, late)
}

fn stands_before_a_wave(run: &Run) -> bool {
    let state = run.paused.map_or(run.state, |paused| paused.from);
    let after = [Some(GatePosition::After), Some(GatePosition::Analysis)];
    state == RunState::WaitingGate && !after.contains(&run.gate)
}

/// 32: where everything that comes by itself has come, a newer release does not wait behind this
/// run: it is over, or a person holds it, or a prune that waits for a person; or an approval where
/// the strategy lets every run come to its end.
pub fn i32_no_starvation(run: &Run, newer_release: Option<u64>, blocking: &[Blocking]) -> Verdict {
    let Some(newer) = newer_release else {
        return Verdict::Idle;
    };
    let waits = matches!(
        run.strategy.supersede.newer,
        SupersedeWhen::Queue | SupersedeWhen::Never
    );
    let held = |code: BlockCode| {
        matches!(code, BlockCode::PausedByPerson | BlockCode::PruneHeld)
            || (waits && code == BlockCode::Approval)
    };
    let starves = !run.state.is_terminal() && !blocking.iter().any(|blocking| held(blocking.code));
    let problem = starves.then(|| {
        format!(
            "release {newer} starves behind a run that is {:?}",
            run.state
        )
    });
    Verdict::of(true, problem.into_iter())
}

/// 33: a run that is over assigns nothing but what it owes to those whom it went on without, and only
/// a person's rollback or retry wakes it.
pub fn i33_no_zombie_run(step: &Transition<'_>) -> Verdict {
    if !step.run.state.is_terminal() {
        return Verdict::Idle;
    }
    let woken =
        step.run.request.as_ref().is_some_and(|request| {
            matches!(request.verb, RequestVerb::Rollback | RequestVerb::Retry)
        });
    let owed = |id| step.run.owes && step.members.get(id).is_some_and(deferred);
    let moved =
        step.after.run.state != step.run.state || step.after.changed.keys().any(|id| !owed(id));
    let mut problems: Vec<_> = step
        .forward()
        .filter(|assign| !owed(&assign.member))
        .map(|assign| format!("{:?} is assigned", assign.member))
        .collect();
    if moved && !woken {
        problems.push("it moved by itself".to_owned());
    }
    Verdict::of(true, problems.into_iter())
}

fn is_content(assignment: &Assignment, good: &LastGood) -> bool {
    match &assignment.desired {
        Desired::Run {
            bundle,
            policy,
            namespace,
            ..
        } => *bundle == good.bundle && *policy == good.policy && *namespace == good.namespace,
        Desired::Tombstone { .. } => false,
    }
}
