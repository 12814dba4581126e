//! Who waits for whom on the way back.
//!
//! Owns the reverse order: an earlier wave is taken back when nobody of a later one is on the way
//! any more (invariant 45). What nobody can hurry holds nobody up: a cluster that is cut off, a
//! window that is closed. Never writes.

use tidegate_model::{
    run::{Member, MemberId, Run},
    strategy::RollbackOrder,
};

use super::{goal::is_meant, is_begun, is_over, way};
use crate::{
    mutant::{self, Mutant},
    step::{Work, member::unreachable_since, windows},
};

/// The wave whose turn it is, as the members are gone through, last wave first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    reverse: bool,
    /// The latest wave with somebody on the way.
    ahead: Option<u32>,
}

impl Turn {
    /// Before anybody was looked at.
    pub(crate) fn of(run: &Run) -> Self {
        let reverse = run.strategy.rollback.order == RollbackOrder::Reverse;
        Self {
            reverse: reverse && !mutant::on(Mutant::OrderIgnored),
            ahead: None,
        }
    }

    /// Whether this member waits for those of a later wave.
    pub(crate) fn waits(&self, member: &Member) -> bool {
        self.reverse && self.ahead.is_some_and(|ahead| member.id.wave < ahead)
    }

    /// A member was looked at.
    pub(crate) fn pass(&mut self, work: &Work<'_>, id: &MemberId) {
        if self.ahead.is_none() && work.member(id).is_some_and(|it| is_on_the_way(work, it)) {
            self.ahead = Some(id.wave);
        }
    }
}

/// The latest wave with somebody on the way, for a rollback that is not moved.
pub(crate) fn ahead(work: &Work<'_>) -> Option<u32> {
    let mut turn = Turn::of(&work.run);
    if turn.reverse {
        for member in work.members().rev() {
            turn.pass(work, &member.id);
        }
    }
    turn.ahead
}

/// Whether it is to go back and can be expected to do so.
fn is_on_the_way(work: &Work<'_>, member: &Member) -> bool {
    let wave = member.id.wave as usize;
    let shut =
        || !is_begun(member) && windows::closed_back(&work.run, wave, work.hub_now).is_some();
    is_meant(&way(&work.run), member)
        && !is_over(member)
        && unreachable_since(work.cluster(&member.id)).is_none()
        && !shut()
}
