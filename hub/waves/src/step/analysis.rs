//! What the samples of a soak make of it.
//!
//! Owns how an answer is judged (Pass < Inconclusive < Fail; no data is never a pass) and when a wave
//! has been measured enough (invariant 24). Never measures, and never moves the run: `decide` does.

use tidegate_model::{
    run::{Analysing, Cause, CauseCode, Sample, SampleVerdict, Tally},
    strategy::{Analysis, Wave},
};

use super::work::Work;
use crate::{
    Facts, Outcome, SampleId,
    measure::{next, wait},
    mutant::{self, Mutant},
};

/// What is kept of a value and of a reason, in characters.
const VALUE: usize = 64;
const REASON: usize = 300;

/// A soak begins: nothing that was measured before counts for it.
pub(super) fn begin(work: &mut Work<'_>) {
    work.run.soak.running_since = Some(work.now);
    let wave = work.run.wave;
    let fresh = |analysis: &Analysis| Tally {
        name: analysis.name.clone(),
        ..Tally::default()
    };
    let mut tallies: Vec<_> = work.spec(wave).analysis.iter().map(fresh).collect();
    if tallies.is_empty() {
        return;
    }
    let before = work.run.analysing.take();
    if let Some(known) = before.as_ref().filter(|known| known.wave == wave)
        && mutant::on(Mutant::SamplesCarriedOver)
    {
        tallies.clone_from(&known.tallies);
    }
    work.run.analysing = Some(Analysing {
        soak: before.map_or(0, |before| before.soak).saturating_add(1),
        wave,
        since: work.now,
        accepted: false,
        tallies,
    });
}

/// Takes in what was measured since: of each analysis the sample that comes next and no other.
pub(super) fn take_in(work: &mut Work<'_>) {
    let Some(mut analysing) = work.run.analysing.take() else {
        return;
    };
    let spec = work.spec(work.run.wave).into_owned();
    if analysing.wave == work.run.wave {
        for (n, analysis) in spec.analysis.iter().enumerate() {
            let Some(tally) = analysing.tallies.get(n) else {
                continue;
            };
            let early = !wait(&analysing, analysis, tally, work.now).is_zero();
            let asked = next(&analysing, tally);
            let outcome = answer(work.facts, &asked);
            if let Some(outcome) = outcome
                && (!early || mutant::on(Mutant::IntervalIgnored))
                && let Some(tally) = analysing.tallies.get_mut(n)
            {
                add(work, tally, asked.number, analysis, outcome);
            }
        }
    }
    work.run.analysing = Some(analysing);
}

fn answer<'f>(facts: &'f Facts, asked: &SampleId) -> Option<&'f Outcome> {
    if mutant::on(Mutant::StaleSampleCounts) || mutant::on(Mutant::SampleTwice) {
        let stale = mutant::on(Mutant::StaleSampleCounts);
        let mut all = facts.measured.iter();
        let fits = |id: &SampleId| {
            let number = id.number == asked.number || !stale;
            let soak = id.soak == asked.soak || stale;
            id.analysis == asked.analysis && number && soak
        };
        return all.find(|(id, _)| fits(id)).map(|(_, outcome)| outcome);
    }
    facts.measured.get(asked)
}

fn add(work: &Work<'_>, tally: &mut Tally, number: u32, analysis: &Analysis, outcome: &Outcome) {
    let (verdict, reason) = judge(analysis, outcome);
    let count = match verdict {
        SampleVerdict::Pass => &mut tally.passed,
        SampleVerdict::Inconclusive => &mut tally.inconclusive,
        SampleVerdict::Fail => &mut tally.failed,
    };
    *count = count.saturating_add(1);
    let short = |text: &str, most| text.chars().take(most).collect();
    tally.samples.push(Sample {
        number,
        at: work.hub_now,
        shows: work.now,
        value: outcome.as_ref().ok().map(|value| short(value, VALUE)),
        reason: short(&reason, REASON),
        verdict,
    });
    let old = tally.samples.len().saturating_sub(Tally::KEPT);
    tally.samples.drain(..old);
}

