//! What a restore changes in the records of a backup. Pure.
//!
//! The hub that was lost may have gone on after the backup, and may still run. So the restored one
//! takes a term above any that the other can have taken, and goes on with generations above any that
//! it can have given: both count by one from the second in which they began, and neither counts one
//! a second. What only the time of the backup knew is left out: reports (each agent says anew what it
//! holds), commits of sources (fetched anew), join tokens that nobody had used (they may have been
//! since), and where the files were. Words on applications become words that wait for their agents, see `restored`.

use bytes::Bytes;
use jiff::Timestamp;
use tidegate_model::{assignment::Assignment, ids::Epoch};

use crate::{
    audit,
    changes::Decision,
    moving::Records,
    records::{
        AppRecord, EpochRecord, FLEET, HomeRecord, Record, ReportRecord, RestoredRecord,
        SourceRecord, TokenRecord,
    },
    state::State,
};

/// The term of a hub that takes over from one with this state: above all that it can have reached,
/// wherever it went on to.
pub(crate) fn next_term(state: &State, now: Timestamp, least: u64) -> Epoch {
    let counted = u64::try_from(now.as_second()).unwrap_or_default();
    let terms = state.epochs.iter().map(|record| record.epoch.0);
    let generations = state.apps.iter().map(|app| app.generation.0);
    let known = terms.chain(generations).max().unwrap_or_default();
    Epoch(counted.max(known + 1).max(least))
}

/// The records of the restored hub. `about` says of which backup, for the audit.
pub(super) fn rewrite(
    records: &Records,
    state: &State,
    term: Epoch,
    now: Timestamp,
    about: String,
) -> Records {
    let mut rewritten = Vec::with_capacity(records.len());
    for (key, value) in records {
        let kind = key.split('/').nth(3).unwrap_or_default();
        match kind {
            EpochRecord::KIND | ReportRecord::KIND | SourceRecord::KIND | HomeRecord::KIND => {}
            TokenRecord::KIND => {
                let token = state.tokens.get(key);
                if token.is_none_or(|row| row.record.used_at.is_some()) {
                    rewritten.push((key.clone(), value.clone()));
                }
            }
            AppRecord::KIND => match state.apps.get(key) {
                Some(row) => application(&row.record, term, &mut rewritten),
                None => rewritten.push((key.clone(), value.clone())),
            },
            RestoredRecord::KIND => {}
            _ => rewritten.push((key.clone(), value.clone())),
        }
    }
    put(
        &mut rewritten,
        &EpochRecord {
            epoch: term,
            holder: "restore".to_owned(),
            taken_at: now,
        },
    );
    let decision = Decision::by("restore", FLEET, "hub.restore", "hub".to_owned(), about);
    let head = state
        .audit_heads
        .iter()
        .find(|head| head.project == FLEET)
        .map_or_else(|| audit::genesis(FLEET), |head| head.as_ref().clone());
    let (record, head) = audit::append(&head, &decision, now);
    rewritten.retain(|(key, _)| *key != head.key());
    put(&mut rewritten, &record);
    put(&mut rewritten, &head);
    rewritten
}

fn application(app: &AppRecord, term: Epoch, rewritten: &mut Records) {
    let mut app = app.clone();
    app.generation.0 = app.generation.0.max(term.0);
    app.rejection = None;
    if app
        .assignment
        .as_ref()
        .and_then(Assignment::bundle)
        .is_some()
    {
        put(
            rewritten,
            &RestoredRecord {
                project: app.app.project.clone(),
                set: app.set,
                app: app.uid,
                term,
                astray: false,
            },
        );
    }
    put(rewritten, &app);
}

fn put(records: &mut Records, record: &impl Record) {
    records.push((record.key(), Bytes::from(record.encode())));
}

#[cfg(test)]
mod tests;
