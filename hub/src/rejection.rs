//! What an agent refused to take: when its no counts, and how a person and a run see it.
//!
//! Pure. A rejection is not a report: agents do not repeat it, so among the stored reports it would
//! make the two sides' roots differ for ever. It is kept with the application instead, and read as a
//! report with phase Failed, which is what it comes to: nothing is applied, and the agent may yet
//! take the assignment when it is offered again. Never writes.

use jiff::Timestamp;
use tidegate_model::{
    duration::Span,
    health::Health,
    report::{Phase, Problem, Report},
};

use crate::{
    link::port::Ack,
    records::{AppRecord, Rejection},
};

/// The most characters of a reason that are kept.
const LENGTH: usize = 2_000;

/// The rejection, if it is of the hub's last word and no report says that the agent took that since.
pub fn current<'a>(app: &'a AppRecord, report: Option<&Report>) -> Option<&'a Rejection> {
    let rejection = app.rejection.as_ref()?;
    let assignment = app.assignment.as_ref()?;
    let (generation, digest) = (assignment.generation, assignment.digest());
    let of_last_word = rejection.generation == generation && rejection.digest == digest;
    let taken =
        report.is_some_and(|report| report.generation == generation && report.digest == digest);
    (of_last_word && !taken).then_some(rejection)
}

/// The application with this rejection noted; `None` if it says nothing new or comes too late.
pub fn noted(
    app: &AppRecord,
    report: Option<&Report>,
    ack: &Ack,
    reason: &str,
    now: Timestamp,
) -> Option<AppRecord> {
    let known = current(app, report);
    let mut noted = app.clone();
    let reason: String = reason.chars().take(LENGTH).collect();
    if known.is_some_and(|known| known.reason == reason) {
        // The agent is offered it again and again, and says no each time.
        return None;
    }
    noted.rejection = Some(Rejection {
        generation: ack.generation,
        digest: ack.digest,
        reason,
        at: now,
    });
    current(&noted, report)?;
    Some(noted)
}

/// The rejection in the words of a report on the assignment.
pub fn as_report(app: &AppRecord, rejection: &Rejection) -> Report {
    Report {
        app: app.uid,
        generation: rejection.generation,
        digest: rejection.digest,
        phase: Phase::Failed,
        health: Health::Unknown,
        healthy_for: Span::default(),
        drift: Vec::new(),
        problems: vec![problem(rejection)],
        held_prune: None,
    }
}

/// The rejection as a problem of the whole application.
pub fn problem(rejection: &Rejection) -> Problem {
    Problem {
        object: None,
        message: format!(
            "generation {} was rejected by its agent: {}",
            rejection.generation.0, rejection.reason
        ),
    }
}

#[cfg(test)]
mod tests;
