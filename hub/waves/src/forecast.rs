//! When the waves of a plan would begin and end, if nothing goes wrong.
//!
//! Owns the arithmetic of places, soaks, samples and windows. It is no promise: nobody fails, whoever is
//! asked approves at once, and every member takes as long as the caller says. Never decides: the steps
//! do.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_model::{
    run::Plan,
    strategy::{Strategy, Wave, WindowAction},
};

use crate::{
    Limits, samples_needed,
    step::{
        windows::{binding, invoker},
        work::spec_of,
    },
    window::Windows,
};

/// One wave to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveForecast {
    /// Members under way at once; budget and availability may allow fewer than the concurrency.
    pub at_once: usize,
    /// When its first member is assigned, at the earliest.
    pub begins: Timestamp,
    /// When it is done, with its soak.
    pub ends: Timestamp,
    /// The end of it: how long it soaks, or is measured where that takes longer.
    pub soaks: Duration,
}

/// When each wave would begin and end if the run began `now` and a member took `each` to become
/// healthy, the wave's health window not counted. Ends before the first wave whose windows do not open
/// in sight.
pub fn forecast(
    strategy: &Strategy,
    plan: &Plan,
    each: Duration,
    now: Timestamp,
) -> Vec<WaveForecast> {
    let strategy = strategy.as_waves();
    let mut from = now;
    let mut all = Vec::new();
    for (index, planned) in plan.waves.iter().enumerate() {
        let spec = spec_of(&strategy, index);
        let members = planned.members.len();
        let limits = Limits::planned(&spec, members, planned.concurrency);
        let at_once = limits
            .places(0)
            .min(limits.unavailable)
            .clamp(1, members.max(1));
        let took = each.saturating_add(spec.health_window.0);
        let Some((begins, healthy)) = batches(&spec, members.div_ceil(at_once), took, from) else {
            break;
        };
        let soaks = soak(&spec, members);
        from = later(healthy, soaks);
        all.push(WaveForecast {
            at_once,
            begins,
            ends: from,
            soaks,
        });
    }
    all
}

/// When the first of so many batches sets out and the last is healthy. Windows are asked for every
/// member, so a batch waits for them to open; who is under way when they close goes on.
fn batches(
    spec: &Wave,
    count: usize,
    took: Duration,
    from: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let gates = &spec.gates.before;
    let windows = Windows::new(binding(gates, WindowAction::Assign, invoker(gates)));
    let mut begins = None;
    let mut at = from;
    for _ in 0..count {
        if !windows.is_open(at) {
            at = windows.next_change(at)?;
        }
        begins.get_or_insert(at);
        at = later(at, took);
    }
    Some((begins.unwrap_or(from), at))
}

/// How long a wave is looked at after its last member is healthy. One without members is passed.
fn soak(spec: &Wave, members: usize) -> Duration {
    if members == 0 {
        return Duration::ZERO;
    }
    let measured = spec.analysis.iter().map(|analysis| {
        let samples = samples_needed(spec, analysis);
        analysis.interval.0.saturating_mul(samples)
    });
    measured.max().unwrap_or_default().max(spec.soak.time.0)
}

/// The end of time where it would be beyond.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
