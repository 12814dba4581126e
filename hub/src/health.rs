//! The plain port: liveness, readiness, metrics.
//!
//! Live means the process answers; ready means the hub follows its store and serves its port.
//! Numbers are computed when asked for, so nothing has to keep them true. Never serves anything
//! about content or people.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{db::Db, evidence::Evidence};

/// What the hub counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Counter<u64, AtomicU64>,
    pass_seconds: Histogram,
    failed_passes: Counter<u64, AtomicU64>,
    connected: Gauge<i64, AtomicI64>,
    clusters: Gauge<i64, AtomicI64>,
    sets: Gauge<i64, AtomicI64>,
    applications: Gauge<i64, AtomicI64>,
    open_runs: Gauge<i64, AtomicI64>,
    epoch: Gauge<i64, AtomicI64>,
    revision: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tidegate_hub");
        // From a millisecond to half a minute.
        let buckets = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
        let metrics = Self {
            registry: Arc::default(),
            passes: Counter::default(),
            pass_seconds: Histogram::new(buckets),
            failed_passes: Counter::default(),
            connected: Gauge::default(),
            clusters: Gauge::default(),
            sets: Gauge::default(),
            applications: Gauge::default(),
            open_runs: Gauge::default(),
            epoch: Gauge::default(),
            revision: Gauge::default(),
        };
        metrics.name(&mut registry);
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }
}

impl Metrics {
    /// Names and help texts, after the Prometheus guide.
    fn name(&self, registry: &mut Registry) {
        registry.register(
            "controller_passes",
            "Controller passes over one set",
            self.passes.clone(),
        );
        registry.register(
            "controller_pass_failures",
            "Controller passes that failed and are tried again",
            self.failed_passes.clone(),
        );
        registry.register_with_unit(
            "controller_pass_duration",
            "Time of one controller pass over one set",
            Unit::Seconds,
            self.pass_seconds.clone(),
        );
        registry.register(
            "agents_connected",
            "Clusters with an open session",
            self.connected.clone(),
        );
        registry.register("clusters", "Registered clusters", self.clusters.clone());
        registry.register(
            "application_sets",
            "Stored application sets",
            self.sets.clone(),
        );
        registry.register(
            "applications",
            "Stored applications",
            self.applications.clone(),
        );
        registry.register(
            "open_runs",
            "Runs that are not over",
            self.open_runs.clone(),
        );
        registry.register("epoch", "The hub's term", self.epoch.clone());
        registry.register(
            "store_revision",
            "Revision of the store that the view shows",
            self.revision.clone(),
        );
    }

    /// Counts one pass over one set.
    pub fn pass(&self, seconds: f64, failed: bool) {
        self.passes.inc();
        self.pass_seconds.observe(seconds);
        if failed {
            self.failed_passes.inc();
        }
    }

    fn look(&self, db: &Db, evidence: &Evidence) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let state = db.read();
        let connected = state
            .clusters
            .iter()
            .filter(|record| evidence.session(record.cluster.uid).connected);
        self.connected.set(number(connected.count()));
        self.clusters.set(number(state.clusters.len()));
        self.sets.set(number(state.sets.len()));
        self.applications.set(number(state.apps.len()));
        self.open_runs.set(number(
            state
                .runs
                .iter()
                .filter(|run| !run.run.state.is_terminal())
                .count(),
        ));
        self.epoch
            .set(i64::try_from(db.epoch().0).unwrap_or(i64::MAX));
        self.revision
            .set(i64::try_from(state.revision).unwrap_or(i64::MAX));
    }
}

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    db: Db,
    evidence: Evidence,
    failed: watch::Receiver<Option<String>>,
}

/// Serves the plain port until `cancel`.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    db: Db,
    evidence: Evidence,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let failed = db.failed();
    let shared = Shared {
        metrics,
        db,
        evidence,
        failed,
    };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(shared);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { cancel.cancelled().await })
        .await
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    let why = shared.failed.borrow().clone();
    match why {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the hub does not follow its store: {why}\n"),
        ),
    }
}

async fn metrics_text(State(shared): State<Shared>) -> (StatusCode, String) {
    shared.metrics.look(&shared.db, &shared.evidence);
    let mut text = String::new();
    match encode(&mut text, &shared.metrics.registry) {
        Ok(()) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
