//! What a step wants written.
//!
//! Owns the vocabulary of effects and audit records. Never writes: the hub commits them in the
//! transaction that stores what changed of the run.

use std::{collections::BTreeMap, fmt};

use tidegate_model::{
    assignment::Assignment,
    audit::Context,
    deny::Pin,
    digest::Digest,
    ids::{AppUid, ClusterUid, SetUid},
    run::{Cause, LastGood, Member, MemberId, Run},
    strategy::DenyScope,
};

use crate::Blocking;

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a step that is not committed never happened"]
pub struct Step {
    /// The header after the step. Store it when it differs from the one before.
    pub run: Run,
    /// The members that changed, at most 30.
    pub changed: BTreeMap<MemberId, Member>,
    /// In the order in which they were decided.
    pub effects: Vec<Effect>,
    /// Something moved, so another step (with facts gathered anew) may move more right away.
    /// Without it, the next step is due when a fact changes, and within
    /// [`Step::HEARTBEAT_SECS`] in any case while the run is open.
    pub more: bool,
    /// What the run waits for, as [`crate::explain`] says it.
    pub report: Vec<Blocking>,
}

impl Step {
    /// An open run is looked at at least so often, in seconds; its clock counts no more than twice
    /// this between two steps, so that an outage of the hub is nobody's delay.
    pub const HEARTBEAT_SECS: i64 = 30;
    /// The most members that one step changes.
    pub const MAX_MEMBERS: usize = 30;
}

/// Something to be written together with the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The new last word on one application; its generation is the application's highest from now.
    Assign(Assign),
    /// This content ran healthy through its wave (or was gone back to): where a rollback goes.
    RecordLastGood {
        /// The cluster.
        cluster: ClusterUid,
        /// The application.
        app: AppUid,
        /// The content.
        good: LastGood,
    },
    /// Keep the application at its last known good.
    Pin(Pin),
    /// Deny, for the whole set, what `scope` says: every object whose content differs between the two
    /// bundles, as it is in `bad`, or the bundle `bad`. An application without a last known good
    /// denies nothing: denying all it has would hold its repair back too.
    Deny {
        /// The set that the denies belong to.
        set: SetUid,
        /// The application they come from.
        app: AppUid,
        /// The bundle that was taken back.
        bad: Digest,
        /// The bundle that it went back to.
        good: Digest,
        /// How much of `bad`.
        scope: DenyScope,
    },
    /// One decision, for the audit chain.
    Audit(Audit),
}

/// An assignment and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assign {
    /// The member that moves.
    pub member: MemberId,
    /// Forward or back.
    pub kind: AssignKind,
    /// What to write.
    pub assignment: Assignment,
}

/// Which way an assignment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignKind {
    /// The release's content.
    Forward,
    /// The last known good content.
    Revert,
}

/// One decision: what, by whom, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What was decided.
    pub action: Action,
    /// The authenticated identity, or [`crate::SYSTEM`].
    pub actor: String,
    /// Index of the wave it concerns.
    pub wave: usize,
    /// The member it concerns; `None` for the run.
    pub member: Option<MemberId>,
    /// The application it concerns.
    pub app: Option<AppUid>,
    /// The cause, where there is one.
    pub cause: Option<Cause>,
    /// Why, for people.
    pub reason: String,
    /// Content before (a bundle).
    pub before: Option<Digest>,
    /// Content after (a bundle, or the release's content for decisions about the run).
    pub after: Option<Digest>,
    /// On what it rests and what it led to, as it is at the end of the step.
    pub context: Context,
}

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A wave was opened: its members may be assigned.
    OpenWave,
    /// A gate closed the way: the run waits.
    CloseGate,
    /// An approval opened a gate.
    PassGate,
    /// Whoever was asked at a gate let the run through.
    AnswerGate,
    /// An application was assigned the release's content.
    Assign,
    /// A member counts as failed.
    FailMember,
    /// A member was left out: a person said so, its cluster or applications are gone, or nothing is
    /// known to go back to.
    SkipMember,
    /// A wave goes on without a member whose cluster cannot be reached.
    DeferMember,
    /// A deferred member got what it was owed.
    PayDebt,
    /// Another attempt at what failed begins.
    Retry,
    /// A member that failed is back in the queue.
    RetryMember,
    /// A wave is done.
    FinishWave,
    /// The run was paused.
    Pause,
    /// A person opened a wave's windows for this run.
    BreakGlass,
    /// The run goes on.
    Resume,
    /// A failure used up the budget.
    Breach,
    /// The run goes back.
    Rollback,
    /// An application was assigned its last known good.
    Revert,
    /// An application was pinned.
    Pin,
    /// Objects of a bundle were denied.
    Deny,
    /// The run, or a member, moved by what is known, and nothing else was decided.
    Move,
    /// The run reached a terminal state.
    Finish,
    /// A person's request does not fit the run's state and was dropped.
    Refuse,
}

impl Action {
    /// Its name in the audit chain; never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenWave => "run.open-wave",
            Self::CloseGate => "run.close-gate",
            Self::PassGate => "run.pass-gate",
            Self::AnswerGate => "run.answer-gate",
            Self::Assign => "run.assign",
            Self::FailMember => "run.fail-member",
            Self::SkipMember => "run.skip-member",
            Self::DeferMember => "run.defer-member",
            Self::PayDebt => "run.pay-debt",
            Self::Retry => "run.retry-begun",
            Self::RetryMember => "run.retry-member",
            Self::FinishWave => "run.finish-wave",
            Self::Pause => "run.paused",
            Self::BreakGlass => "run.glass-broken",
            Self::Resume => "run.resumed",
            Self::Breach => "run.breach",
            Self::Rollback => "run.rollback-begun",
            Self::Revert => "run.revert",
            Self::Pin => "run.pin",
            Self::Deny => "run.deny",
            Self::Move => "run.move",
            Self::Finish => "run.finish",
            Self::Refuse => "run.refuse",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
