//! One session brought to its stream: reads, writes, waits, and does what the state machine says.
//!
//! Owns the order of things: what a message asks for is done before the next is read, so that a
//! heartbeat's digest speaks of the reports before it, and nothing is read ahead of what is stored.
//! Decides nothing: `session` does. Never blocks on a slow agent: state is read when the stream has
//! room.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use prost::Message as _;
use tidegate_model::{
    assignment::Assignment,
    ids::ClusterUid,
    report::{Report, StatusRow},
};
use tidegate_proto::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{
    limits,
    message::{CommandResult, FromAgent, ToAgent},
    pace::Pace,
    port::{Ack, AckOutcome, AgentFacts, Kept, LinkBackend, Refusal},
    session::{Action, Busy, Config, End, Facts, Session},
    sessions::{Closing, Order, Seat, Sessions},
    wire as convert,
};

/// How long changes are gathered before what the agent needs is worked out again.
const NUDGE_PAUSE: Duration = Duration::from_millis(25);
/// How long a last message may wait for room in the stream.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long an agent stays away whose session failed on the hub's side.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long an agent stays away that broke the protocol, or was superseded or revoked: neither
/// mends itself.
const AFTER_FAULT: Duration = Duration::from_mins(1);

/// Messages to the agent.
pub(super) type Outbound = mpsc::Sender<Result<wire::HubMessage, Status>>;
type Answer = oneshot::Sender<Result<CommandResult, Busy>>;

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error(transparent)]
    Rules(#[from] End),
    #[error("{}", told(.0))]
    Closed(Closing),
    #[error("{0}")]
    Failed(#[from] super::port::Failure),
    #[error("the stream broke: {}", .0.message())]
    Broken(Status),
    #[error("the agent left")]
    Left,
}

fn told(closing: &Closing) -> &str {
    match closing {
        Closing::Superseded => {
            "a newer session of this cluster was opened; run one agent with this identity"
        }
        Closing::Drain { .. } => "the hub asked the agent to come back later",
        Closing::Revoked { reason } => reason,
    }
}

/// What every session needs.
pub(super) struct Ground<B> {
    pub(super) backend: Arc<B>,
    pub(super) sessions: Sessions,
    pub(super) pace: Pace,
    pub(super) cancel: CancellationToken,
}

impl<B> Clone for Ground<B> {
    fn clone(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
            sessions: self.sessions.clone(),
            pace: self.pace,
            cancel: self.cancel.clone(),
        }
    }
}

struct Backed<'a, B> {
    backend: &'a B,
    cluster: ClusterUid,
}

impl<B: LinkBackend> Facts for Backed<'_, B> {
    fn assignments(&self) -> Vec<Assignment> {
        self.backend.assignments(self.cluster)
    }

    fn status_rows(&self) -> Vec<StatusRow> {
        self.backend.status_rows(self.cluster)
    }

    fn renew_before(&self) -> Option<Timestamp> {
        self.backend.renew_before(self.cluster)
    }
}

/// One session with its stream.
pub(super) struct Driver<B> {
    ground: Ground<B>,
    cluster: ClusterUid,
    session: Session,
    seat: Option<Seat>,
    opening: Option<OwnedSemaphorePermit>,
    answers: BTreeMap<String, Answer>,
    changes: watch::Receiver<u64>,
    /// Something changed that was not looked at yet.
    dirty: bool,
    looked: Duration,
    /// When it is asked to come back, so that identities are looked at anew.
    leave_at: Duration,
    outgoing: Option<ToAgent>,
}

impl<B: LinkBackend> Driver<B> {
    pub(super) fn new(
        ground: Ground<B>,
        cluster: ClusterUid,
        config: Config,
        opening: OwnedSemaphorePermit,
    ) -> Self {
        let now = ground.pace.now();
        let age = limits::SESSION_AGE.mul_f64(0.8 + 0.4 * rand::random::<f64>());
        Self {
            changes: ground.backend.changes(cluster),
            session: Session::new(config, now),
            ground,
            cluster,
            seat: None,
            opening: Some(opening),
            answers: BTreeMap::new(),
            dirty: false,
            looked: now,
            leave_at: now + age,
            outgoing: None,
        }
    }

