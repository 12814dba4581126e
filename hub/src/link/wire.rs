//! Messages of a session to and from `tidegate.v1`.
//!
//! Owns the passage between the wire and the model, and what is refused there. Never decides: an
//! unknown enum value is the least that it can mean, and never Healthy.

use std::time::Duration;

use tidegate_model::{
    assignment::{Assignment, Desired, StateRow},
    digest::Digest,
    duration::Span,
    health::Health,
    ids::{AppUid, Epoch, Generation},
    object::ObjectId,
    policy::{Drift, Policy},
    report::{DriftItem, HeldPrune, Phase, Problem, Report},
    tree::{ObjectPage, ObjectState, PAGE, Standing},
};
use tidegate_proto::v1::{self as wire, agent_message, assignment, command, hub_message};

use super::{
    limits,
    message::{Command, CommandResult, FromAgent, Hello, ToAgent},
    port::{Ack, AckOutcome, AgentFacts, BlobKind, BlobRef},
};

/// A message that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {field}: {problem}")]
pub(crate) struct Malformed {
    field: &'static str,
    problem: String,
}

impl Malformed {
    fn new(field: &'static str, problem: impl std::fmt::Display) -> Self {
        Self {
            field,
            problem: problem.to_string(),
        }
    }
}

/// Reads a message of an agent.
pub(crate) fn from_agent(message: wire::AgentMessage) -> Result<FromAgent, Malformed> {
    let Some(message) = message.message else {
        return Ok(FromAgent::Unknown);
    };
    Ok(match message {
        agent_message::Message::Hello(message) => FromAgent::Hello(hello(message)?),
        agent_message::Message::Summary(message) => FromAgent::Summary {
            rows: message.rows.iter().map(row).collect::<Result<_, _>>()?,
            complete: message.complete,
        },
        agent_message::Message::Ack(message) => FromAgent::Ack(ack(&message)?),
        agent_message::Message::Report(message) => FromAgent::Report(report(message)?),
        agent_message::Message::Heartbeat(message) => FromAgent::Heartbeat {
            state_root: digest("heartbeat.state_root", &message.state_root)?,
            status_root: digest("heartbeat.status_root", &message.status_root)?,
        },
        agent_message::Message::CommandResult(message) => FromAgent::CommandResult(CommandResult {
            id: message.id,
            ok: message.ok,
            message: message.message,
            objects: message.objects.map(page).transpose()?,
        }),
    })
}

fn hello(message: wire::Hello) -> Result<Hello, Malformed> {
    Ok(Hello {
        versions: message.protocol_min..=message.protocol_max,
        highest_epoch: Epoch(message.highest_epoch),
        state_root: digest("hello.state_root", &message.state_root)?,
        facts: AgentFacts {
            kubernetes_uid: message.kubernetes_uid,
            version: message.version,
            agent_uid: message.agent_uid,
            boot_id: message.boot_id,
            capabilities: message.capabilities,
            labels: message.facts.into_iter().collect(),
        },
    })
}

fn digest(field: &'static str, text: &str) -> Result<Digest, Malformed> {
    text.parse().map_err(|error| Malformed::new(field, error))
}

fn app(field: &'static str, text: &str) -> Result<AppUid, Malformed> {
    text.parse().map_err(|error| Malformed::new(field, error))
}

fn row(row: &wire::StateRow) -> Result<StateRow, Malformed> {
    Ok(StateRow {
        app: app("summary.rows.app_uid", &row.app_uid)?,
        generation: Generation(row.generation),
        digest: digest("summary.rows.digest", &row.digest)?,
    })
}

fn ack(message: &wire::DesiredAck) -> Result<Ack, Malformed> {
    let outcome = match message.outcome() {
        wire::AckOutcome::Accepted => AckOutcome::Accepted,
        wire::AckOutcome::Rejected => AckOutcome::Rejected {
            reason: message.reason.clone(),
        },
        wire::AckOutcome::Unspecified => {
            return Err(Malformed::new(
                "ack.outcome",
                format!("{} is none", message.outcome),
            ));
        }
    };
    Ok(Ack {
        app: app("ack.app_uid", &message.app_uid)?,
        generation: Generation(message.generation),
        digest: digest("ack.digest", &message.digest)?,
        outcome,
    })
}

fn report(message: wire::Report) -> Result<Report, Malformed> {
    let phase = match message.phase() {
        wire::Phase::Accepted => Phase::Accepted,
        wire::Phase::Applying => Phase::Applying,
        wire::Phase::Applied => Phase::Applied,
        wire::Phase::Failed => Phase::Failed,
        wire::Phase::Removed => Phase::Removed,
        wire::Phase::Unspecified => {
            return Err(Malformed::new(
                "report.phase",
                format!("{} is none", message.phase),
            ));
        }
    };
    let health = health(message.health());
    let drift = message.drift.into_iter().map(|item| {
        Some(DriftItem {
            object: object(item.object?),
            fields: item.fields,
            healed: item.healed,
        })
    });
    let problems = message.problems.into_iter().map(|problem| Problem {
        object: problem.object.map(object),
        message: problem.message,
    });
    Ok(Report {
        app: app("report.app_uid", &message.app_uid)?,
        generation: Generation(message.generation),
        digest: digest("report.digest", &message.digest)?,
        phase,
        health,
        healthy_for: Span(Duration::from_millis(message.healthy_for_ms)),
        drift: drift
            .collect::<Option<_>>()
            .ok_or_else(|| Malformed::new("report.drift.object", "missing"))?,
        problems: problems.collect(),
        held_prune: message.held_prune.map(|held| HeldPrune {
            count: held.count,
            reason: held.reason,
        }),
    })
}

