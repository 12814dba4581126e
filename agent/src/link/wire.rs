//! Messages of a session to and from `tidegate.v1`.
//!
//! Owns the passage between the wire and the model, what is refused there, and the size of what is
//! sent. Never decides. One application's unreadable assignment is that application's.

use std::time::Duration;

use jiff::Timestamp;
use prost::Message as _;
use tidegate_model::{
    assignment::{Assignment, Desired, StateRow},
    bundle::{BUNDLE_TAG, OBJECT_TAG},
    digest::Digest,
    health::Health,
    ids::{AppUid, ClusterUid, Epoch, Generation},
    object::ObjectId,
    policy::{Drift, Policy},
    report::{Phase, Report},
    tree::{ObjectPage, ObjectState, Standing},
};
use tidegate_proto::v1::{self as wire, agent_message, assignment, command, hub_message};

use super::message::{Ack, Body, Command, FromHub, Hello, ToHub, Unreadable};

/// Largest message, either way.
pub(crate) const MESSAGE_BYTES: usize = 1 << 20;
/// Longest text of one problem, in bytes: what people read, not what a program dumped.
const PROBLEM_BYTES: usize = 4096;

/// A message that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {field}: {problem}")]
pub(crate) struct Malformed {
    field: &'static str,
    problem: String,
}

/// Reads a message of the hub. `cluster` is the one in this agent's certificate.
pub(crate) fn from_hub(
    cluster: ClusterUid,
    message: wire::HubMessage,
) -> Result<FromHub, Malformed> {
    let epoch = Epoch(message.hub_epoch);
    let body = match message.message {
        None => Body::Unknown,
        Some(hub_message::Message::Welcome(welcome)) => Body::Welcome {
            protocol: welcome.protocol,
            session_id: welcome.session_id,
            heartbeat: Duration::from_millis(welcome.heartbeat_interval_ms),
            in_sync: welcome.in_sync,
        },
        Some(hub_message::Message::SummaryRequest(_)) => Body::SummaryRequest,
        Some(hub_message::Message::Desired(desired)) => Body::Desired(read(cluster, desired)?),
        Some(hub_message::Message::Heartbeat(_)) => Body::Heartbeat,
        Some(hub_message::Message::Command(command)) => Body::Command {
            command: self::command(&command)?,
            id: command.id,
        },
        Some(hub_message::Message::Renewal(renewal)) => Body::Renewal {
            not_before: Timestamp::from_millisecond(renewal.not_before_ms).map_err(|error| {
                Malformed {
                    field: "renewal.not_before_ms",
                    problem: error.to_string(),
                }
            })?,
        },
        Some(hub_message::Message::Drain(drain)) => Body::Drain {
            retry_after: Duration::from_millis(drain.retry_after_ms),
        },
        Some(hub_message::Message::Refused(refused)) => Body::Refused {
            reason: refused.reason,
            retry_after: Duration::from_millis(refused.retry_after_ms),
        },
    };
    Ok(FromHub { epoch, body })
}

fn command(command: &wire::Command) -> Result<Option<Command>, Malformed> {
    Ok(match &command.command {
        Some(command::Command::SyncNowAppUid(text)) => {
            Some(Command::SyncNow(app("command.sync_now_app_uid", text)?))
        }
        Some(command::Command::ListObjects(list)) => Some(Command::ListObjects {
            app: app("command.list_objects.app_uid", &list.app_uid)?,
            after: list.after.clone().map(named),
        }),
        Some(command::Command::ReportAll(_)) => Some(Command::ReportAll),
        None => None,
    })
}

fn app(field: &'static str, text: &str) -> Result<AppUid, Malformed> {
    text.parse().map_err(|error: uuid::Error| Malformed {
        field,
        problem: error.to_string(),
    })
}

fn digest(field: &'static str, text: &str) -> Result<Digest, Malformed> {
    text.parse().map_err(
        |error: tidegate_model::digest::ParseDigestError| Malformed {
            field,
            problem: error.to_string(),
        },
    )
}

/// Reads an assignment: the outer result fails if it is not even known whose it is.
fn read(
    cluster: ClusterUid,
    message: wire::Assignment,
) -> Result<Result<Assignment, Unreadable>, Malformed> {
    let app = app("desired.app_uid", &message.app_uid)?;
    let generation = Generation(message.generation);
    let announced = digest("desired.digest", &message.digest)?;
    let unreadable = |problem| Unreadable {
        app,
        generation,
        digest: announced,
        problem,
    };
    let assignment = match desired(message.desired) {
        Ok(desired) => Assignment {
            cluster,
            app,
            app_name: message.app_name,
            generation,
            epoch: Epoch(message.epoch),
            desired,
        },
        Err(malformed) => return Ok(Err(unreadable(malformed.to_string()))),
    };
    let actual = assignment.digest();
    if actual == announced {
        return Ok(Ok(assignment));
    }
    Ok(Err(unreadable(format!(
        "the assignment was announced as {announced} and is {actual}: it was altered, or hub and agent read it differently; upgrade the older one"
    ))))
}

