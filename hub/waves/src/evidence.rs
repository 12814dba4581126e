//! What counts as evidence.
//!
//! Owns the judgement of one application's report against one (generation, digest), and its summary
//! for a member. Unknown, stale and missing are never healthy (invariants 2, 3 and 36). Never moves
//! a member.
//!
//! When is a report a failure? `Degraded` at the run's content, once everything is applied, is: the
//! agent says that the content will not get there by itself. [`Phase::Failed`] is not: the agent
//! retries, and a webhook, a quota or a missing CRD may let the next try through; a report carries
//! no mark for problems that no retry can cure, and a guess from a message would stop a fleet for a
//! hiccup. So it runs into the progress deadline, and its messages become the failure's cause.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_model::{
    digest::Digest,
    health::Health,
    ids::Generation,
    report::{Phase, Report},
    run::{Cause, CauseCode, Member, MemberApp},
};

use crate::{
    AppFacts, ClusterFacts, Evidence,
    mutant::{self, Mutant},
};

/// How far the evidence says that something got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// No report counts.
    Silent,
    /// The agent holds it.
    Accepted,
    /// Being applied.
    Applying,
    /// Applied, not shown to be healthy.
    Applied,
    /// Healthy, by fresh evidence.
    Healthy,
}

/// What the evidence says of a member's applications at what it is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The least advanced of them.
    pub(crate) stage: Stage,
    /// How long all have been healthy without a break, as far as the hub may believe; zero unless
    /// `stage` is Healthy.
    pub(crate) credit: Duration,
    /// The hub's clock stepped back behind the beginning of one of them, so that `credit` says nothing
    /// of it: only the run's own clock can tell.
    pub(crate) unsure: bool,
    /// Fresh evidence that one of them is degraded and will not recover by itself.
    pub(crate) degraded: Option<Cause>,
    /// Fresh evidence that one of them is not healthy.
    pub(crate) unhealthy: Option<Cause>,
    /// Some prune waits for a person.
    prune_held: bool,
    /// Something else than a held prune is in the way of health.
    otherwise_unwell: bool,
    /// The worst of what is wrong, for people.
    pub(crate) problem: Option<Cause>,
}

/// Which of a member's assignments is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The run's own.
    Forward,
    /// Those that take it back.
    Revert,
}

/// Whether the application still exists, for this run.
pub(crate) fn is_alive(facts: Option<&AppFacts>) -> bool {
    facts.is_none_or(|facts| !facts.removed && !is_taken(facts))
}

/// Whether newer content has taken the place of what this run owes it.
pub(crate) fn is_taken(facts: &AppFacts) -> bool {
    facts.overtaken && !mutant::on(Mutant::DebtOverNewer)
}

/// The hub's time when the run began, and now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) began: Timestamp,
    pub(crate) now: Timestamp,
}

/// Sums up the evidence of a member. An application that the run did not write counts only by a
/// word received after the run began.
pub(crate) fn see(
    member: &Member,
    cluster: Option<&ClusterFacts>,
    side: Side,
    times: Times,
) -> Seen {
    let mut seen = Seen {
        stage: Stage::Healthy,
        credit: Duration::MAX,
        unsure: false,
        degraded: None,
        unhealthy: None,
        prune_held: false,
        otherwise_unwell: false,
        problem: None,
    };
    for (uid, app) in &member.apps {
        let facts = cluster.and_then(|cluster| cluster.apps.get(uid));
        if !is_alive(facts) || (side == Side::Revert && app.revert.is_none()) {
            continue;
        }
        let evidence = facts.and_then(|facts| counting(app, facts, side));
        let written = side == Side::Revert || app.touched;
        let evidence = evidence.filter(|known| written || is_of_this_run(known, times));
        seen.add(app, evidence, times.now);
    }
    if seen.stage != Stage::Healthy {
        seen.credit = Duration::ZERO;
    }
    seen
}

/// The evidence, if it speaks of exactly what is expected.
fn counting<'a>(app: &MemberApp, facts: &'a AppFacts, side: Side) -> Option<&'a Evidence> {
    let expected = expected(app, side)?;
    let evidence = facts.evidence.as_ref()?;
    let report = &evidence.report;
    let generation = report.generation == expected.0 || mutant::on(Mutant::GenerationIgnored);
    let digest = report.digest == expected.1 || mutant::on(Mutant::DigestIgnored);
    (generation && digest).then_some(evidence)
}

