//! Assignments that are being accepted: one slot an application, the latest wins.
//!
//! Owns the order of generations, how many are worked on at a time, and when a failed one is tried
//! again. One application's trouble never holds up another's. Never fetches and never accepts.

use std::{collections::BTreeMap, time::Duration};

use tidegate_model::{
    assignment::{Assignment, StateRow},
    digest::Digest,
    ids::{AppUid, Epoch, Generation},
};

use super::{Action, Held};
use crate::link::message::Ack;

/// Assignments that are fetched and accepted at the same time: enough to hide the latency of the
/// hub and of the API server, few enough to bound the memory for their content.
const AT_ONCE: usize = 8;
/// Applications that may wait: a bound on memory, far above any cluster.
const MOST: usize = 100_000;
/// First pause before a failed assignment is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause before a failed assignment is tried again.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// What became of an assignment that was to be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Accepted {
        /// Its generation.
        generation: Generation,
        /// Its digest.
        digest: Digest,
        /// Whether it was before.
        repeated: bool,
    },
    /// It is not taken.
    Rejected {
        /// Why, and what to do.
        reason: String,
        /// Whether trying again can help.
        retryable: bool,
    },
}

#[derive(Clone, Debug)]
struct Slot {
    epoch: Epoch,
    assignment: Assignment,
    row: StateRow,
    working: bool,
    /// A newer one that came while this one was worked on.
    next: Option<(Epoch, Assignment)>,
    retry_at: Duration,
    failures: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    held: Held,
    slots: BTreeMap<AppUid, Slot>,
    acks: BTreeMap<AppUid, Ack>,
}

impl Work {
    pub(super) fn new(held: Vec<StateRow>) -> Self {
        let mut work = Self::default();
        work.set_held(held);
        work
    }

    pub(super) fn set_held(&mut self, held: Vec<StateRow>) {
        self.held = held.into_iter().map(|row| (row.app, row)).collect();
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &StateRow> {
        self.held.values()
    }

    /// Takes the hub's last word on an application; `true` if that stands here already.
    pub(super) fn take(&mut self, epoch: Epoch, assignment: Assignment) -> bool {
        let row = row(&assignment);
        if let Some(reason) = self.refuse(epoch, &assignment, &row) {
            self.answer(ack(&row, Some(reason)));
            return false;
        }
        if self.held.get(&row.app) == Some(&row) {
            self.answer(ack(&row, None));
            return true;
        }
        match self.slots.get_mut(&row.app) {
            Some(slot) if slot.row == row => {}
            Some(slot) if slot.working => slot.next = Some((epoch, assignment)),
            _ => {
                self.slots
                    .insert(row.app, Slot::new(epoch, assignment, row));
            }
        }
        false
    }

    /// Why this assignment cannot be the last word.
    fn refuse(&self, epoch: Epoch, assignment: &Assignment, row: &StateRow) -> Option<String> {
        if assignment.epoch > epoch {
            return Some(format!(
                "issued in epoch {}, after the hub's own {epoch}",
                assignment.epoch
            ));
        }
        let slot = self.slots.get(&row.app);
        let waiting = slot
            .and_then(|slot| slot.next.as_ref())
            .map(|(_, next)| self::row(next));
        let known = [
            self.held.get(&row.app).copied(),
            slot.map(|slot| slot.row),
            waiting,
        ];
        for known in known.into_iter().flatten() {
            if row.generation < known.generation {
                return Some(format!(
                    "generation {} is older than generation {}, which is known here",
                    row.generation, known.generation
                ));
            }
            if row.generation == known.generation && row.digest != known.digest {
                return Some(format!(
                    "generation {} is known here with other content ({}, not {})",
                    row.generation,
                    known.digest.short(),
                    row.digest.short()
                ));
            }
        }
        (slot.is_none() && self.slots.len() >= MOST)
            .then(|| format!("{MOST} assignments wait to be accepted already"))
    }

    /// How many wait or are worked on.
    pub(super) fn waiting(&self) -> usize {
        self.slots.len()
    }

    fn working(&self) -> usize {
        self.slots.values().filter(|slot| slot.working).count()
    }

    /// What can be begun now.
    pub(super) fn start(&mut self, now: Duration) -> Vec<Action> {
        let working = self.working();
        let ready = self
            .slots
            .values_mut()
            .filter(|slot| !slot.working && slot.retry_at <= now);
        let begin = |slot: &mut Slot| {
            slot.working = true;
            Action::Accept {
                epoch: slot.epoch,
                assignment: slot.assignment.clone(),
            }
        };
        ready
            .take(AT_ONCE.saturating_sub(working))
            .map(begin)
            .collect()
    }

    /// Something became of the assignment that was worked on.
    pub(super) fn worked(&mut self, app: AppUid, outcome: Outcome, now: Duration) {
        let Some(mut slot) = self.slots.remove(&app) else {
            return;
        };
        let retry = match outcome {
            Outcome::Accepted {
                generation, digest, ..
            } => {
                self.held.insert(
                    app,
                    StateRow {
                        app,
                        generation,
                        digest,
                    },
                );
                self.answer(ack(&slot.row, None));
                false
            }
            Outcome::Rejected { reason, retryable } => {
                self.answer(ack(&slot.row, Some(reason)));
                retryable
            }
        };
        if let Some((epoch, assignment)) = slot.next.take() {
            let row = row(&assignment);
            self.slots.insert(app, Slot::new(epoch, assignment, row));
        } else if retry {
            slot.working = false;
            slot.failures += 1;
            let pause = FIRST_PAUSE * 2_u32.saturating_pow(slot.failures.min(10) - 1);
            slot.retry_at = now + pause.min(LONGEST_PAUSE);
            self.slots.insert(app, slot);
        }
    }

    /// Queues an answer; the latest on an application wins, but never one on an older generation.
    pub(super) fn answer(&mut self, ack: Ack) {
        let newer = |waiting: &Ack| waiting.generation > ack.generation;
        if !self.acks.get(&ack.app).is_some_and(newer) {
            self.acks.insert(ack.app, ack);
        }
    }

    pub(super) fn next_ack(&mut self) -> Option<Ack> {
        self.acks.pop_first().map(|(_, ack)| ack)
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        if !self.acks.is_empty() {
            return Some(Duration::ZERO);
        }
        if self.working() >= AT_ONCE {
            return None;
        }
        self.slots
            .values()
            .filter(|slot| !slot.working)
            .map(|slot| slot.retry_at)
            .min()
    }
}

impl Slot {
    fn new(epoch: Epoch, assignment: Assignment, row: StateRow) -> Self {
        Self {
            epoch,
            assignment,
            row,
            working: false,
            next: None,
            retry_at: Duration::ZERO,
            failures: 0,
        }
    }
}

fn row(assignment: &Assignment) -> StateRow {
    StateRow {
        app: assignment.app,
        generation: assignment.generation,
        digest: assignment.digest(),
    }
}

fn ack(row: &StateRow, rejected: Option<String>) -> Ack {
    Ack {
        app: row.app,
        generation: row.generation,
        digest: row.digest,
        rejected,
    }
}
