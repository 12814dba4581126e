//! The way back.
//!
//! Owns which members are taken back to what, the pins and denies that make it stick, and when the
//! rollback is over. A revert is a new generation with old content: it heeds no approval or soak
//! (invariant 30), and windows only where the strategy says so (16). Members that the
//! run never wrote are never written, unless a person names a release (invariant 28), and nothing is
//! ever deleted for want of something to go back to. `goal` says whom and to what, `order` who waits
//! for whom, `turns` what would be written.

pub(crate) mod goal;
pub(crate) mod order;
mod turns;

use tidegate_model::{
    assignment::{Assignment, Desired},
    audit::Context,
    deny::Pin,
    digest::Digest,
    ids::AppUid,
    run::{
        Cause, CauseCode, LastGood, Member, MemberApp, MemberId, MemberState, ProgressClock,
        RollbackBy, Run, RunState, WayBack,
    },
    strategy::DenyScope,
};

use self::goal::{Goal, bad, goal, is_meant, is_written, pin_release, runs};
pub use self::{
    goal::{back_to, may_go_back},
    turns::{Turn, turns},
};
use crate::{
    Action, AppFacts, Assign, AssignKind, Audit, ClusterFacts, Effect, SYSTEM,
    evidence::{Side, Stage, is_alive, see},
    mutant::{self, Mutant},
    step::{
        Work, again,
        assign::{self, Order},
        debt::is_deferred,
        decide,
        finish::finish,
        member::{debt::void, gone, skip, stop, unreachable_since},
        windows,
        work::elapsed,
    },
};

/// Sets a run on its way back.
pub(crate) fn begin(work: &mut Work<'_>, by: RollbackBy) {
    work.run.state = RunState::RollingBack;
    work.run.paused = None;
    work.run.gate = None;
    decide::stop_soak(work);
    work.run.finished_at = None;
    work.run.owes = false;
    again::drop_rest(work);
    work.audit(Action::Rollback, &by.actor, &by.reason);
    work.run.rollback = Some(by);
}

/// Moves the rollback on, last wave first.
pub(crate) fn advance(work: &mut Work<'_>) {
    let way = way(&work.run);
    let touched: Vec<_> = work
        .members()
        .rev()
        .filter(|member| is_meant(&way, member) || is_let_off(&way, member))
        .filter(|known| !(known.reached && mutant::on(Mutant::RollbackSkipsHealthy)))
        .map(|member| member.id.clone())
        .collect();
    let mut turn = order::Turn::of(&work.run);
    for id in &touched {
        let Some(member) = work.member(id) else {
            continue;
        };
        let wave = member.id.wave as usize;
        let moved = if is_begun(member) {
            follow(work, member)
        } else if is_let_off(&way, member) {
            Some(let_off(member))
        } else if windows::closed_back(&work.run, wave, work.hub_now).is_some()
            || turn.waits(member)
        {
            None
        } else {
            take_back(work, member)
        };
        if let Some((next, effects)) = moved
            && !work.put(next, effects)
        {
            return;
        }
        turn.pass(work, id);
    }
    settle(work, &touched);
}

/// Whether it is owed something, and nothing else than that is to be taken back.
fn is_let_off(way: &WayBack, member: &Member) -> bool {
    is_deferred(member)
        && way.only.has(&member.id)
        && !is_meant(way, member)
        && !mutant::on(Mutant::DebtSurvivesRollback)
}

/// The way that the run goes back.
pub(crate) fn way(run: &Run) -> WayBack {
    let by = run.rollback.as_ref();
    by.map(|by| by.way.clone()).unwrap_or_default()
}

/// Whether the rollback of this member was decided. Who was left out on the way forward, by a person
/// or because it is owed nothing any more, is taken back like everybody.
pub(crate) fn is_begun(member: &Member) -> bool {
    let reverts = member.apps.values().any(|app| app.revert.is_some());
    let forward = [CauseCode::Requested, CauseCode::DebtVoid];
    let on_the_way = forward.into_iter().any(|code| has_cause(member, code))
        && !mutant::on(Mutant::SkippedStaysBehind);
    reverts || (member.state == MemberState::Skipped && !on_the_way)
}

