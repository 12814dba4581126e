//! Asks providers for the samples that soaking waves need.
//!
//! Owns when whom is asked: what `tidegate_waves::due` names, as long as it names it. Answers stay in
//! memory until a step has taken them in, or until nobody asks any more; a hub that restarts asks
//! again. Never judges an answer and never writes: the promotion pass does.

mod answer;
mod hosts;
mod provider;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tidegate_model::ids::RunId;
use tidegate_waves::{Measure, Outcome, SampleId, due};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::{
    hosts::{Host, ParseHostError},
    provider::{Error, Options, Provider},
};
use crate::db::Db;

/// How often the runs' clocks are looked at while nothing else happens.
const PERIOD: Duration = Duration::from_millis(250);
/// Questions under way at once.
const CONCURRENCY: usize = 16;

/// A sample of some run.
pub(crate) type Key = (RunId, SampleId);

/// What was measured and is not taken in yet. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Measurements(Arc<RwLock<BTreeMap<Key, Outcome>>>);

impl Measurements {
    /// The answers for one run.
    pub fn of(&self, run: RunId) -> BTreeMap<SampleId, Outcome> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let own = known.iter().filter(|((of, _), _)| *of == run);
        own.map(|((_, id), outcome)| (id.clone(), outcome.clone()))
            .collect()
    }

    fn has(&self, key: &Key) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.contains_key(key)
    }

    pub(crate) fn put(&self, key: Key, outcome: Outcome) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, outcome);
    }

    fn keep(&self, asked: &BTreeMap<Key, Measure>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| asked.contains_key(key));
    }
}

/// The component.
#[derive(Debug)]
pub struct Measurer {
    db: Db,
    measured: Measurements,
    provider: Provider,
}

impl Measurer {
    /// A measurer that leaves its answers there.
    pub fn new(db: Db, measured: Measurements, provider: Provider) -> Self {
        Self {
            db,
            measured,
            provider,
        }
    }

    /// Measures until `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        let mut changes = self.db.changes();
        let mut busy: BTreeSet<Key> = BTreeSet::new();
        let mut running: JoinSet<(Key, Outcome)> = JoinSet::new();
        loop {
            changes.borrow_and_update();
            let asked = self.asked();
            self.measured.keep(&asked);
            for (key, measure) in asked {
                let full = busy.len() >= CONCURRENCY;
                if full || busy.contains(&key) || self.measured.has(&key) {
                    continue;
                }
                busy.insert(key.clone());
                let provider = self.provider.clone();
                running.spawn(async move { (key, provider.ask(&measure.analysis).await) });
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                Some(done) = running.join_next() => if let Ok((key, outcome)) = done {
                    // The sample keeps the reason; a log would tell it again every interval.
                    if let Err(reason) = &outcome {
                        tracing::debug!(run = %key.0, analysis = key.1.analysis, reason, "failed to measure");
                    }
                    busy.remove(&key);
                    self.measured.put(key, outcome);
                },
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// What the open runs ask for now.
    fn asked(&self) -> BTreeMap<Key, Measure> {
        let state = self.db.read();
        let now = self.db.clock().now();
        let latest = state.sets.iter().filter_map(|set| set.latest_run);
        let runs = latest.filter_map(|id| state.run(id));
        runs.flat_map(|row| {
            let run = &row.record.run;
            due(run, now)
                .into_iter()
                .map(|measure| ((run.id, measure.id.clone()), measure))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
