//! How the samples of a soak are stored.
//!
//! Never judges one.

use tidegate_model::run::{Analysing, Sample, Tally};
use tidegate_proto::storage::v1;

use crate::records::{
    Error,
    wire::{Named as _, Reader, millis},
};

pub(super) fn store(known: &Analysing) -> v1::Analysing {
    let Analysing {
        soak,
        wave,
        since,
        accepted,
        tallies,
    } = known;
    v1::Analysing {
        soak: *soak,
        wave: *wave as u64,
        since: millis(*since),
        accepted: *accepted,
        tallies: tallies.iter().map(store_tally).collect(),
    }
}

pub(super) fn read(reader: Reader<'_>, stored: v1::Analysing) -> Result<Analysing, Error> {
    let v1::Analysing {
        soak,
        wave,
        since,
        accepted,
        tallies,
    } = stored;
    Ok(Analysing {
        soak,
        wave: reader.index("analysing.wave", wave)?,
        since: reader.time("analysing.since", since)?,
        accepted,
        tallies: reader.each(tallies, read_tally)?,
    })
}

fn store_tally(tally: &Tally) -> v1::Tally {
    let Tally {
        name,
        passed,
        inconclusive,
        failed,
        samples,
    } = tally;
    v1::Tally {
        name: name.clone(),
        passed: *passed,
        inconclusive: *inconclusive,
        failed: *failed,
        samples: samples.iter().map(store_sample).collect(),
    }
}

fn read_tally(reader: Reader<'_>, stored: v1::Tally) -> Result<Tally, Error> {
    let v1::Tally {
        name,
        passed,
        inconclusive,
        failed,
        samples,
    } = stored;
    Ok(Tally {
        name,
        passed,
        inconclusive,
        failed,
        samples: reader.each(samples, read_sample)?,
    })
}

fn store_sample(sample: &Sample) -> v1::AnalysisSample {
    let Sample {
        number,
        at,
        shows,
        value,
        reason,
        verdict,
    } = sample;
    v1::AnalysisSample {
        number: *number,
        at: millis(*at),
        shows: millis(*shows),
        value: value.clone(),
        reason: reason.clone(),
        verdict: verdict.stored().to_owned(),
    }
}

fn read_sample(reader: Reader<'_>, stored: v1::AnalysisSample) -> Result<Sample, Error> {
    let v1::AnalysisSample {
        number,
        at,
        shows,
        value,
        reason,
        verdict,
    } = stored;
    Ok(Sample {
        number,
        at: reader.time("samples.at", at)?,
        shows: reader.time("samples.shows", shows)?,
        value,
        reason,
        verdict: reader.name("samples.verdict", &verdict)?,
    })
}
