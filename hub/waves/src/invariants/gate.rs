//! Evidence, gates and soak: invariants 2, 3, 14, 19, 21, 22, 23, 36.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_model::{
    health::Health,
    report::Phase,
    run::{Approval, CauseCode, GatePosition, Member, MemberState, RunState, Verdict as Answer},
    strategy::{ApprovalGate, Approver, Gate, UnreachableThen},
};

use super::{Transition, Verdict, debt::deferred, failed, order::short_of_health, settled};
use crate::{Action, Evidence};

/// 2: a member becomes healthy only by reports that echo its generation and digest, received after
/// the run began where the run did not write the generation itself; and it is back only by such
/// reports on what took it back.
pub fn i02_same_revision(step: &Transition<'_>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for member in became(step, MemberState::Healthy).chain(paid(step)) {
        premise = true;
        for (uid, app) in step.alive(member) {
            let Some(evidence) = evidence(step, member, uid) else {
                problems.push(format!("{:?}: {} has no report", member.id, app.name));
                continue;
            };
            let report = &evidence.report;
            let echoes =
                app.generation == Some(report.generation) && app.assignment == Some(report.digest);
            let stepped_back = step.now < step.run.started_at && evidence.fresh;
            let late = app.touched || stepped_back || evidence.confirmed_at > step.run.started_at;
            if !echoes || !late {
                problems.push(format!(
                    "{:?}: {} speaks of something else",
                    member.id, app.name
                ));
            }
        }
    }
    for member in became(step, MemberState::Reverted) {
        premise = true;
        let reverted = step.alive(member).filter(|(_, app)| app.revert.is_some());
        for (uid, app) in reverted {
            let shown = evidence(step, member, uid).is_some_and(|evidence| {
                let report = &evidence.report;
                let echoes = (Some(report.generation), Some(report.digest))
                    == (app.revert, app.revert_assignment);
                let well = report.phase == Phase::Applied && report.health == Health::Healthy;
                echoes && well && evidence.fresh
            });
            if !shown {
                problems.push(format!("{:?}: {} is not back", member.id, app.name));
            }
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 3: whenever something opens on health, that health is fresh: the session lives, everything is
/// applied, for at least the health window.
pub fn i03_freshness(step: &Transition<'_>) -> Verdict {
    let mut members: Vec<_> = became(step, MemberState::Healthy)
        .chain(paid(step))
        .collect();
    if step.after.run.wave > step.run.wave {
        let healthy = |member: &&Member| member.state == MemberState::Healthy;
        members.extend(step.wave(step.run.wave).filter(healthy));
    }
    let mut problems = Vec::new();
    for member in &members {
        let waves = &step.run.strategy.waves;
        let default = Duration::from_secs(30);
        let window = waves
            .get(member.id.wave as usize)
            .map_or(default, |wave| wave.health_window.0);
        for (uid, _) in step.alive(member) {
            let Some(evidence) = evidence(step, member, uid) else {
                continue;
            };
            let good = evidence.fresh
                && evidence.report.phase == Phase::Applied
                && evidence.report.health == Health::Healthy
                && evidence.first_healthy_at.is_some_and(|first| {
                    let stepped_back = [first, evidence.received_at].into_iter().max()
                        > Some(evidence.confirmed_at.min(step.now));
                    stepped_back || between(first, evidence.confirmed_at) >= window
                });
            if !good {
                problems.push(format!("{:?} is not healthy by {evidence:?}", member.id));
            }
        }
    }
    Verdict::of(!members.is_empty(), problems.into_iter())
}

/// 14: Succeeded only with enough members of every wave through its soak, no more failures than its
/// budget, and nobody on the way.
pub fn i14_budget_is_not_success(step: &Transition<'_>) -> Verdict {
    // What is brought to deferred members after the end may fail without undoing it.
    let over = step.run.state == RunState::Succeeded;
    if step.after.run.state != RunState::Succeeded || over {
        return Verdict::Idle;
    }
    let short = step.members_after.values().filter(|member| {
        !(settled(member) || failed(member)) || member.state == MemberState::Healthy
    });
    let short = short.map(|member| format!("{:?} is {:?}", member.id, member.state));
    let unwell = (0..step.run.plan.waves.len()).filter_map(|wave| short_of_health(step, wave));
    Verdict::of(true, short.chain(unwell))
}

/// 19: a gate opens only by an approval of this wave, position and content.
pub fn i19_approval_binding(step: &Transition<'_>) -> Verdict {
    let Some(wave) = step.run.strategy.waves.get(step.run.wave) else {
        return Verdict::Idle;
    };
    let given = |position| {
        step.run.approvals.iter().any(|approval| {
            approval.wave == step.run.wave
                && approval.position == position
                && approval.content == step.run.content
                && approval.verdict == Answer::Approve
        })
    };
    let opened = step.audits().any(|audit| audit.action == Action::OpenWave);
    let finished = step
        .audits()
        .any(|audit| audit.action == Action::FinishWave);
    let before = opened && wave.gates.before.iter().any(Gate::is_approval);
    let after = finished && wave.gates.after.iter().any(Gate::is_approval);
    let problems = [
        (before && !given(GatePosition::Before)).then(|| "opened without approval".to_owned()),
        (after && !given(GatePosition::After)).then(|| "finished without approval".to_owned()),
    ];
    Verdict::of(before || after, problems.into_iter().flatten())
}

/// 20: a gate opens only with as many different people as it asks for, each of whom it lets speak and
/// none of whose words is too old, with everybody it requires, and without a rejection that stands.
pub fn i20_quorum(step: &Transition<'_>) -> Verdict {
    let Some(wave) = step.run.strategy.waves.get(step.run.wave) else {
        return Verdict::Idle;
    };
    let has = |action| step.audits().any(|audit| audit.action == action);
    let passed = [
        (
            has(Action::OpenWave),
            GatePosition::Before,
            &wave.gates.before,
        ),
        (
            has(Action::FinishWave),
            GatePosition::After,
            &wave.gates.after,
        ),
    ];
    let mut premise = false;
    let mut problems = Vec::new();
    for (opened, position, gates) in passed {
        for gate in gates.iter().filter(|_| opened).filter_map(Gate::approval) {
            premise = true;
            problems.extend(quorum_lacks(step, gate, position));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

fn quorum_lacks(step: &Transition<'_>, gate: &ApprovalGate, position: GatePosition) -> Vec<String> {
    let run = step.run;
    let mut latest: Vec<&Approval> = Vec::new();
    for word in &run.approvals {
        if word.wave == run.wave && word.position == position && word.content == run.content {
            latest.retain(|known| known.actor != word.actor);
            latest.push(word);
        }
    }
    let named = |word: &Approval, rule: &Approver| {
        rule.user == word.actor || word.groups.contains(&rule.group)
    };
    latest.retain(|word| {
        gate.approvers.is_empty() || gate.approvers.iter().any(|rule| named(word, rule))
    });
    let local = |name: &str| name.split('@').next().map(str::to_lowercase);
    latest.retain(|word| {
        let own = run
            .authors
            .iter()
            .any(|author| local(author) == local(&word.actor));
        !(gate.separation_of_duties && own)
    });
    let mut lacks = Vec::new();
    if let Some(no) = latest.iter().find(|word| word.verdict == Answer::Reject) {
        lacks.push(format!("opened against the word of {}", no.actor));
    }
    let old = |word: &&Approval| {
        gate.expires
            .is_some_and(|expires| between(word.at, step.now) >= expires.0)
    };
    latest.retain(|word| word.verdict == Answer::Approve && !old(word));
    if latest.len() < gate.min_approvals as usize {
        lacks.push(format!(
            "opened by {} of {}",
            latest.len(),
            gate.min_approvals
        ));
    }
    for rule in gate.approvers.iter().filter(|rule| rule.required) {
        if !latest.iter().any(|word| named(word, rule)) {
            lacks.push(format!("opened without {rule}"));
        }
    }
    lacks
}

/// 21: one approval opens at most one gate.
pub fn i21_no_double_spend(step: &Transition<'_>) -> Verdict {
    let passed = step
        .audits()
        .filter(|audit| audit.action == Action::PassGate)
        .count();
    let problem = (passed > 1).then(|| format!("{passed} gates opened at once"));
    Verdict::of(passed > 0, problem.into_iter())
}

/// 22: soak grows only while every member of the wave is healthy and nobody paused the run, by no
/// more than the run's clock; and a wave is done only when it has grown to its time.
pub fn i22_soak_clock(step: &Transition<'_>) -> Verdict {
    let (before, after) = (&step.run.soak, &step.after.run.soak);
    let finished = step
        .audits()
        .any(|audit| audit.action == Action::FinishWave);
    let clock = between(step.run.clock.shows, step.after.run.clock.shows);
    let mut problems = Vec::new();
    let same_wave = step.run.wave == step.after.run.wave && step.after.run.gate.is_none();
    let grown = after.done.0.saturating_sub(before.done.0);
    if same_wave && !grown.is_zero() {
        let since = before.running_since.map_or(Duration::ZERO, |since| {
            between(since, step.after.run.clock.shows)
        });
        if step.run.state != RunState::Soaking || grown > since {
            problems.push(format!(
                "soak grew by {grown:?} in {since:?} ({:?})",
                step.run.state
            ));
        }
        let unwell = step
            .wave(step.run.wave)
            .filter(|member| !settled(member) && !failed(member));
        problems.extend(unwell.map(|member| format!("soak grew with {:?} unwell", member.id)));
    }
    if finished {
        let time = step
            .run
            .strategy
            .waves
            .get(step.run.wave)
            .map(|wave| wave.soak.time.0);
        let running = before.running_since.map_or(Duration::ZERO, |since| {
            between(since, step.after.run.clock.shows)
        });
        if before.done.0 + running < time.unwrap_or_default() {
            problems.push(format!(
                "done after {:?} + {clock:?} of {time:?}",
                before.done
            ));
        }
    }
    Verdict::of(finished || !grown.is_zero(), problems.into_iter())
}

/// 23: every wave of every run soaks from zero.
pub fn i23_soak_is_per_run(step: &Transition<'_>) -> Verdict {
    let opened = step.audits().any(|audit| audit.action == Action::OpenWave);
    let carried =
        (!step.after.run.soak.done.0.is_zero()).then(|| "soak was carried over".to_owned());
    if opened {
        Verdict::of(true, carried.into_iter())
    } else {
        Verdict::Idle
    }
}

/// 36: a member of a cluster that is cut off becomes neither healthy nor failed, but where the wave
/// asks for that, after the grace; and its deadline does not run on.
pub fn i36_unreachable_is_neither(step: &Transition<'_>) -> Verdict {
    let mut premise = false;
    let mut problems = Vec::new();
    for (before, after) in step.moved().filter(|(_, after)| step.is_cut_off(after)) {
        premise = true;
        let runs = |member: &Member| member.progress.running_since.is_some();
        // Who is sent back in this very step begins a clock that the next step stops.
        let sent_back =
            after.state == MemberState::Reverting && before.state != MemberState::Reverting;
        if runs(before) && runs(after) && !sent_back {
            problems.push(format!("{:?} is cut off and its deadline runs", after.id));
        }
        let healthy = after.state == MemberState::Healthy && before.state != MemberState::Healthy;
        let code = after.cause.as_ref().map(|cause| cause.code);
        let spec = step.run.strategy.waves.get(after.id.wave as usize);
        let grace = spec
            .filter(|wave| wave.unreachable.then == UnreachableThen::Fail)
            .map(|wave| wave.unreachable.grace.0);
        let asked = grace.is_some_and(|grace| {
            let since = step
                .facts
                .clusters
                .get(&after.id.cluster)
                .and_then(|c| c.unreachable_since);
            code == Some(CauseCode::Unreachable)
                && since.is_some_and(|since| between(since, step.now) >= grace)
        });
        if healthy
            || (failed(after) && !failed(before) && !asked && code != Some(CauseCode::Unrendered))
        {
            problems.push(format!(
                "{:?} is cut off and became {:?}",
                after.id, after.state
            ));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

fn became<'a>(step: &Transition<'a>, state: MemberState) -> impl Iterator<Item = &'a Member> {
    step.moved()
        .filter(move |(before, after)| after.state == state && before.state != state)
        .map(|(_, after)| after)
}

/// Those who got what they were owed after their wave was done.
fn paid<'a>(step: &Transition<'a>) -> impl Iterator<Item = &'a Member> {
    let owed = step.moved().filter(|(before, _)| deferred(before));
    owed.map(|(_, after)| after)
        .filter(|after| after.state == MemberState::Soaked)
}

/// The latest report on an application that still exists.
fn evidence<'a>(
    step: &Transition<'a>,
    member: &Member,
    uid: tidegate_model::ids::AppUid,
) -> Option<&'a Evidence> {
    let app = step
        .facts
        .clusters
        .get(&member.id.cluster)?
        .apps
        .get(&uid)?;
    app.evidence.as_ref()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
