//! What hub and agent say to each other, in the words of the model.
//!
//! Owns the messages of a session as values that have been checked. Never encodes: `wire` does.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use jiff::Timestamp;
use tidegate_model::{
    assignment::{Assignment, StateRow},
    digest::Digest,
    ids::{AppUid, Epoch},
    object::ObjectId,
    report::Report,
    tree::ObjectPage,
};

use super::port::{Ack, AgentFacts};

/// From an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromAgent {
    /// The first message.
    Hello(Hello),
    /// Part of what it holds.
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
    /// It is there, and this is the digest of what it holds and sees.
    Heartbeat {
        /// Digest of what it holds.
        state_root: Digest,
        /// Digest of its reports.
        status_root: Digest,
    },
    /// An answer to a command.
    CommandResult(CommandResult),
    /// Something that this hub cannot read or is too old to know. A sign of life.
    Unknown,
}

/// How an agent introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Protocol versions that it speaks.
    pub versions: RangeInclusive<u32>,
    /// The highest hub epoch that it has ever seen.
    pub highest_epoch: Epoch,
    /// Digest of what it holds.
    pub state_root: Digest,
    /// What it says of itself and its cluster. Labels as they came.
    pub facts: AgentFacts,
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

/// To an agent. The hub's epoch is added by the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToAgent {
    /// The session is open.
    Welcome {
        /// Protocol version that is spoken.
        protocol: u32,
        /// Names the session in logs of both sides.
        session_id: String,
        /// How often both sides say that they are there.
        heartbeat: Duration,
        /// Whether the agent holds exactly what it should.
        in_sync: bool,
    },
    /// Asks what the agent holds.
    SummaryRequest,
    /// The last word on an application.
    Desired(Assignment),
    /// The hub is there.
    Heartbeat,
    /// Do something, once.
    Command {
        /// Comes back with the answer.
        id: String,
        /// What to do.
        command: Command,
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

/// Labels of `facts` that an agent may write; the others are dropped, so that an agent cannot talk
/// itself into another wave.
pub(super) fn own_labels(facts: AgentFacts) -> AgentFacts {
    /// More than any cluster needs; keeps a record small.
    const MOST: usize = 64;
    let labels: BTreeMap<_, _> = facts
        .labels
        .into_iter()
        .filter(|(key, value)| {
            key.starts_with(tidegate_model::names::FACT_PREFIX) && key.len() + value.len() <= 512
        })
        .take(MOST)
        .collect();
    AgentFacts { labels, ..facts }
}
