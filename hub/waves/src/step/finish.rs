//! How a run ends.
//!
//! Owns the entry into terminal states. Never decides which one it deserves.

use tidegate_model::run::{Cause, CauseCode, RunState};

use super::{again, debt::is_deferred, work::Work};
use crate::{
    Action, SYSTEM,
    mutant::{self, Mutant},
};

/// Ends the run.
pub(crate) fn finish(work: &mut Work<'_>, state: RunState, cause: Option<Cause>, actor: &str) {
    work.run.state = state;
    work.run.paused = None;
    work.run.gate = None;
    work.run.soak.running_since = None;
    work.run.finished_at = Some(work.hub_now);
    again::drop_rest(work);
    // Only what came to its end well is owed to those who missed it: a run that was superseded
    // leaves them to the newer one, like everybody whom it had not reached.
    work.run.owes = state == RunState::Succeeded
        && work.members().any(is_deferred)
        && !mutant::on(Mutant::DebtForgotten);
    if cause.is_some() {
        work.run.cause = cause;
    }
    let reason = work
        .run
        .cause
        .as_ref()
        .map(|cause| format!(": {}", cause.message));
    work.audit(
        Action::Finish,
        actor,
        format!("{state:?}{}", reason.unwrap_or_default()),
    );
}

/// Ends the run because a newer release takes over.
pub(crate) fn supersede(work: &mut Work<'_>, newer: u64) {
    let message = format!(
        "release {newer} takes over from release {}",
        work.run.release_number
    );
    let cause = Cause {
        code: CauseCode::NewerRelease,
        message,
    };
    finish(work, RunState::Superseded, Some(cause), SYSTEM);
}

/// A run that finds a newer one beside it writes nothing any more (invariants 4 and 33).
pub(crate) fn supersede_by_run(work: &mut Work<'_>) {
    let cause = Cause {
        code: CauseCode::NewerRelease,
        message: "a newer run of this set began".to_owned(),
    };
    finish(work, RunState::Superseded, Some(cause), SYSTEM);
}
