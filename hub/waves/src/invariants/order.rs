//! Order, admission of work and identity: invariants 1, 4, 5, 9 to 13, 15.

use std::collections::BTreeSet;

use tidegate_model::{
    report::Phase,
    run::{CauseCode, Member, MemberState, RunState},
    strategy::{Amount, BudgetMode},
};

use super::{
    Transition, Verdict,
    debt::{deferred, is_written},
    failed, settled, under_way,
};
use crate::Effect;

/// 1: a member moves forward only in the open wave, once every earlier one is settled and well.
pub fn i01_wave_order(step: &Transition<'_>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for assign in step.forward() {
        let wave = assign.member.wave as usize;
        premise |= wave > 0;
        let debt = step.members.get(&assign.member).is_some_and(deferred);
        let fits = if debt {
            is_time_to_pay(step, wave)
        } else {
            wave == step.run.wave && step.run.state == RunState::Rolling
        };
        if !fits {
            problems.push(format!(
                "{:?} is assigned while wave {} is open",
                assign.member, step.run.wave
            ));
        }
        let earlier = step
            .members_after
            .values()
            .filter(|member| (member.id.wave as usize) < wave);
        let bad = earlier.filter(|member| {
            use MemberState::{Deferred, Skipped, Soaked};
            !(matches!(member.state, Soaked | Skipped | Deferred) || failed(member))
                || member
                    .cause
                    .as_ref()
                    .is_some_and(|cause| cause.code == CauseCode::Regression)
        });
        problems.extend(bad.map(|member| format!("{:?} is {:?}", member.id, member.state)));
        let fallen = step.members_after.values().filter(|member| {
            let soaked = member.state == MemberState::Soaked;
            let open = !step.run.state.is_terminal();
            soaked && open && (member.id.wave as usize) < wave && fell_back(step, member)
        });
        problems.extend(fallen.map(|member| format!("{:?} fell back", member.id)));
        problems.extend((0..wave).filter_map(|earlier| short_of_health(step, earlier)));
    }
    Verdict::of(premise, problems.into_iter())
}

/// Whether a member of this wave may be brought what it is owed: the wave was opened, and the run
/// moves, or is over and owes.
fn is_time_to_pay(step: &Transition<'_>, wave: usize) -> bool {
    use RunState::{Rolling, Soaking, Succeeded, WaitingGate};
    let moves = matches!(step.run.state, WaitingGate | Rolling | Soaking);
    wave <= step.run.wave && (moves || (step.run.state == Succeeded && step.run.owes))
}

/// Whether fresh evidence says that it does not work at exactly what the run wants there.
fn fell_back(step: &Transition<'_>, member: &Member) -> bool {
    let cluster = step.facts.clusters.get(&member.id.cluster);
    step.alive(member).any(|(uid, app)| {
        let known = cluster.and_then(|cluster| cluster.apps.get(&uid));
        known
            .and_then(|app| app.evidence.as_ref())
            .is_some_and(|evidence| {
                let report = &evidence.report;
                let own = (Some(report.generation), Some(report.digest))
                    == (app.generation, app.assignment);
                let ill = report.phase == Phase::Applied && !report.health.is_healthy();
                own && ill && evidence.fresh && !step.is_cut_off(member)
            })
    })
}

/// What a wave that is over lacks: too many failures, or too few that went through it.
pub(super) fn short_of_health(step: &Transition<'_>, wave: usize) -> Option<String> {
    let (budget, least) = allowed(step, wave);
    let failures = step.wave(wave).filter(|member| failed(member)).count();
    let asked = step
        .wave(wave)
        .filter(|member| member.state != MemberState::Skipped && !deferred(member))
        .count();
    let well = step
        .wave(wave)
        .filter(|member| matches!(member.state, MemberState::Soaked | MemberState::Healthy))
        .count();
    (failures > budget || well < least.min(asked))
        .then(|| format!("wave {wave}: {failures} failures of {budget}, {well} healthy of {least}"))
}

