//! A member, brought up to date with the evidence.
//!
//! Owns the states of one member on its way forward: what its reports make of it, its progress
//! deadline, its reachability. Never assigns and never looks at another member.

pub(crate) mod debt;

use jiff::Timestamp;
use tidegate_model::{
    audit::Context,
    release::EntryContent,
    run::{Cause, CauseCode, LastGood, Member, MemberApp, MemberState},
    strategy::UnreachableThen,
};

use super::work::{Work, elapsed, is_opened};
use crate::{
    Action, Audit, ClusterFacts, Effect, SYSTEM,
    evidence::{Seen, Side, Stage, is_alive, is_taken, see},
    mutant::{self, Mutant},
    start::runs_target,
};

/// The member as it is now and what has to be recorded about it; `None` if nothing changed.
pub(crate) fn observe(work: &Work<'_>, member: &Member) -> Option<(Member, Vec<Effect>)> {
    let mut next = member.clone();
    let effects = Observer {
        work,
        cluster: work.cluster(&member.id),
    }
    .observe(&mut next);
    (next != *member || !effects.is_empty()).then_some((next, effects))
}

struct Observer<'a> {
    work: &'a Work<'a>,
    cluster: Option<&'a ClusterFacts>,
}

impl Observer<'_> {
    fn observe(&self, member: &mut Member) -> Vec<Effect> {
        use MemberState::{Failed, Healthy, Reverted, Reverting, Skipped, Soaked, TimedOut};
        let state = member.state;
        let forgiven = state.is_failed() && mutant::on(Mutant::FailureForgiven);
        if matches!(state, Failed | TimedOut | Skipped | Reverting | Reverted) && !forgiven {
            return Vec::new();
        }
        if let Some(cause) = gone(member, self.cluster) {
            if mutant::on(Mutant::RemovedFails) {
                return self.fail(member, Failed, cause);
            }
            return vec![skip(member, cause)];
        }
        if state == MemberState::Deferred {
            return self.owe(member);
        }
        let wave = member.id.wave as usize;
        if wave < self.work.run.wave {
            if state == Healthy {
                member.state = Soaked;
                if mutant::on(Mutant::LastGoodForgotten) {
                    return Vec::new();
                }
                return self.record_good(member);
            }
            return self.watch(member);
        }
        if is_opened(&self.work.run) {
            self.follow(member)
        } else {
            Vec::new()
        }
    }

    /// A member of the open wave.
    fn follow(&self, member: &mut Member) -> Vec<Effect> {
        self.adopt(member);
        member.unreachable_since = unreachable_since(self.cluster);
        if let Some(cause) = self.unrendered(member) {
            return self.fail(member, MemberState::Failed, cause);
        }
        if self.is_pending(member) {
            member.state = MemberState::Queued;
            member.cause = None;
            return self.note_silence(member);
        }
        let seen = see(member, self.cluster, Side::Forward, self.work.times());
        if member.unreachable_since.is_some() && !mutant::on(Mutant::UnreachableJudged) {
            if !mutant::on(Mutant::DeadlineWhileUnreachable) {
                stop(member, self.work.now);
            }
            member.healthy_since = None;
            member.state = stage_of(member, &seen);
            member.cause = seen.problem;
            return self.note_silence(member);
        }
        self.judge(member, seen)
    }

    fn judge(&self, member: &mut Member, seen: Seen) -> Vec<Effect> {
        let now = self.work.now;
        let window = self.work.spec(member.id.wave as usize).health_window.0;
        if let Some(cause) = seen.degraded.clone()
            && is_touched(member)
            && !self.work.paused_by_person()
        {
            return self.fail(member, MemberState::Failed, cause);
        }
        if seen.stage == Stage::Healthy {
            let since = *member.healthy_since.get_or_insert(now);
            let watched = elapsed(since, now);
            // What ran before the run needs no second window, only a word of this run.
            let healthy_for = if is_touched(member) || seen.unsure {
                seen.credit.min(watched)
            } else {
                seen.credit
            };
            if healthy_for >= window || mutant::on(Mutant::HealthWindowIgnored) {
                member.state = MemberState::Healthy;
                member.reached = true;
                member.cause = None;
                member.progress = tidegate_model::run::ProgressClock::default();
                return Vec::new();
            }
        } else {
            member.healthy_since = None;
        }
        member.state = stage_of(member, &seen);
        let waits_for_person = seen.waits_for_person();
        member.cause = match (seen.unhealthy, member.reached) {
            (Some(cause), true) => Some(Cause {
                code: CauseCode::Regression,
                message: cause.message,
            }),
            (_, _) => seen.problem,
        };
        self.run_out(member, waits_for_person)
    }

    /// A member of an earlier wave: it stays Soaked, but must not fall back. Only fresh evidence is
    /// a fall; silence is none, and clusters come and go.
    fn watch(&self, member: &mut Member) -> Vec<Effect> {
        self.adopt(member);
        member.unreachable_since = unreachable_since(self.cluster);
        let seen = see(member, self.cluster, Side::Forward, self.work.times());
        if member.unreachable_since.is_some() {
            stop(member, self.work.now);
            return Vec::new();
        }
        let window = self.work.spec(member.id.wave as usize).health_window.0;
        if seen.stage == Stage::Healthy && seen.credit >= window {
            member.cause = None;
            member.progress = tidegate_model::run::ProgressClock::default();
        } else if let Some(cause) = &seen.unhealthy
            && !mutant::on(Mutant::RegressionIgnored)
        {
            member.cause = Some(Cause {
                code: CauseCode::Regression,
                message: cause.message.clone(),
            });
        }
        if is_regressed(member) {
            self.run_out(member, seen.waits_for_person())
        } else {
            Vec::new()
        }
    }

    /// Lets the progress deadline run and fails the member when it is used up. A prune that waits
    /// for a person is nobody's delay.
    fn run_out(&self, member: &mut Member, waits_for_person: bool) -> Vec<Effect> {
        let now = self.work.now;
        if waits_for_person {
            stop(member, now);
            return Vec::new();
        }
        let since = *member.progress.running_since.get_or_insert(now);
        let deadline = self.work.spec(member.id.wave as usize).progress_deadline;
        let used = member.progress.used.0.saturating_add(elapsed(since, now));
        if used < deadline.0 || self.work.paused_by_person() {
            return Vec::new();
        }
        let last = member.cause.as_ref().map_or_else(
            || "its agent has not reported this run's content as healthy".to_owned(),
            |cause| cause.message.clone(),
        );
        let message = format!("not healthy within {deadline}: {last}");
        let cause = Cause {
            code: CauseCode::DeadlineExceeded,
            message,
        };
        self.fail(member, MemberState::TimedOut, cause)
    }

    fn fail(&self, member: &mut Member, state: MemberState, cause: Cause) -> Vec<Effect> {
        stop(member, self.work.now);
        member.state = state;
        member.healthy_since = None;
        member.cause = Some(cause);
        if mutant::on(Mutant::FailureUnrecorded) {
            return Vec::new();
        }
        vec![audit(member, Action::FailMember)]
    }

    /// What silence makes of it once the grace is over (invariant 36).
    fn note_silence(&self, member: &mut Member) -> Vec<Effect> {
        let Some(since) = member.unreachable_since else {
            return Vec::new();
        };
        let unreachable = self.work.spec(member.id.wave as usize).unreachable;
        if elapsed(since, self.work.hub_now) < unreachable.grace.0 {
            return Vec::new();
        }
        let cause = Cause {
            code: CauseCode::Unreachable,
            message: format!("no session since {since}"),
        };
        match unreachable.then {
            UnreachableThen::Fail if !self.work.paused_by_person() => {
                self.fail(member, MemberState::Failed, cause)
            }
            UnreachableThen::Wait | UnreachableThen::Defer | UnreachableThen::Fail => {
                member.state = MemberState::Unreachable;
                member.cause = Some(cause);
                Vec::new()
            }
        }
    }

    /// The hub may word an assignment anew without changing its content, for example when a person
    /// approves a prune: what a report must echo is then the newer one.
    fn adopt(&self, member: &mut Member) {
        for (uid, app) in &mut member.apps {
            let facts = self.cluster.and_then(|cluster| cluster.apps.get(uid));
            if let Some(current) = facts.and_then(|facts| facts.current.as_ref())
                && app
                    .generation
                    .is_some_and(|known| current.generation > known)
                && runs_target(app, current)
            {
                app.generation = Some(current.generation);
                app.assignment = Some(current.digest());
            }
        }
    }

    fn unrendered(&self, member: &Member) -> Option<Cause> {
        self.alive(member).find_map(|app| match &app.target {
            EntryContent::Unrendered { cause } => Some(Cause {
                code: CauseCode::Unrendered,
                message: format!("{}: could not be rendered: {cause}", app.name),
            }),
            EntryContent::Bundle(_) => None,
        })
    }

    fn is_pending(&self, member: &Member) -> bool {
        self.alive(member).any(|app| app.generation.is_none())
    }

    fn alive<'m>(&self, member: &'m Member) -> impl Iterator<Item = &'m MemberApp> {
        let apps = self.cluster.map(|cluster| &cluster.apps);
        member
            .apps
            .iter()
            .filter(move |(uid, _)| is_alive(apps.and_then(|apps| apps.get(uid))))
            .map(|(_, app)| app)
    }

    /// A wave is done: what it runs is what a later rollback goes back to.
    fn record_good(&self, member: &Member) -> Vec<Effect> {
        let good = |app: &MemberApp| {
            Some(LastGood {
                bundle: app.target.bundle()?,
                policy: app.policy.clone(),
                namespace: app.namespace.clone(),
                release: self.work.run.release_number,
            })
        };
        let cluster = member.id.cluster;
        let apps = member
            .apps
            .iter()
            .filter(|(uid, _)| is_alive(self.cluster.and_then(|cluster| cluster.apps.get(uid))));
        apps.filter_map(|(app, known)| {
            good(known).map(|good| Effect::RecordLastGood {
                cluster,
                app: *app,
                good,
            })
        })
        .collect()
    }
}

