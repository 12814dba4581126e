//! How far and in which order a rollback goes, and a soak without a break: invariants 44 to 46.

use std::time::Duration;

use tidegate_model::{
    run::{CauseCode, Member, MemberId, MemberState, RunState, WayBack},
    strategy::{RollbackOrder, RollbackScope, SoakMode},
};

use super::{Transition, Verdict, failed, touched};
use crate::{Action, AssignKind};

/// 44: an automatic rollback is about whom the strategy says: everybody, or those from the first wave
/// on that cannot go on, where somebody failed or was measured.
pub fn i44_rollback_scope(step: &Transition<'_>) -> Verdict {
    // A run that went back goes nowhere else by itself.
    let begun = step.run.rollback.is_none();
    let by = step.after.run.rollback.as_ref();
    let Some(by) = by.filter(|by| begun && !by.by_person) else {
        return Verdict::Idle;
    };
    let problem = match step.run.strategy.rollback.scope {
        RollbackScope::Run if by.way == WayBack::default() => None,
        RollbackScope::Run => Some("it is not about everybody".to_owned()),
        RollbackScope::Wave => {
            let since = by.way.only.since_wave.unwrap_or(0);
            let cause = step.run.cause.as_ref();
            let measured = cause.is_some_and(|cause| cause.code == CauseCode::AnalysisFailed)
                && since as usize == step.run.wave;
            let mut there = step.wave(since as usize);
            (!measured && !there.any(failed))
                .then(|| format!("it begins with wave {since}, where nobody failed"))
        }
    };
    Verdict::of(true, problem.into_iter())
}

/// 45: where the last wave goes back first, nobody is sent back while somebody of a later wave, who
/// can be reached, is on the way. Whom a closed window keeps from setting out holds nobody up.
pub fn i45_rollback_order(step: &Transition<'_>) -> Verdict {
    let (rollback, after) = (&step.run.strategy.rollback, &step.after.run);
    let Some(by) = after.rollback.as_ref() else {
        return Verdict::Idle;
    };
    if rollback.order != RollbackOrder::Reverse {
        return Verdict::Idle;
    }
    let windows = !rollback.ignore_windows;
    let meant =
        |member: &Member| by.way.only.has(&member.id) && (touched(member) || by.way.to.is_some());
    let on_the_way = |member: &Member| {
        let sent = member.apps.values().any(|app| app.revert.is_some());
        match member.state {
            MemberState::Reverting => true,
            MemberState::Failed | MemberState::Reverted | MemberState::Unreachable if sent => false,
            // Left out, on the way back or before.
            MemberState::Skipped => false,
            _ => !windows,
        }
    };
    let after = || step.members_after.values().filter(|member| meant(member));
    let ahead = after()
        .filter(|member| !step.is_cut_off(member) && on_the_way(member))
        .max_by_key(|member| member.id.wave);
    let Some(ahead) = ahead else {
        return Verdict::Idle;
    };
    let is_earlier = |id: &MemberId| id.wave < ahead.id.wave;
    let early = step
        .assigns(AssignKind::Revert)
        .filter(|assign| is_earlier(&assign.member))
        .map(|assign| {
            let (whom, first) = (&assign.member, &ahead.id);
            format!("{whom:?} is sent back while {first:?} is {:?}", ahead.state)
        });
    Verdict::of(after().any(|member| is_earlier(&member.id)), early)
}

/// 46: a soak that must be unbroken keeps nothing of a stretch that was broken off, and is never
/// longer than anybody's unbroken health.
pub fn i46_unbroken_soak(step: &Transition<'_>) -> Verdict {
    let (before, after) = (step.run, &step.after.run);
    let spec = before.strategy.waves.get(before.wave);
    let continuous = spec.is_some_and(|wave| wave.soak.clock == SoakMode::Continuous);
    let soaked = before.soak.running_since.is_some() || !before.soak.done.0.is_zero();
    if !continuous || before.wave != after.wave || !soaked {
        return Verdict::Idle;
    }
    let finished = step
        .audits()
        .any(|audit| audit.action == Action::FinishWave);
    // At a gate after the soak, or in it, everybody is healthy and the wave waits for a word.
    let whole = after.state == RunState::Soaking
        || after.state == RunState::WaitingGate && after.gate.is_some()
        || after.state.is_terminal()
        || finished;
    let done = after.soak.done;
    let mut problems = Vec::new();
    if !whole && !done.0.is_zero() {
        problems.push(format!(
            "{done:?} of a broken soak are kept, {:?}",
            after.state
        ));
    }
    // The clock is banked with every step that is stored.
    let banked = after.state == RunState::Soaking && after.clock != before.clock;
    let longest = banked.then(|| unbroken(step, before.wave)).flatten();
    if longest.is_some_and(|longest| longest < done.0) {
        problems.push(format!("{done:?} are soaked in {longest:?} of health"));
    }
    let grown = banked && !done.0.is_zero() && longest.is_some();
    Verdict::of(!whole || grown, problems.into_iter())
}

/// The shortest unbroken health, as the hub knows it, of what this run wrote to a wave.
fn unbroken(step: &Transition<'_>, wave: usize) -> Option<Duration> {
    let members = step.wave(wave);
    let healthy = members.filter(|member| member.state == MemberState::Healthy);
    let stretches = healthy.flat_map(|member| {
        let cluster = step.facts.clusters.get(&member.id.cluster);
        let apps = step.alive(member).filter(|(_, app)| app.touched);
        apps.filter_map(move |(uid, _)| {
            let evidence = cluster?.apps.get(&uid)?.evidence.as_ref()?;
            // Of a clock that was set back behind either nobody knows what it says.
            let known = evidence.received_at <= step.now;
            let first = evidence.first_healthy_at;
            let first = first.filter(|first| known && *first <= step.now)?;
            Duration::try_from(evidence.confirmed_at.duration_since(first)).ok()
        })
    });
    stretches.min()
}
