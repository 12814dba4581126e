//! Who is assigned next.
//!
//! Owns concurrency, availability and the next generation. Never opens a wave.

use jiff::Timestamp;
use tidegate_model::{
    assignment::{Assignment, Desired},
    audit::Context,
    ids::{AppUid, Generation},
    run::{Member, MemberApp, MemberId, MemberState, Run},
};

use super::{
    debt::is_deferred,
    member::{is_regressed, is_touched, unreachable_since},
    windows,
    work::{Work, has_begun},
};
use crate::{
    Action, AppFacts, Assign, AssignKind, Audit, ClusterFacts, Effect, Limits, SYSTEM,
    evidence::is_alive,
    mutant::{self, Mutant},
    start::runs_target,
};

/// Assigns the next members of the open wave, in its order, as far as concurrency and the step have
/// room; says whether any.
pub(crate) fn assign(work: &mut Work<'_>) -> bool {
    assign_in(work, work.run.wave, is_assignable)
}

/// Assigns what deferred members of these waves are owed whose clusters are back, under the rules of
/// their own waves.
pub(crate) fn pay(work: &mut Work<'_>, first: usize) {
    for wave in first..work.run.plan.waves.len().min(work.run.wave + 1) {
        if work.wave_members(wave).any(is_deferred) {
            assign_in(work, wave, is_payable);
        }
    }
}

fn assign_in(work: &mut Work<'_>, wave: usize, is_next: fn(&Work<'_>, &Member) -> bool) -> bool {
    if work.wave_members(wave).any(is_regressed) {
        return false;
    }
    // Who is under way goes on; nobody else sets out (invariants 16 and 18).
    if windows::closed(&work.run, wave, work.hub_now).is_some()
        && !mutant::on(Mutant::WindowAtDoorOnly)
    {
        return false;
    }
    let count = |is: &dyn Fn(&Member) -> bool| work.wave_members(wave).filter(|m| is(m)).count();
    let limits = Limits::of(&work.run, wave);
    let places = limits.places(count(&|member| member.state.is_failed()));
    let mut free = places.saturating_sub(count(&|member| takes_place(work, member)));
    let mut unavailable = work
        .wave_members(wave)
        .filter(|member| is_unavailable(work, member))
        .count();
    let queue: Vec<_> = work
        .wave_members(wave)
        .filter(|member| is_next(work, member))
        .map(|member| member.id.clone())
        .collect();
    let mut any = false;
    for id in queue {
        if free == 0 {
            break;
        }
        // Whoever does not work already loses nothing by an attempt.
        let works = work
            .member(&id)
            .is_none_or(|known| !is_unavailable(work, known));
        let Some((member, effects)) = forward(work, &id) else {
            continue;
        };
        let touched = is_touched(&member);
        // Once the run is over nobody looks after those who fall ill, and they hold up nobody.
        let over = work.run.state.is_terminal();
        let full =
            unavailable >= limits.unavailable && !over && !mutant::on(Mutant::UnavailableIgnored);
        if touched && works && full {
            continue;
        }
        if !work.put(member, effects) {
            break;
        }
        any = true;
        free -= usize::from(touched);
        unavailable += usize::from(touched && works);
    }
    any
}

/// Whether it takes a place of its wave's concurrency: written by this run and never healthy since,
/// reachable or not. Who failed is not waited for any more, and who is to be tried again waits for
/// its turn: it has no generation of this attempt yet.
pub(crate) fn is_under_way(member: &Member) -> bool {
    is_written(member)
        && !mutant::on(Mutant::ConcurrencyIgnored)
        && !member.reached
        && !member.state.is_failed()
        && !matches!(member.state, MemberState::Skipped | MemberState::Soaked)
        && !is_deferred(member)
}

/// The same, or it is being paid what it was owed.
pub(crate) fn takes_place(work: &Work<'_>, member: &Member) -> bool {
    let away = unreachable_since(work.cluster(&member.id)).is_some();
    let paid = is_deferred(member) && is_written(member) && !away;
    is_under_way(member) || (paid && !mutant::on(Mutant::ConcurrencyIgnored))
}

/// Whether this attempt wrote something to it.
pub(crate) fn is_written(member: &Member) -> bool {
    let written = |app: &MemberApp| app.touched && app.generation.is_some();
    member.apps.values().any(written)
}

/// Whether it does not work, as far as anybody knows: it is under way, or fresh evidence says so,
/// whatever it runs. Silence is no such evidence, and who failed is counted by the failure budget.
pub(crate) fn is_unavailable(work: &Work<'_>, member: &Member) -> bool {
    if member.state.is_failed() || member.state == MemberState::Skipped {
        return false;
    }
    let known = work.cluster(&member.id).map(|cluster| &cluster.apps);
    let unwell = |app: &AppFacts| {
        is_alive(Some(app))
            && app
                .evidence
                .as_ref()
                .is_some_and(|evidence| evidence.fresh && !evidence.report.health.is_healthy())
    };
    let facts = |uid| known.and_then(|apps| apps.get(uid));
    is_under_way(member) || member.apps.keys().filter_map(facts).any(unwell)
}