/// Whether nothing more is waited for. A cluster that cannot be reached gets its revert before
/// anything else when it comes back, because it is the last word on it.
pub(crate) fn is_over(member: &Member) -> bool {
    use MemberState::{Failed, Reverted, Skipped, Unreachable};
    is_begun(member) && matches!(member.state, Failed | Reverted | Skipped | Unreachable)
        || mutant::on(Mutant::RollbackOverEarly)
}

fn settle(work: &mut Work<'_>, touched: &[MemberId]) {
    let members = || touched.iter().filter_map(|id| work.member(id));
    if !members().all(is_over) {
        return;
    }
    let stuck = members().find(|member| member.state == MemberState::Failed);
    let homeless = members().find(|member| has_cause(member, CauseCode::NoLastKnownGood));
    let (state, cause) = match stuck.or(homeless) {
        Some(member) => {
            let message = member.cause.as_ref().map_or("", |cause| &cause.message);
            let code = member
                .cause
                .as_ref()
                .map_or(CauseCode::MemberFailed, |cause| cause.code);
            let message = format!("cluster {}: {message}", member.cluster_name);
            (RunState::RollbackFailed, Some(Cause { code, message }))
        }
        None => (RunState::RolledBack, None),
    };
    finish(work, state, cause, SYSTEM);
}

fn has_cause(member: &Member, code: CauseCode) -> bool {
    member
        .cause
        .as_ref()
        .is_some_and(|cause| cause.code == code)
}

/// A deferred member that was never written is owed nothing any more.
fn let_off(member: &Member) -> (Member, Vec<Effect>) {
    let mut next = member.clone();
    let message = "the run went back; it keeps what it runs".to_owned();
    let effect = void(&mut next, message);
    (next, vec![effect])
}

/// Writes the reverts of one member; `None` while its generations are not known.
fn take_back(work: &Work<'_>, member: &Member) -> Option<(Member, Vec<Effect>)> {
    let mut next = member.clone();
    let cluster = work.cluster(&member.id)?;
    if let Some(cause) = gone(member, Some(cluster)) {
        let effect = skip(&mut next, cause);
        return Some((next, vec![effect]));
    }
    let mut effects = Vec::new();
    let mut homeless = Vec::new();
    let way = way(&work.run);
    for (uid, app) in next
        .apps
        .iter_mut()
        .filter(|(_, app)| is_written(&way, app))
    {
        let facts = cluster.apps.get(uid)?;
        if !is_alive(Some(facts)) {
            continue;
        }
        let mut good = match goal(work.facts, &way, *uid, app) {
            Goal::Unknown => return None,
            Goal::Nowhere => {
                homeless.push(app.name.clone());
                continue;
            }
            Goal::At(good) => good,
        };
        let last = facts.current.as_ref();
        let bad = bad(&way, app, last, &good);
        if is_home(&way, app, last, &good) {
            // By what this run wrote or, before another attempt writes it anew and on the way to a
            // release, by the last word.
            let own = way.to.is_none().then_some(app.generation).flatten();
            app.revert = own.or(last.map(|last| last.generation));
            let own = way.to.is_none().then_some(app.assignment).flatten();
            app.revert_assignment = own.or(last.map(Assignment::digest));
            effects.extend(stick(work, &member.id, *uid, &bad, &good));
            continue;
        }
        if mutant::on(Mutant::RollbackToRelease) {
            good.bundle = app.target.bundle()?;
        }
        effects.extend(send_back(work, &member.id, *uid, app, facts, &good));
        effects.extend(stick(work, &member.id, *uid, &bad, &good));
    }
    place(work, &mut next, &homeless, &mut effects);
    Some((next, effects))
}

