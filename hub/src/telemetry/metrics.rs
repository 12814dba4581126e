//! The hub's numbers.
//!
//! Owns their names, after the Prometheus guide: base units, `_total` on what only rises, labels
//! of which there are few. Nothing is counted by application or cluster: there are ten thousand.
//! What the view of the store knows is read when it is asked for.

mod view;

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter as AnyCounter, family::Family, gauge::Gauge as AnyGauge,
        histogram::Histogram, info::Info,
    },
    registry::{Registry, Unit},
};
use tidegate_model::run::RunState;
use tidegate_telemetry::{export::Spans, process::Process};

use crate::{db::Db, evidence::Evidence, records::wire::Named as _};

type Counter = AnyCounter<u64, AtomicU64>;
type Gauge = AnyGauge<i64, AtomicI64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// A gRPC call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
}

/// A gRPC call that is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    code: &'static str,
}

/// From a millisecond to half a minute: work of the hub itself.
fn short() -> Histogram {
    Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
}

/// From a second to half a day: what waits for clusters and people.
fn long() -> Histogram {
    Histogram::new([
        1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 43_200.0,
    ])
}

/// What the hub counts. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    view: view::Gauges,
    leader: Gauge,
    passes: Family<Outcome, Counter>,
    pass_seconds: Histogram,
    publish_seconds: Histogram,
    expand_seconds: Histogram,
    render_seconds: Histogram,
    renders: Family<Outcome, Counter>,
    step_seconds: Histogram,
    wave_seconds: Histogram,
    healthy_seconds: Histogram,
    assignments: Counter,
    rejections: Counter,
    finished_runs: Family<Outcome, Counter>,
    transactions: Family<Outcome, Counter>,
    transaction_seconds: Histogram,
    fetches: Family<Outcome, Counter>,
    fetch_seconds: Histogram,
    blobs: Gauge,
    blob_bytes: Gauge,
    deleted_blobs: Counter,
    requests: Family<Answered, Counter>,
    request_seconds: Histograms<Call>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            registry: Arc::default(),
            view: view::Gauges::default(),
            leader: Gauge::default(),
            passes: Family::default(),
            pass_seconds: short(),
            publish_seconds: short(),
            expand_seconds: short(),
            render_seconds: short(),
            renders: Family::default(),
            step_seconds: short(),
            wave_seconds: long(),
            healthy_seconds: long(),
            assignments: Counter::default(),
            rejections: Counter::default(),
            finished_runs: Family::default(),
            transactions: Family::default(),
            transaction_seconds: short(),
            fetches: Family::default(),
            fetch_seconds: short(),
            blobs: Gauge::default(),
            blob_bytes: Gauge::default(),
            deleted_blobs: Counter::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(short),
        };
        metrics.begin();
        registry.register_collector(Box::new(Process));
        let ours = registry.sub_registry_with_prefix("tidegate_hub");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "Version of the hub", version);
        metrics.view.name(ours);
        metrics.name_work(ours);
        metrics.name_rollouts(ours);
        metrics.name_rim(ours);
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }
}

fn seconds(registry: &mut Registry, name: &str, help: &str, histogram: &Histogram) {
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
}

impl Metrics {
    /// What can happen is there before it does, so that a rate or an alert sees a zero.
    fn begin(&self) {
        let known = |family: &Family<Outcome, Counter>, outcomes: &[&'static str]| {
            for outcome in outcomes {
                family.get_or_create_owned(&Outcome { outcome });
            }
        };
        for family in [&self.passes, &self.renders] {
            known(family, &["succeeded", "failed"]);
        }
        known(&self.fetches, &["changed", "unchanged", "failed"]);
        let transactions = ["committed", "conflict", "fenced", "failed"];
        known(&self.transactions, &transactions);
        let ends = RunState::ALL.iter().filter(|state| state.is_terminal());
        let ends: Vec<_> = ends.map(|state| state.stored()).collect();
        known(&self.finished_runs, &ends);
    }

    fn name_work(&self, to: &mut Registry) {
        let passes = "Controller passes over one set, by how they ended";
        to.register("controller_passes", passes, self.passes.clone());
        let help = "Time of one controller pass over one set";
        seconds(to, "controller_pass_duration", help, &self.pass_seconds);
        let help = "Time of one publication of a set: expand, render, compare, commit";
        seconds(to, "publish_duration", help, &self.publish_seconds);
        let help = "Time to expand a set into applications, reading its sources included";
        seconds(to, "expand_duration", help, &self.expand_seconds);
        let help = "Time to render one application, reading its source included";
        seconds(to, "render_duration", help, &self.render_seconds);
        let help = "Applications rendered anew, by how it ended";
        to.register("renders", help, self.renders.clone());
        let help = "Time of one step of a run: facts, decision, commit";
        seconds(to, "step_duration", help, &self.step_seconds);
    }

