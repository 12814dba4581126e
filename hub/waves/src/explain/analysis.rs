//! What a soaking wave waits for: time, and samples.

use std::time::Duration;

use tidegate_model::{
    duration::Span,
    run::{GatePosition, Tally},
    strategy::Analysis,
};

use super::{BlockCode, Blocking, Explainer};
use crate::{
    measure::{soaking, wait},
    mutant::{self, Mutant},
    step::{
        analysis::{describe, is_accepted, samples_needed, says_too_little, tallies},
        work::elapsed,
    },
};

impl Explainer<'_> {
    /// Everything that a soaking wave waits for.
    pub(super) fn soaking(&self) -> Vec<Blocking> {
        let wave = self.work.spec(self.run.wave);
        let lacks = |(analysis, tally): &(Analysis, &Tally)| {
            !is_accepted(&self.work) && tally.passed < samples_needed(&wave, analysis)
        };
        let lacking: Vec<_> = tallies(&self.work)
            .filter(lacks)
            .filter(|_| !mutant::on(Mutant::AnalysisUnexplained))
            .map(|(analysis, tally)| {
                self.analysis(&analysis, tally, samples_needed(&wave, &analysis))
            })
            .collect();
        // Time that is over is waited for by nobody, but what the agents confirm may lag behind.
        let soak = lacking.is_empty() || self.soaked() < wave.soak.time.0;
        let soak = (soak && !mutant::on(Mutant::SoakUnexplained)).then(|| self.soak());
        soak.into_iter().chain(lacking).collect()
    }

    /// How long the wave has soaked, as far as its clock shows.
    pub(super) fn soaked(&self) -> Duration {
        let since = self.run.soak.running_since;
        let running = since.map(|since| elapsed(since, self.work.now));
        let done = self.run.soak.done.0;
        done.saturating_add(running.unwrap_or_default())
    }

    fn analysis(&self, analysis: &Analysis, tally: &Tally, needed: u32) -> Blocking {
        let message = format!(
            "analysis {} of wave {} has {} of {needed} samples that pass; {}; {}",
            analysis.name,
            self.wave_name(self.run.wave),
            tally.passed,
            describe(tally),
            self.next_sample(analysis, tally),
        );
        let condition = match (analysis.pass, analysis.fail) {
            (Some(pass), _) => format!(" ({pass})"),
            (None, Some(fail)) => format!(" (not {fail})"),
            (None, None) => String::new(),
        };
        let clears = format!("samples that pass{condition}; or cancel or roll back the run");
        self.say(BlockCode::Analysis, &message, &clears)
    }

    fn next_sample(&self, analysis: &Analysis, tally: &Tally) -> String {
        let left = soaking(self.run).map(|known| wait(known, analysis, tally, self.work.now));
        match left {
            Some(left) if !left.is_zero() => {
                let left = Span(Duration::from_secs(left.as_secs().max(1)));
                let at = self.work.hub_now.checked_add(left.0).ok();
                let at = at.map_or_else(String::new, |at| format!(" at {at}"));
                format!("the next is due in {left}{at}")
            }
            _ => "the next is being measured".to_owned(),
        }
    }

    /// Why a person is asked in the middle of a soak.
    pub(super) fn silence(&self, position: GatePosition) -> String {
        let why = (position == GatePosition::Analysis)
            .then(|| says_too_little(&self.work))
            .flatten();
        why.map_or_else(String::new, |why| format!(": {why}"))
    }
}
