//! The component: keeps a session with the hub open, for as long as the agent lives.
//!
//! Owns when the next one is opened and with which identity. Never ends because of the hub: an
//! agent that is refused for ever goes on asking, ever more rarely.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use jiff::Timestamp;
use tidegate_model::ids::AppUid;
use tidegate_telemetry::describe;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::{Backoff, Limits},
    connect::{Error as ConnectError, Hub},
    drive::{Driver, Over},
    message::Introduction,
    metrics::Metrics,
    port::{Reconcile, ReportChanges},
    session::{End, Local, PROTOCOL, Session},
};
use crate::{clock, identity::Identity};

/// How the agent speaks to its hub.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the hub is.
    pub hub: Hub,
    /// How long to stay away after a session ended.
    pub backoff: Limits,
    /// Version of the agent that the hub is told.
    pub version: String,
}

/// What is known of the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// A session is open.
    pub connected: bool,
    /// Why the last one ended, or none came about.
    pub last_end: Option<String>,
}

/// The link, as others see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    connected: watch::Receiver<bool>,
    last_end: watch::Receiver<Option<String>>,
    metrics: Metrics,
}

impl LinkHandle {
    /// What is known now.
    pub fn status(&self) -> Status {
        Status {
            connected: *self.connected.borrow(),
            last_end: self.last_end.borrow().clone(),
        }
    }

    /// What the link counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// The component.
pub struct Link<R> {
    options: Options,
    reconciler: R,
    identity: watch::Receiver<Option<Arc<Identity>>>,
    metrics: Metrics,
    connected: watch::Sender<bool>,
    last_end: watch::Sender<Option<String>>,
    renewals: watch::Sender<Option<Timestamp>>,
    boot_id: String,
}

impl<R> std::fmt::Debug for Link<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<R: Reconcile> Link<R> {
    /// A link that speaks for `reconciler` with the latest of `identity`; a new one is used at
    /// once.
    pub fn new(
        options: Options,
        reconciler: R,
        identity: watch::Receiver<Option<Arc<Identity>>>,
    ) -> Self {
        Self {
            options,
            reconciler,
            identity,
            metrics: Metrics::default(),
            connected: watch::Sender::new(false),
            last_end: watch::Sender::new(None),
            renewals: watch::Sender::new(None),
            boot_id: crate::identity::random_id(),
        }
    }

    /// The same, telling whoever keeps the identity which certificates the hub wants renewed: those
    /// whose life begins before.
    #[must_use]
    pub fn renewing(mut self, renewals: watch::Sender<Option<Timestamp>>) -> Self {
        self.renewals = renewals;
        self
    }

    /// What others may know.
    pub fn handle(&self) -> LinkHandle {
        LinkHandle {
            connected: self.connected.subscribe(),
            last_end: self.last_end.subscribe(),
            metrics: self.metrics.clone(),
        }
    }

    /// Keeps a session open until `cancel`.
    pub async fn run(mut self, cancel: CancellationToken) {
        // Whatever ends the link, what is kept only by it ends too.
        cancel.clone().run_until_cancelled(self.keep_open()).await;
        self.metrics.connected(false);
        self.connected.send_replace(false);
    }

    async fn keep_open(&mut self) {
        let mut backoff = Backoff::new(self.options.backoff);
        let mut changes = self.reconciler.report_changes();
        let mut unsent = Vec::new();
        loop {
            // The sender lives as long as the agent; without it there is nothing to wait for.
            let identity = match self.identity.wait_for(Option::is_some).await {
                Ok(identity) => identity.clone(),
                Err(_) => return,
            };
            let Some(identity) = identity else { continue };
            let (over, open) = self.session(&identity, &mut changes, &mut unsent).await;
            self.connected.send_replace(false);
            self.metrics.connected(false);
            self.metrics.waiting(0);
            self.metrics.session_ended(over.outcome());
            let pause = match over.retry_after() {
                // A new certificate: nothing went wrong.
                None => continue,
                Some(retry_after) => backoff.pause(open, retry_after, rand::random()),
            };
            over.log(&self.options.hub, pause);
            self.last_end.send_replace(Some(over.to_string()));
            self.pause(pause).await;
        }
    }

