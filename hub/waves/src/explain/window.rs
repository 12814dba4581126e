//! What is closed by the time of day.

use tidegate_model::run::{GatePosition, Member, MemberState};

use super::{BlockCode, Blocking, Explainer};
use crate::{
    quorum::quorum,
    rollback::is_begun,
    step::{
        windows::{self, Closed},
        work::is_opened,
    },
};

impl Explainer<'_> {
    /// Everything that keeps the gate of the open wave closed.
    pub(super) fn gate(&self) -> Vec<Blocking> {
        let wave = self.run.wave;
        if is_opened(self.run) {
            return vec![self.approval()];
        }
        let quorum = quorum(self.run, wave, GatePosition::Before, self.work.hub_now);
        let asks = quorum.is_some_and(|quorum| !quorum.is_open());
        let approval = asks.then(|| self.approval());
        approval.into_iter().chain(self.closed(wave)).collect()
    }

    /// The window that keeps queued members of the open wave from being assigned.
    pub(super) fn assigning(&self) -> Option<Blocking> {
        let mut members = self.work.wave_members(self.run.wave);
        let queued = members.any(|member| member.state == MemberState::Queued);
        queued.then(|| self.closed(self.run.wave)).flatten()
    }

    /// The window that keeps a member from being taken back.
    pub(super) fn taking_back(&self, member: &Member) -> Option<Blocking> {
        if is_begun(member) {
            return None;
        }
        let wave = member.id.wave as usize;
        let closed = windows::closed_back(self.run, wave, self.work.hub_now)?;
        let mut said = self.window(
            &format!(
                "cluster {}: the way back is {}",
                member.cluster_name,
                closed.message()
            ),
            &closed,
        );
        self.name(&mut said, member);
        Some(said)
    }

    pub(super) fn closed(&self, wave: usize) -> Option<Blocking> {
        let closed = windows::closed(self.run, wave, self.work.hub_now)?;
        let message = format!("wave {} is {}", self.wave_name(wave), closed.message());
        Some(self.window(&message, &closed))
    }

    fn window(&self, message: &str, closed: &Closed) -> Blocking {
        let time = closed
            .until
            .as_ref()
            .map(|until| format!("time ({until}), or "));
        let clears = format!(
            "{}break the glass for run {}",
            time.unwrap_or_default(),
            self.run.id
        );
        self.say(BlockCode::Window, message, &clears)
    }
}
