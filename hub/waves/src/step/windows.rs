//! Which windows bind a wave now.
//!
//! Owns who counts as the invoker and what a broken glass opens. Windows are asked with the hub's
//! time: they say something about the day, and the run's own clock may stand. Never decides.

use jiff::Timestamp;
use tidegate_model::{
    run::Run,
    strategy::{Gate, Invoker, Strategy, Window, WindowAction},
};

use super::work::wave_of;
use crate::{
    mutant::{self, Mutant},
    window::{Windows, shown},
};

/// Why a wave may not be moved, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The windows that keep it closed, by what they say.
    pub(crate) by: Vec<String>,
    /// When it opens, for people; `None` if that is not in sight.
    pub(crate) until: Option<String>,
}

impl Closed {
    /// What is in the way, for people.
    pub(crate) fn message(&self) -> String {
        let until = self.until.as_ref().map_or_else(
            || "no time at which it opens is in sight".to_owned(),
            |until| format!("it opens at {until}"),
        );
        format!("closed by {}; {until}", self.by.join(" and "))
    }
}

/// Who moves members of this wave forward. Nothing in a wave with an approval before it is assigned
/// without a person's yes to this very content, so that person moves it; nobody is asked about any
/// other.
pub(crate) fn invoker(gates: &[Gate]) -> Invoker {
    if gates.iter().any(Gate::is_approval) {
        Invoker::Human
    } else {
        Invoker::Automation
    }
}

/// What keeps members of this wave from being assigned now.
pub(crate) fn closed(run: &Run, wave: usize, now: Timestamp) -> Option<Closed> {
    let mut broken = run.broken_glass.iter();
    if broken.any(|it| it.wave == wave) || mutant::on(Mutant::WindowsIgnored) {
        return None;
    }
    let spec = wave_of(run, wave);
    let invoker = invoker(&spec.gates.before);
    ask(&spec.gates.before, WindowAction::Assign, invoker, now)
}

/// What keeps members of this wave from being taken back now. Who broke the glass to go forward, in
/// whatever wave, must be able to go back.
pub(crate) fn closed_back(run: &Run, wave: usize, now: Timestamp) -> Option<Closed> {
    let all = mutant::on(Mutant::RollbackHeedsWindows);
    if (run.strategy.rollback.ignore_windows || !run.broken_glass.is_empty()) && !all {
        return None;
    }
    let asked = run.rollback.as_ref().is_some_and(|by| by.by_person);
    let invoker = if asked {
        Invoker::Human
    } else {
        Invoker::Automation
    };
    let spec = wave_of(run, wave);
    let action = if all {
        WindowAction::Assign
    } else {
        WindowAction::Rollback
    };
    ask(&spec.gates.before, action, invoker, now)
}

fn ask(gates: &[Gate], action: WindowAction, invoker: Invoker, now: Timestamp) -> Option<Closed> {
    let windows = Windows::new(binding(gates, action, invoker));
    let by = windows.closed_by(now);
    let first = *by.first()?;
    Some(Closed {
        by: by.iter().map(ToString::to_string).collect(),
        until: windows.next_change(now).map(|at| shown(first, at)),
    })
}

/// The windows that speak of this.
pub(crate) fn binding(
    gates: &[Gate],
    action: WindowAction,
    invoker: Invoker,
) -> impl Iterator<Item = &Window> {
    gates.iter().filter_map(Gate::window).filter(move |window| {
        let listed = window.actions.contains(&action);
        window.binds(action, invoker) || (listed && mutant::on(Mutant::InvokerIgnored))
    })
}

/// Whether a broken glass would open anything in this wave, or on the way back.
pub fn has_windows(run: &Run, wave: usize) -> bool {
    let back = |strategy: &Strategy| !strategy.rollback.ignore_windows;
    let any = |gates: &[Gate]| gates.iter().any(|gate| gate.window().is_some());
    any(&wave_of(run, wave).gates.before)
        || (run.rollback.is_some()
            && back(&run.strategy)
            && run
                .strategy
                .waves
                .iter()
                .any(|wave| any(&wave.gates.before)))
}