    fn name_rollouts(&self, to: &mut Registry) {
        let help = "From the opening of a wave to that of the next, or to the end of the run";
        seconds(to, "wave_duration", help, &self.wave_seconds);
        let help = "From an assignment to the first report that it is healthy";
        seconds(to, "application_healthy_delay", help, &self.healthy_seconds);
        let help = "Assignments written: generations of applications";
        to.register("assignments", help, self.assignments.clone());
        let help = "Assignments that an agent rejected";
        to.register("rejected_assignments", help, self.rejections.clone());
        let help = "Runs that ended, by the state they ended in";
        to.register("finished_runs", help, self.finished_runs.clone());
    }

    fn name_rim(&self, to: &mut Registry) {
        to.register(
            "leader",
            "Whether this hub leads: 1, or 0 while it stands by",
            self.leader.clone(),
        );
        let help = "Transactions of the store, by how they ended";
        to.register("store_transactions", help, self.transactions.clone());
        let help = "Time of one transaction of the store";
        seconds(
            to,
            "store_transaction_duration",
            help,
            &self.transaction_seconds,
        );
        let help = "Fetches of Git sources, by how they ended";
        to.register("git_fetches", help, self.fetches.clone());
        let help = "Time of one fetch of a Git source";
        seconds(to, "git_fetch_duration", help, &self.fetch_seconds);
        let help = "Blobs of rendered content, as last measured, with each sweep";
        to.register("blobs", help, self.blobs.clone());
        let help = "Size of rendered content on disk, as last measured, with each sweep";
        to.register_with_unit("blob_store", help, Unit::Bytes, self.blob_bytes.clone());
        let help = "Blobs that nothing referred to any more and that were deleted";
        to.register("deleted_blobs", help, self.deleted_blobs.clone());
        let help = "Calls of the gRPC port that are over, by method and code";
        to.register("api_requests", help, self.requests.clone());
        to.register_with_unit(
            "api_request_duration",
            "Time of one gRPC call, by method; a stream counts when it ends",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        to.register_collector(Box::new(Spans));
    }

    /// This hub leads, and everything below may be true.
    pub fn leads(&self) {
        self.leader.set(1);
    }

    /// Counts one pass over one set.
    pub fn pass(&self, seconds: f64, failed: bool) {
        self.passes.get_or_create(&ended(failed)).inc();
        self.pass_seconds.observe(seconds);
    }

    /// Counts one publication.
    pub fn published(&self, seconds: f64) {
        self.publish_seconds.observe(seconds);
    }

    /// Counts one expansion.
    pub fn expanded(&self, seconds: f64) {
        self.expand_seconds.observe(seconds);
    }

    /// Counts one application that was rendered anew.
    pub fn rendered(&self, seconds: f64, failed: bool) {
        self.renders.get_or_create(&ended(failed)).inc();
        self.render_seconds.observe(seconds);
    }

    /// Counts one step of a run.
    pub fn stepped(&self, seconds: f64) {
        self.step_seconds.observe(seconds);
    }

    /// A wave is over, this long after it was opened.
    pub fn wave(&self, seconds: f64) {
        self.wave_seconds.observe(seconds);
    }

    /// An application is healthy, this long after it was assigned.
    pub fn healthy(&self, seconds: f64) {
        self.healthy_seconds.observe(seconds);
    }

    /// An assignment was written.
    pub fn assigned(&self) {
        self.assignments.inc();
    }

    /// An agent rejected an assignment.
    pub fn rejected(&self) {
        self.rejections.inc();
    }

    /// A run reached a state that it does not leave by itself.
    pub fn finished(&self, state: &'static str) {
        let outcome = Outcome { outcome: state };
        self.finished_runs.get_or_create(&outcome).inc();
    }

    /// Counts one transaction.
    pub fn transaction(&self, seconds: f64, outcome: &'static str) {
        self.transactions.get_or_create(&Outcome { outcome }).inc();
        self.transaction_seconds.observe(seconds);
    }

    /// Counts one fetch of a source.
    pub fn fetched(&self, seconds: f64, outcome: &'static str) {
        self.fetches.get_or_create(&Outcome { outcome }).inc();
        self.fetch_seconds.observe(seconds);
    }

    /// A sweep of the blob store deleted as many.
    pub fn swept(&self, deleted: usize) {
        self.deleted_blobs.inc_by(deleted as u64);
    }

    /// What the blob store takes.
    pub fn stored(&self, blobs: usize, bytes: u64) {
        self.blobs.set(i64::try_from(blobs).unwrap_or(i64::MAX));
        self.blob_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts one call that is over. Both words are from a small table.
    pub fn called(&self, method: &'static str, code: &'static str, seconds: f64) {
        self.requests
            .get_or_create(&Answered { method, code })
            .inc();
        self.request_seconds
            .get_or_create(&Call { method })
            .observe(seconds);
    }

    /// The numbers as Prometheus reads them; those of the view are read now.
    pub fn text(&self, view: Option<(&Db, &Evidence)>) -> Result<String, std::fmt::Error> {
        if let Some((db, evidence)) = view {
            self.view.look(db, evidence);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn ended(failed: bool) -> Outcome {
    let outcome = if failed { "failed" } else { "succeeded" };
    Outcome { outcome }
}
