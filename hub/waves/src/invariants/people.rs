//! What people do to single members: invariants 42 and 43.

use std::collections::BTreeSet;

use tidegate_model::{
    ids::AppUid,
    release::EntryContent,
    run::{CauseCode, Member, MemberState, RequestVerb, RunState},
};

use super::{Transition, Verdict, failed, touched};
use crate::{Action, Effect};

/// 42: another attempt is asked for by a person, of a run that did not go back; it puts back into
/// the queue everybody who failed and could be tried, from the first wave on; and whatever the run
/// wrote there it writes anew, so that nothing reported on the former word counts.
pub fn i42_retry_is_a_new_attempt(step: &Transition<'_>) -> Verdict {
    let (before, after) = (&step.run.retry, &step.after.run.retry);
    let attempt = |retry: &Option<tidegate_model::run::Retry>| {
        retry.as_ref().map_or(1, |retry| retry.attempt)
    };
    let mut problems = Vec::new();
    let begun = attempt(after) != attempt(before);
    if begun {
        let asked = step
            .run
            .request
            .as_ref()
            .is_some_and(|request| request.verb == RequestVerb::Retry);
        if !asked || attempt(after) != attempt(before) + 1 {
            problems.push("another attempt begins by itself".to_owned());
        }
        if step.run.rollback.is_some() || step.facts.newer_run {
            problems.push("what was taken back or replaced is tried again".to_owned());
        }
    }
    let pending = before.as_ref().is_some_and(|retry| retry.pending);
    let set = pending && after.as_ref().is_some_and(|retry| !retry.pending);
    if set && !step.after.run.state.is_terminal() && step.after.run.state != RunState::RollingBack {
        let open = step.after.run.wave;
        let left = step.members_after.values().filter(|member| {
            failed(member) && member.apps.values().all(|app| is_rendered(&app.target))
        });
        problems.extend(left.map(|member| format!("{:?} is not tried again", member.id)));
        let queued = step.members_after.values().filter(|member| {
            member.state == MemberState::Queued && (member.id.wave as usize) < open
        });
        problems.extend(queued.map(|member| format!("{:?} is passed by", member.id)));
    }
    let written: BTreeSet<AppUid> = step.forward().map(|one| one.assignment.app).collect();
    let mut premise = begun;
    for (was, is) in step.moved() {
        if failed(was) && is.state == MemberState::Queued {
            premise = true;
            if touched(was) != touched(is) {
                problems.push(format!("{:?} was never written, it is said", is.id));
            }
        }
        let set_out = was.state == MemberState::Queued && is.state == MemberState::Assigned;
        if set_out && touched(was) {
            premise = true;
            let gone = |uid| !step.alive(is).any(|(known, _)| known == uid);
            let former = was.apps.iter().filter(|(_, app)| app.touched);
            let stale = former.filter(|(uid, _)| !written.contains(*uid) && !gone(**uid));
            problems.extend(stale.map(|(uid, _)| format!("{uid} is tried by its former word")));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 43: who is left out by a person was named, was waited for, has a record of who said so, and leaves
/// somebody of its wave who can be healthy; nobody becomes healthy by it.
pub fn i43_skip_proves_nothing(step: &Transition<'_>) -> Verdict {
    let Some(request) = step
        .run
        .request
        .as_ref()
        .filter(|request| request.verb == RequestVerb::Skip)
    else {
        return Verdict::Idle;
    };
    let moved: Vec<(&Member, &Member)> = step.moved().collect();
    let mut problems = Vec::new();
    for (was, is) in &moved {
        if !request.way.only.has(&is.id) || is.state != MemberState::Skipped {
            problems.push(format!("{:?} became {:?} by a skip", is.id, is.state));
        }
        let by = is.cause.as_ref().map(|cause| cause.code);
        if by != Some(CauseCode::Requested) || failed(was) {
            problems.push(format!("{:?} was {:?}, and is left out", was.id, was.state));
        }
        let told = step.audits().filter(|audit| {
            audit.action == Action::SkipMember
                && audit.member.as_ref() == Some(&is.id)
                && audit.actor == request.actor
        });
        let told = told.count();
        if told != 1 {
            problems.push(format!("{told} records of {:?} being left out", is.id));
        }
        let others = step
            .wave(is.id.wave as usize)
            .filter(|other| !failed(other) && other.state != MemberState::Skipped);
        // To take a debt off leaves a run that is over as it is.
        if others.count() == 0 && !step.run.state.is_terminal() {
            problems.push(format!("nobody is left of wave {}", is.id.wave));
        }
    }
    let writes = step.after.effects.iter();
    let writes = writes.filter(|effect| !matches!(effect, Effect::Audit(_)));
    problems.extend(writes.map(|effect| format!("a skip writes {effect:?}")));
    Verdict::of(!moved.is_empty(), problems.into_iter())
}

fn is_rendered(target: &EntryContent) -> bool {
    matches!(target, EntryContent::Bundle(_))
}
