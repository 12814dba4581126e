//! Sees every change of the view and tells what became of commits: runs, waves, assignments, health.
//!
//! Looks at records before and after, so it tells what was stored and nothing else, whoever stored
//! it. What began before this process is told with a beginning that is known to be late.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use opentelemetry::KeyValue;
use tidegate_model::{
    assignment::{Assignment, Desired},
    ids::{AppUid, Generation, RunId},
    run::{Run, RunState},
};
use tidegate_telemetry::{Finished, Place, tracer};

use super::{metrics::Metrics, places, time};
use crate::{
    clock::Clock,
    records::{AppRecord, Record as _, ReportRecord, RunRecord, wire::Named as _},
    state::State,
};

/// What a key held before a change, if that is of interest.
#[derive(Debug)]
pub(crate) enum Before {
    App(Option<Arc<AppRecord>>),
    Run(Option<Arc<RunRecord>>),
    Report(Option<Arc<ReportRecord>>),
    Other,
}

/// Since when the open wave of a run is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    since: Timestamp,
    /// Whether it is known, or only that it was open then.
    exact: bool,
}

/// The witness.
#[derive(Debug)]
pub(crate) struct Witness {
    clock: Clock,
    metrics: Metrics,
    began: Timestamp,
    waves: BTreeMap<RunId, Open>,
    /// Assignments that were seen and are not healthy yet.
    assigned: BTreeMap<AppUid, (Generation, Timestamp)>,
}

impl Witness {
    pub(crate) fn new(clock: Clock, metrics: Metrics) -> Self {
        Self {
            began: clock.now(),
            clock,
            metrics,
            waves: BTreeMap::new(),
            assigned: BTreeMap::new(),
        }
    }

    /// Looks before a change at this key.
    pub(crate) fn before(state: &State, key: &str) -> Before {
        match key.split('/').nth(3).unwrap_or_default() {
            AppRecord::KIND => Before::App(state.apps.record(key)),
            RunRecord::KIND => Before::Run(state.runs.record(key)),
            ReportRecord::KIND => Before::Report(state.reports.record(key)),
            _ => Before::Other,
        }
    }

    /// Looks after it.
    pub(crate) fn after(&mut self, state: &State, key: &str, before: Before) {
        let now = self.clock.now();
        match before {
            Before::App(before) => match state.apps.record(key) {
                Some(app) => self.app(state, before.as_deref(), &app, now),
                None => drop(before.map(|app| self.assigned.remove(&app.uid))),
            },
            Before::Run(before) => match state.runs.record(key) {
                Some(run) => self.run(state, before.as_deref(), &run, now),
                None => drop(before.map(|run| self.waves.remove(&run.run.id))),
            },
            Before::Report(before) => {
                if let Some(report) = state.reports.record(key) {
                    self.report(state, before.as_deref(), &report, now);
                }
            }
            Before::Other => {}
        }
    }

    fn app(&mut self, state: &State, before: Option<&AppRecord>, app: &AppRecord, now: Timestamp) {
        let last = before.and_then(|app| app.assignment.as_ref());
        let Some(assignment) = app.assignment.as_ref() else {
            return;
        };
        if last.is_some_and(|last| last.generation == assignment.generation) {
            return;
        }
        self.metrics.assigned();
        match assignment.desired {
            Desired::Run { .. } => {
                self.assigned.insert(app.uid, (assignment.generation, now));
            }
            Desired::Tombstone { .. } => drop(self.assigned.remove(&app.uid)),
        }
        if let Some(place) = traced(state, assignment) {
            let attributes = about(app, assignment);
            tell("assign", place, now, now, attributes, None);
        }
    }

    fn report(
        &mut self,
        state: &State,
        before: Option<&ReportRecord>,
        after: &ReportRecord,
        now: Timestamp,
    ) {
        let report = &after.report;
        let Some(app) = state.app(report.app) else {
            return;
        };
        let Some(assignment) = app.assignment.as_ref() else {
            return;
        };
        let last = before.map(|row| &row.report);
        let same = last.filter(|last| last.generation == report.generation);
        let was = same.is_some_and(|last| last.health.is_healthy());
        if was || !report.health.is_healthy() || assignment.generation != report.generation {
            return;
        }
        let seen = self.assigned.get(&report.app).copied();
        let seen = seen.filter(|(generation, _)| *generation == report.generation);
        if let Some((_, since)) = seen {
            self.assigned.remove(&report.app);
            self.metrics.healthy(seconds(since, now));
        }
        if let Some(place) = traced(state, assignment) {
            let generation = report.generation.to_string();
            let place = place.child(&["healthy", &report.app.to_string(), &generation]);
            let since = seen.map(|(_, since)| since);
            let since = since.or(same.and(before).map(|row| row.received_at));
            let attributes = about(app, assignment);
            tell(
                "healthy",
                place,
                since.unwrap_or(now),
                now,
                attributes,
                None,
            );
        }
    }

