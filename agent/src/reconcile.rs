//! One task for each application: brings the latest assignment about and keeps it that way.
//!
//! Owns: when a pass runs, when it is dropped for a newer assignment, when it is retried, and what
//! is reported. What a pass does is in the modules below: [`pass`] applies, [`pruning`] deletes
//! leftovers, [`removal`] carries out tombstones, [`healing`] answers events. Level-triggered: every
//! pass starts from what is kept and what is live, never from what an earlier pass thought.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use futures::StreamExt as _;
use tidegate_model::{
    assignment::Desired,
    ids::{AppUid, Generation},
    object::ObjectId,
    policy::{Drift, Policy},
    report::Phase,
};
use tidegate_telemetry::describe;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use self::{retry::Retry, row::Row};
use crate::{
    blobs::BlobCache,
    board::Board,
    claims::Claims,
    clock,
    cluster::{self, Class, Cluster},
    manifest::Owner,
    metrics::Metrics,
    port::Options,
    state::{self, AppStore, Record, Store},
    traces::Traces,
    watch::{Inbox, Seen, WatchHub},
};

mod content;
mod deleting;
mod healing;
mod lost;
mod pass;
mod pruning;
mod removal;
mod retry;
mod row;
mod summary;

/// What all tasks share.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) options: Options,
    pub(crate) cluster: Cluster,
    pub(crate) store: Arc<Store>,
    pub(crate) blobs: BlobCache,
    pub(crate) claims: Claims,
    pub(crate) watches: WatchHub,
    pub(crate) board: Board,
    pub(crate) metrics: Metrics,
    pub(crate) traces: Traces,
    pub(crate) started: Instant,
}

/// Why a pass could not be ended; single objects fail on their own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(
        "failed to load the content: it is neither on disk nor in the cluster; the hub is asked for it"
    )]
    ContentLost,
    #[error("failed to search for objects by their labels: kinds cannot be discovered now")]
    Undiscovered,
}

impl Error {
    fn class(&self) -> Class {
        match self {
            Self::Cluster(error) => error.class(),
            Self::State(error) if error.is_retryable() => Class::Retryable,
            Self::State(_) => Class::Terminal,
            Self::ContentLost | Self::Undiscovered => Class::Retryable,
        }
    }
}

/// What a task tells its supervisor while it runs.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Whether another application has an object that this one declares.
    pub(crate) contested: AtomicBool,
    /// Passes that began, and the last of them that ended.
    pub(crate) passes: watch::Sender<Passes>,
}

/// Numbers of passes, from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passes {
    pub(crate) begun: u64,
    pub(crate) ended: u64,
}

/// What the task does next.
#[derive(Debug)]
enum Step {
    /// Everything, from the start.
    Pass,
    /// Answer these events.
    Seen(BTreeMap<ObjectId, Seen>),
    /// Look at what is due by time.
    Timer,
}

/// The task of one application.
pub(crate) struct Task {
    env: Arc<Env>,
    app: AppUid,
    store: Arc<AppStore>,
    inbox: Arc<Inbox>,
    nudge: Arc<Notify>,
    signals: Arc<Signals>,
    /// Generation that the fields below speak of.
    generation: Generation,
    rows: BTreeMap<ObjectId, Row>,
    phase: Phase,
    /// What is wrong besides the rows, worst first.
    problems: Vec<(Option<ObjectId>, String)>,
    /// Objects that were left alone for good in this generation, and why.
    notes: Vec<(ObjectId, String)>,
    /// Objects that a person keeps from being deleted, as the delete at hand found them.
    kept: Vec<(ObjectId, String)>,
    held: Option<tidegate_model::report::HeldPrune>,
    retry: Retry,
    full_check: Instant,
    /// Whether the last pass ended because the API server could not be reached.
    unreachable: bool,
    healthy_since: Option<Instant>,
    /// When this generation came through, until it is seen healthy.
    unobserved: Option<SystemTime>,
}

impl Task {
    pub(crate) fn new(
        env: Arc<Env>,
        app: AppUid,
        store: Arc<AppStore>,
        nudge: Arc<Notify>,
        signals: Arc<Signals>,
    ) -> Self {
        Self {
            inbox: env.watches.inbox(app),
            full_check: clock::monotonic() + clock::jittered(env.options.full_check),
            env,
            app,
            store,
            nudge,
            signals,
            generation: Generation::default(),
            rows: BTreeMap::new(),
            phase: Phase::Accepted,
            problems: Vec::new(),
            notes: Vec::new(),
            kept: Vec::new(),
            held: None,
            retry: Retry::default(),
            unreachable: false,
            healthy_since: None,
            unobserved: None,
        }
    }

