//! What was measured: invariant 24.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_model::{
    run::{
        Analysing, GatePosition, Run, RunState, Sample, SampleVerdict, Tally, Verdict as Answer,
    },
    strategy::{Analysis, Comparator, Condition, Wave},
};

use super::{Transition, Verdict};
use crate::{Action, Outcome, SampleId};

/// 24: a wave with an analysis is done only when enough samples of this very soak passed, none failed
/// and no more said nothing than may, but where a person went on with that; a sample is one answer to
/// exactly what was asked, no data never passes, and a run that has one that failed, or too many that
/// said nothing, does not soak on.
pub fn i24_evidence_minimum(step: &Transition<'_>) -> Verdict {
    let Some(wave) = step.run.strategy.waves.get(step.run.wave) else {
        return Verdict::Idle;
    };
    if wave.analysis.is_empty() {
        return Verdict::Idle;
    }
    let run = &step.after.run;
    let finished = step
        .audits()
        .any(|audit| audit.action == Action::FinishWave);
    let mut problems = grown(step, wave);
    let mut fresh = false;
    if let (Some(before), Some(after)) = (&step.run.analysing, &run.analysing) {
        let taken = |known: &Analysing| known.tallies.iter().map(Tally::taken).sum::<u32>();
        fresh = before.soak == after.soak && taken(after) > taken(before);
    }
    let own = run
        .analysing
        .as_ref()
        .filter(|known| known.wave == step.run.wave);
    for (n, analysis) in wave.analysis.iter().enumerate() {
        let tally = own.and_then(|known| known.tallies.get(n));
        if finished {
            problems.extend(not_enough(run, step.run.wave, wave, analysis, tally));
        }
        let soaks_on = run.state == RunState::Soaking && run.wave == step.run.wave;
        if let Some(tally) = tally.filter(|_| soaks_on) {
            problems.extend(too_much(run, analysis, tally));
        }
    }
    Verdict::of(finished || fresh, problems.into_iter())
}

/// What a step may have taken in: nothing when a soak begins, and otherwise the next answer of each.
fn grown(step: &Transition<'_>, wave: &Wave) -> Vec<String> {
    let mut problems = Vec::new();
    let Some(after) = &step.after.run.analysing else {
        return problems;
    };
    let before = step.run.analysing.as_ref();
    if before.is_none_or(|before| before.soak != after.soak) {
        if after.tallies.iter().any(|tally| tally.taken() > 0) {
            problems.push("a soak begins with samples".to_owned());
        }
        if before.is_some_and(|before| before.soak > after.soak) {
            problems.push("a soak has the number of an earlier one".to_owned());
        }
        return problems;
    }
    let tallies = before.map_or(&[][..], |before| &before.tallies);
    for (n, (old, new)) in tallies.iter().zip(&after.tallies).enumerate() {
        if old == new {
            continue;
        }
        let added = new.taken().saturating_sub(old.taken());
        let analysis = wave.analysis.get(n).filter(|it| it.name == new.name);
        let (Some(sample), Some(analysis), 1) = (new.samples.last(), analysis, added) else {
            problems.push(format!("{} took {added} samples at once", new.name));
            continue;
        };
        let since = old.samples.last().map_or(after.since, |last| last.shows);
        problems.extend(ill_taken(step, after, old, new, analysis, sample));
        if between(since, sample.shows) < analysis.interval.0 {
            problems.push(format!("{} was taken too early", new.name));
        }
    }
    problems
}

fn ill_taken(
    step: &Transition<'_>,
    soak: &Analysing,
    old: &Tally,
    new: &Tally,
    analysis: &Analysis,
    sample: &Sample,
) -> Option<String> {
    let id = SampleId {
        wave: step.run.wave,
        soak: soak.soak,
        analysis: new.name.clone(),
        number: old.taken() + 1,
    };
    let Some(outcome) = step.facts.measured.get(&id) else {
        return Some(format!("nobody measured {id:?}"));
    };
    let verdict = judged(analysis, outcome);
    let mut counted = old.clone();
    match verdict {
        SampleVerdict::Pass => counted.passed += 1,
        SampleVerdict::Inconclusive => counted.inconclusive += 1,
        SampleVerdict::Fail => counted.failed += 1,
    }
    let counts = |tally: &Tally| (tally.passed, tally.inconclusive, tally.failed);
    let right = sample.verdict == verdict
        && sample.number == id.number
        && counts(&counted) == counts(new)
        && step.run.state == RunState::Soaking;
    (!right).then(|| format!("{outcome:?} was taken for {sample:?}, it is {verdict:?}"))
}

/// The lattice once more, from worst to best.
fn judged(analysis: &Analysis, outcome: &Outcome) -> SampleVerdict {
    let value = outcome.as_ref().ok().and_then(|text| text.parse().ok());
    let Some(value) = value.filter(|value: &f64| value.is_finite()) else {
        return SampleVerdict::Inconclusive;
    };
    let says = |condition: Option<Condition>| condition.map(|it| holds(it, value));
    match (says(analysis.fail), says(analysis.pass)) {
        (Some(true), _) | (None, Some(false)) => SampleVerdict::Fail,
        (Some(false), Some(false)) | (None, None) => SampleVerdict::Inconclusive,
        (_, Some(true)) | (Some(false), None) => SampleVerdict::Pass,
    }
}

fn holds(condition: Condition, value: f64) -> bool {
    let order = value.total_cmp(&condition.bound);
    match condition.comparator {
        Comparator::Less => order.is_lt(),
        Comparator::AtMost => order.is_le(),
        Comparator::Greater => order.is_gt(),
        Comparator::AtLeast => order.is_ge(),
        Comparator::Equal => order.is_eq(),
        Comparator::NotEqual => order.is_ne(),
    }
}

fn not_enough(
    run: &Run,
    wave: usize,
    spec: &Wave,
    analysis: &Analysis,
    tally: Option<&Tally>,
) -> Option<String> {
    let Some(tally) = tally else {
        return Some(format!("wave {wave} is done and nothing was measured"));
    };
    let asked = analysis.count.max(spec.soak.min_samples).max(1);
    let enough = tally.passed >= asked && tally.inconclusive <= analysis.inconclusive_limit;
    let went_on = enough || goes_on(run);
    (tally.failed > 0 || !went_on).then(|| {
        format!(
            "done with {} of {asked} passes, {} failures, {} of {} that said nothing",
            tally.passed, tally.failed, tally.inconclusive, analysis.inconclusive_limit
        )
    })
}

fn too_much(run: &Run, analysis: &Analysis, tally: &Tally) -> Option<String> {
    let silent = tally.inconclusive > analysis.inconclusive_limit && !goes_on(run);
    (tally.failed > 0 || silent).then(|| {
        format!(
            "soaks on with {} failures and {} that said nothing",
            tally.failed, tally.inconclusive
        )
    })
}

/// Whether a person looked at this soak's samples and said yes.
fn goes_on(run: &Run) -> bool {
    let Some(soak) = &run.analysing else {
        return false;
    };
    run.approvals.iter().any(|word| {
        word.position == GatePosition::Analysis
            && (word.wave, word.soak) == (soak.wave, soak.soak)
            && word.content == run.content
            && word.verdict == Answer::Approve
    })
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
