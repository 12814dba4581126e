//! Asks providers for the samples that soaking waves need, and whoever stands at a gate.
//!
//! Owns when whom is asked: what `tidegate_waves::due` and `questions` name, as long as they name it.
//! Answers stay in memory until a step has taken them in, or until nobody asks any more; a hub that
//! restarts asks again. Never judges an answer and never writes: the promotion pass does.

mod answer;
mod hosts;
mod provider;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_model::{
    ids::RunId,
    run::{GatePosition, Run},
    strategy::{Analysis, Gate},
};
use tidegate_waves::{Answer, Outcome, QuestionId, SampleId, due, questions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::{
    hosts::{Host, ParseHostError},
    provider::{Error, Options, Provider},
};
use crate::{db::Db, records::SetRecord};

/// How often the runs' clocks are looked at while nothing else happens.
const PERIOD: Duration = Duration::from_millis(250);
/// Questions under way at once.
const CONCURRENCY: usize = 16;

/// A sample of some run.
pub(crate) type Key = (RunId, SampleId);
/// A gate at which some run stands.
pub(crate) type Door = (RunId, QuestionId);

/// What was measured and is not taken in yet, and what was answered at gates. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Measurements(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    samples: BTreeMap<Key, Outcome>,
    answers: BTreeMap<Door, Answer>,
}

impl Measurements {
    /// The samples for one run.
    pub fn of(&self, run: RunId) -> BTreeMap<SampleId, Outcome> {
        own(&self.known().samples, run)
    }

    /// The answers at the gate where one run stands.
    pub fn answers(&self, run: RunId) -> BTreeMap<QuestionId, Answer> {
        own(&self.known().answers, run)
    }

    pub(crate) fn put(&self, key: Key, outcome: Outcome) {
        self.change().samples.insert(key, outcome);
    }

    pub(crate) fn answer(&self, door: Door, answer: Answer) {
        self.change().answers.insert(door, answer);
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is to be asked now.
    fn lacks(&self, id: &Id, task: &Task, now: Timestamp) -> bool {
        match (id, task) {
            (Id::Sample(key), _) => !self.known().samples.contains_key(key),
            (Id::Gate(door), Task::Gate(gate, _)) => {
                let known = self.known();
                let answer = known.answers.get(door);
                answer.is_none_or(|answer| answer.is_due(gate.interval().0, now))
            }
            (Id::Gate(_), Task::Sample(_)) => false,
        }
    }

    fn keep(&self, asked: &BTreeMap<Id, Task>) {
        let mut known = self.change();
        let samples = |key: &Key| asked.contains_key(&Id::Sample(key.clone()));
        known.samples.retain(|key, _| samples(key));
        let gates = |door: &Door| asked.contains_key(&Id::Gate(door.clone()));
        known.answers.retain(|door, _| gates(door));
    }
}

/// Those of one run.
fn own<I: Ord + Clone, V: Clone>(all: &BTreeMap<(RunId, I), V>, run: RunId) -> BTreeMap<I, V> {
    let own = all.iter().filter(|((of, _), _)| *of == run);
    own.map(|((_, id), value)| (id.clone(), value.clone()))
        .collect()
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    Sample(Key),
    Gate(Door),
}

/// What is asked.
#[derive(Clone, Debug)]
enum Task {
    Sample(Analysis),
    /// With what a webhook is told.
    Gate(Gate, Value),
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
        let mut busy: BTreeSet<Id> = BTreeSet::new();
        let mut running: JoinSet<(Id, Answer)> = JoinSet::new();
        loop {
            changes.borrow_and_update();
            let asked = self.asked();
            let now = self.db.clock().now();
            self.measured.keep(&asked);
            for (id, task) in asked {
                let full = busy.len() >= CONCURRENCY;
                if full || busy.contains(&id) || !self.measured.lacks(&id, &task, now) {
                    continue;
                }
                busy.insert(id.clone());
                let provider = self.provider.clone();
                running.spawn(async move {
                    let said = match task {
                        Task::Sample(analysis) => provider.ask(&analysis).await,
                        Task::Gate(gate, review) => provider.ask_gate(&gate, &review).await,
                    };
                    (id, Answer { at: now, said })
                });
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                Some(done) = running.join_next() => if let Ok((id, answer)) = done {
                    busy.remove(&id);
                    self.take(id, answer);
                },
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    fn take(&self, id: Id, answer: Answer) {
        // The sample and the gate keep the reason; a log would tell it again every interval.
        if let Err(reason) = &answer.said {
            match &id {
                Id::Sample((run, sample)) => {
                    tracing::debug!(%run, analysis = sample.analysis, reason, "failed to measure");
                }
                Id::Gate((run, question)) => {
                    tracing::debug!(%run, gate = question.gate, reason, "a gate stays shut");
                }
            }
        }
        match id {
            Id::Sample(key) => self.measured.put(key, answer.said),
            Id::Gate(door) => self.measured.answer(door, answer),
        }
    }

    /// What the open runs ask for now.
    fn asked(&self) -> BTreeMap<Id, Task> {
        let state = self.db.read();
        let now = self.db.clock().now();
        let sets = state.sets.iter();
        let latest = sets.filter_map(|set| Some((set, state.run(set.latest_run?)?)));
        latest
            .flat_map(|(set, row)| {
                let run = &row.record.run;
                let samples = due(run, now).into_iter().map(|measure| {
                    let id = Id::Sample((run.id, measure.id));
                    (id, Task::Sample(measure.analysis))
                });
                let gates = questions(run).into_iter().map(|question| {
                    let review = review(set, run, &question.id);
                    let id = Id::Gate((run.id, question.id));
                    (id, Task::Gate(question.gate, review))
                });
                samples.chain(gates).collect::<Vec<_>>()
            })
            .collect()
    }
}

/// What a webhook is told of a run that stands before it.
fn review(set: &SetRecord, run: &Run, id: &QuestionId) -> Value {
    let wave = run.plan.waves.get(id.wave);
    json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "GateReview",
        "gate": id.gate,
        "position": match id.position {
            GatePosition::Before => "before",
            GatePosition::After | GatePosition::Analysis => "after",
        },
        "project": set.project,
        "set": set.name,
        "run": run.id.to_string(),
        "release": run.release_number,
        "content": run.content.to_string(),
        "wave": wave.map_or("", |wave| &wave.name),
        "clusters": wave.map_or(0, |wave| wave.members.len()),
        "authors": run.authors,
    })
}

#[cfg(test)]
mod tests;
