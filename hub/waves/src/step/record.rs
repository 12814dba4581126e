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
    if !mutant::on(Mutant::MoveUnrecorded) {
        let untold = untold(work);
        work.tell(untold);
    }
    let mut effects = work.take_effects();
    for effect in &mut effects {
        if let Effect::Audit(audit) = effect {
            audit.context = context(work, audit);
        }
    }
    work.tell(effects);
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

/// Records of what moved and no record tells of.
fn untold(work: &Work<'_>) -> Vec<Effect> {
    let tells = |id: Option<&MemberId>| {
        work.audits()
            .any(|audit| audit.member.as_ref() == id && audit.action != Action::Refuse)
    };
    let mut all = Vec::new();
    for (before, after) in work.moved() {
        let (was, is) = (Standing::of(before), Standing::of(after));
        if was != is && !tells(Some(&after.id)) {
            let why = after.cause.as_ref().map_or("", |cause| &cause.message);
            let gap = if why.is_empty() { "" } else { ": " };
            let reason = format!("cluster {}: {was:?} → {is:?}{gap}{why}", after.cluster_name);
            all.push(moves(work, Some(after), reason));
        }
    }
    let (before, after) = (Outcome::of(work.before()), Outcome::of(&work.run));
    if before != after && !tells(None) {
        let place = |it: &Outcome| match work.run.plan.waves.get(it.wave) {
            Some(wave) => format!("{:?} in wave {}", it.state, wave.name),
            None => format!("{:?} behind the last wave", it.state),
        };
        let reason = format!("{} → {}", place(&before), place(&after));
        all.push(moves(work, None, reason));
    }
    all
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
