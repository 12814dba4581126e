//! A run: one attempt to bring a release to its members, as it is stored.
//!
//! Owns the nouns of the state machine: header, frozen plan, members, their states and causes.
//! Never moves them: `tidegate-waves` does. A run is stored as a header plus one record per member.

mod analysis;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::analysis::{Analysing, Sample, SampleVerdict, Tally};
use crate::{
    deny::PinRelease,
    digest::Digest,
    duration::Span,
    ids::{AppUid, ClusterUid, Epoch, Generation, ReleaseId, RunId, SetUid},
    policy::Policy,
    release::EntryContent,
    strategy::Strategy,
};

/// Header of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The set.
    pub set: SetUid,
    /// The release it brings.
    pub release: ReleaseId,
    /// The release's number.
    pub release_number: u64,
    /// The release's content id: approvals and reports are bound to it.
    pub content: Digest,
    /// The hub's term when the run began.
    pub epoch: Epoch,
    /// When it began, by the hub's clock. Reports received before are no evidence.
    pub started_at: Timestamp,
    /// When it reached a terminal state.
    pub finished_at: Option<Timestamp>,
    /// Frozen copy of the set's strategy.
    pub strategy: Strategy,
    /// Frozen waves and order.
    pub plan: Plan,
    /// Where it is.
    pub state: RunState,
    /// Why it is there.
    pub cause: Option<Cause>,
    /// Index of the open wave; the number of waves when all are done.
    pub wave: usize,
    /// Which gate of the open wave is closed while the state (or the one to resume) is
    /// [`RunState::WaitingGate`].
    pub gate: Option<GatePosition>,
    /// State to return to on resume.
    pub paused: Option<Paused>,
    /// A person or policy asked for something that the next step carries out.
    pub request: Option<Request>,
    /// Soak of the open wave.
    pub soak: SoakClock,
    /// What was measured in the latest soak; `None` before the first of a wave with an analysis.
    pub analysing: Option<Analysing>,
    /// Who made the release, as far as is known: their words do not open gates that ask for a
    /// separation of duties.
    pub authors: Vec<String>,
    /// Words given on gates, bound to wave and content.
    pub approvals: Vec<Approval>,
    /// Waves whose windows a person opened for this run.
    pub broken_glass: Vec<BrokenGlass>,
    /// Who set the rollback off; kept once it began.
    pub rollback: Option<RollbackBy>,
    /// The latest attempt that a person asked for; `None` while the first goes on.
    pub retry: Option<Retry>,
    /// The run's own clock.
    pub clock: RunClock,
    /// It succeeded without some of its members: those that are still [`MemberState::Deferred`] get
    /// its content when their clusters are back.
    pub owes: bool,
}

impl Run {
    /// Whether it moves by itself: it is not over, or is and still owes something.
    pub fn is_live(&self) -> bool {
        !self.state.is_terminal() || self.owes
    }
}

/// The run's own clock: hub time in which somebody looked after the run. All its waits are measured
/// on it, so neither a step of the hub's clock nor an outage of the hub shortens a soak or eats up
/// a deadline. It stands while a person has paused the run, and once the run is over and owes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunClock {
    /// What it shows. Begins with the run's `started_at` and only moves forward.
    pub shows: Timestamp,
    /// What the hub's clock showed then.
    pub hub: Timestamp,
}

/// A person opened the windows of a wave for this run, whatever time it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokenGlass {
    /// Index of the wave that was open.
    pub wave: usize,
    /// Who, from the authenticated identity.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, by the hub's clock.
    pub at: Timestamp,
}

/// Another attempt at what failed, at the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Which attempt it is: the first that a person asks for is the second.
    pub attempt: u32,
    /// The authenticated identity.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Members that failed are still being put back into the queue.
    pub pending: bool,
}

/// Who set a rollback off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackBy {
    /// A person asked; otherwise the strategy did.
    pub by_person: bool,
    /// The authenticated identity, or `system`.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// How far it goes, and where.
    pub way: WayBack,
}

/// How far a rollback goes, where to, and how long it sticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WayBack {
    /// Whom it takes back.
    pub only: Only,
    /// Number of the earlier release that it goes back to; without it every application goes back to
    /// its own last known good.
    pub to: Option<u64>,
    /// What opens the pins besides `unpin`; without it what who asked makes usual.
    pub pin: Option<PinRelease>,
}

/// The frozen waves of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// In order.
    pub waves: Vec<PlannedWave>,
    /// Members that no wave picked and the strategy excludes; they keep what they run.
    pub excluded: Vec<MemberId>,
}