/// An unreachable cluster is not assigned before it is back: an order that waits for its return
/// would be carried out when nobody looks. One with unknown generations cannot be.
fn is_assignable(work: &Work<'_>, member: &Member) -> bool {
    member.state == MemberState::Queued && is_writable(work, member)
}

fn is_writable(work: &Work<'_>, member: &Member) -> bool {
    let cluster = work.cluster(&member.id);
    unreachable_since(cluster).is_none()
        && owed(member, cluster).is_none()
        && is_known(member, cluster)
}

/// Whether the hub knows of all its applications.
pub(crate) fn is_known(member: &Member, cluster: Option<&ClusterFacts>) -> bool {
    let mut apps = member.apps.keys();
    cluster.is_some_and(|cluster| apps.all(|app| cluster.apps.contains_key(app)))
}

/// Whether it is to be given now what it is owed.
fn is_payable(work: &Work<'_>, member: &Member) -> bool {
    let cluster = work.cluster(&member.id);
    let facts = |uid| cluster.and_then(|cluster| cluster.apps.get(uid));
    let mut apps = member.apps.iter();
    is_deferred(member)
        && has_begun(&work.run, member)
        && is_writable(work, member)
        && apps.any(|(uid, app)| app.generation.is_none() && is_alive(facts(uid)))
}

/// The release that an earlier run must bring first.
pub(crate) fn owed(member: &Member, cluster: Option<&ClusterFacts>) -> Option<u64> {
    let mut apps = member.apps.keys().filter_map(|uid| cluster?.apps.get(uid));
    apps.find_map(|app| app.owed)
        .filter(|_| !mutant::on(Mutant::NewerBeforeDebt))
}

fn forward(work: &Work<'_>, id: &MemberId) -> Option<(Member, Vec<Effect>)> {
    let mut member = work.member(id)?.clone();
    let cluster = work.cluster(id)?;
    let mut effects = Vec::new();
    for (uid, app) in &mut member.apps {
        let facts = cluster.apps.get(uid)?;
        if app.generation.is_some() || !is_alive(Some(facts)) {
            continue;
        }
        if let Some(current) = facts
            .current
            .as_ref()
            .filter(|current| runs_target(app, current))
            // Another attempt is another word: what was reported on the former says nothing of it.
            .filter(|_| !app.touched || mutant::on(Mutant::RetryAdopts))
        {
            app.generation = Some(current.generation);
            app.assignment = Some(current.digest());
            continue;
        }
        let desired = Desired::Run {
            bundle: app.target.bundle()?,
            policy: app.policy.clone(),
            namespace: app.namespace.clone(),
            run: work.run.id,
            prune_approved: app.prune_approved,
        };
        let order = Order {
            id,
            uid: *uid,
            app,
            facts,
            desired,
        };
        let assignment = order.assignment(work);
        app.generation = Some(assignment.generation);
        app.assignment = Some(assignment.digest());
        app.touched = true;
        if !mutant::on(Mutant::AssignUnrecorded) {
            effects.push(audit(&work.run, id, facts, &assignment, Action::Assign));
        }
        effects.push(Effect::Assign(Assign {
            member: id.clone(),
            kind: AssignKind::Forward,
            assignment,
        }));
    }
    settle_state(&mut member, work.now);
    Some((member, effects))
}

fn settle_state(member: &mut Member, now: Timestamp) {
    let touched = is_touched(member);
    member.state = if is_deferred(member) {
        MemberState::Deferred
    } else if touched {
        MemberState::Assigned
    } else {
        MemberState::Unchanged
    };
    member.progress.running_since = Some(now);
    member.cause = None;
}

/// The next last word on one application.
pub(crate) struct Order<'a> {
    pub(crate) id: &'a MemberId,
    pub(crate) uid: AppUid,
    pub(crate) app: &'a MemberApp,
    pub(crate) facts: &'a AppFacts,
    pub(crate) desired: Desired,
}

impl Order<'_> {
    /// Its generation is above every one that was ever used (invariant 5).
    pub(crate) fn assignment(&self, work: &Work<'_>) -> Assignment {
        let current = self
            .facts
            .current
            .as_ref()
            .map(|current| current.generation);
        let known = [
            Some(self.facts.highest),
            current,
            self.app.generation,
            self.app.revert,
        ];
        let highest = known.into_iter().flatten().max().unwrap_or(Generation(0));
        Assignment {
            cluster: self.id.cluster,
            app: self.uid,
            app_name: self.app.name.clone(),
            generation: if mutant::on(Mutant::GenerationNotRaised) {
                highest
            } else {
                highest.next()
            },
            epoch: work.facts.epoch,
            desired: self.desired.clone(),
        }
    }
}

/// The record of an assignment.
pub(crate) fn audit(
    run: &Run,
    id: &MemberId,
    facts: &AppFacts,
    assignment: &Assignment,
    action: Action,
) -> Effect {
    Effect::Audit(Audit {
        action,
        actor: SYSTEM.to_owned(),
        wave: id.wave as usize,
        member: Some(id.clone()),
        app: Some(assignment.app),
        cause: run.cause.clone(),
        reason: format!(
            "{}: generation {} of run {}",
            assignment.app_name, assignment.generation, run.id
        ),
        before: facts.current.as_ref().and_then(Assignment::bundle),
        after: assignment.bundle(),
        context: Context::default(),
    })
}
