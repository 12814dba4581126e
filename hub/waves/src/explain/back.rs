//! What a rollback waits for.

use tidegate_model::run::Member;

use super::{BlockCode, Blocking, Explainer};
use crate::{
    rollback::{goal::is_meant, is_begun, is_over, order, way},
    step::windows,
};

impl Explainer<'_> {
    /// Everybody who is not back, and why.
    pub(super) fn going_back(&self) -> Vec<Blocking> {
        let way = way(self.run);
        let ahead = order::ahead(&self.work);
        let left = |member: &&Member| is_meant(&way, member) && !is_over(member);
        self.work
            .members()
            .filter(left)
            .filter_map(|member| {
                self.taking_back(member)
                    .or_else(|| self.behind(member, ahead))
                    .or_else(|| self.member(member))
            })
            .collect()
    }

    /// The window that keeps a member from being taken back.
    fn taking_back(&self, member: &Member) -> Option<Blocking> {
        if is_begun(member) {
            return None;
        }
        let wave = member.id.wave as usize;
        let closed = windows::closed_back(self.run, wave, self.work.hub_now)?;
        let mut said = self.window(
            wave,
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

    /// The wave that goes back before this one; the same words for all of a wave.
    fn behind(&self, member: &Member, ahead: Option<u32>) -> Option<Blocking> {
        let ahead = ahead.filter(|ahead| member.id.wave < *ahead && !is_begun(member))?;
        let wave = member.id.wave as usize;
        let first = self.wave_name(ahead as usize);
        let message = format!(
            "wave {} goes back when nobody of wave {first} is on the way any more",
            self.wave_name(wave)
        );
        let clears = format!(
            "the end of what wave {first} waits for; with rollback.order parallel all waves of the \
             next run go back at once"
        );
        let mut said = self.say(BlockCode::Turn, &message, &clears);
        said.wave = wave;
        self.wave_name(wave).clone_into(&mut said.wave_name);
        Some(said)
    }
}
