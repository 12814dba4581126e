//! What a record says beside who, what and why: on what it rests and what it led to.
//!
//! Owns these nouns and how they enter a record's hash. Records of hubs that did not write them yet
//! have none, and their hashes stay what they were. Never decides.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    ids::{AppUid, RunId},
    run::{GatePosition, Member, MemberId, MemberState, Run, RunState},
};

/// On what a decision rests and what it led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// What kind of actor set it off.
    pub invoker: Invoker,
    /// What it was decided on, for people: reports, samples, words given, counts. In the order of
    /// the content.
    pub evidence: Vec<String>,
    /// What became of the run; `None` where it is about none.
    pub outcome: Option<Outcome>,
}

/// What kind of actor sets a decision off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Invoker {
    /// Not recorded: by a hub that did not record it yet.
    #[default]
    Unknown,
    /// A person, by their own word or by the approval that the decision needs.
    Person,
    /// The hub, as the documents say.
    Automation,
    /// An agent.
    Cluster,
}

impl Invoker {
    /// What kind of actor this is: `system`, `cluster/<name>` or a person.
    pub fn of(actor: &str) -> Self {
        match actor {
            "system" => Self::Automation,
            _ if actor.starts_with("cluster/") => Self::Cluster,
            _ => Self::Person,
        }
    }

    /// Its name in records; never changes. Empty for [`Invoker::Unknown`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Person => "Person",
            Self::Automation => "Automation",
            Self::Cluster => "Cluster",
        }
    }
}

/// Where a run stands after the step that a record is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// Index of its open wave; the number of waves when all are done.
    pub wave: usize,
    /// Which gate of that wave is closed, if one is.
    pub gate: Option<GatePosition>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The member that the record is about; `None` for the run.
    pub member: Option<MemberOutcome>,
}

/// Where a member stands after the step that a record is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberOutcome {
    /// The member.
    pub id: MemberId,
    /// Its cluster's name, for people.
    pub cluster_name: String,
    /// Where it stands.
    pub standing: Standing,
    /// The application that got the release's content, if the record is of that; the content is
    /// the record's `after`.
    pub wrote: Option<AppUid>,
}

/// What was decided of a member. What its reports make of it in between (how far an agent got,
/// whether it is well, whether it can be reached) is evidence and no decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// In its queue, under way or through.
    #[default]
    Forward,
    /// Failed.
    Failed,
    /// Not healthy within its deadline.
    TimedOut,
    /// Left out.
    Skipped,
    /// Owed the release's content.
    Deferred,
    /// On its way back, or there.
    Back,
}

impl Standing {
    /// What was decided of this member so far.
    pub fn of(member: &Member) -> Self {
        use MemberState as State;
        let goes_back = member.apps.values().any(|app| app.revert.is_some());
        match member.state {
            State::Failed => Self::Failed,
            State::TimedOut => Self::TimedOut,
            State::Skipped => Self::Skipped,
            State::Deferred => Self::Deferred,
            State::Reverting | State::Reverted => Self::Back,
            State::Unreachable if goes_back => Self::Back,
            State::Queued
            | State::Unchanged
            | State::Assigned
            | State::Accepted
            | State::Applying
            | State::Verifying
            | State::Healthy
            | State::Soaked
            | State::Unreachable => Self::Forward,
        }
    }
}

impl Outcome {
    /// Where this run stands, for a record about all of it.
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.id,
            state: run.state,
            wave: run.wave,
            gate: run.gate,
            attempt: run.retry.as_ref().map_or(1, |retry| retry.attempt),
            member: None,
        }
    }

    /// The same for a record about one member.
    #[must_use]
    pub fn about(mut self, member: &Member, wrote: Option<AppUid>) -> Self {
        self.member = Some(MemberOutcome {
            id: member.id.clone(),
            cluster_name: member.cluster_name.clone(),
            standing: Standing::of(member),
            wrote,
        });
        self
    }
}

impl Context {
    /// What a person, a cluster or the hub decided about no run.
    pub fn by(actor: &str) -> Self {
        Self {
            invoker: Invoker::of(actor),
            ..Self::default()
        }
    }

    /// Adds what there is to the fields that a record's hash is over.
    pub(super) fn enter(&self, fields: &mut Map<String, Value>) {
        let Self {
            invoker,
            evidence,
            outcome,
        } = self;
        if *invoker != Invoker::Unknown {
            fields.insert("invoker".to_owned(), json!(invoker.name()));
        }
        if !evidence.is_empty() {
            fields.insert("evidence".to_owned(), json!(evidence));
        }
        if let Some(outcome) = outcome {
            fields.insert("outcome".to_owned(), json!(outcome));
        }
    }
}
