//! Gates that the hub asks somebody about: when, and what an answer lets through.
//!
//! Owns the identity of a question (run, wave, position, gate) and how long an answer is good for: one
//! that was given elsewhere, or long ago, opens nothing (invariant 25). What is not known is shut.
//! Never asks.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_model::{
    run::{GatePosition, Run, RunState, SampleVerdict},
    strategy::{AlarmClear, Gate, Gates},
};

use crate::{
    Facts, Outcome,
    explain::BlockCode,
    mutant::{self, Mutant},
    step::{analysis, work::wave_of},
};

/// Which gate of a run is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuestionId {
    /// Index of the wave.
    pub wave: usize,
    /// Before or after it.
    pub position: GatePosition,
    /// The gate's name.
    pub gate: String,
}

/// A gate at which a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which.
    pub id: QuestionId,
    /// Whom to ask for what; never an approval or a window.
    pub gate: Gate,
}

/// What was answered, and when. For an alarm by a Prometheus query the text begins with the number of
/// series, for a webhook it is whatever it said with its yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was asked, by the hub's clock.
    pub at: Timestamp,
    /// The answer as it is written, or why there is none; for a webhook, why not.
    pub said: Outcome,
}

impl Answer {
    /// Whether a question with this interval must be asked anew.
    pub fn is_due(&self, interval: Duration, now: Timestamp) -> bool {
        age(self.at, now).is_none_or(|age| age >= interval)
    }
}

/// A gate that is not open, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shut {
    /// Its kind.
    pub(crate) code: BlockCode,
    /// What is in the way, for people.
    pub(crate) message: String,
    /// What would clear it, for people.
    pub(crate) clears: String,
}

/// What has to be asked while the run stands where it does.
pub fn questions(run: &Run) -> Vec<Question> {
    use GatePosition::{After, Before};
    let (RunState::WaitingGate, Some(position @ (Before | After))) = (run.state, run.gate) else {
        return Vec::new();
    };
    let spec = wave_of(run, run.wave);
    let gates = asked(&spec.gates, position);
    gates
        .map(|(name, gate)| Question {
            id: QuestionId {
                wave: run.wave,
                position,
                gate: name.to_owned(),
            },
            gate: gate.clone(),
        })
        .collect()
}

/// The gates of a list that somebody is asked about.
fn asked(gates: &Gates, position: GatePosition) -> impl Iterator<Item = (&str, &Gate)> {
    let list = match position {
        GatePosition::Before => &gates.before[..],
        GatePosition::After => &gates.after[..],
        GatePosition::Analysis => &[],
    };
    list.iter().filter_map(|gate| Some((gate.asked()?, gate)))
}

/// The gates of a wave that the answers leave shut.
pub(crate) fn shut(
    run: &Run,
    wave: usize,
    position: GatePosition,
    facts: &Facts,
    now: Timestamp,
) -> Vec<Shut> {
    if mutant::on(Mutant::AnswersIgnored) {
        return Vec::new();
    }
    let spec = wave_of(run, wave);
    let gates = asked(&spec.gates, position);
    gates
        .filter_map(|(name, gate)| {
            let answer = answer(facts, wave, position, name);
            let answer = answer.filter(|answer| is_good(answer, gate, now));
            judge(gate, answer).err()
        })
        .collect()
}

/// What was answered at this gate, for the record; nothing where nobody is asked.
pub(crate) fn answers(
    run: &Run,
    wave: usize,
    position: GatePosition,
    facts: &Facts,
) -> Vec<String> {
    let spec = wave_of(run, wave);
    let gates = asked(&spec.gates, position);
    gates
        .filter_map(|(name, gate)| {
            let answer = answer(facts, wave, position, name)?;
            let said = match &answer.said {
                Ok(said) | Err(said) => said,
            };
            Some(format!("{} {name} at {}: {said}", kind(gate).1, answer.at))
        })
        .collect()
}