fn desired(message: Option<assignment::Desired>) -> Result<Desired, Malformed> {
    match message {
        Some(assignment::Desired::Run(run)) => Ok(Desired::Run {
            bundle: digest("desired.run.bundle", &run.bundle)?,
            policy: policy(run.policy.as_ref())?,
            namespace: run.namespace,
            run: run.run_id.parse().map_err(|error: uuid::Error| Malformed {
                field: "desired.run.run_id",
                problem: error.to_string(),
            })?,
            prune_approved: run.prune_approved,
        }),
        Some(assignment::Desired::Tombstone(tombstone)) => Ok(Desired::Tombstone {
            cascade: tombstone.cascade,
        }),
        // What is not known is never taken for an order, least of all to delete.
        None => Err(Malformed {
            field: "desired",
            problem: "neither run nor tombstone; upgrade the agent".to_owned(),
        }),
    }
}

fn policy(policy: Option<&wire::Policy>) -> Result<Policy, Malformed> {
    let missing = |problem: String| Malformed {
        field: "desired.run.policy",
        problem,
    };
    let policy = policy.ok_or_else(|| missing("missing".to_owned()))?;
    let drift = match policy.drift() {
        wire::Drift::Heal => Drift::Heal,
        wire::Drift::Warn => Drift::Warn,
        wire::Drift::Off => Drift::Off,
        wire::Drift::Unspecified => {
            return Err(missing(format!(
                "drift {} is none; upgrade the agent",
                policy.drift
            )));
        }
    };
    Ok(Policy {
        prune: policy.prune,
        drift,
    })
}

/// Writes a message to the hub. It fits into a message: a report that does not is cut, and says so.
pub(crate) fn to_hub(message: ToHub) -> wire::AgentMessage {
    let message = match message {
        ToHub::Hello(hello) => agent_message::Message::Hello(self::hello(hello)),
        ToHub::Summary { rows, complete } => agent_message::Message::Summary(wire::Summary {
            rows: rows.iter().map(row).collect(),
            complete,
        }),
        ToHub::Ack(ack) => agent_message::Message::Ack(self::ack(ack)),
        ToHub::Report(report) => agent_message::Message::Report(fit(self::report(&report))),
        ToHub::Heartbeat {
            state_root,
            status_root,
        } => agent_message::Message::Heartbeat(wire::AgentHeartbeat {
            state_root: state_root.to_string(),
            status_root: status_root.to_string(),
        }),
        ToHub::CommandResult(result) => {
            agent_message::Message::CommandResult(wire::CommandResult {
                id: result.id,
                ok: result.ok,
                message: result.message,
                objects: result.objects.map(page),
            })
        }
    };
    wire::AgentMessage {
        message: Some(message),
    }
}

fn hello(hello: Hello) -> wire::Hello {
    let who = hello.identity;
    wire::Hello {
        protocol_min: *who.versions.start(),
        protocol_max: *who.versions.end(),
        capabilities: who.capabilities,
        agent_uid: who.agent_uid,
        boot_id: who.boot_id,
        kubernetes_uid: who.kubernetes_uid,
        highest_epoch: hello.highest_epoch.0,
        state_root: hello.state_root.to_string(),
        facts: who.facts.into_iter().collect(),
        version: who.version,
    }
}

fn row(row: &StateRow) -> wire::StateRow {
    wire::StateRow {
        app_uid: row.app.to_string(),
        generation: row.generation.0,
        digest: row.digest.to_string(),
    }
}

fn ack(ack: Ack) -> wire::DesiredAck {
    let outcome = match ack.rejected {
        None => wire::AckOutcome::Accepted,
        Some(_) => wire::AckOutcome::Rejected,
    };
    let mut reason = ack.rejected.unwrap_or_default();
    cut(&mut reason);
    wire::DesiredAck {
        app_uid: ack.app.to_string(),
        generation: ack.generation.0,
        digest: ack.digest.to_string(),
        outcome: outcome.into(),
        reason,
    }
}