/// Whether it was received after the run began. If the hub's clock was set back behind that moment,
/// comparing times says nothing; a live session that confirms it now does.
fn is_of_this_run(evidence: &Evidence, times: Times) -> bool {
    evidence.confirmed_at > times.began
        || (times.now < times.began && evidence.fresh)
        || mutant::on(Mutant::StaleReportCounts)
}

/// What a report must echo.
pub(crate) fn expected(app: &MemberApp, side: Side) -> Option<(Generation, Digest)> {
    match side {
        Side::Forward => app.generation.zip(app.assignment),
        Side::Revert => app.revert.zip(app.revert_assignment),
    }
}

impl Seen {
    /// Whether nothing but a person who approves a prune is waited for.
    pub(crate) fn waits_for_person(&self) -> bool {
        self.prune_held && !self.otherwise_unwell
    }

    fn add(&mut self, app: &MemberApp, evidence: Option<&Evidence>, now: Timestamp) {
        let Some(evidence) = evidence else {
            self.stage = Stage::Silent;
            self.otherwise_unwell = true;
            return;
        };
        let report = &evidence.report;
        let fresh = evidence.fresh || mutant::on(Mutant::UnfreshCounts);
        let prune_held = report.held_prune.as_ref().filter(|_| app.policy.prune);
        let stage = match report.phase {
            Phase::Accepted => Stage::Accepted,
            Phase::Applying | Phase::Failed => Stage::Applying,
            _ if prune_held.is_some() => Stage::Applying,
            Phase::Applied if report.health.is_healthy() && fresh => Stage::Healthy,
            Phase::Applied => Stage::Applied,
            Phase::Removed => Stage::Silent,
        };
        self.stage = self.stage.min(stage);
        match credit(evidence, now) {
            Some(credit) => self.credit = self.credit.min(credit),
            None => self.unsure = true,
        }
        if let Some(held) = prune_held {
            self.prune_held = true;
            let message = format!(
                "{}: a prune of {} objects is held back: {}",
                app.name, held.count, held.reason
            );
            self.note(CauseCode::PruneHeld, message);
        } else if stage != Stage::Healthy {
            self.otherwise_unwell = true;
        }
        if report.phase == Phase::Failed {
            self.note(
                CauseCode::ApplyFailed,
                describe(app, "failed to apply", report),
            );
        }
        if !report.health.is_healthy() && report.phase >= Phase::Applied {
            self.unhealthy(app, evidence);
        }
    }

    fn unhealthy(&mut self, app: &MemberApp, evidence: &Evidence) {
        let report = &evidence.report;
        let degraded = report.health == Health::Degraded;
        let code = if degraded {
            CauseCode::Degraded
        } else {
            CauseCode::NotHealthy
        };
        let cause = Cause {
            code,
            message: describe(app, &report.health.to_string(), report),
        };
        if evidence.fresh {
            if degraded && report.phase == Phase::Applied {
                self.degraded.get_or_insert_with(|| cause.clone());
            }
            self.unhealthy.get_or_insert_with(|| cause.clone());
        }
        self.note(cause.code, cause.message);
    }

    fn note(&mut self, code: CauseCode, message: String) {
        self.problem.get_or_insert(Cause { code, message });
    }
}

/// How long it has been healthy: no longer than the agent says, plus the time for which the agent
/// vouched for its word since, and no longer than the hub has known. None when the hub's clock was
/// set back behind either.
fn credit(evidence: &Evidence, now: Timestamp) -> Option<Duration> {
    let between = |from: Timestamp| {
        let span = evidence.confirmed_at.duration_since(from);
        Duration::try_from(span).ok().filter(|_| from <= now)
    };
    let Some(first) = evidence.first_healthy_at else {
        return Some(Duration::ZERO);
    };
    let said = evidence
        .report
        .healthy_for
        .0
        .saturating_add(between(evidence.received_at)?);
    Some(between(first)?.min(said))
}

fn describe(app: &MemberApp, what: &str, report: &Report) -> String {
    let problem = report
        .problems
        .first()
        .map(|problem| match &problem.object {
            Some(object) => format!(": {object}: {}", problem.message),
            None => format!(": {}", problem.message),
        });
    format!("{}: {what}{}", app.name, problem.unwrap_or_default())
}
