//! A member that a person does not want to wait for.
//!
//! Owns who may be left out, and to whom a run that is over owes nothing any more. It is neither
//! healthy nor failed: a wave still needs its `minHealthy` of the others, as far as they reach, and
//! nobody is forgiven a failure. What it runs it keeps, until a rollback takes it back like
//! everybody. Never assigns.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    audit::Context,
    run::{Member, MemberId, MemberState, Only, Request, Run, RunState},
};

use super::{
    debt::is_deferred,
    member::{is_regressed, stop},
    request::asked,
    work::Work,
};
use crate::{
    Action, Audit, Effect,
    mutant::{self, Mutant},
};

/// Whom that choice leaves out, or why nobody.
pub fn may_skip(
    run: &Run,
    members: &BTreeMap<MemberId, &Member>,
    only: &Only,
) -> Result<Vec<MemberId>, &'static str> {
    match run.state {
        _ if !run.is_live() => return Err("the run is over"),
        RunState::Breached | RunState::RollingBack => {
            return Err("the run is going back, and nobody is left out of that");
        }
        _ => {}
    }
    let named = || members.values().filter(|member| only.has(&member.id));
    let meant: BTreeSet<_> = named()
        .filter(|member| is_waited_for(member))
        .map(|member| member.id.clone())
        .collect();
    if meant.is_empty() {
        return Err(why_not(&named().copied().collect::<Vec<_>>()));
    }
    let somebody_else = |id: &MemberId| {
        members
            .values()
            .filter(|other| other.id.wave == id.wave && !meant.contains(&other.id))
            .any(|other| other.state != MemberState::Skipped && !other.state.is_failed())
    };
    let over = run.state.is_terminal();
    if !over && !mutant::on(Mutant::SkipEmptiesWave) && !meant.iter().all(somebody_else) {
        return Err(
            "nobody else in its wave could be healthy, and a wave proves nothing without; cancel \
             the run, or let a new one be planned without the cluster",
        );
    }
    Ok(meant.into_iter().collect())
}

/// Leaves the named members out.
pub(super) fn leave_out(work: &mut Work<'_>, request: &Request) -> Result<(), &'static str> {
    let members = work.members().map(|member| (member.id.clone(), member));
    let meant = may_skip(&work.run, &members.collect(), &request.way.only)?;
    for id in meant {
        let Some(mut member) = work.member(&id).cloned() else {
            continue;
        };
        stop(&mut member, work.now);
        member.state = MemberState::Skipped;
        if mutant::on(Mutant::SkipIsHealth) {
            member.state = MemberState::Healthy;
        }
        member.healthy_since = None;
        member.cause = Some(asked(request, "skipped"));
        let told = record(&member, request);
        work.put(member, told.into_iter().collect());
    }
    let owes = work.members().any(is_deferred);
    work.run.owes &= owes;
    Ok(())
}

/// Whether the run may have to wait for it, now or later.
pub(crate) fn is_waited_for(member: &Member) -> bool {
    use MemberState::{Healthy, Reverted, Reverting, Skipped, Soaked};
    match member.state {
        Skipped | Reverting | Reverted => false,
        Healthy | Soaked => is_regressed(member),
        state => !state.is_failed() || mutant::on(Mutant::SkipForgives),
    }
}

fn why_not(named: &[&Member]) -> &'static str {
    let any = |is: fn(MemberState) -> bool| named.iter().any(|member| is(member.state));
    if named.is_empty() {
        "it is not in the run"
    } else if any(MemberState::is_failed) {
        "it failed: nobody waits for it, and its failure stays; try it again with retry"
    } else if any(|state| state == MemberState::Skipped) {
        "it is left out already"
    } else {
        "it is through: nobody waits for it"
    }
}

fn record(member: &Member, request: &Request) -> Option<Effect> {
    let audit = Audit {
        action: Action::SkipMember,
        actor: request.actor.clone(),
        wave: member.id.wave as usize,
        member: Some(member.id.clone()),
        app: None,
        cause: None,
        reason: format!(
            "cluster {}: {}",
            member.cluster_name,
            asked(request, "skipped").message
        ),
        before: None,
        after: None,
        context: Context::default(),
    };
    (!mutant::on(Mutant::SkipUnrecorded)).then_some(Effect::Audit(audit))
}
