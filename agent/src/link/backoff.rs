//! How long to stay away from the hub after a session ended (design/protocol.md, 9). Pure.
//!
//! Exponential with full jitter, so that a fleet that lost its hub comes back spread out. Covers
//! refusals and dead streams alike. Never draws random numbers: the caller does.

use std::time::Duration;

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest pause after the first failure.
    pub first: Duration,
    /// The longest pause of all.
    pub longest: Duration,
    /// A session that was open so long makes up for all failures before it.
    pub healthy_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(2),
            healthy_after: Duration::from_mins(1),
        }
    }
}

/// Counts failures in a row.
#[derive(Clone, Debug)]
pub struct Backoff {
    limits: Limits,
    failures: u32,
}

impl Backoff {
    /// No failures yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            failures: 0,
        }
    }

    /// The pause after a session that was open for `open`. The hub may have asked for at least
    /// `retry_after`. `random` is from 0 to 1.
    pub fn pause(&mut self, open: Duration, retry_after: Duration, random: f64) -> Duration {
        if open >= self.limits.healthy_after {
            self.failures = 0;
        }
        let cap = self.limits.first * 2_u32.saturating_pow(self.failures.min(30));
        self.failures = self.failures.saturating_add(1);
        let jitter = cap.min(self.limits.longest).mul_f64(random.clamp(0.0, 1.0));
        // A hub that is wrong by a day must not silence the fleet for a day.
        retry_after.min(self.limits.longest * 5) + jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_a_healthy_session_ends_that() {
        let mut backoff = Backoff::new(Limits::default());
        let failed = |backoff: &mut Backoff| backoff.pause(Duration::ZERO, Duration::ZERO, 1.0);
        let pauses: Vec<_> = (0..9).map(|_| failed(&mut backoff).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        // A stream that lives for a moment and dies is a failure too.
        let short = backoff.pause(Duration::from_secs(59), Duration::ZERO, 1.0);
        assert_eq!(short.as_secs(), 120);
        let healthy = backoff.pause(Duration::from_secs(60), Duration::ZERO, 1.0);
        assert_eq!(healthy.as_secs(), 1);
        assert_eq!(failed(&mut backoff).as_secs(), 2);
    }

    #[test]
    fn jitter_is_full_and_comes_on_top_of_what_the_hub_asks() {
        let mut backoff = Backoff::new(Limits::default());
        let hub = Duration::from_secs(30);
        assert_eq!(
            backoff.pause(Duration::ZERO, Duration::ZERO, 0.0),
            Duration::ZERO
        );
        assert_eq!(
            backoff.pause(Duration::ZERO, hub, 0.5),
            Duration::from_secs(31)
        );
        let year = Duration::from_secs(365 * 86_400);
        assert!(backoff.pause(Duration::ZERO, year, 1.0) <= Duration::from_secs(604));
    }
}
