//! What a step knows of the world.
//!
//! Owns the shape of the facts that the hub gathers from its store and its sessions. Never judges
//! them: `evidence` does.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::{
    assignment::Assignment,
    ids::{AppUid, ClusterUid, Epoch, Generation},
    report::Report,
    run::LastGood,
};

use crate::{Answer, Outcome, QuestionId, SampleId};

/// What a step knows of the world, all read at the same store revision as the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The hub's term now: written into new assignments.
    pub epoch: Epoch,
    /// Number of the newest release of the set, if it is newer than the run's and waits for its
    /// own run.
    pub newer_release: Option<u64>,
    /// A newer run of this set was made: this one may write nothing any more.
    pub newer_run: bool,
    /// What the applications of the release that a rollback goes back to ran there; `None` where it
    /// goes to no release, and while its content is not read.
    pub back: Option<BTreeMap<AppUid, LastGood>>,
    /// What was measured. Answers to what is not asked any more do no harm, however often they are
    /// given.
    pub measured: BTreeMap<SampleId, Outcome>,
    /// What was answered at gates. Only what was asked where the run stands, and not long ago, opens
    /// one.
    pub answers: BTreeMap<QuestionId, Answer>,
    /// Every cluster that is a member. One that is missing here counts as not known, which is
    /// neither healthy nor removed.
    pub clusters: BTreeMap<ClusterUid, ClusterFacts>,
}

/// What is known of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// Since when its agent has no session, by the hub's clock; `None` while it has one. After a
    /// restart of the hub at the latest the restart.
    pub unreachable_since: Option<Timestamp>,
    /// The cluster was taken out of the fleet.
    pub removed: bool,
    /// The run's applications there.
    pub apps: BTreeMap<AppUid, AppFacts>,
}

/// What is known of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFacts {
    /// The application was deleted: its last word is a tombstone, or it is forgotten.
    pub removed: bool,
    /// The highest generation ever used for it in its cluster; zero when it never had one.
    pub highest: Generation,
    /// The hub's last word on it.
    pub current: Option<Assignment>,
    /// The latest report, whatever generation it speaks of.
    pub evidence: Option<Evidence>,
    /// An earlier run still owes it this release: this run must not write it before that is settled.
    pub owed: Option<u64>,
    /// For a run that owes: newer content, or a pin, has taken the place of what it owes.
    pub overtaken: bool,
}

/// A report and what the hub knows about it. All times are the hub's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What the agent said.
    pub report: Report,
    /// When the hub received this report.
    pub received_at: Timestamp,
    /// When the agent last vouched for it: this report, or a later heartbeat with the same status
    /// root.
    pub confirmed_at: Timestamp,
    /// When the hub received the first report of the unbroken healthy stretch at this report's
    /// generation and digest; `None` while it is not healthy.
    pub first_healthy_at: Option<Timestamp>,
    /// The session lives and its last heartbeat confirmed the status root.
    pub fresh: bool,
}