fn report(report: &Report) -> wire::Report {
    let drift = report.drift.iter().map(|item| wire::DriftItem {
        object: Some(object(&item.object)),
        fields: item.fields.clone(),
        healed: item.healed,
    });
    let problems = report.problems.iter().map(|problem| wire::Problem {
        object: problem.object.as_ref().map(object),
        message: problem.message.clone(),
    });
    wire::Report {
        app_uid: report.app.to_string(),
        generation: report.generation.0,
        digest: report.digest.to_string(),
        phase: phase(report.phase).into(),
        health: health(report.health).into(),
        healthy_for_ms: u64::try_from(report.healthy_for.as_millis()).unwrap_or_default(),
        drift: drift.collect(),
        problems: problems.collect(),
        held_prune: report.held_prune.as_ref().map(|held| wire::HeldPrune {
            count: held.count,
            reason: held.reason.clone(),
        }),
    }
}

fn phase(phase: Phase) -> wire::Phase {
    match phase {
        Phase::Accepted => wire::Phase::Accepted,
        Phase::Applying => wire::Phase::Applying,
        Phase::Applied => wire::Phase::Applied,
        Phase::Failed => wire::Phase::Failed,
        Phase::Removed => wire::Phase::Removed,
    }
}

fn health(health: Health) -> wire::Health {
    match health {
        Health::Healthy => wire::Health::Healthy,
        Health::Progressing => wire::Health::Progressing,
        Health::Degraded => wire::Health::Degraded,
        Health::Suspended => wire::Health::Suspended,
        Health::Missing => wire::Health::Missing,
        Health::Unknown => wire::Health::Unknown,
    }
}

fn page(page: ObjectPage) -> wire::ObjectPage {
    wire::ObjectPage {
        generation: page.generation.0,
        items: page.items.into_iter().map(state).collect(),
        total: u32::try_from(page.total).unwrap_or(u32::MAX),
        more: page.more,
    }
}

fn state(mut state: ObjectState) -> wire::ObjectState {
    /// The most fields that are told of one object.
    const FIELDS: usize = 50;
    let standing = match state.standing {
        Standing::Synced => wire::Standing::Synced,
        Standing::Waiting => wire::Standing::Waiting,
        Standing::Failed => wire::Standing::Failed,
        Standing::Foreign => wire::Standing::Foreign,
        Standing::Missing => wire::Standing::Missing,
        Standing::Drifted => wire::Standing::Drifted,
    };
    cut(&mut state.message);
    state.drifted.truncate(FIELDS);
    wire::ObjectState {
        object: Some(object(&state.id)),
        version: state.version,
        standing: standing.into(),
        health: health(state.health).into(),
        message: state.message,
        drifted: state.drifted,
    }
}

fn named(id: wire::ObjectId) -> ObjectId {
    ObjectId {
        group: id.group,
        kind: id.kind,
        namespace: id.namespace,
        name: id.name,
    }
}

fn object(id: &ObjectId) -> wire::ObjectId {
    wire::ObjectId {
        group: id.group.clone(),
        kind: id.kind.clone(),
        namespace: id.namespace.clone(),
        name: id.name.clone(),
    }
}

/// Cuts details until the report fits: what decides (generation, phase, health) always gets out.
fn fit(mut report: wire::Report) -> wire::Report {
    /// Room for the envelope and for the note on what was cut.
    const ROOM: usize = MESSAGE_BYTES - 1024;
    for problem in &mut report.problems {
        cut(&mut problem.message);
    }
    if let Some(held) = &mut report.held_prune {
        cut(&mut held.reason);
    }
    let all = report.drift.len();
    while report.encoded_len() > ROOM && !report.drift.is_empty() {
        report.drift.truncate(report.drift.len() / 2);
    }
    if report.drift.len() < all {
        let message = format!(
            "the list of drift is cut: {} of {all} objects are in it, the message would be too large",
            report.drift.len()
        );
        report.problems.push(wire::Problem {
            object: None,
            message,
        });
    }
    while report.encoded_len() > ROOM + 512 && !report.problems.is_empty() {
        report.problems.remove(0);
    }
    report
}

/// Cuts a text at a character's end.
fn cut(text: &mut String) {
    if text.len() > PROBLEM_BYTES {
        text.truncate(text.floor_char_boundary(PROBLEM_BYTES));
        text.push_str(" (cut)");
    }
}

/// Kind of a blob: the tag of its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlobKind {
    /// A bundle.
    Bundle,
    /// A manifest.
    Object,
}

