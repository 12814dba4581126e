//! Reports that have to be sent: one slot an application, the latest wins.
//!
//! A change of health, phase or generation goes at once; the rest (details of drift and problems)
//! goes at most twice a second an application. Never makes a report.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidegate_model::{
    assignment::StateRow,
    digest::Digest,
    duration::Span,
    ids::AppUid,
    report::{Phase, Report, StatusRow, status_root},
};

/// Shortest time between two reports on one application that differ in detail only.
const DETAIL_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    latest: BTreeMap<AppUid, Report>,
    /// To be sent at once.
    urgent: BTreeSet<AppUid>,
    /// To be sent when their time has come.
    details: BTreeSet<AppUid>,
    sent_at: BTreeMap<AppUid, Duration>,
}

impl Outbox {
    pub(super) fn new(reports: Vec<Report>, unsent: impl IntoIterator<Item = AppUid>) -> Self {
        let latest: BTreeMap<_, _> = reports
            .into_iter()
            .map(|report| (report.app, report))
            .collect();
        let urgent = unsent
            .into_iter()
            .filter(|app| latest.contains_key(app))
            .collect();
        Self {
            latest,
            urgent,
            ..Self::default()
        }
    }

    /// Takes the latest report of an application.
    pub(super) fn put(&mut self, report: Report) {
        let app = report.app;
        let old = self.latest.get(&app);
        if old.map(StatusRow::from) != Some(StatusRow::from(&report)) {
            self.urgent.insert(app);
        } else if old.is_some_and(|old| details(old) != details(&report)) {
            self.details.insert(app);
        }
        self.latest.insert(app, report);
    }

    /// Takes the latest report of every application; one that is not there any more is dropped.
    pub(super) fn refresh(&mut self, reports: Vec<Report>) {
        let there: BTreeSet<_> = reports.iter().map(|report| report.app).collect();
        self.latest.retain(|app, _| there.contains(app));
        self.urgent.retain(|app| there.contains(app));
        self.details.retain(|app| there.contains(app));
        self.sent_at.retain(|app, _| there.contains(app));
        for report in reports {
            self.put(report);
        }
    }

    pub(super) fn resend(&mut self, app: AppUid) {
        if self.latest.contains_key(&app) {
            self.urgent.insert(app);
        }
    }

    pub(super) fn resend_all(&mut self) {
        self.urgent.extend(self.latest.keys());
    }

    pub(super) fn next(&mut self, now: Duration) -> Option<Report> {
        let due = |app: &AppUid| self.detail_at(*app) <= now;
        let app = self
            .urgent
            .first()
            .copied()
            .or_else(|| self.details.iter().copied().find(due))?;
        self.urgent.remove(&app);
        self.details.remove(&app);
        self.sent_at.insert(app, now);
        self.latest.get(&app).cloned()
    }

    fn detail_at(&self, app: AppUid) -> Duration {
        self.sent_at
            .get(&app)
            .map_or(Duration::ZERO, |at| *at + DETAIL_INTERVAL)
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        if !self.urgent.is_empty() {
            return Some(Duration::ZERO);
        }
        self.details.iter().map(|app| self.detail_at(*app)).min()
    }

    pub(super) fn unsent(&self) -> Vec<AppUid> {
        self.urgent.union(&self.details).copied().collect()
    }

    /// Digest over the latest reports.
    pub(super) fn root(&self) -> Digest {
        status_root(self.latest.values().map(StatusRow::from))
    }

    /// Whether this is a tombstone that was carried out.
    pub(super) fn is_removed(&self, row: &StateRow) -> bool {
        self.latest.get(&row.app).is_some_and(|report| {
            report.phase == Phase::Removed
                && report.generation == row.generation
                && report.digest == row.digest
        })
    }
}

/// A report without what changes by itself as time goes by.
fn details(report: &Report) -> Report {
    Report {
        healthy_for: Span::default(),
        ..report.clone()
    }
}
