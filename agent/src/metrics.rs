//! What the reconciler counts.
//!
//! Names follow the Prometheus guide. Nothing is counted by application or object: there are too
//! many. Never serves the numbers: `runtime` does.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter as AnyCounter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::cluster::Class;

type Counter = AnyCounter<u64, AtomicU64>;

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    action: &'static str,
    reason: &'static str,
}

/// What a pass was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    action: &'static str,
    outcome: &'static str,
}

/// Numbers of the reconciler. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    passes: Family<Pass, Counter>,
    pass_seconds: Histogram,
    objects: Family<Outcome, Counter>,
    failures: Family<Failure, Counter>,
    drift_found: Counter,
    drift_healed: Counter,
    watch_restarts: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        // From a hundredth of a second to five minutes.
        let buckets = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
        let metrics = Self {
            passes: Family::default(),
            pass_seconds: Histogram::new(buckets),
            objects: Family::default(),
            failures: Family::default(),
            drift_found: Counter::default(),
            drift_healed: Counter::default(),
            watch_restarts: Counter::default(),
        };
        metrics.begin();
        metrics
    }
}

impl Metrics {
    /// What can happen is there before it does, so that a rate or an alert sees a zero.
    fn begin(&self) {
        for action in ["apply", "verify", "remove"] {
            for outcome in ["succeeded", "failed"] {
                self.passes.get_or_create_owned(&Pass { action, outcome });
            }
        }
        for outcome in [
            "applied",
            "unchanged",
            "differs",
            "foreign",
            "terminating",
            "deleted",
            "failed",
        ] {
            self.objects.get_or_create_owned(&Outcome { outcome });
        }
        for action in ["apply", "delete"] {
            for reason in ["terminal", "retryable", "unreachable"] {
                self.failures
                    .get_or_create_owned(&Failure { action, reason });
            }
        }
    }

    /// Adds the numbers to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Passes over one application, by what for and how they ended";
        registry.register("reconciles", help, self.passes.clone());
        registry.register_with_unit(
            "reconcile_duration",
            "Time of one pass over one application",
            Unit::Seconds,
            self.pass_seconds.clone(),
        );
        let help = "Objects that passes went through, by what became of them";
        registry.register("objects", help, self.objects.clone());
        let help = "Objects that could not be applied or deleted, by why";
        registry.register("object_failures", help, self.failures.clone());
        let help = "Differences found in objects that were applied";
        registry.register("drift_found", help, self.drift_found.clone());
        let help = "Differences that were healed";
        registry.register("drift_healed", help, self.drift_healed.clone());
        let help = "Watches that broke and started again";
        registry.register("watch_restarts", help, self.watch_restarts.clone());
    }

    pub(crate) fn passed(&self, action: &'static str, failed: bool, took: Duration) {
        let outcome = if failed { "failed" } else { "succeeded" };
        self.passes.get_or_create(&Pass { action, outcome }).inc();
        self.pass_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn object(&self, outcome: &'static str) {
        self.objects.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn failed(&self, action: &'static str, class: Class) {
        let reason = match class {
            Class::Terminal => "terminal",
            Class::Retryable => "retryable",
            Class::Unreachable => "unreachable",
        };
        self.failures
            .get_or_create(&Failure { action, reason })
            .inc();
    }

    pub(crate) fn drifted(&self, healed: bool) {
        self.drift_found.inc();
        if healed {
            self.drift_healed.inc();
        }
    }

    pub(crate) fn watch_restarted(&self) {
        self.watch_restarts.inc();
    }
}
