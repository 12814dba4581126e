//! What has to be measured now, and what an answer is.
//!
//! Owns the identity of a sample: run, wave, soak, analysis and number. An answer that names another
//! one is never taken, so neither a repeated nor a late one changes anything (invariant 38). Never
//! measures and never judges.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_model::{
    run::{Analysing, Run, RunState, Tally},
    strategy::Analysis,
};

use crate::step::work::{elapsed, shows, wave_of};

/// Which sample of a run is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleId {
    /// Index of the wave.
    pub wave: usize,
    /// Which soak of the run.
    pub soak: u32,
    /// Name of the analysis.
    pub analysis: String,
    /// Which sample of it in this soak, counted from 1.
    pub number: u32,
}

/// The number as the provider wrote it, or why there is none.
pub type Outcome = Result<String, String>;

/// A sample that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Which.
    pub id: SampleId,
    /// Whom to ask for what.
    pub analysis: Analysis,
}

/// What has to be measured now.
pub fn due(run: &Run, now: Timestamp) -> Vec<Measure> {
    let Some(analysing) = soaking(run) else {
        return Vec::new();
    };
    let spec = wave_of(run, run.wave);
    let shows = shows(run, now);
    let all = spec.analysis.iter().zip(&analysing.tallies);
    all.filter(|(analysis, tally)| wait(analysing, analysis, tally, shows).is_zero())
        .map(|(analysis, tally)| Measure {
            id: next(analysing, tally),
            analysis: analysis.clone(),
        })
        .collect()
}

/// The samples of the soak that goes on, if its wave has an analysis.
pub(crate) fn soaking(run: &Run) -> Option<&Analysing> {
    let soaks = run.state == RunState::Soaking && run.soak.running_since.is_some();
    let own = |analysing: &&Analysing| soaks && analysing.wave == run.wave;
    run.analysing.as_ref().filter(own)
}

/// The sample that comes next.
pub(crate) fn next(analysing: &Analysing, tally: &Tally) -> SampleId {
    SampleId {
        wave: analysing.wave,
        soak: analysing.soak,
        analysis: tally.name.clone(),
        number: tally.taken().saturating_add(1),
    }
}

/// How long it is not due, when the run's clock shows this.
pub(crate) fn wait(
    analysing: &Analysing,
    analysis: &Analysis,
    tally: &Tally,
    shows: Timestamp,
) -> Duration {
    let last = tally.samples.last();
    let since = last.map_or(analysing.since, |sample| sample.shows);
    analysis.interval.0.saturating_sub(elapsed(since, shows))
}