impl BlobKind {
    /// Tag of its digest.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Bundle => BUNDLE_TAG,
            Self::Object => OBJECT_TAG,
        }
    }

    /// A blob of this kind.
    pub(crate) fn named(self, digest: Digest) -> wire::BlobRef {
        let kind = match self {
            Self::Bundle => wire::BlobKind::Bundle,
            Self::Object => wire::BlobKind::Object,
        };
        wire::BlobRef {
            kind: kind.into(),
            digest: digest.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_model::{
        duration::Span,
        ids::RunId,
        report::{DriftItem, Problem},
    };
    use uuid::Uuid;

    use super::*;

    fn digest() -> Digest {
        Digest::from_bytes([3; 32])
    }

    fn message() -> wire::Assignment {
        let run = wire::DesiredRun {
            bundle: digest().to_string(),
            policy: Some(wire::Policy {
                prune: true,
                drift: wire::Drift::Warn.into(),
            }),
            namespace: "web".into(),
            run_id: RunId(Uuid::from_u128(9)).to_string(),
            prune_approved: false,
        };
        let mut message = wire::Assignment {
            app_uid: Uuid::from_u128(1).to_string(),
            app_name: "default/web".into(),
            generation: 4,
            epoch: 2,
            digest: digest().to_string(),
            desired: Some(assignment::Desired::Run(run)),
            traceparent: String::new(),
        };
        let Ok(Err(unreadable)) = read(ClusterUid(Uuid::nil()), message.clone()) else {
            panic!("a wrong digest was taken");
        };
        // The true digest is in the refusal of the wrong one.
        let text = unreadable.problem.split(" and is ").nth(1).unwrap();
        message.digest = text.split(':').take(2).collect::<Vec<_>>().join(":");
        message
    }

    #[test]
    fn an_assignment_is_read_only_if_all_of_it_is_what_was_announced() {
        let read = |message| read(ClusterUid(Uuid::from_u128(7)), message);
        let assignment = read(message()).unwrap().unwrap();
        assert_eq!(assignment.cluster, ClusterUid(Uuid::from_u128(7)));
        assert_eq!(assignment.digest().to_string(), message().digest);

        let run = |change: fn(&mut wire::DesiredRun)| {
            let mut message = message();
            if let Some(assignment::Desired::Run(run)) = &mut message.desired {
                change(run);
            }
            read(message).unwrap().unwrap_err().problem
        };
        assert!(run(|run| run.namespace = "other".into()).contains("was announced as"));
        assert!(run(|run| run.policy = None).contains("policy: missing"));
        assert!(run(|run| run.bundle = "x".into()).contains("run.bundle"));
        let unknown = |run: &mut wire::DesiredRun| {
            run.policy = Some(wire::Policy {
                prune: true,
                drift: 77,
            });
        };
        assert!(run(unknown).contains("drift 77"));

        // An order of a kind that this agent does not know is no order.
        let nothing = wire::Assignment {
            desired: None,
            ..message()
        };
        assert!(
            read(nothing)
                .unwrap()
                .unwrap_err()
                .problem
                .contains("upgrade the agent")
        );
        let nobody = wire::Assignment {
            app_uid: "x".into(),
            ..message()
        };
        assert!(
            read(nobody)
                .unwrap_err()
                .to_string()
                .contains("desired.app_uid")
        );
    }

    #[test]
    fn a_report_that_is_too_large_is_cut_and_says_so() {
        let id = |n: usize| ObjectId {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "web".into(),
            name: format!("{n}-{}", "é".repeat(100)),
        };
        let report = Report {
            app: AppUid(Uuid::nil()),
            generation: Generation(5),
            digest: digest(),
            phase: Phase::Failed,
            health: Health::Degraded,
            healthy_for: Span::default(),
            drift: (0..20_000)
                .map(|n| DriftItem {
                    object: id(n),
                    fields: vec!["/data/x".into()],
                    healed: false,
                })
                .collect(),
            problems: vec![Problem {
                object: None,
                message: "é".repeat(3 << 20),
            }],
            held_prune: None,
        };
        let message = to_hub(ToHub::Report(report));
        assert!(
            message.encoded_len() <= MESSAGE_BYTES,
            "{}",
            message.encoded_len()
        );
        let Some(agent_message::Message::Report(report)) = message.message else {
            panic!("not a report");
        };
        assert_eq!(
            (report.generation, report.health()),
            (5, wire::Health::Degraded)
        );
        assert!(report.drift.len() > 1000, "{}", report.drift.len());
        assert!(report.problems[0].message.ends_with("(cut)"));
        assert!(report.problems[1].message.contains("of 20000 objects"));
    }
}
