//! What a hub on etcd does before it takes the term: waits until no other one leads.
//!
//! Owns the plain port meanwhile: alive, not ready, and whom it waits for. Never reads a record.

use std::io;

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use tidegate_store::{Etcd, etcd::Lead};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{health, telemetry::metrics::Metrics};

type Leader = watch::Receiver<Option<String>>;

/// Waits until this hub leads; `None` if `cancel` came first. Gives the listener back.
///
/// # Errors
/// What cannot be tried again: see [`Etcd::lead`], and a listener that cannot be shared.
pub async fn lead(
    etcd: &Etcd,
    holder: &str,
    listener: TcpListener,
    cancel: &CancellationToken,
) -> Result<Option<(Lead, TcpListener)>, Error> {
    let (listener, waiting) = twice(listener).map_err(Error::Listener)?;
    let leader = watch::Sender::new(None);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(not_ready))
        .route("/metrics", get(metrics))
        .with_state(leader.subscribe());
    let serving = tokio::spawn(async move {
        let shutdown = async move { stopped.cancelled().await };
        axum::serve(waiting, router)
            .with_graceful_shutdown(shutdown)
            .await
    });
    let logged = tokio::spawn(log(leader.subscribe(), stop.clone()));
    let lead = cancel.run_until_cancelled(etcd.lead(holder, &leader)).await;
    stop.cancel();
    // Neither can fail but by a panic, which is reported where it happens.
    let _ = tokio::join!(serving, logged);
    match lead {
        None => Ok(None),
        Some(lead) => Ok(Some((lead?, listener))),
    }
}

/// Why a hub cannot lead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plain port's listener cannot be shared.
    #[error("failed to serve the plain port while waiting")]
    Listener(#[source] io::Error),
    /// etcd.
    #[error(transparent)]
    Store(#[from] tidegate_store::Error),
}

async fn not_ready(State(leader): State<Leader>) -> (StatusCode, String) {
    let who = leader.borrow().clone();
    let text = match who {
        Some(who) => format!("standby: {who} leads\n"),
        None => "standby: looking for who leads\n".to_owned(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

/// What can be said without the term: who does not lead, and what the process takes.
async fn metrics() -> Response {
    health::text(Metrics::default().text(None))
}

/// Says once whom the hub waits for, and again when that changes.
async fn log(mut leader: Leader, stop: CancellationToken) {
    let mut last = None;
    while let Some(Ok(())) = stop.run_until_cancelled(leader.changed()).await {
        let who = leader.borrow_and_update().clone();
        if who != last {
            tracing::info!(leader = who.as_deref().unwrap_or_default(), "standing by");
            last = who;
        }
    }
}

/// The same socket twice: one to serve now, one for later.
fn twice(listener: TcpListener) -> io::Result<(TcpListener, TcpListener)> {
    let first = listener.into_std()?;
    let second = first.try_clone()?;
    Ok((
        TcpListener::from_std(first)?,
        TcpListener::from_std(second)?,
    ))
}
