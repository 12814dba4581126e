//! The facts a step sees, gathered from the store's view and the live sessions.
//!
//! Never judges them.

use std::collections::BTreeMap;

use tidegate_model::{
    ids::{AppUid, ClusterUid, Epoch},
    run::{Member, MemberState},
};
use tidegate_waves::{AppFacts, ClusterFacts, Evidence as Seen, Facts};

use super::debts;
use crate::{
    evidence::{Evidence, Live},
    records::{RunRecord, SetRecord},
    rejection,
    restored::{self, Standing},
    state::State,
};

/// Gathers the facts of a run.
pub(super) fn gather(
    state: &State,
    evidence: &Evidence,
    set: &SetRecord,
    record: &RunRecord,
    epoch: Epoch,
) -> Facts {
    let run = &record.run;
    let mut clusters: BTreeMap<ClusterUid, ClusterFacts> = BTreeMap::new();
    for row in state.members_of(record) {
        let member = &row.record.member;
        if run.owes && run.request.is_none() && member.state != MemberState::Deferred {
            // Of a run that is over nobody asks any more but a person, and those whom it owes.
            continue;
        }
        let live = evidence.session(member.id.cluster);
        let facts = clusters
            .entry(member.id.cluster)
            .or_insert_with(|| cluster(state, evidence, member.id.cluster, live));
        facts.apps.extend(apps(state, evidence, member, live));
    }
    let mut facts = Facts {
        epoch,
        newer_release: (set.last_release > run.release_number).then_some(set.last_release),
        newer_run: set.latest_run != Some(run.id),
        back: None,
        measured: evidence.measured().of(run.id),
        answers: evidence.measured().answers(run.id),
        clusters,
    };
    debts::add(state, set, record, &mut facts);
    facts
}

fn cluster(state: &State, evidence: &Evidence, uid: ClusterUid, live: Live) -> ClusterFacts {
    ClusterFacts {
        unreachable_since: (!live.connected).then(|| {
            live.last_seen
                .map_or(evidence.started(), |at| at.max(evidence.started()))
        }),
        removed: state.cluster(uid).is_none(),
        apps: BTreeMap::new(),
    }
}

fn apps(
    state: &State,
    evidence: &Evidence,
    member: &Member,
    live: Live,
) -> Vec<(AppUid, AppFacts)> {
    let fresh = evidence.is_fresh_now(live);
    let facts = |uid: AppUid| {
        let Some(app) = state.app(uid).filter(|app| !app.vanished) else {
            return Some(AppFacts {
                removed: true,
                ..AppFacts::default()
            });
        };
        match restored::standing(state, app) {
            Standing::Given => {}
            // The engine waits for an application that it knows nothing of.
            Standing::Waiting => return None,
            Standing::Astray => {
                return Some(AppFacts {
                    highest: app.generation,
                    ..AppFacts::default()
                });
            }
        }
        let reported = state.report_of(app);
        let said = reported.map(|row| &row.record.report);
        if let Some(rejection) = rejection::current(app, said) {
            // Newer than what was reported: it speaks of the last word.
            return Some(AppFacts {
                removed: false,
                highest: app.generation,
                current: app.assignment.clone(),
                evidence: Some(Seen {
                    report: rejection::as_report(app, rejection),
                    received_at: rejection.at,
                    confirmed_at: rejection.at,
                    first_healthy_at: None,
                    fresh,
                }),
                ..AppFacts::default()
            });
        }
        let seen = reported.map(|row| Seen {
            report: row.record.report.clone(),
            received_at: row.record.received_at,
            confirmed_at: live
                .confirmed
                .map_or(row.record.received_at, |at| at.max(row.record.received_at)),
            first_healthy_at: row.record.first_healthy_at,
            fresh,
        });
        Some(AppFacts {
            removed: false,
            highest: app.generation,
            current: app.assignment.clone(),
            evidence: seen,
            ..AppFacts::default()
        })
    };
    let uids = member.apps.keys();
    uids.filter_map(|uid| Some((*uid, facts(*uid)?))).collect()
}
