//! What the records of a step say besides: who set it off, on what it rests, what it led to.
//!
//! Owns that nothing which is decided goes untold: what moves without a record of its own gets one,
//! so that whoever replays the records of a run has the run (invariant 40). Never decides.

use tidegate_model::{
    audit::{Context, Invoker, Outcome, Standing},
    run::{Member, MemberId, Run},
    strategy,
};

use super::{
    windows,
    witness::evidence,
    work::{Work, wave_of},
};
use crate::{
    Action, Audit, Effect, SYSTEM,
    mutant::{self, Mutant},
};

/// Completes the records of a step whose decisions are all made.
pub(super) fn complete(work: &mut Work<'_>) {
    let mut effects = work.take_effects();
    effects.extend(of_run(work, &effects));
    for effect in &mut effects {
        if let Effect::Audit(audit) = effect {
            audit.context = context(work, audit);
        }
    }
    work.put_back(effects);
}

fn context(work: &Work<'_>, audit: &Audit) -> Context {
    let told = if mutant::on(Mutant::OutcomeOfBefore) {
        work.before()
    } else {
        &work.run
    };
    let outcome = Outcome::of(told);
    let member = audit.member.as_ref().and_then(|id| work.stored(id));
    let wrote = audit.app.filter(|_| audit.action == Action::Assign);
    Context {
        invoker: invoker(&work.run, audit),
        evidence: evidence(work, audit),
        outcome: Some(match member {
            Some(member) => outcome.about(member, wrote),
            None => outcome,
        }),
    }
}

/// Who moves it: what the windows of a wave are asked about, and who else spoke.
fn invoker(run: &Run, audit: &Audit) -> Invoker {
    let person = match audit.action {
        Action::OpenWave | Action::Assign => {
            let gates = &wave_of(run, audit.wave).gates.before;
            windows::invoker(gates) == strategy::Invoker::Human
        }
        Action::Revert | Action::Pin | Action::Deny => {
            run.rollback.as_ref().is_some_and(|by| by.by_person)
        }
        // Somebody's yes is what opens a gate.
        Action::PassGate => true,
        _ => return Invoker::of(&audit.actor),
    };
    if person {
        Invoker::Person
    } else {
        Invoker::Automation
    }
}

/// The record of a member's move, if none of these tells of it. It needs room like every other.
pub(super) fn of_member<'e>(
    work: &Work<'_>,
    after: &Member,
    told: impl IntoIterator<Item = &'e Effect>,
) -> Option<Effect> {
    let was = work.stored(&after.id).map(Standing::of)?;
    let is = Standing::of(after);
    if was == is || tells(told, Some(&after.id)) || mutant::on(Mutant::MoveUnrecorded) {
        return None;
    }
    let why = after.cause.as_ref().map_or("", |cause| &cause.message);
    let gap = if why.is_empty() { "" } else { ": " };
    let reason = format!("cluster {}: {was:?} → {is:?}{gap}{why}", after.cluster_name);
    Some(moves(work, Some(after), reason))
}

/// The record of the run's own move, if none of these tells of it.
fn of_run(work: &Work<'_>, told: &[Effect]) -> Option<Effect> {
    let (before, after) = (Outcome::of(work.before()), Outcome::of(&work.run));
    if before == after || tells(told, None) || mutant::on(Mutant::MoveUnrecorded) {
        return None;
    }
    let place = |it: &Outcome| match work.run.plan.waves.get(it.wave) {
        Some(wave) => format!("{:?} in wave {}", it.state, wave.name),
        None => format!("{:?} behind the last wave", it.state),
    };
    let reason = format!("{} → {}", place(&before), place(&after));
    Some(moves(work, None, reason))
}

/// Whether one of these is a record about this member, or the run. That a request was refused moves
/// nothing.
fn tells<'e>(effects: impl IntoIterator<Item = &'e Effect>, id: Option<&MemberId>) -> bool {
    effects.into_iter().any(|effect| match effect {
        Effect::Audit(audit) => audit.member.as_ref() == id && audit.action != Action::Refuse,
        _ => false,
    })
}

fn moves(work: &Work<'_>, member: Option<&Member>, reason: String) -> Effect {
    Effect::Audit(Audit {
        action: Action::Move,
        actor: SYSTEM.to_owned(),
        wave: member.map_or(work.before().wave, |member| member.id.wave as usize),
        member: member.map(|member| member.id.clone()),
        app: None,
        cause: None,
        reason,
        before: None,
        after: Some(work.run.content),
        context: Context::default(),
    })
}
