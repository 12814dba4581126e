//! What is closed by the time of day.

use tidegate_model::run::{GatePosition, MemberState};

use super::{BlockCode, Blocking, Explainer};
use crate::{
    quorum::quorum,
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

    pub(super) fn closed(&self, wave: usize) -> Option<Blocking> {
        let closed = windows::closed(self.run, wave, self.work.hub_now)?;
        let message = format!("wave {} is {}", self.wave_name(wave), closed.message());
        Some(self.window(wave, &message, &closed))
    }

    pub(super) fn window(&self, wave: usize, message: &str, closed: &Closed) -> Blocking {
        let time = closed.until.as_ref();
        let time = time.map(|until| format!("time ({until})"));
        // A broken glass opens the open wave, and the way back; no wave that was left behind.
        let glass =
            self.run.rollback.is_some() || (wave == self.run.wave && !self.run.state.is_terminal());
        let glass = glass.then(|| format!("break the glass for run {}", self.run.id));
        let clears: Vec<_> = time.into_iter().chain(glass).collect();
        let clears = if clears.is_empty() {
            "other windows, for the next run".to_owned()
        } else {
            clears.join(", or ")
        };
        self.say(BlockCode::Window, message, &clears)
    }
}
