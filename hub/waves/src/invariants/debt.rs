//! Deferred members and what they are owed: invariant 36, second half.

use std::time::Duration;

use tidegate_model::{
    run::{CauseCode, Member, MemberState, RequestVerb, RunState},
    strategy::{Amount, UnreachableThen},
};

use super::{Transition, Verdict};
use crate::{Action, step::work::has_begun};

/// 36: a wave goes on only without members that have been cut off for the grace, where it says so,
/// without no more than it says, and never without everybody.
pub fn i36_deferred_bounded(step: &Transition<'_>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for (before, after) in step.moved() {
        if !deferred(after) || deferred(before) {
            continue;
        }
        premise = true;
        let wave = after.id.wave as usize;
        let spec = step.run.strategy.waves.get(wave);
        let spec = spec.map(|wave| wave.unreachable);
        let cluster = step.facts.clusters.get(&after.id.cluster);
        let since = cluster.and_then(|cluster| cluster.unreachable_since);
        let silent = since.is_some_and(|since| {
            let silent = Duration::try_from(step.now.duration_since(since));
            silent.unwrap_or_default() >= spec.map_or(Duration::MAX, |spec| spec.grace.0)
        });
        let asked = spec.is_some_and(|spec| spec.then == UnreachableThen::Defer);
        let open = step.run.state == RunState::Rolling && wave == step.run.wave;
        if !(silent && asked && open && !super::failed(before)) {
            problems.push(format!("{:?} is deferred without need", after.id));
        }
    }
    for (index, planned) in step.run.plan.waves.iter().enumerate() {
        let count = step.wave(index).filter(|member| deferred(member)).count();
        let spec = step.run.strategy.waves.get(index);
        let most = spec.and_then(|wave| wave.unreachable.max_deferred);
        let most = match most.unwrap_or(Amount::Percent(5)) {
            Amount::Count(count) => count as usize,
            Amount::Percent(percent) => planned.members.len() * percent as usize / 100,
        };
        if count > most.max(1) {
            problems.push(format!("{count} of {most} are deferred in wave {index}"));
        }
    }
    let finished = step
        .audits()
        .any(|audit| audit.action == Action::FinishWave);
    let mut members = step.wave(step.run.wave).peekable();
    if finished && members.peek().is_some() {
        let all: Vec<_> = members.map(|member| member.state).collect();
        let some = all.contains(&MemberState::Deferred);
        premise |= some;
        let shown =
            |state: &MemberState| matches!(state, MemberState::Healthy | MemberState::Soaked);
        if some && !all.iter().any(shown) {
            problems.push(format!("wave {} is done by nobody", step.run.wave));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 36: nothing is written that an earlier run still owes something, or that newer content has, and
/// nobody but who is back is paid.
pub fn i36_debt_before_newer(step: &Transition<'_>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for member in step.wave(step.run.wave) {
        let cluster = step.facts.clusters.get(&member.id.cluster);
        let apps = member.apps.keys();
        let mut known = apps.filter_map(|uid| cluster?.apps.get(uid));
        premise |= step.run.state == RunState::Rolling
            && !step.is_cut_off(member)
            && known.any(|app| app.owed.is_some());
    }
    for assign in step.forward() {
        let cluster = step.facts.clusters.get(&assign.member.cluster);
        let own = cluster.and_then(|cluster| cluster.apps.get(&assign.assignment.app));
        let member = step.members_after.get(&assign.member);
        let mut apps = member.iter().flat_map(|member| member.apps.keys());
        let owed = apps.any(|uid| {
            cluster
                .and_then(|cluster| cluster.apps.get(uid))
                .is_some_and(|app| app.owed.is_some())
        });
        if owed {
            problems.push(format!("{:?} is owed something else", assign.member));
        }
        if own.is_some_and(|own| own.overtaken) {
            problems.push(format!("{:?} has newer content", assign.member));
        }
        if member.is_some_and(|member| step.is_cut_off(member)) {
            problems.push(format!("{:?} is cut off and assigned", assign.member));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 36: a debt stands until it is paid with health, has failed, or is void; a run that succeeded
/// remembers it as long as it stands, and one that went back has none.
pub fn i36_debt_is_settled(step: &Transition<'_>) -> Verdict {
    use MemberState::{Deferred, Failed, Healthy, Reverting, Skipped, Soaked, TimedOut};
    let mut premise = false;
    let mut problems = Vec::new();
    for (_, after) in step.moved().filter(|(before, _)| deferred(before)) {
        premise |= !deferred(after);
        let away = step.is_cut_off(after);
        let fits = match after.state {
            Deferred => true,
            Healthy => !away && after.id.wave as usize == step.run.wave,
            Soaked => !away && (after.id.wave as usize) < step.run.wave,
            Failed | TimedOut => !away,
            Reverting => step.run.rollback.is_some(),
            Skipped => after.cause.as_ref().is_some_and(|cause| {
                use CauseCode::{ApplicationRemoved, ClusterRemoved, DebtVoid, NoLastKnownGood};
                let verb = step.run.request.as_ref().map(|request| request.verb);
                match cause.code {
                    CauseCode::Requested => verb == Some(RequestVerb::Skip),
                    code => matches!(
                        code,
                        ApplicationRemoved | ClusterRemoved | DebtVoid | NoLastKnownGood
                    ),
                }
            }),
            _ => false,
        };
        if !fits {
            problems.push(format!("{:?} was owed and is {:?}", after.id, after.state));
        }
    }
    let run = &step.after.run;
    let standing = step.members_after.values().any(deferred);
    if run.state == RunState::Succeeded && run.request.is_none() {
        premise |= standing;
        if standing != run.owes {
            problems.push(format!("it owes: {}, and says {}", standing, run.owes));
        }
    } else if run.owes {
        problems.push(format!("it is {:?} and owes", run.state));
    }
    let back = matches!(run.state, RunState::RolledBack | RunState::RollbackFailed);
    let meant = |member: &Member| {
        let by = run.rollback.as_ref();
        by.is_none_or(|by| by.way.only.has(&member.id))
    };
    let mut members = step.members_after.values();
    if back && members.any(|member| deferred(member) && meant(member)) {
        problems.push("it went back and owes".to_owned());
    }
    problems.extend(idle(step));
    Verdict::of(premise, problems.into_iter())
}

/// Those who are being paid and have no deadline for it.
fn idle(step: &Transition<'_>) -> Vec<String> {
    let run = &step.after.run;
    let mut problems = Vec::new();
    let idle = step.members_after.values().filter(|member| {
        let written = is_written(member) && !step.is_cut_off(member) && !held(step, member);
        let begun = has_begun(step.run, member);
        let running = member.progress.running_since.is_some();
        let human = member
            .cause
            .as_ref()
            .is_some_and(|cause| cause.code == CauseCode::PruneHeld);
        deferred(member) && written && begun && !running && !human
    });
    let looked = !step.after.more && run.is_live() && step.run.is_live();
    if looked && step.run.rollback.is_none() && step.run.paused.is_none() {
        problems.extend(idle.map(|member| format!("{:?} is paid without a deadline", member.id)));
    }
    problems
}

fn held(step: &Transition<'_>, member: &Member) -> bool {
    let cluster = step.facts.clusters.get(&member.id.cluster);
    let mut apps = member.apps.keys().filter_map(|uid| cluster?.apps.get(uid));
    apps.any(|app| app.overtaken)
}

/// Whether this attempt wrote something to it.
pub(super) fn is_written(member: &Member) -> bool {
    let mut apps = member.apps.values();
    apps.any(|app| app.touched && app.generation.is_some())
}

pub(super) fn deferred(member: &Member) -> bool {
    member.state == MemberState::Deferred
}
