//! From the hub's records to the words of the wire.
//!
//! Pure. Never the other way round: what comes in is checked where it is used.

mod analysis;

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::{
    assignment::{Assignment, Desired},
    deny::PinRelease,
    health::Health,
    object::ObjectId,
    policy::{Drift, Policy},
    release::SourceCommit,
    report::{Phase, Report},
    run::{Approval, BrokenGlass, Cause, Member, MemberState, Run, RunState},
};
use tidegate_proto::v1 as wire;
use tidegate_waves::{Limits, WaveWindows};

use crate::{
    evidence::Evidence,
    records::{
        AppRecord, HoldRecord, PinRecord, Rejection, ReleaseRecord, RunRecord, SetRecord,
        SourceRecord, wire::Named as _,
    },
    rejection,
    state::State,
};

/// Milliseconds, 0 for never.
pub(crate) fn millis(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_millisecond)
}

pub(crate) fn health(health: Health) -> wire::Health {
    match health {
        Health::Healthy => wire::Health::Healthy,
        Health::Progressing => wire::Health::Progressing,
        Health::Degraded => wire::Health::Degraded,
        Health::Suspended => wire::Health::Suspended,
        Health::Missing => wire::Health::Missing,
        Health::Unknown => wire::Health::Unknown,
    }
}

pub(crate) fn phase(phase: Phase) -> wire::Phase {
    match phase {
        Phase::Accepted => wire::Phase::Accepted,
        Phase::Applying => wire::Phase::Applying,
        Phase::Applied => wire::Phase::Applied,
        Phase::Failed => wire::Phase::Failed,
        Phase::Removed => wire::Phase::Removed,
    }
}

pub(crate) fn object(id: &ObjectId) -> wire::ObjectId {
    wire::ObjectId {
        group: id.group.clone(),
        kind: id.kind.clone(),
        namespace: id.namespace.clone(),
        name: id.name.clone(),
    }
}

pub(crate) fn policy(policy: &Policy) -> wire::Policy {
    let drift = match policy.drift {
        Drift::Heal => wire::Drift::Heal,
        Drift::Warn => wire::Drift::Warn,
        Drift::Off => wire::Drift::Off,
    };
    wire::Policy {
        prune: policy.prune,
        drift: drift.into(),
    }
}

fn report(report: &Report) -> wire::Report {
    wire::Report {
        app_uid: report.app.to_string(),
        generation: report.generation.0,
        digest: report.digest.to_string(),
        phase: phase(report.phase).into(),
        health: health(report.health).into(),
        healthy_for_ms: u64::try_from(report.healthy_for.as_millis()).unwrap_or_default(),
        drift: report
            .drift
            .iter()
            .map(|item| wire::DriftItem {
                object: Some(object(&item.object)),
                fields: item.fields.clone(),
                healed: item.healed,
            })
            .collect(),
        problems: report
            .problems
            .iter()
            .map(|problem| wire::Problem {
                object: problem.object.as_ref().map(object),
                message: problem.message.clone(),
            })
            .collect(),
        held_prune: report.held_prune.as_ref().map(|held| wire::HeldPrune {
            count: held.count,
            reason: held.reason.clone(),
        }),
    }
}

pub(crate) fn application(
    state: &State,
    evidence: &Evidence,
    record: &AppRecord,
) -> wire::Application {
    let app = &record.app;
    let reported = state.report_of(record);
    let said = reported.map(|row| &row.record.report);
    let rejection = rejection::current(record, said);
    let pin = state
        .pins
        .at(&format!("{}/{}/{}", app.project, record.set, record.uid));
    let verdict = evidence.of(state, record);
    let assignment = record.assignment.as_ref();
    wire::Application {
        uid: record.uid.to_string(),
        project: app.project.clone(),
        set: app.set.clone(),
        name: app.name.clone(),
        cluster: app.cluster_name.clone(),
        cluster_uid: app.cluster.to_string(),
        namespace: app.namespace.clone(),
        labels: app.labels.clone(),
        repo_url: app.source.repo_url.clone(),
        revision: app.source.target_revision.clone(),
        path: app.source.path.clone(),
        policy: Some(policy(&app.policy)),
        generator: app.provenance.generator.clone(),
        row: app.provenance.row,
        inputs: app
            .provenance
            .inputs
            .iter()
            .map(|input| wire::InputVersion {
                input: input.input.clone(),
                version: input.version.clone(),
            })
            .collect(),
        generation: record.generation.0,
        bundle: assignment
            .and_then(Assignment::bundle)
            .map(|digest| digest.to_string())
            .unwrap_or_default(),
        release: record.release,
        run_id: assignment.and_then(run_of).unwrap_or_default(),
        tombstone: record.vanished,
        report: with_rejection(record, said, rejection),
        report_at_ms: millis(
            reported
                .map(|row| row.record.received_at)
                .or_else(|| rejection.map(|rejection| rejection.at)),
        ),
        synced: verdict.synced,
        health: health(verdict.health).into(),
        pin: pin.map(|row| self::pin(state, &row.record)),
    }
}

