//! What others are asked before and after a wave: invariant 25.

use std::time::Duration;

use tidegate_model::{
    run::{GatePosition, RunState},
    strategy::{Condition, Gate},
};

use super::{Transition, Verdict};
use crate::{Action, BlockCode, Outcome, QuestionId};

/// 25: a wave does not start while an alarm before it fires, or anybody else who is asked has not let
/// it through just now; nor is it done against an answer after it. Whose answer is lacking is shown.
pub fn i25_preconditions(step: &Transition<'_>) -> Verdict {
    let did = |action| step.audits().any(|audit| audit.action == action);
    let through = [
        (GatePosition::Before, did(Action::OpenWave)),
        (GatePosition::After, did(Action::FinishWave)),
    ];
    let mut premise = false;
    let mut problems = Vec::new();
    for (position, _) in through.iter().filter(|(_, through)| *through) {
        for (name, gate) in gates(step, *position) {
            premise = true;
            if !is_open(step, *position, name, gate) {
                problems.push(format!("through {position:?} against {name}"));
            }
        }
    }
    let after = &step.after.run;
    let said = &step.after.report;
    let pending = said.iter().any(|it| it.code == BlockCode::StepPending);
    let stands = after.state == RunState::WaitingGate && after.wave == step.run.wave && !pending;
    if let Some(position) = after.gate.filter(|_| stands) {
        for (name, gate) in gates(step, position) {
            let named = said.iter().any(|it| {
                let code = it.code == code(gate) && it.position == Some(position);
                code && it.message.contains(name)
            });
            premise |= named;
            if named == is_open(step, position, name, gate) {
                problems.push(format!("{name} is told to be in the way: {named}"));
            }
        }
    }
    Verdict::of(premise, problems.into_iter())
}

fn gates<'a>(
    step: &Transition<'a>,
    position: GatePosition,
) -> impl Iterator<Item = (&'a str, &'a Gate)> {
    let wave = step.run.strategy.waves.get(step.run.wave);
    let list = wave.map_or(&[][..], |wave| match position {
        GatePosition::Before => &wave.gates.before,
        GatePosition::After => &wave.gates.after,
        GatePosition::Analysis => &[],
    });
    list.iter().filter_map(|gate| Some((gate.asked()?, gate)))
}

const fn code(gate: &Gate) -> BlockCode {
    match gate {
        Gate::Webhook(_) => BlockCode::Webhook,
        Gate::Analysis(_) => BlockCode::Analysis,
        _ => BlockCode::Alarm,
    }
}

/// Whether it was asked for this wave, not long ago, and lets it through.
fn is_open(step: &Transition<'_>, position: GatePosition, name: &str, gate: &Gate) -> bool {
    let id = QuestionId {
        wave: step.run.wave,
        position,
        gate: name.to_owned(),
    };
    let Some(answer) = step.facts.answers.get(&id) else {
        return false;
    };
    let age = Duration::try_from(step.now.duration_since(answer.at));
    let longest = gate.interval().0 * 2 + Duration::from_secs(30);
    if age.map_or(true, |age| age > longest) {
        return false;
    }
    let holds = |condition: Option<Condition>, usual| match (condition, &answer.said) {
        (None, _) => usual,
        (Some(condition), said) => value(said).is_some_and(|value| condition.holds(value)),
    };
    match gate {
        Gate::AlarmClear(alarm) if alarm.http.is_some() => {
            value(&answer.said).is_some() && !holds(alarm.fires, false)
        }
        Gate::AlarmClear(_) => answer.said.as_deref() == Ok("0"),
        Gate::Webhook(_) => answer.said.is_ok(),
        Gate::Analysis(analysis) => {
            let known = value(&answer.said).is_some();
            known && !holds(analysis.fail, false) && holds(analysis.pass, true)
        }
        Gate::Approval(_) | Gate::Window(_) => true,
    }
}

fn value(said: &Outcome) -> Option<f64> {
    let value: f64 = said.as_ref().ok()?.trim().parse().ok()?;
    value.is_finite().then_some(value)
}
