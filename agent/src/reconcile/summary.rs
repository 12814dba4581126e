//! From the rows of a task to the report of its application.

use std::{sync::atomic::Ordering, time::Duration};

use tidegate_model::{
    duration::Span,
    health::Health,
    policy::Drift,
    report::{DriftItem, Phase, Problem, Report},
};
use tokio::time::Instant;

use super::{
    Run, Task,
    row::{Row, Status},
};
use crate::{clock, state::Content};

/// Most problems in one report.
const MOST: usize = 20;
/// How long a healed difference stays in the report.
const SHOWN: Duration = Duration::from_secs(60);

impl Task {
    /// Puts up what is known now.
    pub(super) fn publish(&mut self) {
        let record = self.store.record();
        let removing = record.assignment.bundle().is_none();
        let mut found: Vec<(Health, Problem)> = Vec::new();
        for (id, row) in &self.rows {
            let (health, message) = row.health();
            let rivals = row.heat.is_contested().then_some("somebody keeps changing it back");
            let message = match (message.is_empty(), rivals) {
                (true, None) => String::new(),
                (true, Some(rivals)) => rivals.to_owned(),
                (false, None) => message,
                (false, Some(rivals)) => format!("{message}; {rivals}"),
            };
            found.push((health, Problem { object: Some(id.clone()), message }));
        }
        let mut health = Health::worst_of(found.iter().map(|(health, _)| *health));
        let mut problems: Vec<_> = std::mem::take(&mut found);
        problems.retain(|(health, problem)| !health.is_healthy() || !problem.message.is_empty());
        problems.sort_by(|a, b| b.0.cmp(&a.0));
        let mut all: Vec<_> = self
            .problems
            .iter()
            .map(|(object, message)| Problem { object: object.clone(), message: message.clone() })
            .collect();
        let foreign = |row: &Row| matches!(row.status, Status::Foreign(_));
        self.contested.store(self.rows.values().any(foreign), Ordering::Relaxed);
        all.extend(self.notes.iter().map(|(id, why)| Problem {
            object: Some(id.clone()),
            message: why.clone(),
        }));
        if let Some(kind) = self.env.watches.blind(self.app) {
            health = Health::Unknown;
            all.push(whole(format!("objects of kind {kind} cannot be watched now")));
        }
        all.extend(problems.into_iter().map(|(_, problem)| problem));
        if record.content == Content::DiskOnly {
            all.push(whole(
                "the content is larger than the agent keeps in the cluster; it is on the disk of its node only".to_owned(),
            ));
        }
        all.truncate(MOST);
        if self.unreachable {
            health = Health::Unknown;
        }
        // What is not applied is not healthy, whatever the old objects look like.
        let through = matches!(self.phase, Phase::Applied | Phase::Removed);
        if !through && !removing {
            health = health.worst(Health::Progressing);
        }
        let healthy = through && health.is_healthy();
        self.healthy_since = healthy.then(|| self.healthy_since.unwrap_or_else(clock::monotonic));
        let report = Report {
            app: self.app,
            generation: self.generation,
            digest: record.assignment.digest(),
            phase: self.phase,
            health,
            healthy_for: Span::default(),
            drift: self.drift_items(),
            problems: all,
            held_prune: self.held.clone(),
        };
        self.env.board.put(report, self.healthy_since);
    }

    fn drift_items(&self) -> Vec<DriftItem> {
        let rows = self.rows.iter().filter_map(|(id, row)| {
            row.drift.as_ref().map(|drift| DriftItem {
                object: id.clone(),
                fields: drift.fields.clone(),
                healed: drift.healed,
            })
        });
        rows.collect()
    }

    /// Forgets healed differences that were shown long enough.
    pub(super) fn expire_drift(&mut self) {
        let now = clock::monotonic();
        for row in self.rows.values_mut() {
            let over = |drift: &super::row::Drifted| drift.healed && drift.at + SHOWN <= now;
            if row.drift.as_ref().is_some_and(over) {
                row.drift = None;
            }
        }
    }

    /// When the task has to look without being asked.
    pub(super) fn next_timer(&self) -> Instant {
        let record = self.store.record();
        let heals = Run::of(&record).is_some_and(|run| run.drift() == Drift::Heal);
        let wall = clock::wall();
        let now = clock::monotonic();
        let mut next = self.full_check;
        next = next.min(self.retry.at().unwrap_or(next));
        for row in self.rows.values() {
            if let Some(recheck) = row.recheck() {
                let wait = Duration::try_from(recheck.duration_since(wall)).unwrap_or_default();
                // A second more than said, so that the rule has changed its mind when it is asked.
                next = next.min(now + wait + Duration::from_secs(1));
            }
            if let Some(drift) = &row.drift {
                if drift.healed {
                    next = next.min(drift.at + SHOWN);
                } else if heals && row.is_right() {
                    next = next.min(self.env.started + row.heat.next());
                }
            }
        }
        next.max(now)
    }
}

fn whole(message: String) -> Problem {
    Problem { object: None, message }
}
