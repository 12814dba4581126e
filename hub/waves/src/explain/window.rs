//! What is closed before and after a wave: by the time of day, by people, by whoever is asked.

use tidegate_model::run::{GatePosition, MemberState};

use super::{BlockCode, Blocking, Explainer};
use crate::{
    ask,
    mutant::{self, Mutant},
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
        let position = self.run.gate.unwrap_or(GatePosition::Before);
        let quorum = quorum(self.run, wave, position, self.work.hub_now);
        let asks = quorum.is_some_and(|quorum| !quorum.is_open());
        let approval = asks.then(|| self.approval());
        let window = (!is_opened(self.run)).then(|| self.closed(wave)).flatten();
        let asked = self.asked(wave, position);
        approval.into_iter().chain(window).chain(asked).collect()
    }

    /// Whoever is asked at this gate and has not let the run through.
    fn asked(&self, wave: usize, position: GatePosition) -> Vec<Blocking> {
        if mutant::on(Mutant::AnswerUnexplained) {
            return Vec::new();
        }
        let (facts, now) = (self.work.facts, self.work.hub_now);
        let shut = ask::shut(self.run, wave, position, facts, now);
        let say = |shut: &ask::Shut| {
            let mut said = self.say(shut.code, &shut.message, &shut.clears);
            said.position = Some(position);
            said
        };
        shut.iter().map(say).collect()
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
