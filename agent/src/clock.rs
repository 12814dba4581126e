//! The one place of the agent that reads a clock.
//!
//! Wall time is for conditions that the API server dates; everything that measures a length of
//! time uses the monotonic clock, so a step of the wall clock changes no soak and no backoff.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Wall time.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the agent's clock"
)]
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// Monotonic time; stands still with a paused Tokio clock.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// `period` with up to 20 % taken off or added, so that agents started together drift apart.
pub fn jittered(period: Duration) -> Duration {
    period.mul_f64(0.8 + 0.4 * rand::random::<f64>())
}
