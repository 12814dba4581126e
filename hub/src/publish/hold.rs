//! Holds: results that wait, and which of them were let through.
//!
//! Pure. A hold's id is derived from what is held, so the same result is the same hold: an approval
//! stays good while the content does and is worthless for any other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::digest::Digest;

use crate::{
    changes::{Changes, Decision},
    records::{HoldKind, HoldRecord, Record as _, SetRecord},
    state::State,
};

/// The most operations a transaction grows to here; the rest comes with the next pass.
const BATCH: usize = 80;

/// Collects what one pass holds back.
#[derive(Debug, Default)]
pub struct Holds {
    found: BTreeMap<String, HoldRecord>,
}

/// Something that is held back now.
#[derive(Clone, Debug)]
pub struct Held {
    /// Why.
    pub kind: HoldKind,
    /// Which application, or the set.
    pub subject: String,
    /// For people.
    pub message: String,
    /// What an approval is bound to.
    pub content: Digest,
}

impl Holds {
    /// Notes a hold and says whether it has been let through.
    pub fn note(&mut self, state: &State, set: &SetRecord, held: Held, now: Timestamp) -> bool {
        let name = serde_json::json!([held.kind.as_str(), held.subject, held.content.to_string()]);
        let id = Digest::of("hold", &name).short();
        let approvable = !matches!(held.kind, HoldKind::DeniedContent | HoldKind::Pinned);
        let mut record = HoldRecord {
            id: id.clone(),
            project: set.project.clone(),
            set: set.uid,
            kind: held.kind,
            message: held.message,
            content: held.content,
            since: now,
            approvable,
            approved_by: None,
        };
        if let Some(known) = state.holds.get(&record.key()) {
            record.since = known.record.since;
            record.approved_by.clone_from(&known.record.approved_by);
        }
        let through = record.approved_by.is_some();
        self.found.insert(id, record);
        through
    }

    /// Whether something waits that nobody let through.
    pub fn any_waiting(&self) -> bool {
        self.found.values().any(|hold| hold.approved_by.is_none())
    }

    /// Writes new holds and removes those that no longer hold anything.
    pub fn write(self, state: &State, set: &SetRecord, changes: &mut Changes) {
        for row in state.holds_of(set) {
            if !self.found.contains_key(&row.record.id) && changes.operations() < BATCH {
                changes.delete(row);
            }
        }
        for hold in self.found.into_values() {
            let known = state.holds.get(&hold.key());
            if changes.operations() >= BATCH {
                return;
            }
            if known.is_none() {
                changes.decide(Decision::by_system(
                    &set.project,
                    "hold.open",
                    format!("set/{}", set.name),
                    hold.message.clone(),
                ));
            }
            changes.upsert(known, &hold);
        }
    }
}
