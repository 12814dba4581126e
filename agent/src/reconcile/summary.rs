//! From the rows of a task to the report of its application.

use std::{sync::atomic::Ordering, time::Duration};

use tidegate_model::{
    duration::Span,
    health::Health,
    object::ObjectId,
    policy::Drift,
    report::{DriftItem, Phase, Problem, Report},
    tree::Objects,
};
use tokio::time::Instant;

use super::{
    Run, Task,
    row::{Row, Status},
};
use crate::{
    clock,
    state::{Content, Record},
};

/// Most problems in one report.
const MOST: usize = 20;
/// Most differing objects in one report, so that its size is bounded.
const MOST_DRIFT: usize = 100;
/// How long a healed difference stays in the report.
const SHOWN: Duration = Duration::from_mins(1);

impl Task {
    /// Puts up what is known now.
    pub(super) fn publish(&mut self) {
        let record = self.store.record();
        let foreign = |row: &Row| matches!(row.status, Status::Foreign(_));
        self.signals
            .contested
            .store(self.rows.values().any(foreign), Ordering::Relaxed);
        let rows: Vec<_> = self.rows.iter().map(|(id, row)| of_row(id, row)).collect();
        let mut health = Health::worst_of(rows.iter().map(|(health, _)| *health));
        let blind = self.env.watches.blind(self.app);
        if self.unreachable || blind.is_some() {
            health = Health::Unknown;
        }
        // What is not applied is not healthy, whatever the old objects look like.
        let through = matches!(self.phase, Phase::Applied | Phase::Removed);
        if !through && record.assignment.bundle().is_some() {
            health = health.worst(Health::Progressing);
        }
        let healthy = through && health.is_healthy();
        if healthy && let Some(applied) = self.unobserved.take() {
            let traces = &self.env.traces;
            traces.observed(&record.assignment, applied, clock::wall().into());
        }
        self.healthy_since = healthy.then(|| self.healthy_since.unwrap_or_else(clock::monotonic));
        let report = Report {
            app: self.app,
            generation: self.generation,
            digest: record.assignment.digest(),
            phase: self.phase,
            health,
            healthy_for: Span::default(),
            drift: self.drift_items(),
            problems: self.all_problems(&record, blind, rows),
            held_prune: self.held.clone(),
        };
        self.env.board.put(report, self.healthy_since);
        let objects = Objects {
            generation: self.generation,
            all: self.rows.values().map(Row::state).collect(),
        };
        self.env.board.put_objects(self.app, objects);
    }

    /// What is wrong, worst first: the application as a whole, then its objects.
    fn all_problems(
        &self,
        record: &Record,
        blind: Option<String>,
        mut rows: Vec<(Health, Problem)>,
    ) -> Vec<Problem> {
        rows.retain(|(health, problem)| !health.is_healthy() || !problem.message.is_empty());
        rows.sort_by_key(|(health, _)| std::cmp::Reverse(*health));
        let of = |object: &Option<ObjectId>, message: &String| Problem {
            object: object.clone(),
            message: message.clone(),
        };
        let mut all: Vec<_> = self
            .problems
            .iter()
            .map(|(object, message)| of(object, message))
            .collect();
        all.extend(
            self.notes
                .iter()
                .map(|(id, why)| of(&Some(id.clone()), why)),
        );
        all.extend(
            blind.map(|kind| whole(format!("objects of kind {kind} cannot be watched now"))),
        );
        all.extend(rows.into_iter().map(|(_, problem)| problem));
        if record.content == Content::DiskOnly {
            all.push(whole(
                "the content is larger than the agent keeps in the cluster; it is on the disk of its node only".to_owned(),
            ));
        }
        all.truncate(MOST);
        all
    }

    fn drift_items(&self) -> Vec<DriftItem> {
        let rows = self.rows.iter().filter_map(|(id, row)| {
            row.drift.as_ref().map(|drift| DriftItem {
                object: id.clone(),
                fields: drift.fields.clone(),
                healed: drift.healed,
            })
        });
        rows.take(MOST_DRIFT).collect()
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

/// Health of one object, and what there is to say about it.
fn of_row(id: &ObjectId, row: &Row) -> (Health, Problem) {
    let (health, message) = row.told();
    let problem = Problem {
        object: Some(id.clone()),
        message,
    };
    (health, problem)
}

fn whole(message: String) -> Problem {
    Problem {
        object: None,
        message,
    }
}
