//! Failure budget and minimum of health: when a run stops, and whether it goes back.
//!
//! The two are apart (invariants 1, 14 and 15): the budget says how many failures end a run at once;
//! the minimum says whether a wave that came to its end did so well. Failures within the budget stay
//! failures and keep nobody waiting.

use tidegate_model::{
    run::{Cause, CauseCode, Member, MemberState, RollbackBy, RunState, WayBack},
    strategy::{RollbackOn, RollbackScope},
};

use super::{debt, decide, finish, member, work::Work};
use crate::{
    Action, Limits, SYSTEM,
    mutant::{self, Mutant},
    rollback,
};

/// Why the run cannot go on; `None` while it can.
pub(crate) fn look(work: &Work<'_>) -> Option<Cause> {
    broken(work).map(|(_, cause)| cause)
}

/// The first wave that cannot go on, and why.
fn broken(work: &Work<'_>) -> Option<(usize, Cause)> {
    let last = work.run.plan.waves.len().saturating_sub(1);
    (0..=work.run.wave.min(last)).find_map(|wave| {
        let cause = over_budget(work, wave).or_else(|| unwell(work, wave))?;
        Some((wave, cause))
    })
}

fn over_budget(work: &Work<'_>, wave: usize) -> Option<Cause> {
    let mut failed = work
        .wave_members(wave)
        .filter(|member| member.state.is_failed());
    let budget = Limits::of(&work.run, wave).budget;
    let first = failed.next()?;
    let failures = 1 + failed.count();
    if failures <= budget + usize::from(mutant::on(Mutant::BudgetOffByOne)) {
        return None;
    }
    let mut message = describe(work, first);
    if budget > 0 {
        message = format!("{failures} members failed with a failure budget of {budget}; {message}");
    }
    let code = first
        .cause
        .as_ref()
        .map_or(CauseCode::MemberFailed, |cause| cause.code);
    Some(Cause { code, message })
}

/// A wave at its end, or one that was left behind, must have enough that are healthy.
fn unwell(work: &Work<'_>, wave: usize) -> Option<Cause> {
    let open = wave == work.run.wave;
    let asked = || {
        work.wave_members(wave)
            .filter(|member| member.state != MemberState::Skipped && !debt::is_deferred(member))
    };
    // Without a failure everybody who was asked is healthy, or is waited for.
    let failed = asked().find(|member| member.state.is_failed())?;
    if open && !asked().all(decide::is_settled) {
        return None;
    }
    let healthy = asked().filter(|member| !member.state.is_failed()).count();
    let limits = Limits::of(&work.run, wave);
    if limits.suffice(healthy, asked().count()) {
        return None;
    }
    let message = format!(
        "{healthy} members are healthy, {} must be; {}",
        limits.min_healthy,
        describe(work, failed)
    );
    Some(Cause {
        code: CauseCode::MinHealthy,
        message,
    })
}

/// Stops the run.
pub(crate) fn begin(work: &mut Work<'_>, cause: Cause) {
    decide::stop_soak(work);
    work.run.paused = None;
    work.run.gate = None;
    work.run.state = RunState::Breached;
    let message = cause.message.clone();
    work.run.cause = Some(cause);
    work.decide(Action::Breach, message);
}

/// Goes back if the strategy says so, and if something that this run wrote failed: a member that it
/// never wrote says nothing against what it wrote elsewhere, and a rollback would deny content that
/// works.
pub(crate) fn answer(work: &mut Work<'_>) {
    let on = &work.run.strategy.rollback.on;
    let cause = work.run.cause.as_ref();
    let measured = cause.is_some_and(|cause| cause.code == CauseCode::AnalysisFailed);
    let too_few = cause.is_some_and(|cause| cause.code == CauseCode::MinHealthy);
    let asked_for = |state| match state {
        MemberState::Failed | MemberState::TimedOut if too_few => {
            on.contains(&RollbackOn::MinHealthy)
        }
        MemberState::Failed => on.contains(&RollbackOn::Budget),
        MemberState::TimedOut => on.contains(&RollbackOn::Deadline),
        _ => false,
    };
    let way = scope(work);
    let automatic = work
        .members()
        .filter(|known| member::is_touched(known) && way.only.has(&known.id))
        .any(|member| (measured && on.contains(&RollbackOn::Analysis)) || asked_for(member.state));
    if !automatic {
        return finish::finish(work, RunState::Failed, None, SYSTEM);
    }
    let reason = cause.map(|cause| cause.message.clone()).unwrap_or_default();
    rollback::begin(
        work,
        RollbackBy {
            by_person: false,
            actor: SYSTEM.to_owned(),
            reason,
            way,
        },
    );
}

/// The wave in which it went wrong.
pub(super) fn wave(work: &Work<'_>) -> usize {
    broken(work).map_or(work.run.wave, |(wave, _)| wave)
}

/// Whom the strategy takes back: everybody, or the first wave that cannot go on and what rests on it.
fn scope(work: &Work<'_>) -> WayBack {
    let mut way = WayBack::default();
    if work.run.strategy.rollback.scope == RollbackScope::Wave
        && !mutant::on(Mutant::WaveScopeIgnored)
    {
        way.only.since_wave = u32::try_from(wave(work)).ok().filter(|first| *first > 0);
    }
    way
}

/// A member, its wave and what is wrong with it.
pub(crate) fn describe(work: &Work<'_>, member: &Member) -> String {
    let wave = work.run.plan.waves.get(member.id.wave as usize);
    let cause = member
        .cause
        .as_ref()
        .map(|cause| cause.message.clone())
        .unwrap_or_default();
    let wave = wave.map_or("", |wave| &wave.name);
    format!("wave {wave}, cluster {}: {cause}", member.cluster_name)
}
