//! One session brought to its stream: reads, writes, waits, and does what the state machine says.
//!
//! Owns the order of things: an epoch is durable before anything else of its message is acted on.
//! Decides nothing: `session` does. Fetching and accepting run beside the stream, so one slow
//! application holds up nothing.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_model::{
    assignment::StateRow,
    ids::{AppUid, ClusterUid, Generation},
    report::Report,
};
use tidegate_proto::v1::{self as wire, agent_link_client::AgentLinkClient};
use tidegate_telemetry::describe;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, transport::Channel};

use super::{
    fetch::Fetcher,
    message::{FromHub, ToHub},
    metrics::Metrics,
    port::{Reconcile, ReportChanges},
    session::{Action, End, Local, OPENING_TIMEOUT, Outcome, Session},
    wire::{self as convert, MESSAGE_BYTES},
};
use crate::clock;

/// Messages to the hub that wait in the stream. Few, because state is read when it is sent.
const MESSAGES_AHEAD: usize = 4;

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Over {
    /// The rules say so.
    #[error(transparent)]
    Rules(#[from] End),
    /// The epoch could not be kept.
    #[error("the hub's epoch could not be kept, so the hub is not obeyed: {0}")]
    NotDurable(String),
    /// The stream or the connection broke.
    #[error("the stream broke: {}", text(.0))]
    Broken(Status),
    /// The hub ended the stream and did not say why.
    #[error("the hub ended the stream")]
    Left,
    /// The agent stops, or has a new certificate.
    #[error("the agent closed it")]
    Closed,
}

fn text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), describe(status))
}

struct Reconciled<'a, R>(&'a R);

impl<R: Reconcile> Local for Reconciled<'_, R> {
    fn held(&self) -> Vec<StateRow> {
        self.0.held()
    }

    fn reports(&self) -> Vec<Report> {
        self.0.latest_reports()
    }
}

/// Something that ran beside the stream.
enum Done {
    Worked(AppUid, Outcome),
    Forgot(Result<(), String>),
}

/// One session with its stream.
pub(super) struct Driver<R> {
    pub(super) session: Session,
    reconciler: R,
    cluster: ClusterUid,
    fetcher: Fetcher,
    client: AgentLinkClient<Channel>,
    metrics: Metrics,
    jobs: JoinSet<Done>,
    origin: Instant,
    outgoing: Option<ToHub>,
    /// When the hub opened it.
    pub(super) opened: Option<Instant>,
    connected: watch::Sender<bool>,
    /// Which certificates the hub wants renewed.
    renewals: watch::Sender<Option<Timestamp>>,
}

impl<R: Reconcile> Driver<R> {
    /// A session over `channel`, as `make` begins it at a time of zero.
    pub(super) fn new(
        make: impl FnOnce(&dyn Local, Duration) -> Session,
        reconciler: R,
        cluster: ClusterUid,
        channel: Channel,
        metrics: Metrics,
        connected: watch::Sender<bool>,
        renewals: watch::Sender<Option<Timestamp>>,
    ) -> Self {
        let client = AgentLinkClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        Self {
            session: make(&Reconciled(&reconciler), Duration::ZERO),
            fetcher: Fetcher::new(client.clone(), metrics.clone()),
            reconciler,
            cluster,
            client,
            metrics,
            jobs: JoinSet::new(),
            origin: clock::monotonic(),
            outgoing: None,
            opened: None,
            connected,
            renewals,
        }
    }

