//! What runs of a set that are over still owe, for the facts of them and of the newer ones.
//!
//! A debt is a deferred member of a run that succeeded (`Run::owes`), stored with that run: nothing
//! of it is held in memory. Never decides: `tidegate_waves::debts` says how two runs stand to one
//! another.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    ids::{AppUid, ClusterUid},
    run::{Member, MemberId, MemberState},
};
use tidegate_waves::{
    AppFacts, Facts,
    debts::{self, Side},
};

use crate::{
    records::{RunRecord, SetRecord},
    restored,
    state::{Row, State},
};

/// The runs that owe something, the oldest first. What a hub that was lost owed is not in it: its
/// successor makes a release of its own for everybody.
pub(super) fn owing<'a>(state: &'a State, set: &SetRecord) -> Vec<&'a Row<RunRecord>> {
    let runs = state.runs_of(set).filter(|row| row.record.run.owes);
    let mut owing: Vec<_> = runs
        .filter(|row| restored::is_of_this_life(state, &row.record))
        .collect();
    owing.sort_by_key(|row| row.record.run.release_number);
    owing
}

/// Whether a step could move something of what a run that is over owes: mostly nobody is back, and
/// a set may owe for months.
pub(super) fn may_move(state: &State, record: &RunRecord, facts: &Facts) -> bool {
    let mut members = state.members_of(record).map(|row| &row.record.member);
    record.run.request.is_some()
        || facts.clusters.values().any(|cluster| {
            let news = |app: &AppFacts| app.removed || app.overtaken;
            cluster.unreachable_since.is_none()
                || cluster.removed
                || cluster.apps.values().any(news)
        })
        || members.any(|member| is_owed(member) && member.progress.running_since.is_some())
}

/// Adds to the facts of a run what older and newer ones of its set have to do with it.
pub(super) fn add(state: &State, set: &SetRecord, record: &RunRecord, facts: &mut Facts) {
    let number = |row: &Row<RunRecord>| row.record.run.release_number;
    let own = record.run.release_number;
    for older in owing(state, set)
        .into_iter()
        .filter(|row| number(row) < own)
    {
        let debtors = deferred(state, &older.record);
        let clusters = clusters(&debtors);
        let newer = members_in(state, record, &clusters);
        for (app, known) in apps_in(facts, &clusters) {
            let older = side(&older.record, &debtors);
            let owed = debts::owed(older, side(record, &newer), app);
            known.owed = known.owed.or(owed);
        }
    }
    if !record.run.owes {
        return;
    }
    let debtors = deferred(state, record);
    let clusters = clusters(&debtors);
    for newer in state.runs_of(set).filter(|row| number(row) > own) {
        let members = members_in(state, &newer.record, &clusters);
        for (app, known) in apps_in(facts, &clusters) {
            known.overtaken |= debts::overtaken(side(&newer.record, &members), app);
        }
    }
    pinned(state, set, &debtors, facts);
}

/// An application that is pinned to other content is not brought what was owed before.
fn pinned(state: &State, set: &SetRecord, debtors: &BTreeMap<MemberId, Member>, facts: &mut Facts) {
    let apps = debtors.values().flat_map(|member| &member.apps);
    let targets: BTreeMap<_, _> = apps
        .map(|(app, known)| (*app, known.target.bundle()))
        .collect();
    let clusters = clusters(debtors);
    for (app, known) in apps_in(facts, &clusters) {
        let mut pins = state.pins_of(set).map(|row| &row.record.pin);
        let target = targets.get(&app).copied().flatten();
        if pins.any(|pin| pin.app == app && Some(pin.bundle) != target) {
            known.overtaken = true;
        }
    }
}

fn side<'a>(record: &'a RunRecord, members: &'a BTreeMap<MemberId, Member>) -> Side<'a> {
    Side {
        run: &record.run,
        members,
    }
}

fn deferred(state: &State, record: &RunRecord) -> BTreeMap<MemberId, Member> {
    members(state, record, is_owed)
}

fn is_owed(member: &Member) -> bool {
    member.state == MemberState::Deferred
}

fn members_in(
    state: &State,
    record: &RunRecord,
    clusters: &BTreeSet<ClusterUid>,
) -> BTreeMap<MemberId, Member> {
    members(state, record, |member| {
        clusters.contains(&member.id.cluster)
    })
}

fn members(
    state: &State,
    record: &RunRecord,
    fits: impl Fn(&Member) -> bool,
) -> BTreeMap<MemberId, Member> {
    let all = state.members_of(record).map(|row| &row.record.member);
    all.filter(|member| fits(member))
        .map(|member| (member.id.clone(), member.clone()))
        .collect()
}

fn clusters(members: &BTreeMap<MemberId, Member>) -> BTreeSet<ClusterUid> {
    members.keys().map(|id| id.cluster).collect()
}

fn apps_in<'a>(
    facts: &'a mut Facts,
    clusters: &'a BTreeSet<ClusterUid>,
) -> impl Iterator<Item = (AppUid, &'a mut AppFacts)> {
    let concerned = facts.clusters.iter_mut();
    concerned
        .filter(|(uid, _)| clusters.contains(uid))
        .flat_map(|(_, cluster)| &mut cluster.apps)
        .map(|(uid, app)| (*uid, app))
}
