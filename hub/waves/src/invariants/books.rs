//! Membership, crash, clock, audit and explanation: invariants 6 to 8, 34, 35, 38 to 41.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tidegate_model::{
    audit::Decided,
    run::{CauseCode, MemberApp, MemberState, Run, RunState},
    strategy::Strategy,
};

use super::{Transition, Verdict, debt::deferred, failed};
use crate::{
    Action, AssignKind, BlockCode, Blocking, Candidate, Effect, Step, plan, step::advance,
};

/// 6: what was frozen when the run was planned never changes.
pub fn i06_immutability(step: &Transition<'_>) -> Verdict {
    let mut problems = Vec::new();
    if frozen(step.run) != frozen(&step.after.run) {
        problems.push("the header's frozen part changed".to_owned());
    }
    let app = |app: &MemberApp| {
        (
            app.target.clone(),
            app.policy.clone(),
            app.namespace.clone(),
            app.last_good.clone(),
        )
    };
    for (id, after) in &step.after.changed {
        let Some(before) = step.members.get(id) else {
            problems.push(format!("{id:?} appeared"));
            continue;
        };
        let same = before.apps.keys().eq(after.apps.keys())
            && before
                .apps
                .values()
                .map(app)
                .eq(after.apps.values().map(app))
            && before.id == after.id;
        if !same {
            problems.push(format!("{id:?} is to run something else"));
        }
    }
    Verdict::of(step.after.more, problems.into_iter())
}

fn frozen(run: &Run) -> impl PartialEq + use<'_> {
    (
        (
            run.id,
            run.set,
            run.release,
            run.release_number,
            run.content,
        ),
        (&run.strategy, &run.plan, run.started_at, run.epoch),
    )
}

/// 7: waves share no member and together are the membership.
pub fn i07_partition(step: &Transition<'_>) -> Verdict {
    let ids: Vec<_> = step
        .run
        .plan
        .waves
        .iter()
        .flat_map(|wave| &wave.members)
        .collect();
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    let problems = [
        (unique.len() != ids.len()).then(|| "a member is in two waves".to_owned()),
        (!unique.iter().copied().eq(step.members_after.keys()))
            .then(|| "the waves are not the membership".to_owned()),
    ];
    Verdict::of(
        step.run.plan.waves.len() > 1,
        problems.into_iter().flatten(),
    )
}

/// 8: the same members in any order of arrival give the same plan.
pub fn i08_determinism(strategy: &Strategy, members: &[Candidate], seed: u64) -> Verdict {
    let first = plan(strategy, members, seed);
    let turned = (1..members.len()).map(|n| {
        let (head, tail) = members.split_at(n);
        [tail, head].concat()
    });
    let orders = turned.chain([members.iter().rev().cloned().collect()]);
    let differ = orders.filter(|members| plan(strategy, members, seed) != first);
    let problems = differ.map(|members| {
        let names: Vec<_> = members.iter().map(|one| &one.cluster_name).collect();
        format!("another plan when they come as {names:?}")
    });
    Verdict::of(members.len() > 1, problems)
}