/// One wave of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedWave {
    /// The wave's name in the strategy (`all` for `AllAtOnce`).
    pub name: String,
    /// Its members in the order of assignment.
    pub members: Vec<MemberId>,
    /// How many may be under way at once.
    pub concurrency: usize,
}

/// A member: one cluster with those applications of the set that one wave selects. A cluster is in
/// several waves only when waves split its applications by label, hence the wave's index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberId {
    /// Index of its wave; `u32::MAX` for excluded ones.
    pub wave: u32,
    /// The cluster.
    pub cluster: ClusterUid,
}

/// One member of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Which.
    pub id: MemberId,
    /// The cluster's name, for people.
    pub cluster_name: String,
    /// Its applications; all move together.
    pub apps: BTreeMap<AppUid, MemberApp>,
    /// Where it is: the worst of its applications.
    pub state: MemberState,
    /// Why it failed, or what is wrong.
    pub cause: Option<Cause>,
    /// Since when, by the run's clock, it has been seen at the run's content and healthy.
    pub healthy_since: Option<Timestamp>,
    /// It was [`MemberState::Healthy`] once in this run, so it is no longer under way even if it
    /// falls back.
    pub reached: bool,
    /// Time used up of its progress deadline; stands still while it is unreachable.
    pub progress: ProgressClock,
    /// Since when, by the hub's clock, it cannot be reached.
    pub unreachable_since: Option<Timestamp>,
    /// It was [`MemberState::Deferred`] once in this run and has not been healthy since.
    pub deferred: bool,
}

/// One application of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberApp {
    /// `project/name`, for annotations and people.
    pub name: String,
    /// What the release brings.
    pub target: EntryContent,
    /// Prune and drift of the release.
    pub policy: Policy,
    /// Namespace for namespaced objects that name none.
    pub namespace: String,
    /// A person approved that this content removes more than the brake allows.
    pub prune_approved: bool,
    /// The bundle it ran healthy before this run, to go back to.
    pub last_good: Option<LastGood>,
    /// Generation of this run's assignment (or of the one it already ran, if unchanged).
    pub generation: Option<Generation>,
    /// Digest of that assignment: what a report must echo.
    pub assignment: Option<Digest>,
    /// This run wrote that assignment; a rollback takes back nothing else.
    pub touched: bool,
    /// Generation of the assignment that takes it back.
    pub revert: Option<Generation>,
    /// Digest of that assignment.
    pub revert_assignment: Option<Digest>,
}

/// What an application last ran through a whole wave, healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastGood {
    /// The bundle.
    pub bundle: Digest,
    /// Its policy.
    pub policy: Policy,
    /// Namespace for namespaced objects that named none.
    pub namespace: String,
    /// The release it came from.
    pub release: u64,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// Planned, not begun.
    Planned,
    /// A gate of the open wave is closed.
    WaitingGate,
    /// Members of the open wave are under way.
    Rolling,
    /// Every member of the open wave is healthy; the wave must stay so.
    Soaking,
    /// Every wave is done.
    Succeeded,
    /// Stopped by a person, or by a regression in an earlier wave.
    Paused,
    /// A failure used up the budget; decides between rollback and failure.
    Breached,
    /// Members are being taken back.
    RollingBack,
    /// Every touched member is back.
    RolledBack,
    /// Some member could not be taken back.
    RollbackFailed,
    /// A newer release took over.
    Superseded,
    /// Stopped for good by a person.
    Cancelled,
    /// Failed, and nothing takes it back by itself.
    Failed,
}

impl RunState {
    /// Whether it never changes again by itself: a person can still roll a Succeeded, Failed or
    /// Cancelled run back, and try what failed in one that Succeeded or Failed again, as long as no
    /// newer one began.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::RolledBack
                | Self::RollbackFailed
                | Self::Superseded
                | Self::Cancelled
                | Self::Failed
        )
    }
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MemberState {
    /// Its turn has not come.
    Queued,
    /// It already runs the content; counts only after a report received in this run.
    Unchanged,
    /// The assignment is written.
    Assigned,
    /// The agent holds it.
    Accepted,
    /// The agent applies it.
    Applying,
    /// Applied; health is being watched.
    Verifying,
    /// Healthy at this run's content for the health window.
    Healthy,
    /// Its wave has soaked.
    Soaked,
    /// Failed.
    Failed,
    /// Not healthy within its progress deadline.
    TimedOut,
    /// Cannot be reached.
    Unreachable,
    /// The wave went on without it: it is owed the release's content, and gets it when its cluster
    /// is back; so until it is healthy, or failed.
    Deferred,
    /// Left out.
    Skipped,
    /// Being taken back.
    Reverting,
    /// Back at its last known good.
    Reverted,
}

