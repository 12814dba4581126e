//! The plain port: liveness, readiness, metrics.
//!
//! Live means the process answers; ready means the hub follows its store and serves its port.
//! Never serves anything about content or people.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tidegate_telemetry::process::OPEN_METRICS;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{db::Db, evidence::Evidence};

#[derive(Clone)]
struct Shared {
    db: Db,
    evidence: Evidence,
    failed: watch::Receiver<Option<String>>,
}

/// Serves the plain port until `cancel`.
pub async fn serve(
    listener: TcpListener,
    db: Db,
    evidence: Evidence,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let failed = db.failed();
    let shared = Shared {
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

async fn metrics_text(State(shared): State<Shared>) -> Response {
    let metrics = shared.db.metrics();
    text(metrics.text(Some((&shared.db, &shared.evidence))))
}

/// The answer to a scrape.
pub(crate) fn text(text: Result<String, std::fmt::Error>) -> Response {
    match text {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
