//! What was measured while a wave soaked, as it is stored.
//!
//! Owns the record of one soak's samples. Bounded: counts of all, texts of the latest. Never judges.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The samples of one soak. An interrupted soak's are gone when the next begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysing {
    /// Which soak of the run it is, counted from 1: what was measured in an earlier one says nothing
    /// of this.
    pub soak: u32,
    /// Index of the wave that soaks.
    pub wave: usize,
    /// When the soak began, by the run's clock.
    pub since: Timestamp,
    /// A person goes on although an analysis said nothing too often: only a sample that fails
    /// matters any more.
    pub accepted: bool,
    /// One for each analysis, in the order of the strategy.
    pub tallies: Vec<Tally>,
}

/// The samples of one analysis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// The analysis.
    pub name: String,
    /// How many passed.
    pub passed: u32,
    /// How many said nothing.
    pub inconclusive: u32,
    /// How many failed.
    pub failed: u32,
    /// The latest, oldest first, at most [`Tally::KEPT`].
    pub samples: Vec<Sample>,
}

impl Tally {
    /// So many samples are kept as they were.
    pub const KEPT: usize = 20;

    /// How many were taken in this soak.
    pub fn taken(&self) -> u32 {
        self.passed
            .saturating_add(self.inconclusive)
            .saturating_add(self.failed)
    }
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Which of its analysis in this soak, counted from 1.
    pub number: u32,
    /// When it was taken in, by the hub's clock.
    pub at: Timestamp,
    /// The same by the run's clock.
    pub shows: Timestamp,
    /// The value as the provider wrote it; `None` where there is none.
    pub value: Option<String>,
    /// Why it does not pass; empty where it does.
    pub reason: String,
    /// What it comes to.
    pub verdict: SampleVerdict,
}

/// What a sample comes to, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SampleVerdict {
    /// The value is good.
    Pass,
    /// Nobody knows: no data is never a pass.
    Inconclusive,
    /// The value is bad.
    Fail,
}
