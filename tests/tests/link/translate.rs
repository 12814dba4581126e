//! Messages of one side in the words of the other, as the wire between them carries them.

use tidegate_agent::link::message as a;
use tidegate_hub::link::{
    message as h,
    port::{Ack, AckOutcome, AgentFacts},
};

pub(super) fn from_agent(message: a::ToHub) -> h::FromAgent {
    match message {
        a::ToHub::Hello(hello) => h::FromAgent::Hello(h::Hello {
            versions: hello.identity.versions,
            highest_epoch: hello.highest_epoch,
            state_root: hello.state_root,
            facts: AgentFacts {
                kubernetes_uid: hello.identity.kubernetes_uid,
                version: hello.identity.version,
                agent_uid: hello.identity.agent_uid,
                boot_id: hello.identity.boot_id,
                capabilities: hello.identity.capabilities,
                labels: hello.identity.facts,
            },
        }),
        a::ToHub::Summary { rows, complete } => h::FromAgent::Summary { rows, complete },
        a::ToHub::Ack(ack) => h::FromAgent::Ack(Ack {
            app: ack.app,
            generation: ack.generation,
            digest: ack.digest,
            outcome: match ack.rejected {
                None => AckOutcome::Accepted,
                Some(reason) => AckOutcome::Rejected { reason },
            },
        }),
        a::ToHub::Report(report) => h::FromAgent::Report(report),
        a::ToHub::Heartbeat {
            state_root,
            status_root,
        } => h::FromAgent::Heartbeat {
            state_root,
            status_root,
        },
        a::ToHub::CommandResult(result) => h::FromAgent::CommandResult(h::CommandResult {
            id: result.id,
            ok: result.ok,
            message: result.message,
            objects: result.objects,
        }),
    }
}

pub(super) fn from_hub(message: h::ToAgent) -> a::Body {
    match message {
        h::ToAgent::Welcome {
            protocol,
            session_id,
            heartbeat,
            in_sync,
        } => a::Body::Welcome {
            protocol,
            session_id,
            heartbeat,
            in_sync,
        },
        h::ToAgent::SummaryRequest => a::Body::SummaryRequest,
        h::ToAgent::Desired(assignment) => a::Body::Desired(Ok(assignment)),
        h::ToAgent::Heartbeat => a::Body::Heartbeat,
        h::ToAgent::Command { id, command } => {
            let command = match command {
                h::Command::SyncNow(app) => a::Command::SyncNow(app),
                h::Command::ListObjects { app, after } => a::Command::ListObjects { app, after },
                h::Command::ReportAll => a::Command::ReportAll,
            };
            a::Body::Command {
                id,
                command: Some(command),
            }
        }
        h::ToAgent::Renewal { not_before } => a::Body::Renewal { not_before },
        h::ToAgent::Drain { retry_after } => a::Body::Drain { retry_after },
        h::ToAgent::Refused {
            reason,
            retry_after,
        } => a::Body::Refused {
            reason,
            retry_after,
        },
    }
}