fn answer<'f>(
    facts: &'f Facts,
    wave: usize,
    position: GatePosition,
    name: &str,
) -> Option<&'f Answer> {
    let fits = |id: &QuestionId| {
        (id.wave == wave || mutant::on(Mutant::AnswerOfOtherWave))
            && id.position == position
            && id.gate == name
    };
    let mut all = facts.answers.iter();
    all.find(|(id, _)| fits(id)).map(|(_, answer)| answer)
}

/// Whether it is recent: two intervals, and what asking may take.
fn is_good(answer: &Answer, gate: &Gate, now: Timestamp) -> bool {
    let longest = gate.interval().0.saturating_mul(2) + SLACK;
    age(answer.at, now).is_some_and(|age| age <= longest) || mutant::on(Mutant::OldAnswerCounts)
}

/// What a question may take beside its interval.
const SLACK: Duration = Duration::from_secs(30);

/// How old; `None` where the hub's clock was set back behind it.
fn age(at: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(now.duration_since(at)).ok()
}

/// How a gate is called, by programs and by people.
const fn kind(gate: &Gate) -> (BlockCode, &'static str) {
    match gate {
        Gate::AlarmClear(_) => (BlockCode::Alarm, "alarm"),
        Gate::Webhook(_) => (BlockCode::Webhook, "webhook"),
        Gate::Analysis(_) => (BlockCode::Analysis, "analysis"),
        Gate::Approval(_) => (BlockCode::Approval, "approval"),
        Gate::Window(_) => (BlockCode::Window, "window"),
    }
}

/// Whether an answer that is good opens a gate.
fn judge(gate: &Gate, answer: Option<&Answer>) -> Result<(), Shut> {
    let Some(Answer { at, said }) = answer else {
        return Err(shut_by(gate, ASKED, "its answer"));
    };
    let (why, clears) = match gate {
        Gate::AlarmClear(alarm) => match state(alarm, said) {
            Ok(None) => return Ok(()),
            Ok(Some(what)) => (what, "the end of the alarm"),
            Err(why) => (
                format!("is not known: {why}"),
                "an answer that the alarm does not fire",
            ),
        },
        Gate::Webhook(_) => match said {
            Ok(_) => return Ok(()),
            Err(why) => (
                format!("does not let it through: {why}"),
                "an answer of the class 2xx",
            ),
        },
        Gate::Analysis(spec) => match analysis::judge(spec, said) {
            (SampleVerdict::Pass, _) => return Ok(()),
            (_, why) => (format!("does not pass: {why}"), "a sample that passes"),
        },
        Gate::Approval(_) | Gate::Window(_) => return Ok(()),
    };
    Err(shut_by(gate, &format!("{why} (asked at {at})"), clears))
}

fn shut_by(gate: &Gate, why: &str, clears: &str) -> Shut {
    let (code, kind) = kind(gate);
    Shut {
        code,
        message: format!("{kind} {} {why}", gate.asked().unwrap_or_default()),
        clears: format!("{clears}; or cancel or roll back the run"),
    }
}

/// While nobody has answered.
const ASKED: &str = "is being asked";

/// What fires of an alarm; an error where nobody knows.
fn state(alarm: &AlarmClear, said: &Outcome) -> Result<Option<String>, String> {
    let said = said.as_ref().map_err(Clone::clone)?;
    let Some(fires) = alarm.fires else {
        let count = said.split_whitespace().next().unwrap_or_default();
        return match count.parse() {
            Ok(0_u64) => Ok(None),
            Ok(_) => Ok(Some(format!("fires: {said}"))),
            Err(_) => Err(format!("{said:?} is no number of series")),
        };
    };
    match said.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(fires
            .holds(value)
            .then(|| format!("fires: {said} is {fires}"))),
        Ok(_) | Err(_) => Err(format!("{said:?} is nothing to compare with")),
    }
}
