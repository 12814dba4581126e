//! When a failed pass is tried again.

use std::time::Duration;

use tokio::time::Instant;

use crate::{clock, cluster::Class};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(3);
/// For what only other content or other rights mend; never given up.
const TERMINAL: Duration = Duration::from_mins(5);

/// The retry of one application: exponential and jittered, reset by a pass that ends well and by a
/// new generation (facts "agent-reconcile" 1.9).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    attempts: u32,
    at: Option<Instant>,
}

impl Retry {
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Plans the next try; `at_least` is what the server asked to wait.
    pub(super) fn failed(&mut self, class: Class, at_least: Option<Duration>) {
        let wait = match class {
            Class::Terminal => clock::jittered(TERMINAL),
            Class::Retryable | Class::Unreachable => {
                let wait = FIRST * 2_u32.pow(self.attempts.min(10));
                self.attempts += 1;
                clock::jittered(wait.min(LONGEST))
            }
        };
        self.at = Some(clock::monotonic() + wait.max(at_least.unwrap_or_default()));
    }

    pub(super) fn at(self) -> Option<Instant> {
        self.at
    }

    pub(super) fn is_due(self) -> bool {
        self.at.is_some_and(|at| at <= clock::monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry: Retry) -> Duration {
        retry
            .at()
            .unwrap()
            .saturating_duration_since(clock::monotonic())
    }

    #[test]
    fn retries_slow_down_to_three_minutes_and_terminal_failures_wait_five() {
        let mut retry = Retry::default();
        retry.failed(Class::Retryable, None);
        assert!(wait(retry) <= Duration::from_millis(1200));
        for _ in 0..50 {
            retry.failed(Class::Unreachable, None);
        }
        assert!(
            (140..=216).contains(&wait(retry).as_secs()),
            "{:?}",
            wait(retry)
        );
        retry.failed(Class::Terminal, None);
        assert!((239..=360).contains(&wait(retry).as_secs()));
        retry.succeeded();
        assert!(retry.at().is_none() && !retry.is_due());
        retry.failed(Class::Retryable, Some(Duration::from_secs(10)));
        assert!(
            wait(retry) > Duration::from_secs(9),
            "the server asked for 10 s"
        );
    }
}
