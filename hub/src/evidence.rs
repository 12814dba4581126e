//! What the hub may believe about an application right now.
//!
//! Joins the stored report (what was said, about which order) with the live session (whether it is
//! still true). Owns the rule of freshness; never stores anything: after a restart everything is
//! unknown until the agents have spoken, and unknown is never healthy (promises I4 and I14).

use jiff::{SignedDuration, Timestamp};
use tidegate_model::{health::Health, ids::ClusterUid, report::Phase};

use crate::{
    clock::Clock, link::Sessions, measure::Measurements, records::AppRecord, state::State,
};

/// Live facts about a cluster's session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// A session is open.
    pub connected: bool,
    /// When the agent was last heard.
    pub last_seen: Option<Timestamp>,
    /// When a heartbeat last confirmed that the stored reports are what the agent sees.
    pub confirmed: Option<Timestamp>,
}

/// What the hub believes about one application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The report speaks of exactly the hub's last word, and that is applied.
    pub synced: bool,
    /// Session alive and reports confirmed.
    pub fresh: bool,
    /// Health at exactly the hub's last word; Unknown without fresh evidence.
    pub health: Health,
}

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Evidence {
    sessions: Sessions,
    clock: Clock,
    /// How long a confirmation is good for.
    good_for: SignedDuration,
    /// When this process began to listen: before, nobody can have been heard.
    started: Timestamp,
    measured: Measurements,
}

impl Evidence {
    /// Evidence over these sessions; a confirmation is good for three heartbeats, so that one lost
    /// heartbeat closes no gate.
    pub fn new(sessions: Sessions, clock: Clock, heartbeat: std::time::Duration) -> Self {
        let good_for = SignedDuration::try_from(heartbeat * 3).unwrap_or(SignedDuration::ZERO);
        let started = clock.now();
        Self {
            sessions,
            clock,
            good_for,
            started,
            measured: Measurements::default(),
        }
    }

    /// When this hub began to listen.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What was measured for soaking waves.
    pub fn measured(&self) -> &Measurements {
        &self.measured
    }

    /// Ends the session of a cluster that may no longer speak.
    pub fn close(&self, cluster: ClusterUid, reason: &str) {
        self.sessions.close(cluster, reason);
    }

    /// The live facts of a cluster.
    pub fn session(&self, cluster: ClusterUid) -> Live {
        self.sessions.live(cluster)
    }

    /// Whether what is stored about a cluster is what its agent sees now.
    pub fn is_fresh(&self, cluster: ClusterUid) -> bool {
        self.is_fresh_now(self.session(cluster))
    }

    /// The same of a cluster whose session is this.
    pub fn is_fresh_now(&self, live: Live) -> bool {
        let now = self.clock.now();
        live.connected
            && live
                .confirmed
                .is_some_and(|at| now.duration_since(at) <= self.good_for)
    }

    /// What the hub believes about an application.
    pub fn of(&self, state: &State, app: &AppRecord) -> Verdict {
        let fresh = self.is_fresh(app.app.cluster);
        let report = state.report_of(app).map(|row| &row.record.report);
        let current = app
            .assignment
            .as_ref()
            .zip(report)
            .filter(|(assignment, report)| {
                report.generation == assignment.generation && report.digest == assignment.digest()
            });
        let synced = current.is_some_and(|(_, report)| report.phase == Phase::Applied);
        let health = match (app.assignment.is_some(), current) {
            (false, _) => Health::Missing,
            (true, Some((_, report))) if fresh => report.health,
            (true, None) if fresh => Health::Progressing,
            _ => Health::Unknown,
        };
        Verdict {
            synced,
            fresh,
            health,
        }
    }
}

#[cfg(test)]
mod tests;
