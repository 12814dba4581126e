//! The canned hub's audit chains: whole ones, and one for each way to tamper with it.

use std::sync::OnceLock;

use jiff::Timestamp;
use tidegate::clock::Clock;
use tidegate_model::{
    audit::{Context, Head, Invoker, MemberOutcome, Outcome, Record, Standing, end_after, genesis},
    run::{GatePosition, MemberId, RunState},
};
use tidegate_proto::v1 as wire;

use crate::data::{OLD_RUN, RUN, digest};

/// When all of it was decided: the same for every call, because it is hashed, and half an hour away
/// from where the hours of its age change.
fn decided() -> Timestamp {
    static DECIDED: OnceLock<Timestamp> = OnceLock::new();
    let ago = 30 * 3_600_000 + 1_800_000;
    *DECIDED.get_or_init(|| Timestamp::from_millisecond(Clock::default().now_ms() - ago).unwrap())
}

/// A record behind `head`, which moves on.
fn add(head: &mut Head, action: &str, subject: &str, reason: &str) -> Record {
    add_with(head, action, subject, reason, Context::default())
}

fn add_with(
    head: &mut Head,
    action: &str,
    subject: &str,
    reason: &str,
    context: Context,
) -> Record {
    let actor = match action {
        "cluster.join" => "cluster/dev",
        _ => "kim",
    };
    let record = Record {
        project: head.project.clone(),
        sequence: head.sequence + 1,
        at: decided(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        reason: reason.to_owned(),
        before: String::new(),
        after: context
            .outcome
            .as_ref()
            .map_or_else(String::new, |_| digest('b')),
        context,
        hash: head.hash,
        previous: head.hash,
    }
    .seal(head.hash);
    *head = end_after(&record);
    record
}

fn whole(project: &str, first: &str) -> Vec<Record> {
    let mut head = genesis(project);
    vec![
        add(&mut head, "set.create", "set/web", first),
        add(
            &mut head,
            "run.approve",
            &format!("set/web run/{RUN} wave/1"),
            "the canary looks good to me",
        ),
        add(
            &mut head,
            "run.rollback",
            "set/web",
            "checkout answers 500\n\u{1b}[31mred",
        ),
        add(&mut head, "set.delete", "set/web", "moved"),
    ]
}

/// A chain that leads to the run that the canned hub holds, in the state `last`.
fn run_told(project: &str, first: &str, last: RunState) -> Vec<Record> {
    let mut head = genesis(project);
    let member = MemberOutcome {
        id: MemberId {
            wave: 0,
            cluster: OLD_RUN.parse().unwrap(),
        },
        cluster_name: "dev-eu-central-1".to_owned(),
        standing: Standing::Forward,
        wrote: Some(RUN.parse().unwrap()),
    };
    let before = Some(GatePosition::Before);
    let steps = [
        (first, RunState::Planned, 0, None, None, ""),
        ("run.open-wave", RunState::Rolling, 0, None, None, ""),
        ("run.assign", RunState::Rolling, 0, None, Some(member), ""),
        (
            "run.finish-wave",
            RunState::WaitingGate,
            1,
            None,
            None,
            "wave canary: 1 healthy of 1",
        ),
        ("run.close-gate", last, 1, before, None, ""),
    ];
    let steps = steps.map(|(action, state, wave, gate, member, evidence)| {
        let context = Context {
            invoker: Invoker::Automation,
            evidence: [evidence.to_owned()]
                .into_iter()
                .filter(|it| !it.is_empty())
                .collect(),
            outcome: Some(Outcome {
                run: RUN.parse().unwrap(),
                state,
                wave,
                gate,
                attempt: 1,
                member,
            }),
        };
        let subject = format!("set/web run/{RUN}");
        add_with(&mut head, action, &subject, "", context)
    });
    steps.into()
}

/// The chain of a project, whose name says what was done to it.
pub(crate) fn audit(project: &str) -> Vec<wire::AuditRecord> {
    audit_with(project, &[])
}

/// Two records of a chain.
pub(crate) fn page(
    request: &wire::ListAuditRequest,
    decided: &[&'static str],
) -> wire::ListAuditResponse {
    let project = match request.project.as_str() {
        "" => "default",
        project => project,
    };
    let items = audit_with(project, decided)
        .into_iter()
        .skip_while(|record| record.sequence <= request.after)
        .take(2);
    wire::ListAuditResponse {
        items: items.collect(),
    }
}

/// The same with records for these actions at its end.
pub(crate) fn audit_with(project: &str, more: &[&str]) -> Vec<wire::AuditRecord> {
    let mut records = whole(project, "");
    match project {
        "_" => {
            let mut head = genesis("_");
            records = vec![add(&mut head, "cluster.join", "cluster/dev", "")];
        }
        "empty" => records.clear(),
        "replayed" => records = run_told(project, "run.create", RunState::WaitingGate),
        "partial" => records = run_told(project, "run.move", RunState::WaitingGate),
        "elsewhere" => records = run_told(project, "run.create", RunState::Soaking),
        "changed" => "nobody asked".clone_into(&mut records[1].reason),
        "removed" => {
            records.remove(1);
        }
        "reordered" => records.swap(1, 2),
        "cut" => records.truncate(2),
        "rewritten" => records = whole(project, "another history"),
        _ => {}
    }
    let mut head = records.last().map_or_else(|| genesis(project), end_after);
    records.extend(
        more.iter()
            .map(|action| add(&mut head, action, "set/web", "")),
    );
    records.into_iter().map(told).collect()
}

fn told(record: Record) -> wire::AuditRecord {
    wire::AuditRecord {
        sequence: record.sequence,
        at_ms: record.at.as_millisecond(),
        actor: record.actor,
        action: record.action,
        subject: record.subject,
        reason: record.reason,
        before: record.before,
        after: record.after,
        hash: record.hash.to_string(),
        previous: record.previous.to_string(),
        invoker: record.context.invoker.name().to_owned(),
        evidence: record.context.evidence,
        outcome: record.context.outcome.map(outcome),
    }
}

fn outcome(outcome: Outcome) -> wire::AuditOutcome {
    wire::AuditOutcome {
        run: outcome.run.to_string(),
        state: format!("{:?}", outcome.state),
        wave: u32::try_from(outcome.wave).unwrap(),
        gate: outcome
            .gate
            .map(|gate| format!("{gate:?}"))
            .unwrap_or_default(),
        attempt: outcome.attempt,
        member: outcome.member.map(|member| wire::AuditMember {
            wave: member.id.wave,
            cluster_uid: member.id.cluster.to_string(),
            cluster: member.cluster_name,
            standing: format!("{:?}", member.standing),
            wrote: member.wrote.map(|app| app.to_string()).unwrap_or_default(),
        }),
    }
}
