//! What the link reads from and writes to the hub: assignments out, reports and facts in.
//!
//! Owns which reports are stored: only those that say something new, so that a quiet fleet costs
//! no writes. Never judges evidence. The cluster of every call comes from the TLS session.

use std::collections::BTreeMap;

use jiff::Timestamp;

use tidegate_model::{
    assignment::Assignment,
    bundle::{BUNDLE_TAG, OBJECT_TAG},
    ids::{ClusterUid, Epoch},
    report::{Report, StatusRow},
};
use tidegate_store::BlobId;
use tokio::sync::watch;

use crate::{
    changes::{Changes, Decision},
    db::{self, Db},
    link::port::{
        Ack, AckOutcome, AgentFacts, Alarm, BlobKind, BlobRef, Failure, Kept, LinkBackend, Refusal,
    },
    records::{AppRecord, ClusterRecord, FLEET, Record as _, ReportRecord},
    rejection,
    restored::{self, Standing},
    rotation,
    state::{Row, State},
    telemetry::places,
};

/// How often a write is decided anew before the session is told to come back.
const ATTEMPTS: usize = 16;

/// The backend. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backend {
    db: Db,
}

impl Backend {
    /// A backend over this store.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Decides and commits, anew when something changed under it.
    async fn write<T>(
        &self,
        mut decide: impl FnMut(&State) -> (T, Changes),
    ) -> Result<T, db::Error> {
        let mut attempt = 0;
        loop {
            let (answer, changes) = decide(&self.db.read());
            match self.db.commit(changes).await {
                Ok(()) => return Ok(answer),
                Err(error) if error.is_retryable() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The application, if it is one of that cluster with a last word.
fn own_app<'a>(state: &'a State, cluster: ClusterUid, report: &Report) -> Option<&'a AppRecord> {
    state
        .app(report.app)
        .map(AsRef::as_ref)
        .filter(|app| app.app.cluster == cluster && app.assignment.is_some())
}

/// The record of a report; the start of a healthy stretch is kept while it is unbroken and speaks
/// of the same order.
fn record(
    app: &AppRecord,
    known: Option<&Row<ReportRecord>>,
    report: Report,
    now: jiff::Timestamp,
) -> ReportRecord {
    let stretch = known.and_then(|row| {
        let last = &row.record;
        let same =
            last.report.generation == report.generation && last.report.digest == report.digest;
        // An agent that reports a shorter stretch than before has seen a break in between.
        let unbroken = report.healthy_for >= last.report.healthy_for;
        (same && unbroken && last.report.health.is_healthy())
            .then_some(last.first_healthy_at)
            .flatten()
    });
    ReportRecord {
        project: app.app.project.clone(),
        set: app.set,
        first_healthy_at: report.health.is_healthy().then(|| stretch.unwrap_or(now)),
        report,
        received_at: now,
    }
}

/// Whether two reports say the same, the running time of a healthy stretch aside.
fn says_the_same(a: &Report, b: &Report) -> bool {
    let mut b = b.clone();
    b.healthy_for = a.healthy_for;
    *a == b
}

impl LinkBackend for Backend {
    fn epoch(&self) -> Epoch {
        self.db.epoch()
    }

    fn assignments(&self, cluster: ClusterUid) -> Vec<Assignment> {
        let state = self.db.read();
        state
            .apps_in(cluster)
            .filter(|app| restored::standing(&state, app) == Standing::Given)
            .filter_map(|app| app.assignment.clone())
            .collect()
    }

    fn status_rows(&self, cluster: ClusterUid) -> Vec<StatusRow> {
        let state = self.db.read();
        let reports = state
            .apps_in(cluster)
            .filter_map(|app| state.report_of(app));
        reports
            .map(|row| StatusRow::from(&row.record.report))
            .collect()
    }

    fn renew_before(&self, cluster: ClusterUid) -> Option<Timestamp> {
        let state = self.db.read();
        state.cluster(cluster)?.record.renew_before
    }

    fn changes(&self, cluster: ClusterUid) -> watch::Receiver<u64> {
        self.db.changes_in(cluster)
    }

    fn kubernetes_uid(&self, cluster: ClusterUid) -> Option<String> {
        self.db
            .read()
            .cluster(cluster)
            .and_then(|row| row.record.kubernetes_uid.clone())
    }

    async fn hello(
        &self,
        cluster: ClusterUid,
        certificate: Option<Timestamp>,
        facts: AgentFacts,
    ) -> Result<(), Refusal> {
        let answer = self
            .write(|state| {
                let mut changes = Changes::default();
                let Some(row) = state.cluster(cluster) else {
                    return (false, changes);
                };
                let mut record = greeted(&row.record, &facts);
                let rotated = rotation::seen(&mut record, certificate);
                changes.update(row, &record);
                changes.audit.extend(rotated);
                (true, changes)
            })
            .await;
        let retry_after = std::time::Duration::from_secs(30);
        match answer {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal {
                reason: "this cluster was removed from the fleet; join it anew with a token"
                    .to_owned(),
                retry_after: retry_after * 10,
            }),
            Err(error) => Err(Refusal {
                reason: format!("the hub cannot store what you say: {error}"),
                retry_after,
            }),
        }
    }

    async fn report(&self, cluster: ClusterUid, report: Report) -> Result<Kept, Failure> {
        let now = self.db.clock().now();
        self.write(|state| {
            let mut changes = Changes::default();
            let Some(app) = own_app(state, cluster, &report) else {
                return (Kept::NotOurs, changes);
            };
            let known = state.report_of(app);
            let record = record(app, known, report.clone(), now);
            let news = known.is_none_or(|row| {
                !says_the_same(&row.record.report, &record.report)
                    || row.record.first_healthy_at != record.first_healthy_at
            });
            if news {
                changes.upsert(known, &record);
                // A report must not outlive its application.
                if let Some(row) = state.apps.get(&app.key()) {
                    changes.require(row);
                }
            }
            (Kept::Stored, changes)
        })
        .await
        .map_err(|error| Failure::new("failed to store a report", error))
    }

    async fn ack(&self, cluster: ClusterUid, ack: Ack) -> Result<(), Failure> {
        // What was accepted shows in the report; only a refusal is news of its own.
        let AckOutcome::Rejected { reason } = &ack.outcome else {
            return Ok(());
        };
        tracing::warn!(%cluster, app = %ack.app, generation = %ack.generation, reason, "an agent rejected an assignment");
        let now = self.db.clock().now();
        self.write(|state| {
            let mut changes = Changes::default();
            let app = state.app(ack.app).filter(|app| app.app.cluster == cluster);
            let mut news = false;
            if let Some(app) = app
                && let Some(row) = state.apps.get(&app.key())
            {
                let report = state.report_of(app).map(|row| &row.record.report);
                if let Some(record) = rejection::noted(app, report, &ack, reason, now) {
                    changes.update(row, &record);
                    news = true;
                }
            }
            (news, changes)
        })
        .await
        .map(|news| {
            if news {
                self.db.metrics().rejected();
            }
        })
        .map_err(|error| Failure::new("failed to store a rejection", error))
    }

    async fn alarm(&self, cluster: ClusterUid, alarm: Alarm) {
        let outcome = self
            .write(|state| {
                let mut changes = Changes::default();
                let name = state.cluster(cluster).map_or_else(
                    || cluster.to_string(),
                    |row| row.record.cluster.name.clone(),
                );
                changes.decide(Decision::by(
                    &format!("cluster/{name}"),
                    FLEET,
                    "link.alarm",
                    format!("cluster/{name}"),
                    alarm.to_string(),
                ));
                ((), changes)
            })
            .await;
        if let Err(error) = outcome {
            tracing::error!(%cluster, %error, "failed to record an alarm");
        }
    }

    fn traceparent(&self, assignment: &Assignment) -> Option<String> {
        places::traceparent(&self.db.read(), assignment)
    }

    async fn blob(&self, blob: BlobRef) -> Result<Option<Vec<u8>>, Failure> {
        let tag = match blob.kind {
            BlobKind::Bundle => BUNDLE_TAG,
            BlobKind::Object => OBJECT_TAG,
        };
        let id = BlobId::new(tag, blob.digest)
            .map_err(|error| Failure::new("failed to name a blob", error))?;
        let bytes = self.db.blobs().get(&id).await;
        let bytes = bytes.map_err(|error| Failure::new("failed to read a blob", error))?;
        Ok(bytes.map(|bytes| bytes.to_vec()))
    }
}

/// The cluster's record after its agent said hello: labels of facts are replaced, all others stay.
fn greeted(record: &ClusterRecord, facts: &AgentFacts) -> ClusterRecord {
    let mut record = record.clone();
    let prefix = tidegate_model::names::FACT_PREFIX;
    let own: BTreeMap<_, _> = facts
        .labels
        .iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    record
        .cluster
        .labels
        .retain(|key, _| !key.starts_with(prefix));
    record.cluster.labels.extend(own);
    record.agent_version.clone_from(&facts.version);
    record.joined = true;
    record
        .kubernetes_uid
        .get_or_insert_with(|| facts.kubernetes_uid.clone());
    record
}

#[cfg(test)]
mod tests;
