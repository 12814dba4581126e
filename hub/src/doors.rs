//! The gRPC port: which services stand behind it, who may pass, and how it closes.
//!
//! Owns the order of closing: agents are asked to come back later, calls under way finish, then the
//! port is gone. Never decides anything about a call: the services do.

use std::{io, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use tidegate_proto::v1::{
    agent_link_server::AgentLinkServer, enrollment_server::EnrollmentServer,
    fleet_server::FleetServer,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    api::FleetApi,
    backend::Backend,
    db::{self, Db},
    enroll::Enroll,
    evidence::Evidence,
    identity::{
        AuthLayer, Authority, Standing,
        tls::{ServerKey, handshakes, server_config},
    },
    link::{self, AgentLinkApi, EnrollmentApi, Sessions, limits},
    poller::PollerHandle,
    records::UserRecord,
    runtime::Error,
    settled::Settled,
    telemetry::calls::CallLayer,
};

/// How long agents are spread over when the hub ends.
const DRAIN_SPREAD: Duration = Duration::from_secs(2);
/// How long the end may take in all.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How long calls under way may go on.
const GRACE: Duration = Duration::from_secs(3);

/// The largest set of documents that people may send at once.
const DOCUMENTS: usize = limits::MESSAGE_BYTES * 16;

/// What the port needs of the hub.
pub(crate) struct Doors {
    pub(crate) db: Db,
    pub(crate) evidence: Evidence,
    pub(crate) sessions: Sessions,
    pub(crate) poller: PollerHandle,
    pub(crate) settled: Settled,
    pub(crate) authority: Arc<Authority>,
    pub(crate) key: ServerKey,
    pub(crate) heartbeat: Duration,
}

impl Doors {
    /// Serves until `cancel`, then closes in order.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        cancel: CancellationToken,
    ) -> Result<(), Error> {
        let tls = server_config(&self.authority, &self.key)?;
        let address = listener.local_addr().map(|address| address.to_string());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let server = limits::server()
            .layer(CallLayer::new(self.db.metrics().clone()))
            .layer(auth(&self.db, &self.authority))
            .add_routes(self.routes(cancel.clone()).await?)
            .serve_with_incoming_shutdown(handshakes(connections(listener), tls), async move {
                stopped.cancelled().await;
            });
        tracing::info!(address = address.unwrap_or_default(), "serving");
        let mut server = std::pin::pin!(server);
        tokio::select! {
            served = &mut server => return Ok(served?),
            () = cancel.cancelled() => {}
        }
        tokio::select! {
            served = &mut server => return Ok(served?),
            () = self.sessions.drain(DRAIN_SPREAD, DRAIN_LIMIT) => {}
        }
        stop.cancel();
        // A watch that nobody closes must not keep the hub from ending.
        match tokio::time::timeout(GRACE, server).await {
            Ok(served) => Ok(served?),
            Err(_) => Ok(()),
        }
    }

    async fn routes(&self, cancel: CancellationToken) -> Result<Routes, Error> {
        let (db, authority) = (self.db.clone(), Arc::clone(&self.authority));
        let link = AgentLinkApi::new(
            Arc::new(Backend::new(db.clone())),
            self.sessions.clone(),
            link::Options {
                heartbeat: self.heartbeat,
            },
            cancel,
        );
        let enroll = EnrollmentApi::new(Arc::new(Enroll::new(db.clone(), Arc::clone(&authority))));
        let fleet = FleetApi::new(
            db,
            self.evidence.clone(),
            self.sessions.clone(),
            self.poller.clone(),
            self.settled.clone(),
            authority,
        );
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<FleetServer<FleetApi>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tidegate_proto::DESCRIPTORS)
            .build_v1()
            .map_err(|error| {
                db::Error::Following(format!("the descriptors are broken: {error}"))
            })?;
        Ok(Routes::new(health)
            .add_service(reflection)
            .add_service(FleetServer::new(fleet).max_decoding_message_size(DOCUMENTS))
            .add_service(
                EnrollmentServer::new(enroll).max_decoding_message_size(limits::MESSAGE_BYTES),
            )
            .add_service(
                AgentLinkServer::new(link).max_decoding_message_size(limits::MESSAGE_BYTES),
            ))
    }
}

/// The connections of a listener, set to send small messages at once: heartbeats, acks and
/// assignments would else wait for the peer's delayed acknowledgement. tonic sets that only on
/// sockets that it accepts itself.
fn connections(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    TcpListenerStream::new(listener).inspect(|connection| {
        if let Ok(connection) = connection
            && let Err(error) = connection.set_nodelay(true)
        {
            // The peer is gone already, and reading will say so.
            tracing::debug!(%error, "failed to set TCP_NODELAY on a connection");
        }
    })
}

/// Who may pass: people with a record, clusters that are registered.
fn auth(db: &Db, authority: &Authority) -> AuthLayer {
    let people = db.clone();
    let clusters = db.clone();
    AuthLayer::new(
        authority.trust_domain().clone(),
        Arc::new(move |name: &str| {
            let state = people.read();
            state
                .users
                .find(|user: &UserRecord| user.name == name)
                .map(|row| row.record.role)
        }),
        Arc::new(move |uid| {
            let state = clusters.read();
            let record = &state.cluster(uid)?.record;
            Some(Standing {
                refused_before: record.refused_before,
            })
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_sends_small_messages_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        assert!(!client.nodelay().unwrap(), "the system's default");
        let mut connections = std::pin::pin!(connections(listener));
        let accepted = connections.next().await.unwrap().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
