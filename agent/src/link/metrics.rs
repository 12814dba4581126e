//! What the link counts.
//!
//! Names follow the Prometheus guide. Never serves them: `runtime` does.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Numbers of the link. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    connected: Gauge<i64, AtomicI64>,
    sessions: Family<Outcome, Counter<u64, AtomicU64>>,
    assignments: Family<Outcome, Counter<u64, AtomicU64>>,
    fetched: Counter<u64, AtomicU64>,
    waiting: Gauge<i64, AtomicI64>,
}

/// Why a session can end, one word each.
pub(super) const ENDS: [&str; 9] = [
    "unreachable",
    "renewed",
    "not_durable",
    "broken",
    "stale_hub",
    "refused",
    "drained",
    "silent",
    "protocol",
];

impl Default for Metrics {
    /// What can happen is there before it does, so that a rate or an alert sees a zero.
    fn default() -> Self {
        let metrics = Self {
            connected: Gauge::default(),
            sessions: Family::default(),
            assignments: Family::default(),
            fetched: Counter::default(),
            waiting: Gauge::default(),
        };
        for outcome in ENDS {
            metrics.sessions.get_or_create_owned(&Outcome { outcome });
        }
        for outcome in ["accepted", "rejected"] {
            metrics
                .assignments
                .get_or_create_owned(&Outcome { outcome });
        }
        metrics
    }
}

impl Metrics {
    /// Adds the numbers to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "link_connected",
            "Whether a session with the hub is open",
            self.connected.clone(),
        );
        registry.register(
            "link_sessions",
            "Sessions with the hub that ended, by why",
            self.sessions.clone(),
        );
        registry.register(
            "link_assignments",
            "Assignments that were accepted or rejected",
            self.assignments.clone(),
        );
        registry.register(
            "link_waiting_assignments",
            "Assignments that came and are not accepted or rejected yet",
            self.waiting.clone(),
        );
        registry.register_with_unit(
            "link_fetched",
            "Compressed content that was fetched from the hub",
            Unit::Bytes,
            self.fetched.clone(),
        );
    }

    /// As many assignments wait to be accepted, or are being.
    pub(super) fn waiting(&self, assignments: usize) {
        self.waiting
            .set(i64::try_from(assignments).unwrap_or(i64::MAX));
    }

    pub(super) fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }

    pub(super) fn session_ended(&self, outcome: &'static str) {
        self.sessions.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn assignment(&self, accepted: bool) {
        let outcome = if accepted { "accepted" } else { "rejected" };
        self.assignments.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn fetched(&self, bytes: usize) {
        self.fetched
            .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}
