//! Another attempt at what failed.
//!
//! Owns which run may be tried again and how its members get back into the queue: the same release,
//! the waves from the first that failed, with their gates. Whoever failed gets a new assignment, so
//! that nothing which was reported so far speaks of it. Never assigns.

use tidegate_model::{
    audit::Context,
    release::EntryContent,
    run::{Member, MemberId, MemberState, ProgressClock, Request, Retry, Run, RunState, SoakClock},
};

use super::{
    member::{is_regressed, stop},
    work::Work,
};
use crate::{
    Action, Audit, Effect,
    mutant::{self, Mutant},
};

/// The wave at which another attempt would begin, or why there is none.
pub fn may_retry<'a>(
    run: &Run,
    members: impl IntoIterator<Item = &'a Member>,
    newer_run: bool,
) -> Result<usize, &'static str> {
    let gone_back = run.rollback.is_some() && !mutant::on(Mutant::RetryAfterRollback);
    match run.state {
        _ if newer_run => return Err("a newer run began; it brings its own content"),
        RunState::Superseded => return Err("a newer release took over"),
        RunState::Breached => return Err("the run is being ended; try again when it is over"),
        _ if gone_back => {
            return Err("the run went back, and what failed in it is denied; mend the source");
        }
        RunState::Cancelled => {
            return Err("the run was cancelled for good; a new release starts a new one");
        }
        state if state.is_terminal() || state == RunState::Paused => {}
        _ => return Err("the run is under way; pause it first"),
    }
    let failed = members.into_iter().filter(|member| may_again(member));
    let first = failed.map(|member| member.id.wave as usize).min();
    first.ok_or("nobody failed who could be tried again at this content")
}

/// Begins another attempt.
pub(super) fn begin(work: &mut Work<'_>, request: &Request) -> Result<(), &'static str> {
    let wave = may_retry(&work.run, work.members(), work.facts.newer_run)?;
    match work.run.paused.as_mut() {
        Some(paused) if paused.by_person => paused.from = RunState::WaitingGate,
        Some(_) => {
            // What regressed is looked at again, wherever it is.
            work.run.paused = None;
            work.run.state = RunState::WaitingGate;
            work.run.cause = None;
            work.audit(Action::Resume, &request.actor, &request.reason);
        }
        None => {
            work.run.state = RunState::WaitingGate;
            work.run.cause = None;
        }
    }
    if !mutant::on(Mutant::RetryKeepsWave) {
        work.run.wave = wave;
    }
    work.run.gate = None;
    work.run.soak = SoakClock::default();
    work.run.finished_at = None;
    // An open run owes nobody: who is deferred is looked after with everybody else.
    work.run.owes = false;
    work.run.retry = Some(Retry {
        attempt: 1 + work.run.retry.as_ref().map_or(1, |retry| retry.attempt),
        actor: request.actor.clone(),
        reason: request.reason.clone(),
        pending: true,
    });
    work.audit(Action::Retry, &request.actor, &request.reason);
    Ok(())
}

/// Puts the next members back into the queue; says whether there was anything to do.
pub(super) fn carry_on(work: &mut Work<'_>) -> bool {
    let Some(retry) = work.run.retry.clone().filter(|retry| retry.pending) else {
        return false;
    };
    let mut due: Vec<MemberId> = work
        .members()
        .filter(|member| member.id.wave as usize >= work.run.wave && is_due(member))
        .map(|member| member.id.clone())
        .collect();
    if mutant::on(Mutant::RetryForgetsOne) {
        due.pop();
    }
    for id in due {
        let Some(member) = work.member(&id) else {
            continue;
        };
        let (member, effects) = put_back(work, member.clone(), &retry);
        if !work.put(member, effects) {
            return true;
        }
    }
    drop_rest(work);
    true
}

/// Leaves the rest as it is: the attempt is all set, or over.
pub(crate) fn drop_rest(work: &mut Work<'_>) {
    if let Some(retry) = work.run.retry.as_mut() {
        retry.pending = false;
    }
}

/// Whether it failed, and not for what the release lacks.
pub(crate) fn may_again(member: &Member) -> bool {
    let rendered = |target: &EntryContent| matches!(target, EntryContent::Bundle(_));
    member.state.is_failed() && member.apps.values().all(|app| rendered(&app.target))
}

/// Nobody looks after a wave before it opens again: no deadline runs there, and what was seen of a
/// regression is seen again.
fn is_due(member: &Member) -> bool {
    may_again(member) || member.progress.running_since.is_some() || has_fallen_back(member)
}

fn has_fallen_back(member: &Member) -> bool {
    member.state == MemberState::Soaked && is_regressed(member)
}

fn put_back(work: &Work<'_>, mut member: Member, retry: &Retry) -> (Member, Vec<Effect>) {
    if !may_again(&member) {
        stop(&mut member, work.now);
        if has_fallen_back(&member) {
            member.cause = None;
        }
        return (member, Vec::new());
    }
    let failed = member.cause.take();
    let why = failed.as_ref().map_or("", |cause| &cause.message);
    let audit = Audit {
        action: Action::RetryMember,
        actor: retry.actor.clone(),
        wave: member.id.wave as usize,
        member: Some(member.id.clone()),
        app: None,
        cause: None,
        reason: format!(
            "cluster {}, attempt {}: it failed ({why})",
            member.cluster_name, retry.attempt
        ),
        before: None,
        after: Some(work.run.content),
        context: Context::default(),
    };
    member.state = MemberState::Queued;
    member.healthy_since = None;
    member.reached = false;
    member.progress = ProgressClock::default();
    for app in member.apps.values_mut() {
        app.generation = None;
        app.assignment = None;
        app.touched &= !mutant::on(Mutant::RetryForgetsWritten);
    }
    let told = (!mutant::on(Mutant::RetryUnrecorded)).then_some(Effect::Audit(audit));
    (member, told.into_iter().collect())
}
