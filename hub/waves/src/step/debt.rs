//! Whom a wave goes on without, and what a run that is over still owes.
//!
//! Owns the bound of deferred members (invariant 36) and the end of debts that nobody is to be paid
//! any more. What becomes of one deferred member is `member::debt`'s, its assignment `assign`'s.

use tidegate_model::run::{Cause, CauseCode, Member, MemberId, MemberState};

use super::{
    assign,
    member::{self, debt::void},
    work::Work,
};
use crate::{
    Action, Limits,
    mutant::{self, Mutant},
};

/// Defers members of the open wave that have been silent beyond the grace, in its order, as many as
/// the wave lets.
pub(crate) fn defer(work: &mut Work<'_>) {
    let wave = work.run.wave;
    let mut free = room(work, wave);
    let silent: Vec<MemberId> = work
        .wave_members(wave)
        .filter(|member| member.state == MemberState::Unreachable)
        .map(|member| member.id.clone())
        .collect();
    for id in silent {
        let Some(known) = work.member(&id).filter(|_| free > 0) else {
            return;
        };
        let mut next = known.clone();
        next.state = MemberState::Deferred;
        next.deferred = true;
        next.cause = Some(Cause {
            code: CauseCode::Unreachable,
            message: match known.unreachable_since {
                Some(since) => format!("no session since {since}; the wave goes on without it"),
                None => "no session; the wave goes on without it".to_owned(),
            },
        });
        let effect = member::audit(&next, Action::DeferMember);
        if !work.put(next, vec![effect]) {
            return;
        }
        free -= 1;
    }
}

/// How many more of a wave may be deferred.
pub(crate) fn room(work: &Work<'_>, wave: usize) -> usize {
    let planned = work.run.plan.waves.get(wave);
    let planned = planned.map_or(0, |wave| wave.members.len());
    let most = work.spec(wave).unreachable.deferred_of(planned);
    if most > 0 && mutant::on(Mutant::DeferUnbounded) {
        return usize::MAX;
    }
    most.saturating_sub(work.wave_members(wave).filter(|m| is_deferred(m)).count())
}

/// Whether the wave went on without it and it is not back yet.
pub(crate) fn is_deferred(member: &Member) -> bool {
    member.state == MemberState::Deferred
}

/// Moves a run on that is over and owes: evidence first, then who is paid next.
pub(crate) fn pay(work: &mut Work<'_>) {
    work.observe();
    give_up(work);
    if !work.is_truncated() {
        assign::pay(work, 0);
    }
    let owes = work.members().any(is_deferred);
    work.run.owes = owes;
}

/// A content that failed more often than its wave puts up with is brought to nobody any more. Who
/// has it already is judged to the end.
fn give_up(work: &mut Work<'_>) {
    for wave in 0..work.run.plan.waves.len() {
        let failed = work.wave_members(wave).filter(|m| m.state.is_failed());
        let failed = failed.count();
        let budget = Limits::of(&work.run, wave).budget;
        if failed <= budget {
            continue;
        }
        let owed: Vec<_> = work
            .wave_members(wave)
            .filter(|known| is_deferred(known) && !assign::is_written(known))
            .cloned()
            .collect();
        for mut next in owed {
            let message = format!(
                "{failed} members failed with a failure budget of {budget}; it keeps what it runs"
            );
            let effect = void(&mut next, message);
            if !work.put(next, vec![effect]) {
                return;
            }
        }
    }
}