fn health(health: wire::Health) -> Health {
    match health {
        wire::Health::Healthy => Health::Healthy,
        wire::Health::Progressing => Health::Progressing,
        wire::Health::Degraded => Health::Degraded,
        wire::Health::Suspended => Health::Suspended,
        wire::Health::Missing => Health::Missing,
        wire::Health::Unknown | wire::Health::Unspecified => Health::Unknown,
    }
}

/// A page that is longer than asked for is cut: an agent decides over no size here.
fn page(message: wire::ObjectPage) -> Result<ObjectPage, Malformed> {
    let cut = message.items.len() > PAGE;
    let items = message.items.into_iter().take(PAGE).map(state);
    Ok(ObjectPage {
        generation: Generation(message.generation),
        items: items
            .collect::<Option<_>>()
            .ok_or_else(|| Malformed::new("command_result.objects.object", "missing"))?,
        total: usize::try_from(message.total).unwrap_or(usize::MAX),
        more: message.more || cut,
    })
}

fn state(message: wire::ObjectState) -> Option<ObjectState> {
    let standing = match message.standing() {
        wire::Standing::Synced => Standing::Synced,
        wire::Standing::Failed => Standing::Failed,
        wire::Standing::Foreign => Standing::Foreign,
        wire::Standing::Missing => Standing::Missing,
        wire::Standing::Drifted => Standing::Drifted,
        wire::Standing::Waiting | wire::Standing::Unspecified => Standing::Waiting,
    };
    let health = health(message.health());
    Some(ObjectState {
        id: object(message.object?),
        version: message.version,
        standing,
        health,
        message: message.message,
        drifted: message.drifted,
    })
}

fn object(id: wire::ObjectId) -> ObjectId {
    ObjectId {
        group: id.group,
        kind: id.kind,
        namespace: id.namespace,
        name: id.name,
    }
}

/// Writes a message to an agent.
pub(crate) fn to_agent(epoch: Epoch, message: ToAgent) -> wire::HubMessage {
    let message = match message {
        ToAgent::Welcome {
            protocol,
            session_id,
            heartbeat,
            in_sync,
        } => hub_message::Message::Welcome(wire::Welcome {
            protocol,
            session_id,
            heartbeat_interval_ms: millis(heartbeat),
            in_sync,
            max_chunk_bytes: u64::try_from(limits::CHUNK_BYTES).unwrap_or(u64::MAX),
        }),
        ToAgent::SummaryRequest => hub_message::Message::SummaryRequest(wire::SummaryRequest {}),
        ToAgent::Desired(assignment) => hub_message::Message::Desired(desired(assignment)),
        ToAgent::Heartbeat => hub_message::Message::Heartbeat(wire::HubHeartbeat {}),
        ToAgent::Command { id, command } => {
            let command = match command {
                Command::SyncNow(app) => command::Command::SyncNowAppUid(app.to_string()),
                Command::ListObjects { app, after } => {
                    command::Command::ListObjects(wire::ListObjects {
                        app_uid: app.to_string(),
                        after: after.as_ref().map(crate::api::convert::object),
                    })
                }
                Command::ReportAll => command::Command::ReportAll(true),
            };
            hub_message::Message::Command(wire::Command {
                id,
                command: Some(command),
            })
        }
        ToAgent::Renewal { not_before } => hub_message::Message::Renewal(wire::Renewal {
            not_before_ms: not_before.as_millisecond(),
        }),
        ToAgent::Drain { retry_after } => hub_message::Message::Drain(wire::Drain {
            retry_after_ms: millis(retry_after),
        }),
        ToAgent::Refused {
            reason,
            retry_after,
        } => hub_message::Message::Refused(wire::Refused {
            reason,
            retry_after_ms: millis(retry_after),
        }),
    };
    wire::HubMessage {
        hub_epoch: epoch.0,
        message: Some(message),
    }
}

fn desired(assignment: Assignment) -> wire::Assignment {
    let digest = assignment.digest().to_string();
    let desired = match assignment.desired {
        Desired::Run {
            bundle,
            policy,
            namespace,
            run,
            prune_approved,
        } => assignment::Desired::Run(wire::DesiredRun {
            bundle: bundle.to_string(),
            policy: Some(self::policy(&policy)),
            namespace,
            run_id: run.to_string(),
            prune_approved,
        }),
        Desired::Tombstone { cascade } => {
            assignment::Desired::Tombstone(wire::Tombstone { cascade })
        }
    };
    wire::Assignment {
        app_uid: assignment.app.to_string(),
        app_name: assignment.app_name,
        generation: assignment.generation.0,
        epoch: assignment.epoch.0,
        digest,
        desired: Some(desired),
        // Whoever sends it knows.
        traceparent: String::new(),
    }
}

fn policy(policy: &Policy) -> wire::Policy {
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

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Reads the name of a blob.
pub(crate) fn blob_ref(blob: &wire::BlobRef) -> Result<BlobRef, Malformed> {
    let kind = match blob.kind() {
        wire::BlobKind::Bundle => BlobKind::Bundle,
        wire::BlobKind::Object => BlobKind::Object,
        wire::BlobKind::Unspecified => {
            return Err(Malformed::new(
                "blobs.kind",
                format!("{} is none", blob.kind),
            ));
        }
    };
    Ok(BlobRef {
        kind,
        digest: digest("blobs.digest", &blob.digest)?,
    })
}

/// Writes the name of a blob.
pub(crate) fn named(blob: BlobRef) -> wire::BlobRef {
    let kind = match blob.kind {
        BlobKind::Bundle => wire::BlobKind::Bundle,
        BlobKind::Object => wire::BlobKind::Object,
    };
    wire::BlobRef {
        kind: kind.into(),
        digest: blob.digest.to_string(),
    }
}
