//! The component: has an identity, and has it renewed in time.
//!
//! Level-triggered: a pass looks at what there is (identity, token, time) and does what is missing;
//! a period is its only trigger, and the next pass is the retry. Never ends the agent: without an
//! identity it goes on reconciling what it has. A renewed certificate is kept before it is used: once it
//! was seen, the hub may refuse the former.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tidegate_telemetry::describe;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Identity, IdentityStore, JoinToken, enroll};
use crate::{
    clock,
    link::{
        Hub,
        backoff::{Backoff, Limits},
    },
};

/// Where a join token comes from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// There is none.
    None,
    /// Given at start.
    Text(JoinToken),
    /// A file, read again with every pass: it may be mounted later, or replaced by a token for
    /// another hub.
    File(PathBuf),
}

/// How the agent gets its identity.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the hub is.
    pub hub: Hub,
    /// Where a token may be found.
    pub token: TokenSource,
    /// UID of the kube-system namespace.
    pub kubernetes_uid: String,
    /// How long to wait after a failed attempt.
    pub backoff: Limits,
    /// Longest time between two passes.
    pub period: Duration,
}

impl Options {
    /// The defaults.
    pub fn new(hub: Hub, token: TokenSource, kubernetes_uid: String) -> Self {
        Self {
            hub,
            token,
            kubernetes_uid,
            backoff: Limits::default(),
            period: Duration::from_secs(10),
        }
    }
}

/// The identity, as others see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeeperHandle {
    identity: watch::Receiver<Option<Arc<Identity>>>,
    problem: watch::Receiver<Option<String>>,
    renewals: watch::Sender<Option<Timestamp>>,
}

impl KeeperHandle {
    /// The identity that is to be used; changes when it was renewed.
    pub fn identity(&self) -> watch::Receiver<Option<Arc<Identity>>> {
        self.identity.clone()
    }

    /// Where the keeper is told which certificates the hub wants renewed: those whose life begins
    /// before.
    pub fn renewals(&self) -> watch::Sender<Option<Timestamp>> {
        self.renewals.clone()
    }

    /// What keeps the agent from having a good identity, for a person.
    pub fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
    }

    /// End of the certificate's life.
    pub fn not_after(&self) -> Option<Timestamp> {
        let identity = self.identity.borrow().clone()?;
        Some(identity.validity().ok()?.not_after)
    }
}

