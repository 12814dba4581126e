//! What a person asked for.
//!
//! Owns which request fits which state. A request that does not fit is dropped with a record that
//! says why; it never stops the run.

use tidegate_model::run::{
    BrokenGlass, Cause, CauseCode, Paused, Request, RequestVerb, RollbackBy, RunState,
};

use super::{again, finish, skip, windows, work::Work};
use crate::{Action, rollback};

/// Carries the request out and removes it; says whether there was one.
pub(crate) fn carry_out(work: &mut Work<'_>) -> bool {
    let Some(request) = work.run.request.take() else {
        return false;
    };
    let refused = match request.verb {
        RequestVerb::Pause => pause(work, &request),
        RequestVerb::Resume => resume(work, &request),
        RequestVerb::Cancel => cancel(work, &request),
        RequestVerb::Rollback => roll_back(work, &request),
        RequestVerb::BreakGlass => break_glass(work, &request),
        RequestVerb::Retry => again::begin(work, &request),
        RequestVerb::Skip => skip::leave_out(work, &request),
    };
    if let Err(problem) = refused {
        let reason = format!("{:?} ({}): {problem}", request.verb, request.reason);
        work.audit(Action::Refuse, &request.actor, reason);
    }
    true
}

fn pause(work: &mut Work<'_>, request: &Request) -> Result<(), &'static str> {
    let from = match (work.run.state, work.run.paused) {
        (
            RunState::Paused,
            Some(Paused {
                by_person: true, ..
            }),
        ) => {
            return Err("the run is paused already");
        }
        (RunState::Paused, Some(Paused { from, .. })) => from,
        (RunState::Breached | RunState::RollingBack, _) => {
            return Err("the run is going back; let it finish, or cancel it");
        }
        (state, _) if state.is_terminal() => return Err("the run is over"),
        (state, _) => state,
    };
    super::decide::stop_soak(work);
    work.run.state = RunState::Paused;
    work.run.paused = Some(Paused {
        from,
        by_person: true,
    });
    work.run.cause = Some(asked(request, "paused"));
    work.audit(Action::Pause, &request.actor, &request.reason);
    Ok(())
}

fn resume(work: &mut Work<'_>, request: &Request) -> Result<(), &'static str> {
    match (work.run.state, work.run.paused) {
        (
            RunState::Paused,
            Some(Paused {
                from,
                by_person: true,
            }),
        ) => {
            work.run.state = from;
            work.run.paused = None;
            work.run.cause = None;
            work.audit(Action::Resume, &request.actor, &request.reason);
            Ok(())
        }
        (RunState::Paused, _) => Err(
            "a member of an earlier wave is not healthy; the run goes on by itself when it is, or \
             cancel it or roll it back",
        ),
        _ => Err("the run is not paused"),
    }
}

fn cancel(work: &mut Work<'_>, request: &Request) -> Result<(), &'static str> {
    if work.run.state.is_terminal() {
        return Err("the run is over");
    }
    let cause = asked(request, "cancelled");
    finish::finish(work, RunState::Cancelled, Some(cause), &request.actor);
    Ok(())
}

fn roll_back(work: &mut Work<'_>, request: &Request) -> Result<(), &'static str> {
    rollback::may_go_back(
        &work.run,
        work.members(),
        work.facts.newer_run,
        &request.way,
    )?;
    let by = RollbackBy {
        by_person: true,
        actor: request.actor.clone(),
        reason: request.reason.clone(),
        way: request.way.clone(),
    };
    work.run.cause = Some(asked(request, "rolled back"));
    rollback::begin(work, by);
    Ok(())
}

fn break_glass(work: &mut Work<'_>, request: &Request) -> Result<(), &'static str> {
    let wave = work.run.wave;
    if work.run.state.is_terminal() {
        return Err("the run is over");
    }
    if work.run.broken_glass.iter().any(|known| known.wave == wave) {
        return Err("the windows of the open wave are open to this run already");
    }
    if !windows::has_windows(&work.run, wave) {
        return Err("the open wave has no window; look at what the run waits for");
    }
    work.run.broken_glass.push(BrokenGlass {
        wave,
        actor: request.actor.clone(),
        reason: request.reason.clone(),
        at: work.hub_now,
    });
    work.audit(Action::BreakGlass, &request.actor, &request.reason);
    Ok(())
}

pub(super) fn asked(request: &Request, what: &str) -> Cause {
    let mut message = format!("{what} by {}", request.actor);
    if !request.reason.is_empty() {
        message = format!("{message}: {}", request.reason);
    }
    Cause {
        code: CauseCode::Requested,
        message,
    }
}
