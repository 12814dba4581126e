//! Counts what a fetch brings and stops it at the limit.
//!
//! The library reports progress; this listens to the bytes and to nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use gix::progress::{Count, Id, MessageLevel, NestedProgress, Progress, Step, StepShared, Unit};

/// The byte count of the pack that is being read, as the library names it.
const PACK_BYTES: Id = *b"BWRB";

/// What is shared by the whole tree of progress.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl Budget {
    /// Allows `limit` bytes; sets `stop` beyond them.
    pub(super) fn new(limit: u64, stop: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            stop,
        })
    }

    /// Whether the limit was reached.
    pub(super) fn is_exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }

    fn add(&self, bytes: usize) {
        let bytes = bytes as u64;
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.limit {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// One node of the tree of progress.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Arc<Budget>,
    id: Id,
    steps: StepShared,
}

impl Meter {
    /// The root.
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self::with_id(budget, gix::progress::UNKNOWN)
    }

    fn with_id(budget: Arc<Budget>, id: Id) -> Self {
        Self {
            budget,
            id,
            steps: Arc::new(AtomicUsize::new(0)),
        }
    }
}

impl Count for Meter {
    fn set(&self, step: Step) {
        self.steps.store(step, Ordering::Relaxed);
    }

    fn step(&self) -> Step {
        self.steps.load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        self.steps.fetch_add(step, Ordering::Relaxed);
        if self.id == PACK_BYTES {
            self.budget.add(step);
        }
    }

    fn counter(&self) -> StepShared {
        Arc::clone(&self.steps)
    }
}

impl Progress for Meter {
    fn init(&mut self, _max: Option<Step>, _unit: Option<Unit>) {}

    fn set_name(&mut self, _name: String) {}

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        self.id
    }

    fn message(&self, _level: MessageLevel, _message: String) {}
}

impl NestedProgress for Meter {
    type SubProgress = Self;

    fn add_child(&mut self, name: impl Into<String>) -> Self {
        self.add_child_with_id(name, gix::progress::UNKNOWN)
    }

    fn add_child_with_id(&mut self, _name: impl Into<String>, id: Id) -> Self {
        Self::with_id(Arc::clone(&self.budget), id)
    }
}
