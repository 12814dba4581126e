//! Why members of the open wave wait for their turn.

use tidegate_model::run::{Member, MemberState};

use super::{BlockCode, Blocking, Explainer};
use crate::{
    Limits,
    step::assign::{is_unavailable, takes_place},
};

impl Explainer<'_> {
    /// What keeps those whose turn has not come; `None` when everybody had it.
    pub(super) fn turn(&self) -> Option<Blocking> {
        let wave = self.run.wave;
        let count =
            |is: &dyn Fn(&Member) -> bool| self.work.wave_members(wave).filter(|m| is(m)).count();
        let queued = count(&|member| member.state == MemberState::Queued);
        if queued == 0 {
            return None;
        }
        let limits = Limits::of(self.run, wave);
        let under_way = count(&|member| takes_place(&self.work, member));
        let failed = count(&|member| member.state.is_failed());
        let (why, clears) = if limits.places(failed) > under_way {
            let down = count(&|member| is_unavailable(&self.work, member));
            if down < limits.unavailable {
                // They cannot be assigned themselves, and are named for it.
                return None;
            }
            let why = format!(
                "{down} members do not work, and maxUnavailable is {}",
                limits.unavailable
            );
            (why, "health of those members, or a higher maxUnavailable")
        } else if under_way >= limits.concurrency {
            let why = format!(
                "{under_way} are under way, and maxConcurrency is {}",
                limits.concurrency
            );
            (why, "one of those being through")
        } else {
            let why = format!(
                "{under_way} are under way and {failed} failed, and a strict failureBudget of {} risks no more than one failure beyond it",
                limits.budget
            );
            (
                why,
                "one of those being through, or a failureBudget of mode fast for the next run",
            )
        };
        let message = format!("{queued} members wait for their turn: {why}");
        Some(self.say(BlockCode::Turn, &message, clears))
    }
}