    fn now(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.origin)
    }

    /// Runs until the session is over. `close` ends it from this side.
    pub(super) async fn run(
        &mut self,
        changes: &mut R::Changes,
        close: &CancellationToken,
    ) -> Over {
        let (out, messages) = mpsc::channel(MESSAGES_AHEAD);
        // The hello goes with the call, so that no proxy waits for a first message.
        let hello = self
            .session
            .next_message(&Reconciled(&self.reconciler), self.now());
        if let Some(hello) = hello {
            // The channel is new: there is room.
            out.try_send(convert::to_hub(hello)).ok();
        }
        let mut client = self.client.clone();
        let call = client.session(ReceiverStream::new(messages));
        let inbound = tokio::select! {
            () = close.cancelled() => return Over::Closed,
            inbound = tokio::time::timeout(OPENING_TIMEOUT, call) => inbound,
        };
        let mut inbound = match inbound {
            Err(_) => return Over::Rules(End::Silent(OPENING_TIMEOUT)),
            Ok(Err(status)) => return Over::Broken(status),
            Ok(Ok(response)) => response.into_inner(),
        };
        match self.serve(&mut inbound, &out, changes, close).await {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    async fn serve(
        &mut self,
        inbound: &mut Streaming<wire::HubMessage>,
        out: &mpsc::Sender<wire::AgentMessage>,
        changes: &mut R::Changes,
        close: &CancellationToken,
    ) -> Result<std::convert::Infallible, Over> {
        let mut reports_end = false;
        loop {
            let now = self.now();
            self.session.check(now)?;
            let due = self.session.due_work(now);
            self.act(due).await?;
            self.metrics.waiting(self.session.waiting());
            if self.outgoing.is_none() {
                self.outgoing = self
                    .session
                    .next_message(&Reconciled(&self.reconciler), now);
            }
            let blocked = self.outgoing.is_some();
            let wake = if blocked {
                self.session.deadline()
            } else {
                self.session.wake_at()
            };
            tokio::select! {
                biased;
                () = close.cancelled() => return Err(Over::Closed),
                message = inbound.message() => {
                    let message = message.map_err(Over::Broken)?.ok_or(Over::Left)?;
                    self.take(message).await?;
                }
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => {
                    self.done(done).await?;
                }
                room = out.reserve(), if blocked => {
                    if let (Ok(room), Some(message)) = (room, self.outgoing.take()) {
                        room.send(convert::to_hub(message));
                    } else {
                        // Nobody reads what is sent: the call is over, and its answer says why.
                        return Err(last_word(self.cluster, inbound).await);
                    }
                }
                reports = changes.changed(), if !reports_end => match reports {
                    Some(reports) => self.session.reported(reports),
                    None => reports_end = true,
                },
                () = tokio::time::sleep_until(self.origin + wake) => {}
            }
        }
    }

    async fn take(&mut self, message: wire::HubMessage) -> Result<(), Over> {
        if let Some(wire::hub_message::Message::Desired(desired)) = &message.message
            && let Ok(app) = desired.app_uid.parse()
        {
            let traces = self.reconciler.traces();
            traces.note(app, Generation(desired.generation), &desired.traceparent);
        }
        let message = match convert::from_hub(self.cluster, message) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "skipped a message of the hub");
                return Ok(());
            }
        };
        let now = self.now();
        let local = Reconciled(&self.reconciler);
        let actions = self.session.take(message, &local, now)?;
        if self.opened.is_none() && self.session.is_open() {
            self.opened = Some(clock::monotonic());
            self.metrics.connected(true);
            self.connected.send_replace(true);
            tracing::info!("session with the hub opened");
        }
        self.act(actions).await
    }

    async fn act(&mut self, actions: Vec<Action>) -> Result<(), Over> {
        for action in actions {
            match action {
                Action::RaiseEpoch(epoch) => {
                    self.reconciler
                        .raise_epoch(epoch)
                        .await
                        .map_err(Over::NotDurable)?;
                    tracing::info!(%epoch, "obeying a later hub");
                }
                Action::Accept { epoch, assignment } => {
                    let (fetcher, reconciler) = (self.fetcher.clone(), self.reconciler.clone());
                    self.jobs.spawn(async move {
                        let app = assignment.app;
                        Done::Worked(app, fetcher.take(reconciler, epoch, assignment).await)
                    });
                }
                Action::Forget { app, generation } => {
                    let reconciler = self.reconciler.clone();
                    self.jobs.spawn(async move {
                        Done::Forgot(reconciler.forget(app, generation).await)
                    });
                }
                Action::Renew(not_before) => {
                    tracing::info!("the hub wants a new certificate to be made");
                    self.renewals.send_replace(Some(not_before));
                }
                Action::SyncNow { id, app } => {
                    let held = self.reconciler.sync_now(app);
                    let message = if held {
                        "reconciling"
                    } else {
                        "no such application here"
                    };
                    self.session.answer(id, held, message.to_owned());
                }
                Action::ListObjects { id, app, after } => {
                    let objects = self.reconciler.objects(app);
                    let page = objects.map(|objects| objects.page(after.as_ref()));
                    self.session.answer_objects(id, page);
                }
            }
        }
        Ok(())
    }

    async fn done(&mut self, done: Result<Done, tokio::task::JoinError>) -> Result<(), Over> {
        match done {
            Ok(Done::Worked(app, outcome)) => {
                match &outcome {
                    Outcome::Accepted {
                        generation,
                        repeated,
                        ..
                    } => {
                        self.metrics.assignment(true);
                        tracing::info!(%app, %generation, repeated, "assignment accepted");
                    }
                    Outcome::Rejected { reason, retryable } => {
                        self.metrics.assignment(false);
                        tracing::warn!(%app, reason, retryable, "assignment rejected");
                    }
                }
                let now = self.now();
                let actions = self.session.worked(app, outcome, now);
                self.act(actions).await
            }
            Ok(Done::Forgot(Ok(()))) => Ok(()),
            Ok(Done::Forgot(Err(error))) => {
                tracing::warn!(error, "failed to drop a tombstone that was carried out");
                Ok(())
            }
            // Whose work it was is lost with it: a new session asks for everything that differs.
            Err(error) => Err(Over::Broken(Status::internal(format!(
                "a task ended: {error}"
            )))),
        }
    }
}

/// What the hub said at last, when it no longer listens.
async fn last_word(cluster: ClusterUid, inbound: &mut Streaming<wire::HubMessage>) -> Over {
    /// It is on its way already, or it does not come.
    const PATIENCE: Duration = Duration::from_secs(2);
    let read = async {
        loop {
            match inbound.message().await {
                Ok(Some(message)) => {
                    let body = convert::from_hub(cluster, message)
                        .ok()
                        .map(|FromHub { body, .. }| body);
                    if let Some(end) = body.and_then(super::message::Body::into_end) {
                        return Over::Rules(end);
                    }
                }
                Ok(None) => return Over::Left,
                Err(status) => return Over::Broken(status),
            }
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .unwrap_or(Over::Left)
}
