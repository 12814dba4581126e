//! What was measured, in the words of the wire.

use tidegate_model::run::{Run, Sample, Tally};
use tidegate_proto::v1 as wire;
use tidegate_waves::samples_needed;

use super::millis;
use crate::records::wire::Named as _;

/// The analyses of a wave, if it is the one that soaked last.
pub(super) fn analyses(run: &Run, index: usize) -> Vec<wire::RunAnalysis> {
    let known = run.analysing.as_ref().filter(|known| known.wave == index);
    let (Some(known), Some(spec)) = (known, run.strategy.waves.get(index)) else {
        return Vec::new();
    };
    let told = |tally: &Tally| wire::RunAnalysis {
        name: tally.name.clone(),
        passed: tally.passed,
        inconclusive: tally.inconclusive,
        failed: tally.failed,
        needed: spec
            .analysis
            .iter()
            .find(|analysis| analysis.name == tally.name)
            .map_or(0, |analysis| samples_needed(spec, analysis)),
        accepted: known.accepted,
        samples: tally.samples.iter().map(sample).collect(),
    };
    known.tallies.iter().map(told).collect()
}

fn sample(sample: &Sample) -> wire::RunSample {
    wire::RunSample {
        number: sample.number,
        at_ms: millis(Some(sample.at)),
        value: sample.value.clone(),
        reason: sample.reason.clone(),
        verdict: sample.verdict.stored().to_owned(),
    }
}