/// What an answer comes to, and why it is no pass.
pub(crate) fn judge(analysis: &Analysis, outcome: &Outcome) -> (SampleVerdict, String) {
    use SampleVerdict::{Fail, Inconclusive, Pass};
    let known = match outcome {
        Ok(text) => match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(value) => Err(format!("{value} is nothing to compare with")),
            Err(_) => Err("it is not a number".to_owned()),
        },
        Err(reason) => Err(reason.clone()),
    };
    let value = match known {
        Ok(value) => value,
        Err(_) if mutant::on(Mutant::NoDataPasses) => return (Pass, String::new()),
        Err(reason) => return (Inconclusive, reason),
    };
    match (analysis.pass, analysis.fail) {
        (_, Some(fail)) if fail.holds(value) => (Fail, format!("it is {fail}")),
        (Some(pass), _) if pass.holds(value) => (Pass, String::new()),
        (Some(pass), None) => (Fail, format!("it is not {pass}")),
        (Some(pass), Some(fail)) => (Inconclusive, format!("it is neither {pass} nor {fail}")),
        (None, Some(_)) => (Pass, String::new()),
        (None, None) => (Inconclusive, "nothing says what is good".to_owned()),
    }
}

/// Why the run cannot go on; `None` while no sample failed.
pub(super) fn failed(work: &Work<'_>) -> Option<Cause> {
    let mut bad = tallies(work).filter(|(_, tally)| tally.failed > 0);
    let (_, tally) = bad.next()?;
    if mutant::on(Mutant::FailIgnored) {
        return None;
    }
    let wave = work.run.plan.waves.get(work.run.wave);
    Some(Cause {
        code: CauseCode::AnalysisFailed,
        message: format!(
            "wave {}, analysis {}: {}",
            wave.map_or("", |wave| &wave.name),
            tally.name,
            describe(tally)
        ),
    })
}

/// Why a person must look: some analysis said nothing too often, and nobody has accepted that.
pub(crate) fn says_too_little(work: &Work<'_>) -> Option<String> {
    let (analysis, tally) = tallies(work)
        .filter(|_| !is_accepted(work) && !mutant::on(Mutant::InconclusiveAdvances))
        .find(|(analysis, tally)| tally.inconclusive > analysis.inconclusive_limit)?;
    let often = match tally.inconclusive {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    Some(format!(
        "analysis {} said nothing {often}, and its inconclusiveLimit is {}; {}",
        tally.name,
        analysis.inconclusive_limit,
        describe(tally)
    ))
}

/// Whether the wave must be measured further.
pub(super) fn lacks(work: &Work<'_>) -> bool {
    let wave = work.spec(work.run.wave);
    !is_accepted(work)
        && tallies(work).any(|(analysis, tally)| tally.passed < samples_needed(&wave, &analysis))
        && !mutant::on(Mutant::TimeAlonePasses)
}

/// So many samples of an analysis must pass.
pub fn samples_needed(wave: &Wave, analysis: &Analysis) -> u32 {
    let least = if mutant::on(Mutant::MinSamplesIgnored) {
        0
    } else {
        wave.soak.min_samples
    };
    analysis.count.max(least).max(1)
}

/// Whether a person goes on whatever is not known.
pub(crate) fn is_accepted(work: &Work<'_>) -> bool {
    work.run
        .analysing
        .as_ref()
        .is_some_and(|known| known.accepted)
}

/// The latest sample, for people.
pub(crate) fn describe(tally: &Tally) -> String {
    let Some(last) = tally.samples.last() else {
        return "no sample was taken yet".to_owned();
    };
    let value = last
        .value
        .as_ref()
        .map_or_else(String::new, |value| format!(", value {value}"));
    let reason = if last.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", last.reason)
    };
    let verdict = match last.verdict {
        SampleVerdict::Pass => "passed",
        SampleVerdict::Inconclusive => "was inconclusive",
        SampleVerdict::Fail => "failed",
    };
    format!(
        "sample {} at {}{value} {verdict}{reason}",
        last.number, last.at
    )
}

/// Each analysis of the open wave with its samples in this soak.
pub(crate) fn tallies<'w>(work: &'w Work<'_>) -> impl Iterator<Item = (Analysis, &'w Tally)> {
    let wave = work.spec(work.run.wave).into_owned();
    let own = work.run.analysing.as_ref();
    let own = own.filter(|known| known.wave == work.run.wave);
    let tallies = own.map_or(&[][..], |known| &known.tallies);
    wave.analysis.into_iter().zip(tallies)
}
