//! What agent and hub say to each other, in the words of the model.
//!
//! Owns the messages of a session as values that have been checked. Never encodes: `wire` does.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use jiff::Timestamp;
use tidegate_model::{
    assignment::{Assignment, StateRow},
    digest::Digest,
    ids::{AppUid, Epoch, Generation},
    object::ObjectId,
    report::Report,
    tree::ObjectPage,
};

use super::session::End;

/// To the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToHub {
    /// The first message.
    Hello(Hello),
    /// Part of what is held here.
    Summary {
        /// Some rows.
        rows: Vec<StateRow>,
        /// Whether these are the last.
        complete: bool,
    },
    /// An answer to an assignment.
    Ack(Ack),
    /// The latest state of an application.
    Report(Report),
    /// This agent is there, and this is the digest of what it holds and sees.
    Heartbeat {
        /// Digest of what is held.
        state_root: Digest,
        /// Digest of the reports.
        status_root: Digest,
    },
    /// An answer to a command.
    CommandResult(CommandResult),
}

/// How this agent introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who it is.
    pub identity: Introduction,
    /// The highest hub epoch ever seen.
    pub highest_epoch: Epoch,
    /// Digest of what is held.
    pub state_root: Digest,
}

/// What an agent says of itself and its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Protocol versions that it speaks, oldest to newest.
    pub versions: RangeInclusive<u32>,
    /// What it can do beyond its protocol version.
    pub capabilities: Vec<String>,
    /// One per installation.
    pub agent_uid: String,
    /// One per process.
    pub boot_id: String,
    /// UID of the kube-system namespace.
    pub kubernetes_uid: String,
    /// Labels that it reports about its cluster, all under `fact.tidegate.dev/`.
    pub facts: BTreeMap<String, String>,
    /// Version of the binary.
    pub version: String,
}

/// An answer to an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The application.
    pub app: AppUid,
    /// Generation of the assignment.
    pub generation: Generation,
    /// Digest of the assignment.
    pub digest: Digest,
    /// Why it is not taken; `None` if it is durable here.
    pub rejected: Option<String>,
}

/// An answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// Id of the command.
    pub id: String,
    /// Whether it was done.
    pub ok: bool,
    /// What there is to say about it.
    pub message: String,
    /// The objects that were asked for.
    pub objects: Option<ObjectPage>,
}

/// From the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromHub {
    /// The hub's term.
    pub epoch: Epoch,
    /// What it says.
    pub body: Body,
}

/// What the hub says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The session is open.
    Welcome {
        /// Protocol version that is spoken.
        protocol: u32,
        /// Names the session in logs of both sides.
        session_id: String,
        /// How often both sides say that they are there.
        heartbeat: Duration,
        /// Whether exactly that is held here which should be.
        in_sync: bool,
    },
    /// Asks what is held here.
    SummaryRequest,
    /// The last word on an application. `Err` if it cannot be read; the rest of the stream is not
    /// concerned.
    Desired(Result<Assignment, Unreadable>),
    /// The hub is there.
    Heartbeat,
    /// Do something, once.
    Command {
        /// Goes back with the answer.
        id: String,
        /// What to do; `None` if this agent is too old to know it.
        command: Option<Command>,
    },
    /// A certificate whose life begins before is to be renewed now.
    Renewal {
        /// Before this.
        not_before: Timestamp,
    },
    /// Come back later; nothing is wrong.
    Drain {
        /// Not before this.
        retry_after: Duration,
    },
    /// The session is refused.
    Refused {
        /// Why, and what to do.
        reason: String,
        /// Not before this.
        retry_after: Duration,
    },
    /// Something that this agent is too old to know.
    Unknown,
}

impl Body {
    /// Why the session is over, if this says so.
    pub(super) fn into_end(self) -> Option<End> {
        match self {
            Self::Refused {
                reason,
                retry_after,
            } => Some(End::Refused {
                reason,
                retry_after,
            }),
            Self::Drain { retry_after } => Some(End::Drained { retry_after }),
            _ => None,
        }
    }
}

/// An assignment that cannot be read, as far as it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The application.
    pub app: AppUid,
    /// Generation of the assignment.
    pub generation: Generation,
    /// Digest of the assignment.
    pub digest: Digest,
    /// Which field is wrong, and how.
    pub problem: String,
}

/// Something to do once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Reconcile an application now.
    SyncNow(AppUid),
    /// Send every report again.
    ReportAll,
    /// Tell the objects of an application.
    ListObjects {
        /// Which.
        app: AppUid,
        /// The last object of the page before.
        after: Option<ObjectId>,
    },
}
