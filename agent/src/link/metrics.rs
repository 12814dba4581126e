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
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    connected: Gauge<i64, AtomicI64>,
    sessions: Family<Outcome, Counter<u64, AtomicU64>>,
    assignments: Family<Outcome, Counter<u64, AtomicU64>>,
    fetched: Counter<u64, AtomicU64>,
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
        registry.register_with_unit(
            "link_fetched",
            "Compressed content that was fetched from the hub",
            Unit::Bytes,
            self.fetched.clone(),
        );
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
