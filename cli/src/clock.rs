//! The one place of the command line that reads the time.
//!
//! Ages and expiries are computed from what it gives; nothing is decided by it that the hub
//! decides by its own.

use jiff::Timestamp;

/// Source of the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    fixed: Option<Timestamp>,
}

impl Clock {
    /// A clock that stands still, for tests.
    pub const fn at(time: Timestamp) -> Self {
        Self { fixed: Some(time) }
    }

    /// Unix milliseconds.
    pub fn now_ms(self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = self.fixed.unwrap_or_else(Timestamp::now);
        now.as_millisecond()
    }
}