/// The word that takes one application back, and its record.
fn send_back(
    work: &Work<'_>,
    id: &MemberId,
    uid: AppUid,
    app: &mut MemberApp,
    facts: &AppFacts,
    good: &LastGood,
) -> [Effect; 2] {
    let order = Order {
        id,
        uid,
        app,
        facts,
        desired: desired(work, good),
    };
    let assignment = order.assignment(work);
    app.revert = Some(assignment.generation);
    app.revert_assignment = Some(assignment.digest());
    let told = assign::audit(&work.run, id, facts, &assignment, Action::Revert);
    let assign = Assign {
        member: id.clone(),
        kind: AssignKind::Revert,
        assignment,
    };
    [told, Effect::Assign(assign)]
}

/// Whether it is where it goes: it went from its last known good to other content and back, or its
/// last word is what the named release holds.
fn is_home(way: &WayBack, app: &MemberApp, last: Option<&Assignment>, good: &LastGood) -> bool {
    if way.to.is_some() {
        return runs(last, good);
    }
    app.target.bundle() == Some(good.bundle)
        && app.policy == good.policy
        && app.namespace == good.namespace
}

fn desired(work: &Work<'_>, good: &LastGood) -> Desired {
    Desired::Run {
        bundle: good.bundle,
        policy: good.policy.clone(),
        namespace: good.namespace.clone(),
        run: work.run.id,
        // What the release added is removed by the agent's own rules: a rollback approves no
        // deletion that a person has not seen.
        prune_approved: false,
    }
}

/// Puts the member on its way, or aside when there is nothing to go back to.
fn place(work: &Work<'_>, next: &mut Member, homeless: &[String], effects: &mut Vec<Effect>) {
    let lacks = match way(&work.run).to {
        Some(release) => format!("is not in release {release}, or was not rendered"),
        None => "has no last known good".to_owned(),
    };
    next.cause = (!homeless.is_empty()).then(|| Cause {
        code: CauseCode::NoLastKnownGood,
        message: format!("{} {lacks}; what runs was left", homeless.join(", ")),
    });
    next.healthy_since = None;
    if next.apps.values().any(|app| app.revert.is_some()) {
        next.state = MemberState::Reverting;
        next.progress = ProgressClock {
            running_since: Some(work.now),
            ..ProgressClock::default()
        };
        if let Some(cause) = &next.cause {
            effects.push(record(
                next,
                None,
                Action::SkipMember,
                SYSTEM,
                &cause.message,
            ));
        }
    } else {
        let cause = next.cause.take().unwrap_or_else(|| Cause {
            code: CauseCode::ApplicationRemoved,
            message: "its applications were removed from the set".to_owned(),
        });
        effects.push(skip(next, cause));
    }
}

/// Pin and denies of one application. Content that did not change is neither pinned nor denied.
fn stick(
    work: &Work<'_>,
    id: &MemberId,
    uid: AppUid,
    bad: &[Digest],
    good: &LastGood,
) -> Vec<Effect> {
    let by = work.run.rollback.as_ref();
    let Some((first, by)) = bad.first().copied().zip(by) else {
        return Vec::new();
    };
    let pin = Pin {
        app: uid,
        bundle: good.bundle,
        bad: first,
        release: pin_release(by),
        reason: by.reason.clone(),
        actor: by.actor.clone(),
        run: work.run.id,
        created_at: work.hub_now,
    };
    let audit = |action, bad| {
        Effect::Audit(Audit {
            action,
            actor: by.actor.clone(),
            wave: id.wave as usize,
            member: Some(id.clone()),
            app: Some(uid),
            cause: work.run.cause.clone(),
            reason: by.reason.clone(),
            before: Some(bad),
            after: Some(good.bundle),
            context: Context::default(),
        })
    };
    let mut effects = Vec::new();
    if !mutant::on(Mutant::NoPin) {
        effects.extend([Effect::Pin(pin), audit(Action::Pin, first)]);
    }
    let scope = if mutant::on(Mutant::DenyScopeIgnored) {
        DenyScope::Content
    } else {
        work.run.strategy.rollback.deny
    };
    for bad in bad.iter().filter(|_| !mutant::on(Mutant::NoDeny)) {
        let deny = Effect::Deny {
            set: work.run.set,
            app: uid,
            bad: *bad,
            good: good.bundle,
            scope,
        };
        effects.extend([deny, audit(Action::Deny, *bad)]);
    }
    effects
}

