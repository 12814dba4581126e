//! When a failed pass is tried again.

use std::time::Duration;

use tokio::time::Instant;

use crate::{clock, cluster::Class};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(3);
/// For what only other content mends; never given up.
const TERMINAL: Duration = Duration::from_mins(5);

/// The retry of one application: exponential and jittered, reset by a pass that ends well and by a
/// new generation (facts "agent-reconcile" 1.9). However many objects fail in a pass, it counts as
/// one failure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    attempts: u32,
    at: Option<Instant>,
    /// The worst failure of the pass at hand, and what a server asked to wait.
    noted: Option<(Class, Duration)>,
}

impl Retry {
    /// A pass begins.
    pub(super) fn begin(&mut self) {
        self.at = None;
        self.noted = None;
    }

    /// Something failed in this pass; `at_least` is what the server asked to wait.
    pub(super) fn note(&mut self, class: Class, at_least: Option<Duration>) {
        let at_least = at_least.unwrap_or_default();
        let (worst, longest) = self.noted.unwrap_or((class, at_least));
        self.noted = Some((worst.max(class), longest.max(at_least)));
    }

    /// Whether something failed in this pass.
    pub(super) fn is_noted(self) -> bool {
        self.noted.is_some()
    }

    /// The pass is over: plans the next one if something failed.
    pub(super) fn settle(&mut self) {
        let Some((class, at_least)) = self.noted.take() else {
            return;
        };
        let wait = if class == Class::Terminal {
            TERMINAL
        } else {
            let wait = FIRST * 2_u32.pow(self.attempts.min(10));
            self.attempts += 1;
            wait.min(LONGEST)
        };
        self.at = Some(clock::monotonic() + clock::jittered(wait).max(at_least));
    }

    /// A failure outside a pass.
    pub(super) fn failed(&mut self, class: Class, at_least: Option<Duration>) {
        self.note(class, at_least);
        self.settle();
    }

    /// A pass ended well.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
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
        let at = retry.at().unwrap();
        at.saturating_duration_since(clock::monotonic())
    }

    #[test]
    fn retries_slow_down_to_three_minutes_and_terminal_failures_wait_five() {
        let mut retry = Retry::default();
        retry.failed(Class::Retryable, None);
        assert!(wait(retry) <= Duration::from_millis(1200));
        for _ in 0..50 {
            retry.failed(Class::Unreachable, None);
        }
        let longest = wait(retry).as_secs();
        assert!((140..=216).contains(&longest), "{longest}");
        retry.failed(Class::Terminal, None);
        assert!((239..=360).contains(&wait(retry).as_secs()));
        retry.succeeded();
        assert!(retry.at().is_none() && !retry.is_due());
        retry.failed(Class::Retryable, Some(Duration::from_secs(10)));
        let asked = wait(retry);
        assert!(asked > Duration::from_secs(9), "the server asked for 10 s");
    }

    #[test]
    fn many_failures_in_one_pass_are_one_failure_and_the_hopeful_one_decides() {
        let mut retry = Retry::default();
        retry.begin();
        for _ in 0..100 {
            retry.note(Class::Terminal, None);
            retry.note(Class::Retryable, None);
        }
        assert!(retry.is_noted());
        retry.settle();
        assert!(wait(retry) <= Duration::from_millis(1200));
        retry.begin();
        assert!(retry.at().is_none());
        retry.settle();
        assert!(retry.at().is_none(), "nothing failed");
    }
}
