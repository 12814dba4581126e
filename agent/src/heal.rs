//! When an object may be healed again.
//!
//! Pure; time is the monotonic time since the agent started. The first heal is immediate. An
//! object that drifts again and again is healed ever later (2 s, times 3, at most 5 min), and the
//! wait shrinks with quiet time only: a heal that worked is no sign that nobody fights it
//! (facts "agent-reconcile" 1.6, E42).

use std::time::Duration;

const BASE: Duration = Duration::from_secs(2);
const FACTOR: u32 = 3;
const LONGEST: Duration = Duration::from_mins(5);
/// Level at which the wait reaches [`LONGEST`].
const TOP: u32 = 6;
/// One level is forgotten per this much quiet; from the top to the base in ten minutes.
const QUIET: Duration = Duration::from_secs(100);
/// Level from which somebody evidently writes against us.
const CONTESTED: u32 = 4;

/// The healing history of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heat {
    level: u32,
    last: Duration,
}

impl Heat {
    /// When the next heal is allowed; [`Duration::ZERO`] if none has been yet.
    pub fn next(self) -> Duration {
        if self.level == 0 {
            return Duration::ZERO;
        }
        let wait = BASE * FACTOR.pow(self.level.min(TOP) - 1);
        self.last + wait.min(LONGEST)
    }

    /// Notes a heal at `now`.
    pub fn heal(&mut self, now: Duration) {
        self.cool(now);
        self.level = (self.level + 1).min(TOP);
        self.last = now;
    }

    /// Forgets levels for the quiet time until `now`.
    pub fn cool(&mut self, now: Duration) {
        let quiet = now.saturating_sub(self.last);
        let forgotten = u32::try_from(quiet.as_secs() / QUIET.as_secs()).unwrap_or(u32::MAX);
        if forgotten > 0 {
            self.level = self.level.saturating_sub(forgotten);
            self.last += QUIET * forgotten.min(TOP);
        }
    }

    /// Whether it drifts so often that somebody must be told.
    pub fn is_contested(self) -> bool {
        self.level >= CONTESTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_first_heal_is_immediate_and_a_fight_is_slowed_down() {
        let mut heat = Heat::default();
        let mut now = secs(1000);
        assert!(heat.next() <= now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            heat.heal(now);
            waits.push(heat.next().saturating_sub(now).as_secs());
            now = heat.next();
        }
        assert_eq!(&waits[..5], [2, 6, 18, 54, 162]);
        assert!(
            waits[5..].iter().all(|wait| (100..=300).contains(wait)),
            "{waits:?}"
        );
        assert!(heat.is_contested());
    }

    #[test]
    fn ten_quiet_minutes_forget_everything() {
        let mut heat = Heat::default();
        for _ in 0..20 {
            heat.heal(secs(50));
        }
        heat.cool(secs(650));
        assert_eq!(heat.next(), Duration::ZERO);
        heat.heal(secs(651));
        assert_eq!(heat.next(), secs(653));
        assert!(!heat.is_contested());
    }
}