    /// Runs until the session is over, then says goodbye.
    pub(super) async fn run(mut self, mut inbound: Streaming<wire::AgentMessage>, out: Outbound) {
        let over = match self.serve(&mut inbound, &out).await {
            Ok(never) => match never {},
            Err(over) => over,
        };
        // Leave first: a drain waits for the seat, not for the goodbye of a stream that hangs.
        drop(self.seat.take());
        let cluster = self.cluster;
        match &over {
            Over::Left | Over::Closed(Closing::Drain { .. }) => {
                tracing::info!(%cluster, why = %over, "session ended");
            }
            Over::Rules(End::Refused(_, Some(alarm))) => {
                tracing::error!(%cluster, %alarm, "session refused");
                self.ground.backend.alarm(cluster, alarm.clone()).await;
            }
            _ => {
                tracing::warn!(%cluster, why = %over, source = ?std::error::Error::source(&over), "session ended");
            }
        }
        if let Some(farewell) = farewell(&over) {
            let message = convert::to_agent(self.ground.backend.epoch(), farewell);
            // If there is no room in time, the end of the stream says it.
            tokio::time::timeout(FAREWELL, out.send(Ok(message)))
                .await
                .ok();
        }
    }

    async fn serve(
        &mut self,
        inbound: &mut Streaming<wire::AgentMessage>,
        out: &Outbound,
    ) -> Result<std::convert::Infallible, Over> {
        loop {
            self.look();
            let now = self.ground.pace.now();
            self.session.check(now)?;
            if now >= self.leave_at {
                let retry_after = limits::OPENING_RETRY.mul_f64(rand::random());
                return Err(Over::Closed(Closing::Drain { retry_after }));
            }
            if self.outgoing.is_none() {
                self.outgoing = self.session.next_message(now);
            }
            if !self.session.is_opening() {
                self.opening = None;
            }
            let wake = self.ground.pace.at(self.wake_at());
            let has_outgoing = self.outgoing.is_some();
            let (orders, closing) = match &mut self.seat {
                Some(seat) => (Some(&mut seat.orders), Some(&mut seat.closing)),
                None => (None, None),
            };
            tokio::select! {
                biased;
                () = self.ground.cancel.cancelled() => {
                    let retry_after = limits::OPENING_RETRY.mul_f64(rand::random());
                    return Err(Over::Closed(Closing::Drain { retry_after }));
                }
                // Nobody reads what is sent: the call was ended, whatever the agent goes on to say.
                () = out.closed() => return Err(Over::Left),
                closing = closed(closing) => return Err(Over::Closed(closing)),
                message = inbound.message() => {
                    let message = message.map_err(Over::Broken)?.ok_or(Over::Left)?;
                    self.take(message).await?;
                }
                room = out.reserve(), if has_outgoing => {
                    let room = room.map_err(|_| Over::Left)?;
                    if let Some(message) = self.fitting().await? {
                        room.send(Ok(message));
                    }
                }
                order = ordered(orders) => self.order(order),
                change = self.changes.changed(), if !self.dirty => {
                    // A backend that is gone changes nothing any more.
                    self.dirty = change.is_ok();
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Works out what the agent needs, at most every [`NUDGE_PAUSE`].
    fn look(&mut self) {
        let now = self.ground.pace.now();
        if self.dirty && now >= self.looked + NUDGE_PAUSE {
            self.dirty = false;
            self.looked = now;
            let backed = Backed {
                backend: self.ground.backend.as_ref(),
                cluster: self.cluster,
            };
            self.session.nudge(&backed);
        }
    }

    fn wake_at(&self) -> Duration {
        let mut at = self.session.deadline().min(self.leave_at);
        if self.dirty {
            at = at.min(self.looked + NUDGE_PAUSE);
        }
        match self.session.next_heartbeat() {
            Some(heartbeat) if self.outgoing.is_none() => at.min(heartbeat),
            _ => at,
        }
    }

    async fn take(&mut self, message: wire::AgentMessage) -> Result<(), Over> {
        if let Some(seat) = &self.seat {
            seat.heard();
        }
        let message = convert::from_agent(message).unwrap_or_else(|error| {
            // One application's message, or one of a newer agent: never the session's end.
            tracing::warn!(cluster = %self.cluster, %error, "skipped a message of an agent");
            FromAgent::Unknown
        });
        let now = self.ground.pace.now();
        let backend = Arc::clone(&self.ground.backend);
        let backed = Backed {
            backend: backend.as_ref(),
            cluster: self.cluster,
        };
        for action in self.session.take(message, &backed, now)? {
            self.act(action).await?;
        }
        Ok(())
    }

    async fn act(&mut self, action: Action) -> Result<(), Over> {
        let backend = Arc::clone(&self.ground.backend);
        match action {
            Action::Admit(facts) => self.admit(facts).await?,
            Action::Report(report) => self.report(report).await?,
            Action::Ack(ack) => backend.ack(self.cluster, ack).await?,
            Action::Confirmed => {
                if let Some(seat) = &mut self.seat {
                    seat.confirmed();
                }
            }
            Action::Differs => {
                tracing::info!(cluster = %self.cluster, "stored reports differ from the agent's: asking for all");
                if let Some(seat) = &mut self.seat {
                    seat.differs();
                }
            }
            Action::Answer(result) => {
                if let Some(answer) = self.answers.remove(&result.id) {
                    // Whoever asked may have given up.
                    answer.send(Ok(result)).ok();
                }
            }
        }
        Ok(())
    }

    async fn admit(&mut self, facts: AgentFacts) -> Result<(), Over> {
        let backend = Arc::clone(&self.ground.backend);
        let version = facts.version.clone();
        backend
            .hello(self.cluster, self.session.certificate(), facts)
            .await
            .map_err(|refusal| End::Refused(refusal, None))?;
        let seat = self.ground.sessions.open(self.cluster).ok_or_else(|| {
            let retry_after = limits::OPENING_RETRY.mul_f64(rand::random());
            Over::Closed(Closing::Drain { retry_after })
        })?;
        self.seat = Some(seat);
        let backed = Backed {
            backend: backend.as_ref(),
            cluster: self.cluster,
        };
        self.session.admitted(&backed, self.ground.pace.now());
        tracing::info!(cluster = %self.cluster, %version, "session opened");
        Ok(())
    }

    async fn report(&mut self, report: Report) -> Result<(), Over> {
        let row = StatusRow::from(&report);
        match self.ground.backend.report(self.cluster, report).await? {
            Kept::Stored => {}
            Kept::NotOurs => self.session.stranger(row),
        }
        Ok(())
    }

    fn order(&mut self, order: Order) {
        match self.session.command(order.id.clone(), order.command) {
            Ok(()) => {
                // Answers that nobody waits for any more are few, and go with the session.
                self.answers.retain(|_, answer| !answer.is_closed());
                self.answers.insert(order.id, order.answer);
            }
            Err(busy) => {
                order.answer.send(Err(busy)).ok();
            }
        }
    }

    /// The outgoing message, unless it is too large to be sent: that is its application's trouble,
    /// not the stream's.
    async fn fitting(&mut self) -> Result<Option<wire::HubMessage>, Over> {
        let Some(message) = self.outgoing.take() else {
            return Ok(None);
        };
        let row = match &message {
            ToAgent::Desired(desired) => Some((desired.app, desired.generation, desired.digest())),
            _ => None,
        };
        let traceparent = match &message {
            ToAgent::Desired(desired) => self.ground.backend.traceparent(desired),
            _ => None,
        };
        let mut encoded = convert::to_agent(self.ground.backend.epoch(), message);
        if let Some(wire::hub_message::Message::Desired(desired)) = &mut encoded.message {
            desired.traceparent = traceparent.unwrap_or_default();
        }
        let size = encoded.encoded_len();
        let Some((app, generation, digest)) = row.filter(|_| size > limits::MESSAGE_BYTES) else {
            return Ok(Some(encoded));
        };
        let reason = format!(
            "the assignment is {size} bytes, at most {} can be sent: shorten names",
            limits::MESSAGE_BYTES
        );
        tracing::error!(cluster = %self.cluster, %app, %reason, "an assignment cannot be sent");
        let ack = Ack {
            app,
            generation,
            digest,
            outcome: AckOutcome::Rejected { reason },
        };
        self.ground.backend.ack(self.cluster, ack).await?;
        Ok(None)
    }
}

/// Waits to be closed from outside; for ever if there is no seat yet.
async fn closed(closing: Option<&mut watch::Receiver<Option<Closing>>>) -> Closing {
    if let Some(closing) = closing
        && let Ok(closing) = closing.wait_for(Option::is_some).await
        && let Some(closing) = closing.as_ref()
    {
        return closing.clone();
    }
    std::future::pending().await
}

/// Waits for a command; for ever if there is no seat yet.
async fn ordered(orders: Option<&mut mpsc::Receiver<Order>>) -> Order {
    if let Some(orders) = orders
        && let Some(order) = orders.recv().await
    {
        return order;
    }
    std::future::pending().await
}

/// The last message, if there is somebody to read it.
fn farewell(over: &Over) -> Option<ToAgent> {
    let refused = |retry_after| ToAgent::Refused {
        reason: over.to_string(),
        retry_after,
    };
    Some(match over {
        Over::Left => return None,
        Over::Rules(End::Refused(
            Refusal {
                reason,
                retry_after,
            },
            _,
        )) => ToAgent::Refused {
            reason: reason.clone(),
            retry_after: *retry_after,
        },
        Over::Closed(Closing::Drain { retry_after }) => ToAgent::Drain {
            retry_after: *retry_after,
        },
        Over::Rules(End::Protocol(_)) | Over::Closed(_) | Over::Broken(_) => refused(AFTER_FAULT),
        Over::Rules(End::Silent(_)) | Over::Failed(_) => refused(AFTER_FAILURE),
    })
}
