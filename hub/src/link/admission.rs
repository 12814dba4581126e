//! How much of the hub one identity may have, and how many agents may be opening sessions.
//!
//! Owns the counting; the numbers are in `limits`. Pure but for the permits of openings.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits;

/// Token buckets by key.
#[derive(Debug)]
pub(super) struct Rates<K> {
    burst: f64,
    a_second: f64,
    buckets: Mutex<BTreeMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Duration,
}

/// Buckets that are kept at most; the full ones are forgotten first.
const MOST_BUCKETS: usize = 100_000;

impl<K: Ord + Copy> Rates<K> {
    pub(super) fn new(burst: u32, a_second: u32) -> Self {
        Self {
            burst: f64::from(burst),
            a_second: f64::from(a_second),
            buckets: Mutex::default(),
        }
    }

    /// Takes one request, or says how long to wait for it.
    pub(super) fn take(&self, key: K, now: Duration) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = |bucket: &Bucket| {
            let since = now.saturating_sub(bucket.at).as_secs_f64();
            (bucket.tokens + since * self.a_second).min(self.burst)
        };
        if buckets.len() >= MOST_BUCKETS {
            buckets.retain(|_, bucket| filled(bucket) < self.burst);
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            tokens: self.burst,
            at: now,
        });
        let tokens = filled(bucket);
        if tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - tokens) / self.a_second));
        }
        *bucket = Bucket {
            tokens: tokens - 1.0,
            at: now,
        };
        Ok(())
    }
}

/// Permits to open a session.
#[derive(Clone, Debug)]
pub(super) struct Openings {
    permits: Arc<Semaphore>,
}

impl Openings {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// A permit, or how long to stay away. `random` is from 0 to 1.
    pub(super) fn enter(&self, random: f64) -> Result<OwnedSemaphorePermit, Duration> {
        Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_| limits::OPENING_RETRY.mul_f64(1.0 + random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_spends_its_own_burst_and_then_its_rate() {
        let rates = Rates::new(3, 2);
        let second = Duration::from_secs(1);
        for _ in 0..3 {
            assert_eq!(rates.take("a", second), Ok(()));
        }
        assert_eq!(rates.take("a", second), Err(Duration::from_millis(500)));
        assert_eq!(
            rates.take("b", second),
            Ok(()),
            "one identity's flood is its own"
        );
        assert_eq!(rates.take("a", second + Duration::from_millis(500)), Ok(()));
        assert!(
            rates
                .take("a", second + Duration::from_millis(500))
                .is_err()
        );
        for _ in 0..3 {
            assert_eq!(rates.take("a", second * 100), Ok(()));
        }
        assert!(
            rates.take("a", second * 100).is_err(),
            "a burst is no more after a long rest"
        );
    }

    #[test]
    fn too_many_openings_are_sent_away_spread_out() {
        let openings = Openings::new(1);
        let first = openings.enter(0.0).unwrap();
        assert_eq!(openings.enter(0.0).unwrap_err(), limits::OPENING_RETRY);
        assert_eq!(openings.enter(1.0).unwrap_err(), limits::OPENING_RETRY * 2);
        drop(first);
        assert!(openings.enter(0.0).is_ok());
    }
}
