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
use tidegate_waves::{Answer, Outcome, Question, QuestionId, SampleId, due, questions};
use tokio::{
    sync::watch::{self, error::RecvError},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use self::{
    hosts::{Host, ParseHostError},
    provider::{Error, Options, Provider},
};
use crate::{db::Db, records::SetRecord};

/// How often the runs' clocks are looked at while nothing else happens.
const PERIOD: Duration = Duration::from_millis(250);
/// How long changes are gathered before the runs are looked at again: on a large hub something changes
/// all the time.
const PAUSE: Duration = Duration::from_millis(50);
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

    fn lacks_sample(&self, key: &Key) -> bool {
        !self.known().samples.contains_key(key)
    }

    /// Whether this gate was not asked within its interval.
    fn lacks_answer(&self, door: &Door, gate: &Gate, now: Timestamp) -> bool {
        let known = self.known();
        let answer = known.answers.get(door);
        answer.is_none_or(|answer| answer.is_due(gate.interval().0, now))
    }

    fn keep(&self, asked: &BTreeSet<Id>) {
        let mut known = self.change();
        let samples = |key: &Key| asked.contains(&Id::Sample(key.clone()));
        known.samples.retain(|key, _| samples(key));
        let gates = |door: &Door| asked.contains(&Id::Gate(door.clone()));
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
            let again = Instant::now() + PAUSE;
            let now = self.db.clock().now();
            let (asked, lacking) = self.asked(now);
            self.measured.keep(&asked);
            for (id, task) in lacking {
                if busy.len() >= CONCURRENCY || !busy.insert(id.clone()) {
                    continue;
                }
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
                changed = news(&mut changes, again) => if changed.is_err() { return },
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

    /// What the open runs ask for now, and of that what nobody has answered yet.
    fn asked(&self, now: Timestamp) -> (BTreeSet<Id>, Vec<(Id, Task)>) {
        let state = self.db.read();
        let (mut asked, mut lacking) = (BTreeSet::new(), Vec::new());
        for set in state.sets.iter() {
            let Some(row) = set.latest_run.and_then(|id| state.run(id)) else {
                continue;
            };
            let run = &row.record.run;
            for measure in due(run, now) {
                let key = (run.id, measure.id);
                if self.measured.lacks_sample(&key) {
                    lacking.push((Id::Sample(key.clone()), Task::Sample(measure.analysis)));
                }
                asked.insert(Id::Sample(key));
            }
            for Question { id, gate } in questions(run) {
                let door = (run.id, id);
                if self.measured.lacks_answer(&door, &gate, now) {
                    let review = review(set, run, &door.1);
                    lacking.push((Id::Gate(door.clone()), Task::Gate(gate, review)));
                }
                asked.insert(Id::Gate(door));
            }
        }
        (asked, lacking)
    }
}

/// Waits for a change, and until then. What it saw and did not tell, if it is dropped, the next look
/// sees.
async fn news(changes: &mut watch::Receiver<u64>, then: Instant) -> Result<(), RecvError> {
    changes.changed().await?;
    tokio::time::sleep_until(then).await;
    Ok(())
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