    /// Runs until `cancel`, or until the sender of `wanted` is gone.
    pub(crate) async fn run(
        mut self,
        mut wanted: watch::Receiver<Generation>,
        cancel: CancellationToken,
    ) {
        loop {
            wanted.borrow_and_update();
            self.begin();
            let mut step = Step::Pass;
            loop {
                let superseded = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return,
                    changed = wanted.changed() => Some(changed),
                    () = self.step(step) => None,
                };
                if let Some(changed) = superseded {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
                self.publish();
                step = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return,
                    changed = wanted.changed() => if changed.is_err() { return } else { break },
                    step = self.wait() => step,
                };
            }
        }
    }

    /// Takes up the assignment that is held now.
    fn begin(&mut self) {
        let record = self.store.record();
        if record.assignment.generation != self.generation {
            self.generation = record.assignment.generation;
            self.problems.clear();
            self.notes.clear();
            self.held = None;
            self.healthy_since = None;
            self.unobserved = None;
            self.retry = Retry::default();
            for row in self.rows.values_mut() {
                row.new_generation();
            }
            self.phase = match (record.is_applied(), &record.assignment.desired) {
                (false, _) => Phase::Accepted,
                (true, Desired::Run { .. }) => Phase::Applied,
                (true, Desired::Tombstone { .. }) => Phase::Removed,
            };
        }
        // A generation that is applied is checked before it is reported: after a restart nothing
        // is known yet.
        if !record.is_applied() {
            self.publish();
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Pass => self.pass().await,
            Step::Seen(seen) => self.on_seen(seen).await,
            Step::Timer => self.on_timer().await,
        }
    }

    async fn pass(&mut self) {
        let record = self.store.record();
        self.problems.clear();
        self.unreachable = false;
        self.retry.begin();
        self.signals.passes.send_modify(|passes| passes.begun += 1);
        self.full_check = clock::monotonic() + clock::jittered(self.env.options.full_check);
        let begun = clock::monotonic();
        let span = if record.is_applied() {
            Span::none()
        } else {
            self.env.traces.applying(&record.assignment)
        };
        let work = async {
            match &record.assignment.desired {
                Desired::Run { .. } => self.run_pass(&record).await,
                Desired::Tombstone { cascade } => self.remove_pass(&record, *cascade).await,
            }
        };
        let done = work.instrument(span.clone()).await;
        if let Err(error) = done {
            self.unreachable |= error.class() == Class::Unreachable;
            tracing::warn!(app = %self.app, generation = %self.generation, error = %describe(&error), "a pass failed");
            if !record.is_applied() && !self.unreachable {
                self.phase = Phase::Failed;
            }
            self.problems.push((None, describe(&error)));
            self.retry.note(error.class(), None);
        }
        self.retry.settle();
        self.passed(&record, &span, begun);
        // Reported first, so that one who waits for the pass sees what it found.
        self.publish();
        self.signals
            .passes
            .send_modify(|passes| passes.ended = passes.begun);
    }

    /// Counts a pass, and tells what became of a new generation in it.
    fn passed(&mut self, record: &Record, span: &Span, begun: Instant) {
        let action = match &record.assignment.desired {
            Desired::Tombstone { .. } => "remove",
            Desired::Run { .. } if record.is_applied() => "verify",
            Desired::Run { .. } => "apply",
        };
        let failed = self.phase == Phase::Failed || self.retry.at().is_some();
        let took = clock::monotonic().saturating_duration_since(begun);
        self.env.metrics.passed(action, failed, took);
        if !record.is_applied() && self.phase == Phase::Applied {
            let (app, generation) = (self.app, self.generation);
            span.in_scope(|| tracing::info!(%app, %generation, "a new generation is through"));
            self.unobserved = Some(clock::wall().into());
        }
        span.record("tidegate.objects", self.rows.len());
        span.record("tidegate.phase", format!("{:?}", self.phase));
        if let Some((_, problem)) = self.problems.first().filter(|_| failed) {
            span.record("otel.status_description", problem);
        }
    }

    /// Waits for the next thing to do.
    async fn wait(&self) -> Step {
        let timer = self.next_timer();
        tokio::select! {
            biased;
            () = self.nudge.notified() => Step::Pass,
            seen = self.inbox.take() => Step::Seen(seen),
            () = tokio::time::sleep_until(timer) => Step::Timer,
        }
    }

    /// Time since the agent started, for backoffs.
    fn now(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.env.started)
    }

    fn concurrency(&self) -> usize {
        self.env.options.concurrency.max(1)
    }
}

/// What a run assignment says besides its content.
#[derive(Clone, Debug)]
struct Run {
    policy: Policy,
    namespace: String,
    approved: bool,
}

impl Run {
    fn of(record: &Record) -> Option<Self> {
        match &record.assignment.desired {
            Desired::Run {
                policy,
                namespace,
                prune_approved,
                ..
            } => Some(Self {
                policy: policy.clone(),
                namespace: namespace.clone(),
                approved: *prune_approved,
            }),
            Desired::Tombstone { .. } => None,
        }
    }

    fn drift(&self) -> Drift {
        self.policy.drift
    }

    fn owner<'a>(&'a self, record: &'a Record) -> Owner<'a> {
        Owner {
            app: record.assignment.app,
            app_name: &record.assignment.app_name,
            namespace: &self.namespace,
        }
    }
}

/// Runs these at most `at_once` at a time; answers come in the order in which they are ready.
async fn concurrently<F: Future>(work: Vec<F>, at_once: usize) -> Vec<F::Output> {
    futures::stream::iter(work)
        .buffer_unordered(at_once)
        .collect()
        .await
}
