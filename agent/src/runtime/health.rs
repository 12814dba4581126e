//! The plain port: liveness, readiness, metrics.
//!
//! Live means the process answers. Ready means that what was accepted is loaded and reconciled; a
//! hub is not needed for that. Numbers are read when asked for, so nothing has to keep them true.
//! Never serves anything about content.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};
use tidegate_model::{health::Health as Word, report::Report};
use tidegate_telemetry::{
    export::Spans,
    process::{OPEN_METRICS, Process},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{identity::KeeperHandle, link::LinkHandle, port::ReconcilerHandle};

/// What the port tells. Cheap to clone; filled as the parts come up.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    reconciler: OnceLock<ReconcilerHandle>,
    link: OnceLock<(LinkHandle, KeeperHandle)>,
}

impl Health {
    /// The reconciler is up.
    pub fn reconciles(&self, reconciler: ReconcilerHandle) {
        self.parts.reconciler.set(reconciler).ok();
    }

    /// The link is up.
    pub fn links(&self, link: LinkHandle, identity: KeeperHandle) {
        self.parts.link.set((link, identity)).ok();
    }

    fn readiness(&self) -> (StatusCode, String) {
        if self.parts.reconciler.get().is_none() {
            let why =
                "not ready: the state of the agent is not loaded; is the API server reachable?\n";
            return (StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
        }
        let mut text = "ok\n".to_owned();
        if let Some((link, identity)) = self.parts.link.get() {
            let status = link.status();
            let hub = if status.connected {
                "connected"
            } else {
                "not connected"
            };
            // Writing to a string cannot fail.
            writeln!(text, "hub: {hub}").ok();
            for problem in [
                identity.problem(),
                status.last_end.filter(|_| !status.connected),
            ] {
                problem.and_then(|problem| writeln!(text, "hub: {problem}").ok());
            }
        }
        (StatusCode::OK, text)
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        let mut all = Registry::default();
        all.register_collector(Box::new(Process));
        let registry = all.sub_registry_with_prefix("tidegate_agent");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the agent", version);
        registry.register_collector(Box::new(Spans));
        if let Some(reconciler) = self.parts.reconciler.get() {
            reconciler.metrics().register(registry);
            applications(registry, &reconciler.reports().latest());
            let epoch = Gauge::<u64, AtomicU64>::default();
            epoch.set(reconciler.epoch().0);
            registry.register("hub_epoch", "Highest epoch of a hub ever seen", epoch);
        }
        if let Some((link, identity)) = self.parts.link.get() {
            link.metrics().register(registry);
            if let Some(end) = identity.not_after() {
                let expiry = Gauge::<i64, AtomicI64>::default();
                expiry.set(end.as_second());
                registry.register_with_unit(
                    "certificate_expiry_timestamp",
                    "When the agent's certificate ends, in Unix time",
                    Unit::Seconds,
                    expiry,
                );
            }
        }
        let mut text = String::new();
        encode(&mut text, &all)?;
        Ok(text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByHealth {
    health: String,
}

/// Applications by health; the words that no application has are there too, so that an alert on
/// one of them sees a zero.
fn applications(registry: &mut Registry, reports: &[Report]) {
    const WORDS: [Word; 6] = [
        Word::Healthy,
        Word::Progressing,
        Word::Degraded,
        Word::Suspended,
        Word::Missing,
        Word::Unknown,
    ];
    let mut counts: BTreeMap<Word, i64> = WORDS.map(|word| (word, 0)).into();
    for report in reports {
        *counts.entry(report.health).or_default() += 1;
    }
    let family = Family::<ByHealth, Gauge<i64, AtomicI64>>::default();
    for (word, count) in counts {
        family
            .get_or_create(&ByHealth {
                health: word.to_string(),
            })
            .set(count);
    }
    registry.register("applications", "Applications by health", family);
}

/// Serves the plain port until `cancel`.
pub async fn serve(listener: TcpListener, health: Health, cancel: CancellationToken) {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(|State(health): State<Health>| async move { health.readiness() }),
        )
        .route("/metrics", get(metrics))
        .with_state(health);
    let stop = async move { cancel.cancelled().await };
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
    {
        tracing::error!(%error, "the port for health and metrics ended");
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.metrics() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_model::{
        digest::Digest,
        duration::Span,
        ids::{AppUid, Generation},
        report::Phase,
    };
    use uuid::Uuid;

    use super::*;

    #[test]
    fn not_ready_before_the_state_is_loaded() {
        let (code, text) = Health::default().readiness();
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("API server"), "{text}");
    }

    #[test]
    fn metrics_tell_the_version_and_count_every_word_of_health() {
        let text = Health::default().metrics().unwrap();
        assert!(
            text.contains("tidegate_agent_build_info{version="),
            "{text}"
        );

        let report = Report {
            app: AppUid(Uuid::nil()),
            generation: Generation(1),
            digest: Digest::from_bytes([0; 32]),
            phase: Phase::Applied,
            health: Word::Degraded,
            healthy_for: Span::default(),
            drift: Vec::new(),
            problems: Vec::new(),
            held_prune: None,
        };
        let mut registry = Registry::with_prefix("tidegate_agent");
        applications(&mut registry, &[report]);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("tidegate_agent_applications{health=\"Degraded\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("tidegate_agent_applications{health=\"Healthy\"} 0"),
            "{text}"
        );
    }
}