/// Failure budget and minimum of health of a wave, in members.
fn allowed(step: &Transition<'_>, wave: usize) -> (usize, usize) {
    let run = step.run;
    let planned = run
        .plan
        .waves
        .get(wave)
        .map_or(0, |wave| wave.members.len());
    let share = |amount, up: bool| match amount {
        Amount::Count(count) => count as usize,
        Amount::Percent(percent) if up => (planned * percent as usize).div_ceil(100),
        Amount::Percent(percent) => planned * percent as usize / 100,
    };
    match run.strategy.waves.get(wave) {
        Some(spec) => (
            share(spec.failure_budget.max, false),
            share(spec.min_healthy, true).max(1),
        ),
        None => (0, planned.max(1)),
    }
}

/// 4: a run that finds a newer one of its set writes nothing, but for what it still owes (33, 36).
pub fn i04_single_writer(step: &Transition<'_>) -> Verdict {
    let writes = step
        .after
        .effects
        .iter()
        .filter(|effect| !matches!(effect, Effect::Audit(_)));
    let problems = writes.map(|effect| format!("{effect:?} beside a newer run"));
    let open = !step.run.state.is_terminal();
    let lives = (open && !step.after.run.state.is_terminal()).then(|| "it goes on".to_owned());
    if step.facts.newer_run && !step.run.owes {
        Verdict::of(open, problems.chain(lives))
    } else {
        Verdict::Idle
    }
}

/// 5: every new generation is above all that the application ever had, and an application gets at
/// most one in a step.
pub fn i05_fencing(step: &Transition<'_>) -> Verdict {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    let assigns = step
        .assigns(crate::AssignKind::Forward)
        .chain(step.assigns(crate::AssignKind::Revert));
    for assign in assigns {
        let new = &assign.assignment;
        let app = step
            .facts
            .clusters
            .get(&new.cluster)
            .and_then(|cluster| cluster.apps.get(&new.app));
        let stored = step
            .members
            .get(&assign.member)
            .and_then(|member| member.apps.get(&new.app));
        let known = [
            app.map(|app| app.highest),
            app.and_then(|app| app.current.as_ref())
                .map(|current| current.generation),
            stored.and_then(|app| app.generation),
            stored.and_then(|app| app.revert),
        ];
        if app.is_none()
            || known
                .into_iter()
                .flatten()
                .any(|known| known >= new.generation)
        {
            problems.push(format!(
                "generation {} of {} after {known:?}",
                new.generation, new.app
            ));
        }
        if !seen.insert(new.app) {
            problems.push(format!("{} is assigned twice", new.app));
        }
    }
    Verdict::of(!seen.is_empty(), problems.into_iter())
}

/// 9: never more members under way than the wave allows, reachable or not.
pub fn i09_concurrency(step: &Transition<'_>) -> Verdict {
    let open = step.run.wave;
    let under_way = step.wave(open).filter(|member| under_way(member)).count();
    let allowed = step
        .run
        .plan
        .waves
        .get(open)
        .map_or(0, |wave| wave.concurrency);
    let back = step.after.run.rollback.is_some();
    let problem = (!back && under_way > allowed)
        .then(|| format!("{under_way} of {allowed} members are under way in wave {open}"));
    let paid = waves_assigned(step).into_iter().filter_map(|wave| {
        let count = exposed(step, wave);
        let allowed = step.run.plan.waves.get(wave)?.concurrency;
        (count > allowed).then(|| format!("{count} of {allowed} get something in wave {wave}"))
    });
    Verdict::of(
        under_way > 0 && under_way == allowed,
        problem.into_iter().chain(paid),
    )
}

/// Waves of which somebody is assigned.
fn waves_assigned(step: &Transition<'_>) -> BTreeSet<usize> {
    let assigned = step.forward();
    assigned.map(|assign| assign.member.wave as usize).collect()
}

/// Members of a wave that are under way, or are being paid what they were owed.
fn exposed(step: &Transition<'_>, wave: usize) -> usize {
    let paid = |member: &Member| deferred(member) && is_written(member) && !step.is_cut_off(member);
    step.wave(wave)
        .filter(|member| under_way(member) || paid(member))
        .count()
}

