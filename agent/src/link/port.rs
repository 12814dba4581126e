//! The seam between the link and what works in the cluster.
//!
//! Owns the trait, and its implementation by the reconciler's handle. Never does the work.

use std::{collections::BTreeMap, future::Future};

use serde_json::Value;
use tidegate_model::{
    assignment::{Assignment, StateRow},
    bundle::Bundle,
    digest::Digest,
    ids::{AppUid, Epoch, Generation},
    report::Report,
    tree::Objects,
};
use tidegate_telemetry::describe;

use super::session::Outcome;
use crate::{
    port::{ReconcilerHandle, Rejected, Reports},
    traces::Traces,
};

/// What the link needs of the reconciler. Cheap to clone.
pub trait Reconcile: Clone + Send + Sync + 'static {
    /// Tells of changed reports.
    type Changes: ReportChanges;

    /// Rows of what is held durably, tombstones included until they are forgotten.
    fn held(&self) -> Vec<StateRow>;

    /// The latest report of every application.
    fn latest_reports(&self) -> Vec<Report>;

    /// A reader that has seen nothing yet.
    fn report_changes(&self) -> Self::Changes;

    /// Highest hub epoch ever seen.
    fn epoch(&self) -> Epoch;

    /// Keeps a higher epoch durably; refuses a lower one. The error is for a person.
    fn raise_epoch(&self, epoch: Epoch) -> impl Future<Output = Result<(), String>> + Send;

    /// Those of `digests` whose objects have to be fetched. Reads the disk.
    fn missing(&self, digests: &[Digest]) -> Vec<Digest>;

    /// Takes an assignment with its content and returns once both are durable. A tombstone comes
    /// with an empty bundle.
    fn accept(
        &self,
        hub_epoch: Epoch,
        assignment: Assignment,
        bundle: Bundle,
        objects: BTreeMap<Digest, Value>,
    ) -> impl Future<Output = Outcome> + Send;

    /// Drops a tombstone that was carried out and that the hub knows of. The error is for a
    /// person; the next session tries again.
    fn forget(
        &self,
        app: AppUid,
        generation: Generation,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Reconciles one application now; `false` if it is not held.
    fn sync_now(&self, app: AppUid) -> bool;

    /// Where applications stand in traces; one that traces nothing knows none.
    fn traces(&self) -> Traces {
        Traces::default()
    }

    /// The objects of one application as they are seen now; `None` if it is not held.
    fn objects(&self, app: AppUid) -> Option<Objects>;

    /// Labels that the agent reports about its cluster.
    fn facts(&self) -> BTreeMap<String, String>;

    /// UID of the kube-system namespace.
    fn kubernetes_uid(&self) -> String;
}

/// Tells of changed reports.
pub trait ReportChanges: Send + 'static {
    /// Waits for reports that this reader has not seen; `None` when there will be no more.
    fn changed(&mut self) -> impl Future<Output = Option<Vec<Report>>> + Send;
}

impl ReportChanges for Reports {
    async fn changed(&mut self) -> Option<Vec<Report>> {
        Reports::changed(self).await
    }
}

impl Reconcile for ReconcilerHandle {
    type Changes = Reports;

    fn held(&self) -> Vec<StateRow> {
        Self::held(self)
    }

    fn latest_reports(&self) -> Vec<Report> {
        self.reports().latest()
    }

    fn report_changes(&self) -> Reports {
        self.reports()
    }

    fn epoch(&self) -> Epoch {
        Self::epoch(self)
    }

    async fn raise_epoch(&self, epoch: Epoch) -> Result<(), String> {
        Self::raise_epoch(self, epoch)
            .await
            .map_err(|error| describe(&error))
    }

    fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        Self::missing(self, digests)
    }

    async fn accept(
        &self,
        hub_epoch: Epoch,
        assignment: Assignment,
        bundle: Bundle,
        objects: BTreeMap<Digest, Value>,
    ) -> Outcome {
        match Self::accept(self, hub_epoch, assignment, bundle, objects).await {
            Ok(accepted) => Outcome::Accepted {
                generation: accepted.generation,
                digest: accepted.digest,
                repeated: accepted.repeated,
            },
            Err(rejected) => rejection(&rejected),
        }
    }

    async fn forget(&self, app: AppUid, generation: Generation) -> Result<(), String> {
        // `false` means that something newer is held: nothing to forget.
        Self::forget(self, app, generation)
            .await
            .map(drop)
            .map_err(|error| describe(&error))
    }

    fn sync_now(&self, app: AppUid) -> bool {
        Self::sync_now(self, app)
    }

    fn traces(&self) -> Traces {
        Self::traces(self)
    }

    fn objects(&self, app: AppUid) -> Option<Objects> {
        Self::objects(self, app)
    }

    fn facts(&self) -> BTreeMap<String, String> {
        Self::facts(self)
    }

    fn kubernetes_uid(&self) -> String {
        self.cluster_uid().to_owned()
    }
}

fn rejection(rejected: &Rejected) -> Outcome {
    Outcome::Rejected {
        reason: describe(rejected),
        retryable: rejected.is_retryable(),
    }
}
