//! Where the frozen plan of a run puts its applications.
//!
//! The header of a run names members, not their applications, and labels, strategy and fleet may
//! change before the last member is stored. Who is in the run stays as it was planned: a cluster
//! that left the fleet meanwhile is a member that the engine leaves out, with a record of it.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    ids::{AppUid, ClusterUid},
    run::{Member, MemberId, MemberState, ProgressClock, Run},
    strategy::Unmatched,
};
use tidegate_waves::Planned;

use super::{View, candidates, cluster_name, seed};

/// The plan of the header with the applications of its members.
pub(super) fn planned(view: &View<'_>, run: &Run) -> Planned {
    let frozen: BTreeSet<_> = run
        .plan
        .waves
        .iter()
        .flat_map(|wave| &wave.members)
        .collect();
    let mut strategy = run.strategy.clone();
    strategy.unmatched = Unmatched::Exclude;
    let again = tidegate_waves::plan(&strategy, &candidates(view), seed(&view.set.record));
    let mut placement: BTreeMap<AppUid, MemberId> =
        again.map(|planned| planned.placement).unwrap_or_default();
    placement.retain(|_, id| frozen.contains(id));
    let found: BTreeSet<_> = placement.values().cloned().collect();
    // Today's labels would put it elsewhere, or its cluster is gone: it stays where it was.
    for id in frozen.iter().filter(|id| !found.contains(**id)) {
        for entry in view
            .entries
            .iter()
            .filter(|entry| entry.cluster == id.cluster)
        {
            placement
                .entry(entry.app)
                .or_insert_with(|| MemberId::clone(id));
        }
    }
    let name = |uid: ClusterUid| (uid, cluster_name(view.state, uid));
    Planned {
        plan: run.plan.clone(),
        placement,
        cluster_names: frozen.iter().map(|id| name(id.cluster)).collect(),
    }
}

/// Members that have no application left; the engine leaves them out.
pub(super) fn add_empty(run: &Run, planned: &Planned, members: &mut BTreeMap<MemberId, Member>) {
    for id in run.plan.waves.iter().flat_map(|wave| &wave.members) {
        members.entry(id.clone()).or_insert_with(|| Member {
            id: id.clone(),
            cluster_name: planned
                .cluster_names
                .get(&id.cluster)
                .cloned()
                .unwrap_or_default(),
            apps: BTreeMap::new(),
            state: MemberState::Unchanged,
            cause: None,
            healthy_since: None,
            reached: false,
            progress: ProgressClock::default(),
            unreachable_since: None,
            deferred: false,
        });
    }
}