/// Whether this run wrote to it.
pub(crate) fn is_touched(member: &Member) -> bool {
    member.apps.values().any(|app| app.touched)
}

/// Whether it was healthy in this run and, by fresh evidence, no longer is.
pub(crate) fn is_regressed(member: &Member) -> bool {
    member
        .cause
        .as_ref()
        .is_some_and(|cause| cause.code == CauseCode::Regression)
}

/// Why the member has nothing left to move.
pub(crate) fn gone(member: &Member, cluster: Option<&ClusterFacts>) -> Option<Cause> {
    let cluster = cluster?;
    let (code, message) = if cluster.removed {
        (
            CauseCode::ClusterRemoved,
            "the cluster was removed; its objects stay",
        )
    } else if member
        .apps
        .keys()
        .all(|uid| !is_alive(cluster.apps.get(uid)))
    {
        if cluster.apps.values().any(is_taken) {
            (
                CauseCode::DebtVoid,
                "newer content has taken the place of what it was owed",
            )
        } else {
            (
                CauseCode::ApplicationRemoved,
                "its applications were removed from the set",
            )
        }
    } else {
        return None;
    };
    Some(Cause {
        code,
        message: message.to_owned(),
    })
}

/// Leaves a member out.
pub(crate) fn skip(member: &mut Member, cause: Cause) -> Effect {
    member.state = MemberState::Skipped;
    member.cause = Some(cause);
    member.healthy_since = None;
    member.progress.running_since = None;
    audit(member, Action::SkipMember)
}