    fn run(
        &mut self,
        state: &State,
        before: Option<&RunRecord>,
        after: &RunRecord,
        now: Timestamp,
    ) {
        let run = &after.run;
        let over = run.state.is_terminal();
        let was_over = before.is_some_and(|before| before.run.state.is_terminal());
        let (began, exact) = match before {
            None => (now, true),
            // A person takes back what was over.
            Some(_) if was_over => (now, true),
            Some(before) if before.run.wave == 0 => (run.started_at, true),
            Some(_) => (self.began, false),
        };
        let open = *self.waves.entry(run.id).or_insert(Open {
            since: began,
            exact,
        });
        let index = before.map_or(0, |before| before.run.wave);
        let moved = run.wave > index;
        let ended = over && !was_over;
        if moved || (ended && index < run.plan.waves.len()) {
            self.wave(state, after, index, open, now);
            let open = Open {
                since: now,
                exact: true,
            };
            self.waves.insert(run.id, open);
        }
        if over {
            self.waves.remove(&run.id);
        }
        if ended {
            self.metrics.finished(run.state.stored());
            Self::ended(state, after, now);
        }
    }

    /// A wave is over: the next one opens, or the run ends.
    fn wave(&self, state: &State, record: &RunRecord, index: usize, open: Open, now: Timestamp) {
        let run = &record.run;
        if open.exact {
            self.metrics.wave(seconds(open.since, now));
        }
        let Some(planned) = run.plan.waves.get(index) else {
            return;
        };
        let Some(place) = tracer().and_then(|_| places::run(state, record)) else {
            return;
        };
        let attributes = vec![
            KeyValue::new("tidegate.run", run.id.to_string()),
            KeyValue::new("tidegate.wave", planned.name.clone()),
            KeyValue::new("tidegate.wave.members", number(planned.members.len())),
            KeyValue::new("tidegate.start.exact", open.exact),
        ];
        let passed = run.wave > index;
        let error = (!passed).then(|| why(run)).flatten();
        let place = places::wave(&place, run.id, index);
        tell("wave", place, open.since, now, attributes, error);
    }

    fn ended(state: &State, record: &RunRecord, now: Timestamp) {
        let run = &record.run;
        let Some(place) = tracer().and_then(|_| places::run(state, record)) else {
            return;
        };
        let set = state.set_by_uid(run.set).map(|set| set.name.clone());
        let attributes = vec![
            KeyValue::new("tidegate.project", record.project.clone()),
            KeyValue::new("tidegate.set", set.unwrap_or_default()),
            KeyValue::new("tidegate.run", run.id.to_string()),
            KeyValue::new("tidegate.release", number(run.release_number)),
            KeyValue::new("tidegate.run.state", run.state.stored()),
        ];
        let end = run.finished_at.unwrap_or(now);
        tell("run", place, run.started_at, end, attributes, why(run));
    }
}

/// The place of an assignment, if anybody is told.
fn traced(state: &State, assignment: &Assignment) -> Option<Place> {
    tracer()?;
    places::assignment(state, assignment)
}

/// Why a run did not succeed; `None` if nothing is wrong with it.
fn why(run: &Run) -> Option<String> {
    let fine = matches!(
        run.state,
        RunState::Succeeded | RunState::Superseded | RunState::Cancelled
    );
    let cause = run.cause.as_ref().map(|cause| cause.message.clone());
    (!fine).then(|| cause.unwrap_or_else(|| run.state.stored().to_owned()))
}

fn about(app: &AppRecord, assignment: &Assignment) -> Vec<KeyValue> {
    let mut about = vec![
        KeyValue::new("tidegate.project", app.app.project.clone()),
        KeyValue::new("tidegate.application", app.app.name.clone()),
        KeyValue::new("tidegate.cluster", app.app.cluster_name.clone()),
        KeyValue::new("tidegate.cluster.uid", app.app.cluster.to_string()),
        KeyValue::new("tidegate.generation", number(assignment.generation.0)),
    ];
    if let Desired::Run { run, bundle, .. } = &assignment.desired {
        about.push(KeyValue::new("tidegate.run", run.to_string()));
        about.push(KeyValue::new("tidegate.bundle", bundle.to_string()));
    }
    about
}

fn tell(
    name: &'static str,
    place: Place,
    start: Timestamp,
    end: Timestamp,
    attributes: Vec<KeyValue>,
    error: Option<String>,
) {
    if let Some(tracer) = tracer() {
        tracer.tell(Finished {
            name,
            place,
            start: time(start),
            end: time(end),
            attributes,
            error,
            links: Vec::new(),
        });
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn number(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}