/// 10: nobody who works is assigned while as many of the wave as may be do not.
pub fn i10_availability(step: &Transition<'_>) -> Verdict {
    let open = step.run.wave;
    let Some(planned) = step.run.plan.waves.get(open) else {
        return Verdict::Idle;
    };
    let most = step
        .run
        .strategy
        .waves
        .get(open)
        .and_then(|wave| wave.max_unavailable)
        .map_or(planned.concurrency, |amount| match amount {
            Amount::Count(count) => (count as usize).max(1),
            Amount::Percent(percent) => (planned.members.len() * percent as usize / 100).max(1),
        });
    let unwell = |member: &Member| step.is_unwell(member);
    let assigned: BTreeSet<_> = step.forward().map(|assign| &assign.member).collect();
    let out = |member: &&Member| {
        !failed(member)
            && member.state != MemberState::Skipped
            && (under_way(member) || unwell(member))
    };
    let down = step.wave(open).filter(out).count();
    let taken = step
        .wave(open)
        .filter(|member| assigned.contains(&member.id) && !unwell(member))
        .count();
    let problem = (taken > 0 && down > most)
        .then(|| format!("{taken} that worked were assigned, and {down} of {most} do not work"));
    Verdict::of(taken > 0 && down == most, problem.into_iter())
}

/// 11: with more failures than the budget allows nothing moves forward. What failed in a wave that
/// another attempt has yet to come to is that wave's.
pub fn i11_breach_stops(step: &Transition<'_>) -> Verdict {
    let last = step.run.plan.waves.len().saturating_sub(1);
    let failure = (0..=step.run.wave.min(last)).any(|wave| {
        step.wave(wave).filter(|member| failed(member)).count() > allowed(step, wave).0
    });
    let forward = step
        .forward()
        .map(|assign| format!("{:?} is assigned", assign.member));
    if failure {
        Verdict::of(true, forward)
    } else {
        Verdict::Idle
    }
}

/// 12: no more than budget and concurrency together fail on their way to healthy.
pub fn i12_bounded_overshoot(step: &Transition<'_>) -> Verdict {
    bounded(step, |_, budget, concurrency| Some(budget + concurrency))
}

/// 13: a strict budget is overspent by one at most.
pub fn i13_strict_budget(step: &Transition<'_>) -> Verdict {
    let held = bounded(step, |strict, budget, _| strict.then_some(budget + 1));
    let risked = waves_assigned(step).into_iter().find_map(|wave| {
        let spec = step.run.strategy.waves.get(wave)?;
        let strict = spec.failure_budget.mode == BudgetMode::Strict;
        let failures = step.wave(wave).filter(|member| failed(member)).count();
        let (risked, most) = (failures + exposed(step, wave), allowed(step, wave).0 + 1);
        (strict && risked > most).then(|| format!("{risked} of {most} risked in wave {wave}"))
    });
    risked.map_or(held, Verdict::Broken)
}

/// Failures on the way to healthy, wave by wave, against what may be.
fn bounded(step: &Transition<'_>, most: impl Fn(bool, usize, usize) -> Option<usize>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for (index, wave) in step.run.plan.waves.iter().enumerate() {
        let spec = step.run.strategy.waves.get(index);
        let strict = spec.is_some_and(|wave| wave.failure_budget.mode == BudgetMode::Strict);
        let Some(most) = most(strict, allowed(step, index).0, wave.concurrency) else {
            continue;
        };
        let failures = step
            .wave(index)
            // Who was deferred on its way and fails later did not count when others were assigned, and
            // who is silent before this attempt wrote it did not fail by it.
            .filter(|m| failed(m) && is_written(m) && !m.reached && !m.deferred)
            .count();
        premise |= failures > 0;
        if failures > most {
            problems.push(format!(
                "{failures} failures in wave {index}, {most} at most"
            ));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 15: whoever is waited for has a deadline that runs, is cut off, or waits for a person.
pub fn i15_total_settlement(step: &Transition<'_>) -> Verdict {
    let run = &step.after.run;
    if step.after.more || !matches!(run.state, RunState::Rolling) {
        return Verdict::Idle;
    }
    let mut waiting = step
        .wave(run.wave)
        .filter(|member| !settled(member) && !failed(member))
        .filter(|member| member.state != MemberState::Queued)
        .peekable();
    let premise = waiting.peek().is_some();
    let endless = waiting.filter(|member| {
        let human = member
            .cause
            .as_ref()
            .is_some_and(|cause| cause.code == CauseCode::PruneHeld);
        member.progress.running_since.is_none() && !human && !step.is_cut_off(member)
    });
    let problems =
        endless.map(|member| format!("{:?} {:?} has no deadline", member.id, member.state));
    Verdict::of(premise, problems)
}
