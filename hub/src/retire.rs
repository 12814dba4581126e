//! The end of an application: its tombstone was carried out, so the record goes. Pure.
//!
//! And the end of a set, when its last application is gone.

use tidegate_model::report::Phase;

use crate::{
    changes::{Changes, Decision},
    records::SetRecord,
    state::{Row, State},
};

/// The most applications that one transaction forgets (each is three operations and an audit
/// record).
const BATCH: usize = 15;

/// Forgets what is gone.
pub fn pass(state: &State, set: &Row<SetRecord>) -> Changes {
    let mut changes = Changes::default();
    let mut left = 0;
    for row in state.apps_of(&set.record) {
        let app = &row.record;
        if !app.vanished {
            left += 1;
            continue;
        }
        let cluster_gone = state.cluster(app.app.cluster).is_none();
        let report = state.report_of(app);
        let removed = app
            .assignment
            .as_ref()
            .zip(report)
            .is_some_and(|(assignment, report)| {
                report.record.report.generation == assignment.generation
                    && report.record.report.digest == assignment.digest()
                    && report.record.report.phase == Phase::Removed
            });
        if !(removed || cluster_gone) || changes.audit.len() >= BATCH {
            left += 1;
            continue;
        }
        changes.delete(row);
        if let Some(report) = report {
            changes.delete(report);
        }
        for pin in state
            .pins_of(&set.record)
            .filter(|pin| pin.record.pin.app == app.uid)
        {
            changes.delete(pin);
        }
        let subject = format!("application/{}", app.app.name);
        let reason = if removed {
            "its agent removed it"
        } else {
            "its cluster was removed; what runs there stays"
        };
        changes.decide(Decision::by_system(
            &app.app.project,
            "application.removed",
            subject,
            reason.to_owned(),
        ));
    }
    if set.record.deleting
        && left == 0
        && changes.is_empty()
        && state.open_run(&set.record).is_none()
    {
        forget_set(state, set, &mut changes);
    }
    changes
}

/// Removes the set with its holds and denies. Releases, runs and audit records stay: they are
/// history.
fn forget_set(state: &State, set: &Row<SetRecord>, changes: &mut Changes) {
    for row in state.holds_of(&set.record).take(BATCH) {
        changes.delete(row);
    }
    for row in state.denies_of(&set.record).take(BATCH) {
        changes.delete(row);
    }
    if changes.is_empty() {
        if let Some(asked) = state.reissue(&set.record) {
            changes.delete(asked);
        }
        changes.delete(set);
        let subject = format!("set/{}", set.record.name);
        let reason = "its last application is gone".to_owned();
        changes.decide(Decision::by_system(
            &set.record.project,
            "set.removed",
            subject,
            reason,
        ));
    }
}

#[cfg(test)]
mod tests;
