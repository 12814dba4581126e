//! What a pass wants written: records, what they were read at, and the audit of it.
//!
//! A durable decision and its audit record are one transaction (design, decision 10). Never writes:
//! `db` does, after adding the fence.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tidegate_model::audit::{Context, Outcome};

use crate::{records::Record, state::Row};

/// A pending transaction. Empty is normal: most passes change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys and the revision at which they were read; 0 means "must not be there".
    pub expected: BTreeMap<String, u64>,
    /// Keys and their new value; `None` deletes.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
    /// Decisions to record.
    pub audit: Vec<Decision>,
}

/// One decision, before it gets its place in the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The chain: the project, or `_` for the fleet.
    pub project: String,
    /// Who: a user's name, `cluster/<name>` or `system`.
    pub actor: String,
    /// What was done, for example `run.approve`.
    pub action: String,
    /// To what, for example `set/web`.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Digest before, if any.
    pub before: String,
    /// Digest after, if any.
    pub after: String,
    /// On what it rests and what it led to.
    pub context: Context,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.audit.is_empty()
    }

    /// How many operations the transaction will have, audit records and chain ends included.
    pub fn operations(&self) -> usize {
        let chains: BTreeSet<_> = self.audit.iter().map(|record| &record.project).collect();
        self.writes.len() + self.audit.len() + chains.len()
    }

    /// How many bytes of keys and values it writes, audit records aside.
    pub fn bytes(&self) -> usize {
        let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        self.writes
            .iter()
            .map(|(key, written)| 2 * key.len() + value(written))
            .sum()
    }

    /// Writes a record that must not be there yet.
    pub fn create<R: Record>(&mut self, record: &R) {
        self.expected.insert(record.key(), 0);
        self.writes.insert(record.key(), Some(record.encode()));
    }

    /// Writes a record that must not have changed since `row` was read. Writing what is there
    /// already is no change.
    pub fn update<R: Record + PartialEq>(&mut self, row: &Row<R>, record: &R) {
        if *row.record != *record {
            self.expected.insert(record.key(), row.revision);
            self.writes.insert(record.key(), Some(record.encode()));
        }
    }

    /// Updates the record if there is one, else creates it.
    pub fn upsert<R: Record + PartialEq>(&mut self, row: Option<&Row<R>>, record: &R) {
        match row {
            Some(row) => self.update(row, record),
            None => self.create(record),
        }
    }

    /// Deletes a record that must not have changed since `row` was read.
    pub fn delete<R: Record>(&mut self, row: &Row<R>) {
        let key = row.record.key();
        self.expected.insert(key.clone(), row.revision);
        self.writes.insert(key, None);
    }

    /// Refuses to commit if the record changed since `row` was read, without writing it.
    pub fn require<R: Record>(&mut self, row: &Row<R>) {
        self.expected
            .entry(row.record.key())
            .or_insert(row.revision);
    }

    /// Records a decision.
    pub fn decide(&mut self, decision: Decision) {
        self.audit.push(decision);
    }
}

impl Decision {
    /// A decision that no person asked for.
    pub fn by_system(project: &str, action: &str, subject: String, reason: String) -> Self {
        Self::by("system", project, action, subject, reason)
    }

    /// A decision of `actor`.
    pub fn by(actor: &str, project: &str, action: &str, subject: String, reason: String) -> Self {
        Self {
            project: project.to_owned(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject,
            reason,
            context: Context::by(actor),
            ..Self::default()
        }
    }

    /// The same with where a run stands after it.
    #[must_use]
    pub fn leading_to(mut self, outcome: Outcome) -> Self {
        self.context.outcome = Some(outcome);
        self
    }

    /// The same with digests before and after.
    #[must_use]
    pub fn from_to(mut self, before: impl fmt::Display, after: impl fmt::Display) -> Self {
        self.before = before.to_string();
        self.after = after.to_string();
        self
    }
}