/// The report, with what the agent did not take since as its first problem.
fn with_rejection(
    app: &AppRecord,
    said: Option<&Report>,
    rejection: Option<&Rejection>,
) -> Option<wire::Report> {
    let shown = match (said, rejection) {
        (Some(said), Some(rejection)) => {
            let mut said = said.clone();
            said.problems.insert(0, rejection::problem(rejection));
            said
        }
        (None, Some(rejection)) => rejection::as_report(app, rejection),
        (said, None) => said?.clone(),
    };
    Some(report(&shown))
}

fn run_of(assignment: &Assignment) -> Option<String> {
    match &assignment.desired {
        Desired::Run { run, .. } => Some(run.to_string()),
        Desired::Tombstone { .. } => None,
    }
}

pub(crate) fn set(state: &State, record: &SetRecord) -> wire::ApplicationSet {
    let run = record.latest_run.and_then(|id| state.run(id));
    let holds = state
        .holds_of(record)
        .filter(|row| row.record.approved_by.is_none())
        .count();
    wire::ApplicationSet {
        uid: record.uid.to_string(),
        project: record.project.clone(),
        name: record.name.clone(),
        version: record.version,
        document: serde_json::to_string(&record.document).unwrap_or_default(),
        applications: count(
            state
                .apps_of(record)
                .filter(|row| !row.record.vanished)
                .count(),
        ),
        problems: record.problems.clone(),
        release: record.last_release,
        run_id: record
            .latest_run
            .map(|id| id.to_string())
            .unwrap_or_default(),
        run_state: match run {
            Some(row) => run_state(row.record.run.state).to_owned(),
            None if record.deleting => "Deleting".to_owned(),
            None => String::new(),
        },
        holds: count(holds),
        warnings: record.warnings.clone(),
    }
}

pub(crate) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

pub(crate) fn run_state(state: RunState) -> &'static str {
    match state {
        RunState::Planned => "Planned",
        RunState::WaitingGate => "WaitingGate",
        RunState::Rolling => "Rolling",
        RunState::Soaking => "Soaking",
        RunState::Succeeded => "Succeeded",
        RunState::Paused => "Paused",
        RunState::Breached => "Breached",
        RunState::RollingBack => "RollingBack",
        RunState::RolledBack => "RolledBack",
        RunState::RollbackFailed => "RollbackFailed",
        RunState::Superseded => "Superseded",
        RunState::Cancelled => "Cancelled",
        RunState::Failed => "Failed",
    }
}

fn cause(cause: &Cause) -> wire::Cause {
    wire::Cause {
        code: format!("{:?}", cause.code),
        message: cause.message.clone(),
    }
}

fn approval(run: &Run, word: &Approval) -> wire::RunApproval {
    wire::RunApproval {
        wave: wave_name(run, word.wave),
        position: word.position.stored().to_owned(),
        verdict: word.verdict.stored().to_owned(),
        actor: word.actor.clone(),
        groups: word.groups.clone(),
        reason: word.reason.clone(),
        at_ms: millis(Some(word.at)),
    }
}

fn broken_glass(run: &Run, broken: &BrokenGlass) -> wire::RunBrokenGlass {
    wire::RunBrokenGlass {
        wave: wave_name(run, broken.wave),
        actor: broken.actor.clone(),
        reason: broken.reason.clone(),
        at_ms: millis(Some(broken.at)),
    }
}

pub(crate) fn windows(run: &Run, windows: WaveWindows) -> wire::RunWindows {
    wire::RunWindows {
        wave: wave_name(run, windows.wave),
        windows: windows.windows,
        open: windows.open,
        next_open_ms: millis(windows.next_open),
        next_close_ms: millis(windows.next_close),
    }
}

fn wave_name(run: &Run, wave: usize) -> String {
    let wave = run.plan.waves.get(wave);
    wave.map(|wave| wave.name.clone()).unwrap_or_default()
}