/// Stops the progress clock.
pub(crate) fn stop(member: &mut Member, now: Timestamp) {
    if let Some(since) = member.progress.running_since.take() {
        member.progress.used.0 = member.progress.used.0.saturating_add(elapsed(since, now));
    }
}

/// Since when the cluster cannot be reached.
pub(crate) fn unreachable_since(cluster: Option<&ClusterFacts>) -> Option<Timestamp> {
    cluster.and_then(|cluster| cluster.unreachable_since)
}

/// The record of a decision about a member.
pub(crate) fn audit(member: &Member, action: Action) -> Effect {
    let reason = member.cause.as_ref().map(|cause| cause.message.clone());
    Effect::Audit(Audit {
        action,
        actor: SYSTEM.to_owned(),
        wave: member.id.wave as usize,
        member: Some(member.id.clone()),
        app: None,
        cause: member.cause.clone(),
        reason: format!(
            "cluster {}: {}",
            member.cluster_name,
            reason.unwrap_or_default()
        ),
        before: None,
        after: None,
        context: Context::default(),
    })
}

fn stage_of(member: &Member, seen: &Seen) -> MemberState {
    if !is_touched(member) {
        return MemberState::Unchanged;
    }
    match seen.stage {
        Stage::Silent => MemberState::Assigned,
        Stage::Accepted => MemberState::Accepted,
        Stage::Applying => MemberState::Applying,
        Stage::Applied | Stage::Healthy => MemberState::Verifying,
    }
}
