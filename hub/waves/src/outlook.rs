//! What the windows of a run say now and next, for people.
//!
//! Never decides: what is closed is named by `explain`.

use jiff::Timestamp;
use tidegate_model::{
    run::Run,
    strategy::{Gate, WindowAction},
};

use crate::{
    step::windows::{binding, invoker},
    window::Windows,
};

/// The windows of one wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveWindows {
    /// Index of the wave.
    pub wave: usize,
    /// Each of them, as it says.
    pub windows: Vec<String>,
    /// Members may be assigned now; so they may when a person broke the glass.
    pub open: bool,
    /// When the windows open next; `None` if that is not in sight.
    pub next_open: Option<Timestamp>,
    /// When they close next.
    pub next_close: Option<Timestamp>,
}

/// Windows of the open wave and of those to come, as far as they bind who moves the wave.
pub fn outlook(run: &Run, now: Timestamp) -> Vec<WaveWindows> {
    if run.state.is_terminal() {
        return Vec::new();
    }
    let waves = run.strategy.waves.iter().enumerate().skip(run.wave);
    let look = |(wave, spec): (usize, &tidegate_model::strategy::Wave)| {
        of_wave(run, wave, &spec.gates.before, now)
    };
    waves.filter_map(look).collect()
}

fn of_wave(run: &Run, wave: usize, gates: &[Gate], now: Timestamp) -> Option<WaveWindows> {
    let bound = || binding(gates, WindowAction::Assign, invoker(gates));
    bound().next()?;
    let windows = Windows::new(bound());
    let open = windows.is_open(now);
    let first = windows.next_change(now);
    let second = first.and_then(|first| windows.next_change(first));
    let (next_open, next_close) = if open {
        (second, first)
    } else {
        (first, second)
    };
    Some(WaveWindows {
        wave,
        windows: bound().map(ToString::to_string).collect(),
        open: open || run.broken_glass.iter().any(|broken| broken.wave == wave),
        next_open,
        next_close,
    })
}
