//! Gates of a wave, on their own.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use tidegate_model::strategy::{ApprovalGate, Gate, Invoker, Strategy, Wave, Window, WindowAction};

use super::Found;
use crate::{
    step::windows::{binding, invoker},
    window::{Schedule, Windows},
};

/// Where a wave that is never open is looked for: any year would do, windows say nothing of years
/// but by start and end, and those are looked at too.
const SOME_YEAR: DateTime = DateTime::constant(2024, 1, 1, 0, 0, 0, 0);

pub(super) fn check(index: usize, wave: &Wave, strategy: &Strategy, found: &mut Found) {
    let lists = [
        ("gates.before", &wave.gates.before),
        ("gates.after", &wave.gates.after),
    ];
    for (field, gates) in lists {
        for gate in gates.iter().filter_map(Gate::approval) {
            check_approval(index, wave, field, gate, found);
        }
        if gates.iter().filter(|gate| gate.is_approval()).count() > 1 {
            let problem = "approval is listed more than once; one is enough";
            found.wave(index, wave, field, problem);
        }
    }
    if wave.gates.after.iter().any(|gate| gate.window().is_some()) {
        let problem = "a window holds assignments back, and after the soak there are none; write \
                       it in gates.before, of the next wave if that is meant";
        found.wave(index, wave, "gates.after", problem);
    }
    let known = found.0.len();
    for (place, gate) in wave.gates.before.iter().enumerate() {
        let Some(window) = gate.window() else {
            continue;
        };
        for (field, problem) in problems(window, strategy) {
            let dot = if field.is_empty() { "" } else { "." };
            let field = format!("gates.before[{place}].window{dot}{field}");
            found.wave(index, wave, &field, &problem);
        }
    }
    if known == found.0.len() {
        check_open(index, wave, strategy, found);
    }
}

fn check_approval(index: usize, wave: &Wave, field: &str, gate: &ApprovalGate, found: &mut Found) {
    if gate.min_approvals == 0 {
        let problem = "it must be at least 1; leave the gate out if nobody is to be asked";
        found.wave(
            index,
            wave,
            &format!("{field}.approval.minApprovals"),
            problem,
        );
    }
    if gate.expires.is_some_and(|expires| expires.0.is_zero()) {
        let problem = "no approval would ever be good; make it longer or leave it out";
        found.wave(index, wave, &format!("{field}.approval.expires"), problem);
    }
    for (n, rule) in gate.approvers.iter().enumerate() {
        if rule.group.is_empty() == rule.user.is_empty() {
            let field = format!("{field}.approval.approvers[{n}]");
            let problem =
                "it names exactly one of group and user; write another entry for the other";
            found.wave(index, wave, &field, problem);
        }
    }
}

fn problems(window: &Window, strategy: &Strategy) -> Vec<(&'static str, String)> {
    let mut problems = match Schedule::read(window) {
        Ok(schedule) => schedule.emptiness().into_iter().collect(),
        Err(problems) => problems,
    };
    if window.actions.is_empty() {
        let problem = "it is empty; write [assign], or leave it out";
        problems.push(("actions", problem.to_owned()));
    }
    if window.invokers.is_empty() {
        let problem = "it is empty; write automation, human or both, or leave it out";
        problems.push(("invokers", problem.to_owned()));
    }
    if window.actions.contains(&WindowAction::Rollback) && strategy.rollback.ignore_windows {
        let problem = "it lists rollback, which rollback.ignoreWindows (default true) makes void; \
                       set that to false, or leave rollback out";
        problems.push(("actions", problem.to_owned()));
    }
    problems
}

/// Windows that are closed for ever are a mistake: they are found when they are written, not on the
/// day of the rollout.
fn check_open(index: usize, wave: &Wave, strategy: &Strategy, found: &mut Found) {
    let gates = &wave.gates.before;
    let mover = invoker(gates);
    if !is_ever_open(gates, WindowAction::Assign, mover) {
        let mut problem = "the windows together are never open, so nobody would ever be assigned; \
                           widen an allow window or shorten a deny window"
            .to_owned();
        if mover == Invoker::Automation && is_ever_open(gates, WindowAction::Assign, Invoker::Human)
        {
            problem.push_str("; or add an approval, as they bind automation only");
        }
        found.wave(index, wave, "gates.before", &problem);
    }
    let back = [Invoker::Automation, Invoker::Human];
    let shut = |invoker: &Invoker| !is_ever_open(gates, WindowAction::Rollback, *invoker);
    if !strategy.rollback.ignore_windows
        && let Some(invoker) = back.iter().find(|invoker| shut(invoker))
    {
        let problem = format!(
            "the windows together are never open to a rollback by {invoker:?}; widen an allow \
             window or shorten a deny window"
        );
        found.wave(index, wave, "gates.before", &problem);
    }
}

fn is_ever_open(gates: &[Gate], action: WindowAction, invoker: Invoker) -> bool {
    let windows = Windows::new(binding(gates, action, invoker));
    let edges = binding(gates, action, invoker)
        .flat_map(|window| [&window.start, &window.end])
        .flatten()
        .filter_map(|text| text.parse().ok());
    let mut starts = [SOME_YEAR].into_iter().chain(edges);
    let begins = |civil: DateTime| -> Option<Timestamp> {
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    starts.any(|civil| {
        begins(civil).is_some_and(|at| windows.is_open(at) || windows.next_change(at).is_some())
    })
}