/// The component.
#[derive(Debug)]
pub struct Keeper<S> {
    options: Options,
    store: S,
    current: watch::Sender<Option<Arc<Identity>>>,
    problem: watch::Sender<Option<String>>,
    /// What is stored was read.
    loaded: bool,
    /// What is used and not stored yet.
    unsaved: bool,
    /// What was renewed and is not stored yet, so not used: the hub refuses the former certificate as
    /// soon as it sees the new one, and an agent that died then would have neither.
    renewed: Option<Identity>,
    /// Certificates whose life begins before are to be renewed.
    wanted: watch::Sender<Option<Timestamp>>,
    /// The token that the hub refused: asking again is no use.
    refused: Option<JoinToken>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl<S: IdentityStore> Keeper<S> {
    /// A keeper over this store.
    pub fn new(options: Options, store: S) -> Self {
        Self {
            backoff: Backoff::new(options.backoff),
            options,
            store,
            current: watch::Sender::new(None),
            problem: watch::Sender::new(None),
            loaded: false,
            unsaved: false,
            renewed: None,
            wanted: watch::Sender::new(None),
            refused: None,
            not_before: None,
        }
    }

    /// What others may know.
    pub fn handle(&self) -> KeeperHandle {
        KeeperHandle {
            identity: self.current.subscribe(),
            problem: self.problem.subscribe(),
            renewals: self.wanted.clone(),
        }
    }

    /// Keeps the identity good until `cancel`.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut wanted = self.wanted.subscribe();
        let passes = async {
            loop {
                wanted.borrow_and_update();
                let problem = self.pass().await.err();
                self.tell(problem);
                let now = clock::monotonic();
                let pause = self
                    .not_before
                    .map_or(Duration::MAX, |at| at.saturating_duration_since(now));
                let pause = pause.min(clock::jittered(self.options.period));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // The sender is the keeper's own: it does not go away.
                    Ok(()) = wanted.changed() => {}
                }
            }
        };
        cancel.run_until_cancelled(passes).await;
    }

    /// Logs a problem once, not with every pass.
    fn tell(&self, problem: Option<String>) {
        self.problem.send_if_modified(|old| {
            if *old == problem {
                return false;
            }
            if let Some(problem) = &problem {
                tracing::error!(problem, "the agent has no good identity");
            } else {
                tracing::info!("the agent's identity is good");
            }
            *old = problem;
            true
        });
    }

    /// Does what is missing.
    async fn pass(&mut self) -> Result<(), String> {
        if !self.loaded {
            let stored = self.store.load().await.map_err(|error| describe(&error))?;
            self.loaded = true;
            self.adopt(stored).await;
        }
        if self.not_before.is_some_and(|at| clock::monotonic() < at) {
            return self.problem.borrow().clone().map_or(Ok(()), Err);
        }
        self.not_before = None;
        let current = self.current.borrow().clone();
        let now = clock::wall();
        let life = current.as_deref().map(Identity::validity);
        if let (Some(identity), Some(Ok(life))) = (&current, &life)
            && now < life.not_after
            && self.joined_anew(identity).await
        {
            return Ok(());
        }
        match life {
            None => self.join(None).await,
            Some(Ok(life)) if now < life.not_after && self.renewed.is_some() => {
                self.take_over().await
            }
            Some(Ok(life)) if now < life.renew_at() && !self.is_wanted_new(life) => {
                self.save().await
            }
            Some(Ok(life)) if now < life.not_after => self.renew(life.not_after).await,
            Some(Ok(_)) if self.renewed.is_some() => self.use_unsaved().await,
            Some(Ok(life)) => {
                let problem = format!("the certificate expired at {}", life.not_after);
                self.join(Some(problem)).await
            }
            Some(Err(error)) => self.join(Some(error.to_string())).await,
        }
    }

    /// Takes up what was stored.
    async fn adopt(&mut self, stored: Option<Identity>) {
        let Some(stored) = stored else { return };
        // A new identity that could not be kept is used all the same: its token is spent.
        if !self.joined_anew(&stored).await && self.current.borrow().is_none() {
            self.not_before = None;
            self.current.send_replace(Some(Arc::new(stored)));
        }
    }

    /// Joins with a token that the identity was not made with, if there is one: whoever put it
    /// there wants the agent to join anew, another hub or one that lost its store. If that fails,
    /// the identity that there is goes on.
    async fn joined_anew(&mut self, identity: &Identity) -> bool {
        let token = self.token().await.ok().flatten();
        let other = token.filter(|token| {
            token.id() != identity.token_id && self.refused.as_ref() != Some(token)
        });
        let Some(token) = other else { return false };
        match self.trade(&token, &identity.agent_uid).await {
            Ok(()) => true,
            Err(problem) => {
                tracing::warn!(
                    problem,
                    token = token.id(),
                    "could not join with a new token: going on with the present identity"
                );
                false
            }
        }
    }

    async fn token(&self) -> Result<Option<JoinToken>, String> {
        match &self.options.token {
            TokenSource::None => Ok(None),
            TokenSource::Text(token) => Ok(Some(token.clone())),
            TokenSource::File(path) => {
                let text = tokio::fs::read_to_string(path).await.map_err(|error| {
                    format!(
                        "failed to read the join token from {}: {error}",
                        path.display()
                    )
                })?;
                let token = text
                    .parse()
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(Some(token))
            }
        }
    }

    async fn join(&mut self, problem: Option<String>) -> Result<(), String> {
        let problem = problem
            .map(|problem| format!("{problem}; "))
            .unwrap_or_default();
        let Some(token) = self
            .token()
            .await
            .map_err(|error| format!("{problem}{error}"))?
        else {
            return Err(format!(
                "{problem}give the agent a join token: `tidegate cluster join-token` makes one"
            ));
        };
        if self.refused.as_ref() == Some(&token) {
            return self.problem.borrow().clone().map_or(Ok(()), Err);
        }
        let agent_uid = self
            .current
            .borrow()
            .as_ref()
            .map(|identity| identity.agent_uid.clone());
        let agent_uid = agent_uid.unwrap_or_else(super::random_id);
        self.trade(&token, &agent_uid)
            .await
            .map_err(|error| format!("{problem}{error}"))
    }

    async fn trade(&mut self, token: &JoinToken, agent_uid: &str) -> Result<(), String> {
        let hub = &self.options.hub;
        match enroll::join(hub, token, &self.options.kubernetes_uid, agent_uid).await {
            Ok(identity) => {
                tracing::info!(cluster = identity.cluster_name, uid = %identity.cluster, "joined the hub");
                self.put(identity).await
            }
            Err(error) => {
                if !error.is_retryable() {
                    self.refused = Some(token.clone());
                }
                Err(format!(
                    "failed to join with token {}: {}",
                    token.id(),
                    self.failed(&error)
                ))
            }
        }
    }

    async fn renew(&mut self, not_after: Timestamp) -> Result<(), String> {
        let Some(identity) = self.current.borrow().clone() else {
            return Ok(());
        };
        match enroll::renew(&self.options.hub, &identity).await {
            Ok(renewed) => {
                tracing::info!("renewed the certificate");
                self.backoff = Backoff::new(self.options.backoff);
                self.renewed = Some(renewed);
                self.take_over().await
            }
            Err(error) => {
                let left =
                    SignedDuration::from_secs(clock::wall().duration_until(not_after).as_secs());
                let error = self.failed(&error);
                Err(format!(
                    "failed to renew the certificate, which is good for {left:#}: {error}"
                ))
            }
        }
    }

    /// Whether the hub wants a certificate of this life replaced.
    fn is_wanted_new(&self, life: super::Validity) -> bool {
        let wanted = *self.wanted.borrow();
        wanted.is_some_and(|least| life.not_before < least)
    }

    /// An order was about the certificate before; one that still stands is told in the next session.
    fn forget_order(&self) {
        self.wanted.send_if_modified(|wanted| {
            *wanted = None;
            false
        });
    }

    /// Keeps what was renewed, then uses it.
    async fn take_over(&mut self) -> Result<(), String> {
        let Some(renewed) = self.renewed.clone() else {
            return Ok(());
        };
        self.store.save(&renewed).await.map_err(|error| {
            let error = describe(&error);
            format!("{error}; the renewed certificate is not used until it is kept")
        })?;
        self.renewed = None;
        self.unsaved = false;
        self.forget_order();
        self.current.send_replace(Some(Arc::new(renewed)));
        Ok(())
    }

    /// Uses what was renewed although it cannot be kept: the former is over.
    async fn use_unsaved(&mut self) -> Result<(), String> {
        match self.renewed.take() {
            Some(renewed) => self.put(renewed).await,
            None => Ok(()),
        }
    }

    fn failed(&mut self, error: &enroll::Error) -> String {
        let pause = self
            .backoff
            .pause(Duration::ZERO, Duration::ZERO, rand::random());
        self.not_before = Some(clock::monotonic() + pause);
        describe(error)
    }

    /// Uses an identity, and keeps it. It is used even if it cannot be kept: it exists, and its
    /// token is spent; keeping it is tried again.
    async fn put(&mut self, identity: Identity) -> Result<(), String> {
        self.backoff = Backoff::new(self.options.backoff);
        self.refused = None;
        self.renewed = None;
        self.unsaved = true;
        self.forget_order();
        self.current.send_replace(Some(Arc::new(identity)));
        self.save().await
    }

    async fn save(&mut self) -> Result<(), String> {
        let current = self.current.borrow().clone();
        if let Some(identity) = current.filter(|_| self.unsaved) {
            self.store.save(&identity).await.map_err(|error| {
                format!("{}; until it is kept, a restart loses it", describe(&error))
            })?;
            self.unsaved = false;
        }
        Ok(())
    }
}
