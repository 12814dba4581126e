//! What the agents know to be true, held against what the engine makes of their reports.

use std::time::Duration;

use tidegate_model::{
    run::{Member, MemberState, RunState},
    strategy::SoakMode,
};

use super::{FRESH, World};
use crate::{Action, AssignKind, Effect, Step};

impl World {
    /// What the agents know to be true, whatever they reported and the engine made of it.
    pub(super) fn check_against_truth(&mut self, step: &Step) {
        let truth = self.truth;
        self.agents
            .values_mut()
            .for_each(|agent| agent.note_health(truth));
        if !self.strict_truth {
            return;
        }
        let forward = step.effects.iter().any(
            |effect| matches!(effect, Effect::Assign(assign) if assign.kind == AssignKind::Forward),
        );
        if forward {
            let wave = u32::try_from(self.run.wave).unwrap();
            let earlier = self.members.values().filter(|member| member.id.wave < wave);
            for member in earlier.filter(|member| member.state == MemberState::Soaked) {
                let window = self.spec(member).0;
                for (uid, app) in member.apps.iter().filter(|(_, app)| app.touched) {
                    if self.apps[uid].removed {
                        continue;
                    }
                    let first = self.assigned.iter().find(|(_, known)| known.app == *uid);
                    let first = first.map(|(_, known)| known.generation).unwrap();
                    // A word that was said anew has the same content under a higher generation.
                    let own = (*uid, first)..=(*uid, app.generation.unwrap());
                    let known = &self.agents[&member.id.cluster].best;
                    let best = known.range(own).map(|(_, best)| *best).max();
                    assert!(
                        best.is_some_and(|best| best >= window),
                        "truth: a later wave moves while {uid} was never healthy for {window:?}: {best:?}"
                    );
                }
            }
        }
        let finished = |effect: &Effect| matches!(effect, Effect::Audit(audit) if audit.action == Action::FinishWave);
        // Who was left out took its break with it: it says nothing of those who stay.
        let mut wave = self.members.values();
        let left =
            wave.any(|it| it.id.wave as usize == self.run.wave && it.state == MemberState::Skipped);
        let told = !(left && self.soaks_without_break());
        if told && self.run.state == RunState::Soaking && step.effects.iter().any(finished) {
            let soak = self
                .run
                .strategy
                .waves
                .get(self.run.wave)
                .map_or(Duration::ZERO, |w| w.soak.time.0);
            let slack = Duration::from_secs(u64::try_from(FRESH).unwrap());
            assert!(
                self.true_soak + slack >= soak,
                "truth: soaked {:?} of {soak:?} in truth",
                self.true_soak
            );
        }
    }

    fn spec(&self, member: &Member) -> (Duration, Duration) {
        let waves = &self.run.strategy.waves;
        waves
            .get(member.id.wave as usize)
            .map_or((Duration::from_secs(30), Duration::ZERO), |wave| {
                (wave.health_window.0, wave.soak.time.0)
            })
    }

    /// So much time passes for the soak of the open wave.
    pub(super) fn soak_in_truth(&mut self, time: Duration) {
        if self.is_truly_healthy() {
            self.true_soak += time;
        } else if self.soaks_without_break() {
            self.true_soak = Duration::ZERO;
        }
    }

    fn soaks_without_break(&self) -> bool {
        let spec = self.run.strategy.waves.get(self.run.wave);
        spec.is_some_and(|wave| wave.soak.clock == SoakMode::Continuous)
    }

    fn is_truly_healthy(&self) -> bool {
        let mut members = self
            .members
            .values()
            .filter(|member| member.id.wave as usize == self.run.wave);
        members.all(|member| {
            matches!(member.state, MemberState::Skipped | MemberState::Deferred)
                || member.state.is_failed()
                || member.apps.iter().all(|(uid, app)| {
                    let running = self.agents[&member.id.cluster].apps.get(uid);
                    self.apps[uid].removed
                        || running.is_some_and(|running| {
                            Some(running.held.generation) == app.generation
                                && running.health.is_healthy()
                        })
                })
        })
    }
}