pub(crate) fn run(state: &State, record: &RunRecord) -> wire::Run {
    let run = &record.run;
    let set = state.set_by_uid(run.set);
    let members: BTreeMap<_, _> = state
        .members_of(record)
        .map(|row| (row.record.member.id.clone(), &row.record.member))
        .collect();
    let waves = run
        .plan
        .waves
        .iter()
        .enumerate()
        .map(|(index, wave)| wire::RunWave {
            name: wave.name.clone(),
            state: wave_state(run.wave, run.state, index).to_owned(),
            members: wave
                .members
                .iter()
                .filter_map(|id| members.get(id))
                .map(|m| member(m))
                .collect(),
            // What its strict failure budget risks, if that is less than its concurrency.
            concurrency: count(Limits::of(run, index).places(0)),
            analyses: analysis::analyses(run, index),
        });
    let release = set.and_then(|set| state.release(set, run.release_number));
    wire::Run {
        id: run.id.to_string(),
        project: record.project.clone(),
        set: set.map(|set| set.name.clone()).unwrap_or_default(),
        release: run.release_number,
        content: run.content.to_string(),
        state: run_state(run.state).to_owned(),
        cause: run.cause.as_ref().map(cause),
        started_at_ms: millis(Some(run.started_at)),
        finished_at_ms: millis(run.finished_at),
        waves: waves.collect(),
        approvals: run
            .approvals
            .iter()
            .map(|word| approval(run, word))
            .collect(),
        broken_glass: run
            .broken_glass
            .iter()
            .map(|broken| broken_glass(run, broken))
            .collect(),
        excluded: run
            .plan
            .excluded
            .iter()
            .map(|id| cluster_name(state, id.cluster))
            .collect(),
        terminal: run.state.is_terminal(),
        retry: run.retry.as_ref().map(|retry| wire::RunRetry {
            attempt: retry.attempt,
            actor: retry.actor.clone(),
            reason: retry.reason.clone(),
        }),
        sources: release.map(|row| sources(&row.record)).unwrap_or_default(),
    }
}

/// A wave as people see it: waiting, open in the run's own state, or done.
fn wave_state(open: usize, state: RunState, index: usize) -> &'static str {
    match index.cmp(&open) {
        std::cmp::Ordering::Less => "Done",
        std::cmp::Ordering::Equal => run_state(state),
        std::cmp::Ordering::Greater => "Waiting",
    }
}

pub(crate) fn cluster_name(state: &State, uid: tidegate_model::ids::ClusterUid) -> String {
    state
        .cluster(uid)
        .map_or_else(|| uid.to_string(), |row| row.record.cluster.name.clone())
}

fn member(member: &Member) -> wire::RunMember {
    wire::RunMember {
        cluster: member.cluster_name.clone(),
        state: member_state(member.state).to_owned(),
        cause: member.cause.as_ref().map(cause),
        applications: member.apps.values().map(|app| app.name.clone()).collect(),
    }
}

pub(crate) fn member_state(state: MemberState) -> &'static str {
    match state {
        MemberState::Queued => "Queued",
        MemberState::Unchanged => "Unchanged",
        MemberState::Assigned => "Assigned",
        MemberState::Accepted => "Accepted",
        MemberState::Applying => "Applying",
        MemberState::Verifying => "Verifying",
        MemberState::Healthy => "Healthy",
        MemberState::Soaked => "Soaked",
        MemberState::Failed => "Failed",
        MemberState::TimedOut => "TimedOut",
        MemberState::Unreachable => "Unreachable",
        MemberState::Deferred => "Deferred",
        MemberState::Skipped => "Skipped",
        MemberState::Reverting => "Reverting",
        MemberState::Reverted => "Reverted",
    }
}

pub(crate) fn sources(record: &ReleaseRecord) -> Vec<wire::SourceCommit> {
    commits(&record.sources)
}

pub(crate) fn commits(commits: &[SourceCommit]) -> Vec<wire::SourceCommit> {
    commits
        .iter()
        .map(|source| wire::SourceCommit {
            repo_url: source.source.repo_url.clone(),
            revision: source.source.revision.clone(),
            commit: source.commit.clone(),
        })
        .collect()
}

pub(crate) fn source(record: &SourceRecord) -> wire::Source {
    wire::Source {
        repo_url: record.source.repo_url.clone(),
        revision: record.source.revision.clone(),
        commit: record.commit.clone().unwrap_or_default(),
        checked_at_ms: millis(Some(record.checked_at)),
        error: record.error.clone().unwrap_or_default(),
    }
}

pub(crate) fn pin(state: &State, record: &PinRecord) -> wire::Pin {
    let app = state.app(record.pin.app);
    wire::Pin {
        app: app.map(|app| app.app.name.clone()).unwrap_or_default(),
        cluster: app
            .map(|app| app.app.cluster_name.clone())
            .unwrap_or_default(),
        bundle: record.pin.bundle.to_string(),
        release: match record.pin.release {
            PinRelease::Converged => "converged",
            PinRelease::Changed => "changed",
            PinRelease::Manual => "manual",
        }
        .to_owned(),
        reason: record.pin.reason.clone(),
        actor: record.pin.actor.clone(),
        created_at_ms: millis(Some(record.pin.created_at)),
        project: record.project.clone(),
        set: state
            .set_by_uid(record.set)
            .map(|set| set.name.clone())
            .unwrap_or_default(),
    }
}

pub(crate) fn hold(state: &State, record: &HoldRecord) -> wire::Hold {
    wire::Hold {
        id: record.id.clone(),
        project: record.project.clone(),
        set: state
            .set_by_uid(record.set)
            .map(|set| set.name.clone())
            .unwrap_or_default(),
        kind: record.kind.as_str().to_owned(),
        message: record.message.clone(),
        content: record.content.to_string(),
        since_ms: millis(Some(record.since)),
        approvable: record.approvable,
    }
}
