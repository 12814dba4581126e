//! From one transaction to its events: what its records were, what they are, in one order.
//!
//! Pure. Costs what the transaction is long, never what the fleet is. Decisions come first, in the
//! order of their chains, then what was seen, in the order of keys: the same transaction gives the
//! same events, and a hub that reads its decisions again puts them in the same order.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use tidegate_store::Entry;

use super::{Event, decided, seen};
use crate::{
    records::{AppRecord, AuditRecord, Record as _, ReportRecord, SetRecord, SourceRecord},
    state::State,
};

/// What a key of interest held before.
#[derive(Debug)]
enum Before {
    App(Option<Arc<AppRecord>>),
    Report(Option<Arc<ReportRecord>>),
    Set(Option<Arc<SetRecord>>),
    Source(Option<Arc<SourceRecord>>),
    Audit(Bytes),
}

/// The set and the cluster of an application, by project and name.
type Homes = BTreeMap<(String, String), (String, String)>;

/// A transaction while it is folded into the view.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    touched: BTreeMap<String, Before>,
}

impl Transaction {
    /// Looks at a key before its change; `entry` is what it becomes.
    pub(crate) fn before(&mut self, state: &State, key: &str, entry: Option<&Entry>) {
        let before = match key.split('/').nth(3).unwrap_or_default() {
            AppRecord::KIND => Before::App(state.apps.record(key)),
            ReportRecord::KIND => Before::Report(state.reports.record(key)),
            SetRecord::KIND => Before::Set(state.sets.record(key)),
            SourceRecord::KIND => Before::Source(state.sources.record(key)),
            AuditRecord::KIND => match entry {
                Some(entry) => Before::Audit(entry.value.clone()),
                None => return,
            },
            _ => return,
        };
        self.touched.insert(key.to_owned(), before);
    }

    /// The events between the view before and `state`, the view after.
    pub(crate) fn events(self, state: &State, now: Timestamp) -> Vec<Event> {
        let homes = self.homes(state);
        let mut decisions = Vec::new();
        let mut seen = Vec::new();
        for (key, before) in self.touched {
            match before {
                Before::Audit(bytes) => decisions.extend(decision(&key, &bytes, &homes)),
                before => seen.extend(difference(state, &key, &before, now)),
            }
        }
        decisions.append(&mut seen);
        decisions
    }

    fn homes(&self, state: &State) -> Homes {
        let touched = self
            .touched
            .iter()
            .filter_map(|(key, before)| match before {
                Before::App(before) => before.clone().or_else(|| state.apps.record(key)),
                _ => None,
            });
        touched.map(|app| home(&app)).collect()
    }
}

fn home(app: &AppRecord) -> ((String, String), (String, String)) {
    let app = &app.app;
    let name = (app.project.clone(), app.name.clone());
    (name, (app.set.clone(), app.cluster_name.clone()))
}

fn decision(key: &str, bytes: &[u8], homes: &Homes) -> Option<Event> {
    match AuditRecord::decode(key, bytes) {
        Ok(record) => decided::event(&record, |application| {
            let name = (record.project.clone(), application.to_owned());
            homes.get(&name).cloned()
        }),
        Err(error) => {
            // The audit log itself says so too, to whoever reads or verifies it.
            tracing::error!(%error, "a decision is no event: its record is broken");
            None
        }
    }
}

fn difference(state: &State, key: &str, before: &Before, now: Timestamp) -> Vec<Event> {
    let one = |event: Option<Event>| event.into_iter().collect();
    match before {
        Before::App(before) => match state.apps.record(key) {
            Some(after) => one(seen::rejected(before.as_deref(), &after)),
            None => Vec::new(),
        },
        Before::Report(before) => match state.reports.record(key) {
            Some(after) => report(state, before.as_deref(), &after),
            None => Vec::new(),
        },
        Before::Set(before) => match state.sets.record(key) {
            Some(after) => one(seen::judged(before.as_deref(), &after, now)),
            None => Vec::new(),
        },
        Before::Source(before) => match state.sources.record(key) {
            Some(after) => one(seen::fetched(before.as_deref(), &after)),
            None => Vec::new(),
        },
        Before::Audit(_) => Vec::new(),
    }
}

fn report(state: &State, before: Option<&ReportRecord>, after: &ReportRecord) -> Vec<Event> {
    let Some(app) = state.app(after.report.app) else {
        return Vec::new();
    };
    let assignment = app.assignment.as_ref();
    let run = assignment.and_then(|assignment| match &assignment.desired {
        tidegate_model::assignment::Desired::Run { run, .. } => state.run(*run),
        tidegate_model::assignment::Desired::Tombstone { .. } => None,
    });
    let rolling = run.is_some_and(|row| !row.record.run.state.is_terminal());
    seen::reported(app, before, after, rolling)
}

/// The events of the newest `most` decisions among these entries, oldest first, and whether those are
/// all decisions that there are.
pub(super) fn remembered(entries: &[Entry], state: &State, most: usize) -> (Vec<Event>, bool) {
    let is_decision = |entry: &&Entry| entry.key.split('/').nth(3) == Some(AuditRecord::KIND);
    let mut records: Vec<_> = entries.iter().filter(is_decision).collect();
    records.sort_by(|a, b| (a.mod_revision, &a.key).cmp(&(b.mod_revision, &b.key)));
    let all = records.len() <= most;
    let newest = records.split_off(records.len().saturating_sub(most));
    let homes = state.apps.iter().map(|app| home(app)).collect();
    let events = newest.into_iter();
    let events = events.filter_map(|entry| decision(&entry.key, &entry.value, &homes));
    (events.collect(), all)
}
