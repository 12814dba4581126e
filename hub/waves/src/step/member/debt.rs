//! A deferred member: what is made of it while its cluster is away, and when it is back.
//!
//! Owns when a debt is paid, when it failed and when newer content has taken its place. Never
//! assigns: `assign` does, under the rules of the member's own wave.

use tidegate_model::run::{Cause, CauseCode, Member, MemberState, ProgressClock, RunState};

use super::{Observer, audit, is_touched, skip, stop, unreachable_since};
use crate::{
    Action, Effect,
    evidence::{Seen, Side, Stage, see},
    mutant::{self, Mutant},
    step::work::{elapsed, has_begun},
};

impl Observer<'_> {
    /// A member that the wave went on without.
    pub(super) fn owe(&self, member: &mut Member) -> Vec<Effect> {
        let before_its_wave = !has_begun(&self.work.run, member);
        if self.work.run.state == RunState::Breached || before_its_wave {
            // The step that decides on the way back proves no content, and a wave that another
            // attempt stands before shows none.
            return Vec::new();
        }
        self.adopt(member);
        member.unreachable_since = unreachable_since(self.cluster);
        let away = member.unreachable_since.is_some() || self.cluster.is_none();
        if away || self.is_pending(member) {
            stop(member, self.work.now);
            member.healthy_since = None;
            return Vec::new();
        }
        let seen = see(member, self.cluster, Side::Forward, self.work.times());
        if let Some(cause) = seen.degraded.clone()
            && is_touched(member)
            && !self.work.paused_by_person()
        {
            return self.fail(member, MemberState::Failed, cause);
        }
        if self.is_proven(member, &seen) {
            return self.paid(member);
        }
        member.cause.clone_from(&seen.problem);
        self.run_out(member, seen.waits_for_person())
    }

    fn is_proven(&self, member: &mut Member, seen: &Seen) -> bool {
        let unproven = mutant::on(Mutant::DebtPaidUnproven) && seen.stage == Stage::Applied;
        if seen.stage != Stage::Healthy && !unproven {
            member.healthy_since = None;
            return false;
        }
        let window = self.work.spec(member.id.wave as usize).health_window.0;
        let since = *member.healthy_since.get_or_insert(self.work.now);
        let watched = elapsed(since, self.work.now);
        unproven || seen.credit.min(watched) >= window
    }

    /// It is where the rest of its wave is.
    fn paid(&self, member: &mut Member) -> Vec<Effect> {
        let open = member.id.wave as usize == self.work.run.wave;
        member.state = if open {
            MemberState::Healthy
        } else {
            MemberState::Soaked
        };
        member.cause = None;
        member.reached = true;
        member.deferred = false;
        member.progress = ProgressClock::default();
        let mut effects = vec![audit(member, Action::PayDebt)];
        if !open {
            effects.extend(self.record_good(member));
        }
        effects
    }
}

/// Takes the debt off a member.
pub(crate) fn void(member: &mut Member, message: String) -> Effect {
    let cause = Cause {
        code: CauseCode::DebtVoid,
        message,
    };
    skip(member, cause)
}