    /// Waits, but not with a new identity: the old one may have been the trouble.
    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = self.identity.changed() => {}
        }
    }

    /// One session; with how long it was open.
    async fn session(
        &mut self,
        identity: &Identity,
        changes: &mut R::Changes,
        unsent: &mut Vec<AppUid>,
    ) -> (Ended, Duration) {
        // Reports that changed while nobody listened were not sent.
        while let Some(Some(reports)) = changes.changed().now_or_never() {
            unsent.extend(reports.iter().map(|report| report.app));
        }
        let channel = match self.options.hub.connect(identity).await {
            Ok(channel) => channel,
            Err(error) => return (Ended::Connect(error), Duration::ZERO),
        };
        let introduction = self.introduction(identity);
        let epoch = self.reconciler.epoch();
        let make = |local: &dyn Local, now: Duration| {
            Session::new(introduction, epoch, unsent.drain(..), local, now)
        };
        let mut driver = Driver::new(
            make,
            self.reconciler.clone(),
            identity.cluster,
            channel,
            self.metrics.clone(),
            self.connected.clone(),
            self.renewals.clone(),
        );
        let close = CancellationToken::new();
        let renewed = async {
            if self.identity.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            close.cancel();
            std::future::pending::<()>().await;
        };
        let over = tokio::select! {
            over = driver.run(changes, &close) => over,
            () = renewed => Over::Closed,
        };
        *unsent = driver.session.unsent();
        let since = |opened: Instant| clock::monotonic().saturating_duration_since(opened);
        (
            Ended::Over(over),
            driver.opened.map(since).unwrap_or_default(),
        )
    }

    fn introduction(&self, identity: &Identity) -> Introduction {
        Introduction {
            versions: PROTOCOL,
            capabilities: Vec::new(),
            agent_uid: identity.agent_uid.clone(),
            boot_id: self.boot_id.clone(),
            kubernetes_uid: self.reconciler.kubernetes_uid(),
            facts: self.reconciler.facts(),
            version: self.options.version.clone(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{}", describe(.0))]
    Connect(ConnectError),
    #[error(transparent)]
    Over(Over),
}

impl Ended {
    /// How long the hub wants the agent to stay away; `None` to come back at once.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Over(Over::Closed) => None,
            Self::Over(Over::Rules(
                End::Refused { retry_after, .. } | End::Drained { retry_after },
            )) => Some(*retry_after),
            _ => Some(Duration::ZERO),
        }
    }

    /// A word for the metric.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Connect(_) => "unreachable",
            Self::Over(Over::Closed) => "renewed",
            Self::Over(Over::NotDurable(_)) => "not_durable",
            Self::Over(Over::Broken(_) | Over::Left) => "broken",
            Self::Over(Over::Rules(end)) => match end {
                End::StaleHub { .. } => "stale_hub",
                End::Refused { .. } => "refused",
                End::Drained { .. } => "drained",
                End::Silent(_) => "silent",
                End::Protocol(_) => "protocol",
            },
        }
    }

    fn log(&self, hub: &Hub, pause: Duration) {
        let again_in = format!("{:.1}s", pause.as_secs_f64());
        match self {
            Self::Over(Over::Rules(End::Drained { .. })) => {
                tracing::info!(%hub, why = %self, again_in, "no session with the hub");
            }
            Self::Over(Over::Rules(End::StaleHub { .. } | End::Refused { .. })) => {
                tracing::error!(%hub, why = %self, again_in, "no session with the hub");
            }
            _ => tracing::warn!(%hub, why = %self, again_in, "no session with the hub"),
        }
    }
}
