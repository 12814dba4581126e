//! Numbers that the view of the store holds: read when they are asked for, so nothing has to keep
//! them true.

use std::{collections::BTreeMap, hash::Hash};

use prometheus_client::{encoding::EncodeLabelSet, metrics::family::Family, registry::Registry};
use tidegate_model::{health::Health, run::RunState};

use super::Gauge;
use crate::{db::Db, evidence::Evidence, records::wire::Named as _, rejection, state::State};

/// Applications by what their agents said last.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByHealth {
    health: String,
}

/// Things by the state they are in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Gauges {
    agents_connected: Gauge,
    clusters: Gauge,
    sets: Gauge,
    applications: Family<ByHealth, Gauge>,
    runs: Family<ByState, Gauge>,
    sources: Family<ByState, Gauge>,
    rejections: Gauge,
    holds: Gauge,
    pins: Gauge,
    denies: Gauge,
    epoch: Gauge,
    revision: Gauge,
}

impl Gauges {
    pub(super) fn name(&self, to: &mut Registry) {
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| {
            to.register(name, help, gauge.clone());
        };
        gauge(
            "agents_connected",
            "Clusters with an open session",
            &self.agents_connected,
        );
        gauge("clusters", "Registered clusters", &self.clusters);
        gauge("application_sets", "Stored application sets", &self.sets);
        gauge(
            "applications_rejected",
            "Applications whose last word their agent rejected",
            &self.rejections,
        );
        gauge("holds", "Holds that are written", &self.holds);
        gauge("pins", "Pinned applications", &self.pins);
        gauge("denies", "Contents that may not come back", &self.denies);
        gauge("epoch", "The hub's term", &self.epoch);
        gauge(
            "store_revision",
            "Revision of the store that the view shows",
            &self.revision,
        );
        let help = "Stored applications, by what their agents said last";
        to.register("applications", help, self.applications.clone());
        let help = "The latest runs of sets, by state";
        to.register("runs", help, self.runs.clone());
        let help = "Git sources, by whether their last fetch succeeded";
        to.register("sources", help, self.sources.clone());
    }

    pub(super) fn look(&self, db: &Db, evidence: &Evidence) {
        let state = db.read();
        let connected = state
            .clusters
            .iter()
            .filter(|record| evidence.session(record.cluster.uid).connected);
        self.agents_connected.set(number(connected.count()));
        self.clusters.set(number(state.clusters.len()));
        self.sets.set(number(state.sets.len()));
        self.holds.set(number(state.holds.len()));
        self.pins.set(number(state.pins.len()));
        self.denies.set(number(state.denies.len()));
        self.epoch.set(number(db.epoch().0));
        self.revision.set(number(state.revision));
        self.look_at_applications(&state);
        self.look_at_runs(&state);
        let mut sources = BTreeMap::from([("ready", 0_i64), ("failing", 0)]);
        for source in state.sources.iter() {
            let word = if source.error.is_some() {
                "failing"
            } else {
                "ready"
            };
            *sources.entry(word).or_default() += 1;
        }
        for (state, count) in sources {
            let state = state.to_owned();
            self.sources.get_or_create(&ByState { state }).set(count);
        }
    }

    fn look_at_applications(&self, state: &State) {
        // Words that no application has are there too, so that an alert on one sees a zero.
        let words = Health::ALL.iter().map(|word| (word.stored(), 0));
        let mut counts: BTreeMap<&str, i64> = words.collect();
        let mut rejected = 0;
        for app in state.apps.iter() {
            let report = state.report_of(app).map(|row| &row.record.report);
            rejected += usize::from(rejection::current(app, report).is_some());
            let current = report.filter(|report| {
                let last = app.assignment.as_ref();
                last.is_some_and(|last| last.generation == report.generation)
            });
            // What was said of something older says nothing.
            let health = current.map_or(Health::Unknown, |report| report.health);
            *counts.entry(health.stored()).or_default() += 1;
        }
        for (health, count) in counts {
            let health = health.to_owned();
            let label = ByHealth { health };
            self.applications.get_or_create(&label).set(count);
        }
        self.rejections.set(number(rejected));
    }

    fn look_at_runs(&self, state: &State) {
        let states = RunState::ALL.iter().map(|state| (state.stored(), 0));
        let mut counts: BTreeMap<&str, i64> = states.collect();
        let latest = state.sets.iter().filter_map(|set| set.latest_run);
        for row in latest.filter_map(|run| state.run(run)) {
            *counts.entry(row.record.run.state.stored()).or_default() += 1;
        }
        for (state, count) in counts {
            let state = state.to_owned();
            self.runs.get_or_create(&ByState { state }).set(count);
        }
    }
}

fn number(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}
