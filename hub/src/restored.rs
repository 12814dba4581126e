//! After a restore: whether what the backup says of an application is what its agent holds.
//!
//! The hub that was lost may have gone on after the backup. So the words that come out of a backup
//! are not said again: an agent that is further would be taken back, one that removed an application
//! would bring it to life again. Each application waits until its agent was heard. If it holds
//! exactly the backup's word, that stands. If not, the application is astray: it goes on with what it
//! runs, and its set gets one more release, which goes through the waves and gives every astray
//! application a new generation, above all that were ever given (`restore` sees to that). A
//! tombstone is said again: the same uid is never revived. Pure.

use jiff::Timestamp;
use tidegate_model::{
    assignment::Assignment,
    audit::Outcome,
    ids::AppUid,
    run::{Cause, CauseCode, RunState},
};

use crate::{
    changes::{Changes, Decision},
    evidence::Evidence,
    records::{AppRecord, ReissueRecord, RestoredRecord, RunRecord, SetRecord},
    state::{Row, State},
};

/// What the hub may take its last word on an application for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It stands.
    Given,
    /// It is a backup's, and the agent was not heard yet.
    Waiting,
    /// It is a backup's, and the agent holds something else.
    Astray,
}

/// The most records that one transaction settles.
const BATCH: usize = 40;

/// Why a set gets one more release.
const REASON: &str = "the hub was restored from a backup, and some agents hold something else";

/// What the last word on this application is worth.
pub fn standing(state: &State, app: &AppRecord) -> Standing {
    match state.restored(app) {
        Some(row) if is_open(&row.record, app) && row.record.astray => Standing::Astray,
        Some(row) if is_open(&row.record, app) => Standing::Waiting,
        _ => Standing::Given,
    }
}

/// Whether the last word still is the backup's.
fn is_open(restored: &RestoredRecord, app: &AppRecord) -> bool {
    app.assignment
        .as_ref()
        .is_some_and(|word| word.bundle().is_some() && word.epoch < restored.term)
}

/// Whether the set's content may be judged again: while agents are not heard, and a source was not
/// fetched, a release would leave out what only the backup knows.
pub fn is_settling(state: &State, set: &SetRecord) -> bool {
    state.restored_of(set).next().is_some()
}

/// What is to be told of a set.
pub fn problems(state: &State, set: &SetRecord) -> Vec<String> {
    let astray = state
        .apps_of(set)
        .filter(|row| standing(state, &row.record) == Standing::Astray);
    astray
        .map(|row| {
            let app = &row.record;
            let holds = state.report_of(app).map_or_else(
                || "nothing".to_owned(),
                |row| format!("generation {}", row.record.report.generation),
            );
            format!(
                "application {}: its agent holds {holds}, which this hub did not give: it was \
                 restored from an older backup; the next release takes the application over",
                app.app.name
            )
        })
        .collect()
}

/// Settles what can be settled of a set now.
pub fn pass(state: &State, evidence: &Evidence, set: &Row<SetRecord>, now: Timestamp) -> Changes {
    let mut changes = Changes::default();
    let mut astray = Vec::new();
    for row in state.restored_of(&set.record) {
        if changes.operations() >= BATCH {
            break;
        }
        let record = &row.record;
        let Some(app) = state.app(record.app).filter(|app| is_open(record, app)) else {
            changes.delete(row);
            continue;
        };
        match app.assignment.as_ref() {
            Some(word) if holds(state, app, word) => changes.delete(row),
            _ if record.astray || !evidence.is_fresh(app.app.cluster) => {}
            _ => {
                let mut found = RestoredRecord::clone(record);
                found.astray = true;
                changes.update(row, &found);
                astray.push(record.app);
                changes.decide(Decision::by_system(
                    &record.project,
                    "application.astray",
                    format!("application/{}", app.app.name),
                    "its agent holds something else than the backup that the hub was restored \
                     from says"
                        .to_owned(),
                ));
            }
        }
    }
    if !astray.is_empty() && !comes_by_itself(state, set, &astray) {
        reissue(state, set, now, &mut changes);
    }
    changes
}

/// Whether the agent has reported on exactly this word. Reports are not in a restored store, so each
/// that is there came after the restore.
fn holds(state: &State, app: &AppRecord, word: &Assignment) -> bool {
    state.report_of(app).is_some_and(|row| {
        let report = &row.record.report;
        report.generation == word.generation && report.digest == word.digest()
    })
}

/// Whether a release or a run that began after the restore has these applications still before it.
fn comes_by_itself(state: &State, set: &Row<SetRecord>, astray: &[AppUid]) -> bool {
    let record = &set.record;
    let latest = record.latest_run.and_then(|id| state.run(id));
    let Some(run) = latest.map(|row| &row.record) else {
        return false;
    };
    if run.run.release_number < record.last_release {
        // A newer release waits for its run; what is astray is no part of the one before.
        return run.run.state.is_terminal() || is_of_this_life(state, run);
    }
    if run.run.state.is_terminal() || !is_of_this_life(state, run) {
        return false;
    }
    // Members are stored after the run's header: those that are not there yet are before it.
    let waves = &run.run.plan.waves;
    let planned: usize = waves.iter().map(|wave| wave.members.len()).sum();
    let complete = state.members_of(run).count() == planned;
    astray.iter().all(|app| {
        let mut members = state.members_of(run);
        let member = members.find_map(|row| row.record.member.apps.get(app));
        member.map_or(!complete, |app| app.generation.is_none())
    })
}

/// Whether a run began after the restore, if there was one.
pub fn is_of_this_life(state: &State, run: &RunRecord) -> bool {
    let set = run.run.set;
    let restored = state.restored.iter().find(|record| record.set == set);
    restored.is_none_or(|record| run.run.epoch >= record.term)
}

/// Asks for one more release, and ends an open run of the hub that was lost: it waits for words that
/// nobody holds. One that is on its way back goes on: it writes generations of its own.
fn reissue(state: &State, set: &Row<SetRecord>, now: Timestamp, changes: &mut Changes) {
    let record = &set.record;
    changes.upsert(
        state.reissue(record),
        &ReissueRecord {
            project: record.project.clone(),
            set: record.uid,
            reason: REASON.to_owned(),
        },
    );
    let open = record.latest_run.and_then(|id| state.run(id));
    let Some(row) = open.filter(|row| {
        let run = &row.record.run;
        !run.state.is_terminal() && run.rollback.is_none() && run.state != RunState::Breached
    }) else {
        return;
    };
    if is_of_this_life(state, &row.record) {
        return;
    }
    let mut ended = RunRecord::clone(&row.record);
    ended.run.state = RunState::Superseded;
    ended.run.paused = None;
    ended.run.gate = None;
    ended.run.soak.running_since = None;
    ended.run.finished_at = Some(now);
    ended.run.cause = Some(Cause {
        code: CauseCode::NewerRelease,
        message: REASON.to_owned(),
    });
    changes.update(row, &ended);
    let decision = Decision::by_system(
        &record.project,
        "run.finish",
        format!("set/{} run/{}", record.name, ended.run.id),
        format!("Superseded: {REASON}"),
    );
    changes.decide(decision.leading_to(Outcome::of(&ended.run)));
}

#[cfg(test)]
mod tests;
