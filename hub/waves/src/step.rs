//! One step of a run: from what is known now to what is to be written.
//!
//! Idempotent: the same run with the same facts at the same time gives the same step, and a step
//! that was stored gives nothing new. Owns the order: a person's request alone, otherwise evidence,
//! then a decision; at most one change of the run's state a step. Never writes; the caller commits all of it or nothing.

pub(crate) mod again;
pub(crate) mod analysis;
pub(crate) mod assign;
mod breach;
pub(crate) mod debt;
pub(crate) mod decide;
pub(crate) mod finish;
mod gates;
pub(crate) mod member;
mod record;
mod request;
pub(crate) mod skip;
pub(crate) mod windows;
mod witness;
pub(crate) mod work;

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::run::{Member, MemberId, Run, RunState};

pub use self::windows::has_windows;
pub(crate) use self::work::Work;
use crate::{
    Facts, Step, explain, invariants,
    mutant::{self, Mutant},
    rollback,
};

/// Moves a run as far as one transaction allows.
pub fn step(
    run: &Run,
    members: &BTreeMap<MemberId, Member>,
    facts: &Facts,
    now: Timestamp,
) -> Step {
    let (after, members_after) = unjudged(run, members, facts, now);
    if cfg!(debug_assertions) {
        let broken = invariants::check(&invariants::Transition {
            run,
            members,
            facts,
            now,
            after: &after,
            members_after: &members_after,
        });
        debug_assert!(
            broken.is_empty(),
            "step of run {} breaks {broken:?}",
            run.id
        );
    }
    after
}

/// The step and the members after it, for a caller that holds the invariants itself.
pub(crate) fn unjudged(
    run: &Run,
    members: &BTreeMap<MemberId, Member>,
    facts: &Facts,
    now: Timestamp,
) -> (Step, BTreeMap<MemberId, Member>) {
    let (mut next, changed, effects) = advance(run, members, facts, now);
    let more = !changed.is_empty() || !effects.is_empty() || !same_but_clock(run, &mut next);
    let mut after = members.clone();
    after.extend(changed.clone());
    let step = Step {
        report: explain(&next, &after, facts, now),
        run: next,
        changed,
        effects,
        more,
    };
    (step, after)
}

/// The step without its report.
pub(crate) fn advance(
    run: &Run,
    members: &BTreeMap<MemberId, Member>,
    facts: &Facts,
    now: Timestamp,
) -> work::Moved {
    let mut work = Work::new(run, members, facts, now);
    if facts.newer_run && !run.state.is_terminal() && !mutant::on(Mutant::NewerRunIgnored) {
        finish::supersede_by_run(&mut work);
        return work.finish();
    }
    if request::carry_out(&mut work) {
        // A person's word is a step of its own: what follows from it is seen and stored first.
        return work.finish();
    }
    if again::carry_on(&mut work) {
        return work.finish();
    }
    match work.run.state {
        RunState::Superseded if mutant::on(Mutant::ZombieAssigns) => decide::decide(&mut work),
        state if state.is_terminal() => {
            if run.owes {
                debt::pay(&mut work);
            }
        }
        RunState::RollingBack => rollback::advance(&mut work),
        _ => {
            work.observe();
            decide::decide(&mut work);
        }
    }
    work.finish()
}

/// Whether two headers differ in nothing but what the clock shows. The second comes back as it was:
/// a copy of either would be one of strategy and plan, at every step.
pub(crate) fn same_but_clock(a: &Run, b: &mut Run) -> bool {
    if a.soak.running_since.is_some() != b.soak.running_since.is_some() {
        return false;
    }
    let own = (b.clock, b.soak);
    (b.clock, b.soak) = (a.clock, a.soak);
    let same = *a == *b;
    (b.clock, b.soak) = own;
    same
}