/// 34: only planned members get anything, and only their own applications.
pub fn i34_added_member(step: &Transition<'_>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for assign in step
        .assigns(AssignKind::Forward)
        .chain(step.assigns(AssignKind::Revert))
    {
        premise = true;
        let member = step.members.get(&assign.member);
        let own = member.is_some_and(|member| member.apps.contains_key(&assign.assignment.app))
            && assign.member.cluster == assign.assignment.cluster;
        if !own {
            problems.push(format!(
                "{:?} is no member with {}",
                assign.member, assign.assignment.app
            ));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 35: a removal neither ends the run nor takes a failure back.
pub fn i35_removed_member(step: &Transition<'_>) -> Verdict {
    let gone = |code| {
        matches!(
            code,
            CauseCode::ClusterRemoved | CauseCode::ApplicationRemoved
        )
    };
    let cut = step.moved().any(|(before, after)| {
        after.state == MemberState::Skipped
            && before.state != MemberState::Skipped
            && after.cause.as_ref().is_some_and(|cause| gone(cause.code))
    });
    let mut problems = Vec::new();
    if step
        .after
        .run
        .cause
        .as_ref()
        .is_some_and(|cause| gone(cause.code))
    {
        problems.push("a removal became the run's cause".to_owned());
    }
    let back = step.run.rollback.is_some() || step.after.run.rollback.is_some();
    let again = step.run.retry.as_ref().is_some_and(|retry| retry.pending);
    let forgiven = step
        .moved()
        .filter(|(before, after)| !back && !again && failed(before) && !failed(after));
    problems.extend(forgiven.map(|(before, _)| format!("{:?} was forgiven", before.id)));
    Verdict::of(cut, problems.into_iter())
}

/// 38: the same step again gives the same; and once stored, the same facts give no second
/// assignment of anything.
pub fn i38_crash_equivalence(step: &Transition<'_>) -> Verdict {
    let (run, changed, effects) = advance(step.run, step.members, step.facts, step.now);
    let mut problems = Vec::new();
    if (&run, &changed, &effects) != (&step.after.run, &step.after.changed, &step.after.effects) {
        problems.push("a repeated step differs".to_owned());
    }
    let apps = |effects: &[Effect]| -> BTreeSet<_> {
        let assigns = effects.iter().filter_map(|effect| match effect {
            Effect::Assign(assign) => {
                Some((assign.kind == AssignKind::Forward, assign.assignment.app))
            }
            _ => None,
        });
        assigns.collect()
    };
    let (_, _, again) = advance(&step.after.run, step.members_after, step.facts, step.now);
    let first = apps(&effects);
    let twice: Vec<_> = apps(&again).intersection(&first).copied().collect();
    if !twice.is_empty() {
        problems.push(format!("{twice:?} are assigned twice"));
    }
    Verdict::of(!first.is_empty(), problems.into_iter())
}

/// 39: the run's clock never goes back, counts nothing when the hub's does or while a person has
/// paused the run, and no more than a minute of silence.
pub fn i39_clock_skew(step: &Transition<'_>) -> Verdict {
    let (before, after) = (step.run.clock, step.after.run.clock);
    let gap = step.now.duration_since(before.hub);
    let moved = after.shows.duration_since(before.shows);
    let longest = SignedDuration::from_secs(2 * Step::HEARTBEAT_SECS);
    let most = gap.clamp(SignedDuration::ZERO, longest);
    let stands = step.run.paused.is_some_and(|paused| paused.by_person);
    let problem = (moved.is_negative() || moved > most || (stands && !moved.is_zero()))
        .then(|| format!("the run's clock moved {moved:?} in {gap:?}"));
    let premise = gap.is_negative() || gap > longest || stands;
    Verdict::of(premise, problem.into_iter())
}

/// 40: every decision has its record, exactly one, and a person's pause ends by a person's word.
pub fn i40_audit_completeness(step: &Transition<'_>) -> Verdict {
    let audits = |action| step.audits().filter(|audit| audit.action == action).count();
    let effects = |is: fn(&Effect) -> bool| step.after.effects.iter().filter(|e| is(e)).count();
    let entered = |state| usize::from(step.run.state != state && step.after.run.state == state);
    let members = |is: fn(MemberState) -> bool| {
        step.moved()
            .filter(|(before, after)| !is(before.state) && is(after.state))
            .count()
    };
    let paid = step.moved().filter(|(before, after)| {
        deferred(before) && matches!(after.state, MemberState::Healthy | MemberState::Soaked)
    });
    let paid = paid.count();
    let over = !step.run.state.is_terminal() && step.after.run.state.is_terminal();
    let mut rows = vec![
        (Action::Assign, step.forward().count()),
        (Action::Revert, step.assigns(AssignKind::Revert).count()),
        (
            Action::Pin,
            effects(|effect| matches!(effect, Effect::Pin(_))),
        ),
        (
            Action::Deny,
            effects(|effect| matches!(effect, Effect::Deny { .. })),
        ),
        (
            Action::FailMember,
            members(|s| matches!(s, MemberState::Failed | MemberState::TimedOut)),
        ),
        (Action::Breach, entered(RunState::Breached)),
        (
            Action::DeferMember,
            members(|state| state == MemberState::Deferred),
        ),
        (Action::PayDebt, paid),
        (
            Action::RetryMember,
            step.moved()
                .filter(|(before, after)| failed(before) && after.state == MemberState::Queued)
                .count(),
        ),
    ];
    if step.run.request.is_none() {
        rows.push((Action::Pause, entered(RunState::Paused)));
        rows.push((Action::Rollback, entered(RunState::RollingBack)));
        rows.push((Action::Finish, usize::from(over)));
    }
    let wrong = rows
        .iter()
        .filter(|(action, count)| audits(*action) != *count);
    let problems = wrong
        .map(|(action, count)| format!("{} records of {count} times {action}", audits(*action)));
    let paused = |run: &Run| run.paused.is_some_and(|paused| paused.by_person);
    let woken = paused(step.run) && !paused(&step.after.run);
    let asked = step.run.request.is_some() || step.facts.newer_run;
    let problems = problems.chain(
        (woken && !asked).then(|| "a person's pause ended without a person's word".to_owned()),
    );
    let problems = problems.chain(not_told(step));
    Verdict::of(rows.iter().any(|(_, count)| *count > 0), problems)
}

/// What of the run's state its records do not lead to, one after the other.
fn not_told(step: &Transition<'_>) -> Option<String> {
    let ids = || step.after.changed.keys();
    let before = ids().filter_map(|id| step.members.get(id));
    let mut told = Decided::of(step.run, before);
    for audit in step.audits() {
        let Some(outcome) = &audit.context.outcome else {
            return Some(format!("{} says not what it led to", audit.action));
        };
        told.follow(outcome, audit.after);
    }
    let after = ids().filter_map(|id| step.members_after.get(id));
    let held = Decided::of(&step.after.run, after);
    (told != held).then(|| format!("its records lead to {told:?}, and it is {held:?}"))
}

/// 41 (its first half): a run that is not over, or owes something, always says what it waits for,
/// and names everybody whom it goes on without.
pub fn i41_explainability(step: &Transition<'_>) -> Verdict {
    let open = step.after.run.is_live();
    let unnamed = step.members_after.values().find(|member| {
        let mut said = step.after.report.iter();
        let back = step.after.run.rollback.is_some();
        let named = |said: &Blocking| {
            said.code == BlockCode::StepPending || said.member.as_ref() == Some(&member.id)
        };
        open && !back && deferred(member) && !said.any(named)
    });
    let unnamed = unnamed.map(|member| format!("{:?} is deferred and not named", member.id));
    let silent = (open && step.after.report.is_empty()).then(|| {
        format!(
            "nothing is said of a run that is {:?}",
            step.after.run.state
        )
    });
    Verdict::of(open, silent.into_iter().chain(unnamed))
}
