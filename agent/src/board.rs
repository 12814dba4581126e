//! The latest report of each application, and the stream of changes of it.
//!
//! Coalesced: a reader that was away sees the latest of each, never a queue. Never decides what a
//! report says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate_model::{duration::Span, ids::AppUid, report::Report, tree::Objects};
use tokio::{sync::watch, time::Instant};

use crate::clock;

#[derive(Clone, Debug)]
struct Row {
    report: Report,
    /// Since when it is healthy without a break; [`Report::healthy_for`] is made from it when read.
    healthy_since: Option<Instant>,
    /// Number of the change that wrote it.
    change: u64,
}

#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<AppUid, Arc<Row>>,
    change: u64,
}

/// Where application tasks put their reports.
#[derive(Debug)]
pub(crate) struct Board {
    sender: watch::Sender<Rows>,
    /// The objects behind each report, for those who ask; nobody is woken by a change of them.
    objects: Mutex<BTreeMap<AppUid, Objects>>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            sender: watch::Sender::new(Rows::default()),
            objects: Mutex::default(),
        }
    }

    /// Puts a report up; readers wake only if it differs from the one before.
    pub(crate) fn put(&self, report: Report, healthy_since: Option<Instant>) {
        self.sender.send_if_modified(|rows| {
            let same = rows
                .rows
                .get(&report.app)
                .is_some_and(|row| row.report == report && row.healthy_since == healthy_since);
            if same {
                return false;
            }
            rows.change += 1;
            let row = Row {
                change: rows.change,
                healthy_since,
                report,
            };
            rows.rows.insert(row.report.app, Arc::new(row));
            true
        });
    }

    /// Puts up the objects of an application.
    pub(crate) fn put_objects(&self, app: AppUid, objects: Objects) {
        let mut all = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(app, objects);
    }

    /// The objects of an application as they were put up last.
    pub(crate) fn objects(&self, app: AppUid) -> Option<Objects> {
        let all = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&app).cloned()
    }

    /// Takes an application's report down.
    pub(crate) fn remove(&self, app: AppUid) {
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&app);
        self.sender
            .send_if_modified(|rows| rows.rows.remove(&app).is_some());
    }

    pub(crate) fn reports(&self) -> Reports {
        Reports {
            receiver: self.sender.subscribe(),
            seen: 0,
        }
    }
}

/// A reader of the latest reports. Cheap to clone; each clone goes on from where it was.
#[derive(Clone, Debug)]
pub struct Reports {
    receiver: watch::Receiver<Rows>,
    seen: u64,
}

impl Reports {
    /// Every application's latest report, in the order of their uids.
    pub fn latest(&self) -> Vec<Report> {
        self.receiver.borrow().rows.values().map(read).collect()
    }

    /// Waits for reports this reader has not seen and returns them; at once for those that were
    /// there before it. `None` when the reconciler is gone.
    pub async fn changed(&mut self) -> Option<Vec<Report>> {
        loop {
            {
                let rows = self.receiver.borrow_and_update();
                let fresh: Vec<_> = rows
                    .rows
                    .values()
                    .filter(|row| row.change > self.seen)
                    .collect();
                if !fresh.is_empty() {
                    let reports = fresh.into_iter().map(read).collect();
                    self.seen = rows.change;
                    return Some(reports);
                }
            }
            self.receiver.changed().await.ok()?;
        }
    }
}

fn read(row: &Arc<Row>) -> Report {
    let healthy_for = row.healthy_since.map_or(Duration::ZERO, |since| {
        clock::monotonic().saturating_duration_since(since)
    });
    Report {
        healthy_for: Span(healthy_for),
        ..row.report.clone()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tidegate_model::{digest::Digest, health::Health, ids::Generation, report::Phase};
    use uuid::Uuid;

    use super::*;

    fn report(app: u128, generation: u64) -> Report {
        Report {
            app: AppUid(Uuid::from_u128(app)),
            generation: Generation(generation),
            digest: Digest::from_bytes([0; 32]),
            phase: Phase::Applied,
            health: Health::Healthy,
            healthy_for: Span::default(),
            drift: Vec::new(),
            problems: Vec::new(),
            held_prune: None,
        }
    }

    #[tokio::test]
    async fn a_slow_reader_sees_the_latest_of_each_once() {
        let board = Board::new();
        let mut reports = board.reports();
        for generation in 1..=50 {
            board.put(report(1, generation), None);
        }
        let since = clock::monotonic().checked_sub(Duration::from_secs(3));
        board.put(report(2, 7), since);

        let seen = reports.changed().await.unwrap();
        let seen: Vec<_> = seen
            .iter()
            .map(|report| (report.generation.0, report.healthy_for.0.as_secs()))
            .collect();
        assert_eq!(seen, [(50, 0), (7, 3)]);
        assert!(reports.changed().now_or_never().is_none(), "it came twice");

        board.put(report(1, 50), None);
        let again = reports.changed().now_or_never();
        assert!(again.is_none(), "an equal report is no change");
        board.put(report(1, 51), None);
        assert_eq!(reports.changed().await.unwrap().len(), 1);
        let objects = Objects {
            generation: Generation(7),
            all: Arc::default(),
        };
        board.put_objects(AppUid(Uuid::from_u128(2)), objects.clone());
        let told = |app| board.objects(AppUid(Uuid::from_u128(app)));
        assert_eq!((told(1), told(2)), (None, Some(objects)));
        assert!(
            reports.changed().now_or_never().is_none(),
            "nobody is woken by objects"
        );
        board.remove(AppUid(Uuid::from_u128(2)));
        assert_eq!(told(2), None);
        drop(board);
        assert!(reports.changed().await.is_none());
    }
}
