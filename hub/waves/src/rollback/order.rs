//! Who waits for whom on the way back.
//!
//! Owns the reverse order: an earlier wave is taken back when nobody of a later one is on the way
//! any more (invariant 45). What nobody can hurry holds nobody up: a cluster that is cut off, a
//! window that is closed. Never writes.

use tidegate_model::{
    run::{Member, MemberId, Run, WayBack},
    strategy::RollbackOrder,
};

use super::{goal::is_meant, is_begun, is_over, way};
use crate::{
    mutant::{self, Mutant},
    step::{Work, member::unreachable_since, windows},
};

/// The wave whose turn it is, as the members are gone through, last wave first.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The way that is gone in this order; `None` where all waves go back at once.
    reverse: Option<WayBack>,
    /// The latest wave with somebody on the way.
    ahead: Option<u32>,
}

impl Turn {
    /// Before anybody was looked at.
    pub(crate) fn of(run: &Run) -> Self {
        let reverse = run.strategy.rollback.order == RollbackOrder::Reverse;
        let reverse = reverse && !mutant::on(Mutant::OrderIgnored);
        Self {
            reverse: reverse.then(|| way(run)),
            ahead: None,
        }
    }

    /// Whether this member waits for those of a later wave.
    pub(crate) fn waits(&self, member: &Member) -> bool {
        self.ahead.is_some_and(|ahead| member.id.wave < ahead)
    }

    /// A member was looked at.
    pub(crate) fn pass(&mut self, work: &Work<'_>, id: &MemberId) {
        let Some(way) = self.reverse.as_ref().filter(|_| self.ahead.is_none()) else {
            return;
        };
        let on_the_way = |it: &&Member| is_on_the_way(work, way, it);
        self.ahead = work.member(id).filter(on_the_way).map(|it| it.id.wave);
    }
}

/// The latest wave with somebody on the way, for a rollback that is not moved.
pub(crate) fn ahead(work: &Work<'_>) -> Option<u32> {
    let mut turn = Turn::of(&work.run);
    for member in work.members().rev() {
        turn.pass(work, &member.id);
    }
    turn.ahead
}

/// Whether it is to go back and can be expected to do so.
fn is_on_the_way(work: &Work<'_>, way: &WayBack, member: &Member) -> bool {
    let wave = member.id.wave as usize;
    let shut =
        || !is_begun(member) && windows::closed_back(&work.run, wave, work.hub_now).is_some();
    is_meant(way, member)
        && !is_over(member)
        && unreachable_since(work.cluster(&member.id)).is_none()
        && !shut()
}