impl MemberState {
    /// Whether it takes a place of the wave's concurrency.
    pub fn is_in_flight(self) -> bool {
        matches!(
            self,
            Self::Assigned | Self::Accepted | Self::Applying | Self::Verifying
        )
    }

    /// Whether it counts as failed.
    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// Why something is in its state: a code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Stable, for programs.
    pub code: CauseCode,
    /// For people: what, where.
    pub message: String,
}

/// Stable causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CauseCode {
    /// A member failed.
    MemberFailed,
    /// A member's objects are Degraded.
    Degraded,
    /// A member could not apply.
    ApplyFailed,
    /// A member's application could not be rendered.
    Unrendered,
    /// A member ran into its progress deadline.
    DeadlineExceeded,
    /// A member cannot be reached.
    Unreachable,
    /// A wave came to its end with too few healthy members.
    MinHealthy,
    /// A member of an earlier wave is no longer healthy.
    Regression,
    /// A person asked.
    Requested,
    /// A newer release took over.
    NewerRelease,
    /// An application has nothing to go back to; what runs was left.
    NoLastKnownGood,
    /// The member's cluster was removed.
    ClusterRemoved,
    /// The member's applications were removed from the set.
    ApplicationRemoved,
    /// Applied, and not healthy yet.
    NotHealthy,
    /// The agent holds back a prune until a person approves it.
    PruneHeld,
    /// What a deferred member was owed is not owed any more: newer content has taken its place, its
    /// run went back, or it failed elsewhere.
    DebtVoid,
    /// A sample of an analysis failed.
    AnalysisFailed,
}

/// A paused run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    /// State to return to.
    pub from: RunState,
    /// A person paused it; otherwise a regression did, and its end resumes the run.
    pub by_person: bool,
}

/// Something asked of a run; the next step carries it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What.
    pub verb: RequestVerb,
    /// Who, from the authenticated identity.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Whom it is about; for a rollback also where it goes.
    pub way: WayBack,
}

/// A choice of members; without a word it is everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Only {
    /// Those of this wave, by its index.
    pub wave: Option<u32>,
    /// Those of this wave and of later ones, by its index.
    pub since_wave: Option<u32>,
    /// Those of these clusters.
    pub clusters: BTreeSet<ClusterUid>,
}

impl Only {
    /// Whether this member is meant.
    pub fn has(&self, id: &MemberId) -> bool {
        self.wave.is_none_or(|wave| wave == id.wave)
            && self.since_wave.is_none_or(|wave| wave <= id.wave)
            && (self.clusters.is_empty() || self.clusters.contains(&id.cluster))
    }
}

/// What can be asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestVerb {
    /// Stop assigning; the soak clock stops too.
    Pause,
    /// Go on.
    Resume,
    /// Stop for good; members keep what they run.
    Cancel,
    /// Take every touched member back to its last known good.
    Rollback,
    /// Open the windows of the open wave for this run.
    BreakGlass,
    /// Try the members that failed again, at the same content.
    Retry,
    /// Wait for a member no longer; it keeps what it runs.
    Skip,
}

/// How much of a soak is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SoakClock {
    /// Done so far.
    pub done: Span,
    /// Since when, by the run's clock, it runs; `None` while it stands.
    pub running_since: Option<Timestamp>,
}

/// How much of a progress deadline is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressClock {
    /// Used up so far.
    pub used: Span,
    /// Since when, by the run's clock, it runs; `None` while it stands.
    pub running_since: Option<Timestamp>,
}

/// A person's word on one wave of one run at one content. The latest of each person counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Index of the wave.
    pub wave: usize,
    /// Before or after it.
    pub position: GatePosition,
    /// The release content it was given for.
    pub content: Digest,
    /// Yes or no.
    pub verdict: Verdict,
    /// Who, from the authenticated identity.
    pub actor: String,
    /// The groups that they were in then.
    pub groups: Vec<String>,
    /// Why.
    pub reason: String,
    /// When, by the hub's clock.
    pub at: Timestamp,
    /// At [`GatePosition::Analysis`], the soak whose samples it speaks of; zero at others.
    pub soak: u32,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The gate may open.
    #[default]
    Approve,
    /// It may not, until whoever said so says otherwise.
    Reject,
}

/// Which gate of a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GatePosition {
    /// Before its first assignment.
    Before,
    /// After its soak.
    After,
    /// In its soak, when an analysis said nothing too often.
    Analysis,
}
