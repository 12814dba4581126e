//! The gates before and after a wave, as a run comes to them.
//!
//! Owns what it takes to go through: the words of people and the answers of whoever is asked, all of
//! them in one step. Windows are asked for every member, and so are not here.

use tidegate_model::run::{GatePosition, RunState};

use super::work::Work;
use crate::{Action, ask, quorum::quorum};

/// Why a gate is shut that a person opens.
const PERSON: &str = "a person must approve";

/// Stands before a gate; why is told once.
pub(super) fn close(work: &mut Work<'_>, position: GatePosition, why: &str) {
    if work.run.state == RunState::WaitingGate && work.run.gate == Some(position) {
        return;
    }
    work.run.state = RunState::WaitingGate;
    work.run.gate = Some(position);
    work.decide(Action::CloseGate, format!("{position:?}: {why}"));
}

/// Why this gate of the open wave is shut; empty where it is open.
pub(super) fn why(work: &Work<'_>, position: GatePosition) -> String {
    let wave = work.run.wave;
    let asks = quorum(&work.run, wave, position, work.hub_now);
    let asks = asks.is_some_and(|quorum| !quorum.is_open());
    let shut = ask::shut(&work.run, wave, position, work.facts, work.hub_now);
    let person = asks.then(|| PERSON.to_owned());
    let all = person
        .into_iter()
        .chain(shut.into_iter().map(|it| it.message));
    all.collect::<Vec<_>>().join("; ")
}

/// Goes through this gate of the open wave, if it is open; says whether.
pub(super) fn pass(work: &mut Work<'_>, position: GatePosition) -> bool {
    let wave = work.run.wave;
    if !ask::shut(&work.run, wave, position, work.facts, work.hub_now).is_empty() {
        return false;
    }
    match quorum(&work.run, wave, position, work.hub_now) {
        None => {}
        Some(quorum) if quorum.is_open() => {
            let by = quorum.given.join(", ");
            work.decide(Action::PassGate, format!("approved by {by}"));
        }
        Some(_) => return false,
    }
    let answers = ask::answers(&work.run, wave, position, work.facts);
    if !answers.is_empty() {
        let reason = format!("{position:?}: {}", answers.join("; "));
        work.decide(Action::AnswerGate, reason);
    }
    true
}
