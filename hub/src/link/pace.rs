//! Monotonic time for silence, ages and rates: a step of the wall clock must end no session.
//!
//! Never gives wall time: `crate::clock` does.

use std::time::Duration;

use tokio::time::Instant;

/// Monotonic time since it was made. Cheap to copy; copies agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    origin: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(super) fn now(self) -> Duration {
        self.origin.elapsed()
    }

    pub(super) fn at(self, time: Duration) -> Instant {
        self.origin + time
    }
}
