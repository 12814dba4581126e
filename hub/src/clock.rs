//! The one place of the hub that reads time and makes ids.
//!
//! Everything else takes both as values. Time never goes back within a process: a wall clock that
//! is set back stands still until it has caught up, so that no soak or window is shortened
//! (facts/promotion.md §2.4, invariant 39).

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

/// Source of time and ids. Cheap to clone; clones share the time that was last given out.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Arc<Mutex<Timestamp>>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            last: Arc::new(Mutex::new(Timestamp::UNIX_EPOCH)),
        }
    }
}

impl Clock {
    /// The hub's time, in whole milliseconds: what is stored reads back as the same value.
    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let wall = Timestamp::now();
        let wall = Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = wall.max(*last);
        *last
    }

    /// A new id: version 7, so that ids sort by the time they were made (RFC 9562).
    pub fn id(&self) -> Uuid {
        #[expect(clippy::disallowed_methods, reason = "this is the id source")]
        Uuid::now_v7()
    }
}

#[cfg(test)]
impl Clock {
    /// Lets time pass for a test. From then on the clock stands, as one does that was set back,
    /// until it is wound again or the wall has caught up.
    pub(crate) fn wind(&self, by: jiff::SignedDuration) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Timestamp::UNIX_EPOCH) + by;
    }
}