/// Brings a member on its way back up to date with the evidence.
fn follow(work: &Work<'_>, member: &Member) -> Option<(Member, Vec<Effect>)> {
    use MemberState::{Reverting, Unreachable};
    let cluster = work.cluster(&member.id);
    if !matches!(member.state, Reverting | Unreachable) {
        return None;
    }
    let mut next = member.clone();
    if let Some(cause) = gone(member, cluster) {
        let effect = skip(&mut next, cause);
        return Some((next, vec![effect]));
    }
    next.unreachable_since = unreachable_since(cluster);
    let spec = work.spec(member.id.wave as usize);
    let seen = see(member, cluster, Side::Revert, work.times());
    let mut effects = Vec::new();
    if let Some(since) = next.unreachable_since {
        stop(&mut next, work.now);
        if elapsed(since, work.hub_now) >= spec.unreachable.grace.0 {
            next.state = Unreachable;
        }
    } else if seen.stage == Stage::Healthy
        || (seen.stage == Stage::Applied && mutant::on(Mutant::RevertUnproven))
    {
        stop(&mut next, work.now);
        next.state = MemberState::Reverted;
        effects.extend(restore_good(work, &next, cluster));
    } else {
        next.state = Reverting;
        if seen.waits_for_person() {
            stop(&mut next, work.now);
        } else {
            let since = *next.progress.running_since.get_or_insert(work.now);
            let used = next
                .progress
                .used
                .0
                .saturating_add(elapsed(since, work.now));
            if used >= spec.progress_deadline.0 {
                let last = seen.problem.map_or_else(String::new, |cause| cause.message);
                let message = format!(
                    "not healthy at its last known good within {}: {last}",
                    spec.progress_deadline
                );
                stop(&mut next, work.now);
                next.state = MemberState::Failed;
                effects.push(record(&next, None, Action::FailMember, SYSTEM, &message));
                next.cause = Some(Cause {
                    code: CauseCode::DeadlineExceeded,
                    message,
                });
            }
        }
    }
    (next != *member || !effects.is_empty()).then_some((next, effects))
}

/// What it went back to is its last known good again, whatever this run recorded in between.
fn restore_good(work: &Work<'_>, member: &Member, cluster: Option<&ClusterFacts>) -> Vec<Effect> {
    let way = way(&work.run);
    let facts = |uid| -> Option<&AppFacts> { cluster.and_then(|cluster| cluster.apps.get(uid)) };
    let apps = member
        .apps
        .iter()
        .filter(|(uid, app)| app.revert.is_some() && is_alive(facts(uid)));
    apps.filter_map(|(uid, app)| {
        let Goal::At(good) = goal(work.facts, &way, *uid, app) else {
            return None;
        };
        Some(Effect::RecordLastGood {
            cluster: member.id.cluster,
            app: *uid,
            good,
        })
    })
    .collect()
}

fn record(
    member: &Member,
    after: Option<Digest>,
    action: Action,
    actor: &str,
    reason: &str,
) -> Effect {
    Effect::Audit(Audit {
        action,
        actor: actor.to_owned(),
        wave: member.id.wave as usize,
        member: Some(member.id.clone()),
        app: None,
        cause: member.cause.clone(),
        reason: format!("cluster {}: {reason}", member.cluster_name),
        before: None,
        after,
        context: Context::default(),
    })
}
