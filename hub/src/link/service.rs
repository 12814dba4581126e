//! The service `AgentLink`: lets identities in and starts their sessions.
//!
//! Owns who may call and how often. Never looks into a message: `drive` and `blobs` do.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::Stream;
use jiff::Timestamp;
use tidegate_model::ids::ClusterUid;
use tidegate_proto::v1::{
    self as wire,
    agent_link_server::{AgentLink, AgentLinkServer},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{
    admission::{Openings, Rates},
    blobs::Blobs,
    drive::{Driver, Ground, Outbound},
    limits,
    message::ToAgent,
    pace::Pace,
    peer,
    port::LinkBackend,
    session::{Config, PROTOCOL},
    sessions::Sessions,
    wire as convert,
};

/// How the hub speaks to its agents.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often both sides say that they are there; three missed ones end a session.
    pub heartbeat: Duration,
}

/// The service.
pub struct AgentLinkApi<B> {
    ground: Ground<B>,
    options: Options,
    openings: Openings,
    rates: Rates<ClusterUid>,
    blobs: Blobs<B>,
}

impl<B> std::fmt::Debug for AgentLinkApi<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentLinkApi")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<B: LinkBackend> AgentLinkApi<B> {
    /// The service over this backend; `cancel` asks every agent to come back later.
    pub fn new(
        backend: Arc<B>,
        sessions: Sessions,
        options: Options,
        cancel: CancellationToken,
    ) -> Self {
        let blobs = Blobs::new(Arc::clone(&backend));
        Self {
            ground: Ground {
                backend,
                sessions,
                pace: Pace::new(),
                cancel,
            },
            options,
            openings: Openings::new(limits::OPENING_AT_ONCE),
            rates: Rates::new(limits::REQUEST_BURST, limits::REQUESTS_A_SECOND),
            blobs,
        }
    }

    /// The service as tonic serves it, with the limits of a message set.
    pub fn into_server(self) -> AgentLinkServer<Self> {
        AgentLinkServer::new(self)
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES)
    }

    /// The caller's cluster, if it may make one more request now.
    fn caller<T>(&self, request: &Request<T>) -> Result<ClusterUid, Status> {
        let cluster = peer::cluster(request)?;
        self.rates
            .take(cluster, self.ground.pace.now())
            .map_err(|wait| {
                Status::resource_exhausted(format!(
                    "too many requests of this identity ({} a second); try again in {} ms",
                    limits::REQUESTS_A_SECOND,
                    wait.as_millis()
                ))
            })?;
        Ok(cluster)
    }

    fn config(&self, cluster: ClusterUid, certificate: Option<Timestamp>) -> Config {
        let backend = &self.ground.backend;
        Config {
            session_id: format!("{:016x}", rand::random::<u64>()),
            epoch: backend.epoch(),
            versions: PROTOCOL,
            heartbeat: self.options.heartbeat,
            bound_kubernetes_uid: backend.kubernetes_uid(cluster),
            certificate,
        }
    }
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl<B: LinkBackend> AgentLink for AgentLinkApi<B> {
    type SessionStream = Messages<wire::HubMessage>;
    type FetchBlobsStream = Messages<wire::BlobChunk>;

    async fn session(
        &self,
        request: Request<Streaming<wire::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let cluster = self.caller(&request)?;
        let (out, messages) = mpsc::channel(limits::MESSAGES_AHEAD);
        match self.openings.enter(rand::random()) {
            Ok(opening) => {
                let config = self.config(cluster, peer::certificate(&request));
                let driver = Driver::new(self.ground.clone(), cluster, config, opening);
                tokio::spawn(driver.run(request.into_inner(), out));
            }
            Err(retry_after) => self.send_away(&out, retry_after),
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }

    async fn fetch_blobs(
        &self,
        request: Request<wire::FetchBlobsRequest>,
    ) -> Result<Response<Self::FetchBlobsStream>, Status> {
        let cluster = self.caller(&request)?;
        let chunks = self.blobs.serve(cluster, &request.into_inner()).await?;
        Ok(Response::new(Box::pin(ReceiverStream::new(chunks))))
    }
}

impl<B: LinkBackend> AgentLinkApi<B> {
    fn send_away(&self, out: &Outbound, retry_after: Duration) {
        let reason = "the hub is opening as many sessions as it can; come back later".to_owned();
        let refused = ToAgent::Refused {
            reason,
            retry_after,
        };
        let message = convert::to_agent(self.ground.backend.epoch(), refused);
        // The channel is new: there is room.
        out.try_send(Ok(message)).ok();
    }
}
