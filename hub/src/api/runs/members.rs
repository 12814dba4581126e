//! Requests about single members of a run: who is meant, and whether it fits.
//!
//! The rules are `tidegate-waves`'; here they become an answer before anything is written.

use std::collections::BTreeMap;

use tidegate_model::run::{Member, MemberState, Only, Run, WayBack};
use tidegate_waves::{may_retry, may_skip};
use tonic::Status;

use crate::{
    records::{RunRecord, SetRecord},
    state::{Row, State},
};

/// Whether something in the run can be tried again. Retry is about everybody who failed.
pub(super) fn fits_retry(
    state: &State,
    set: &SetRecord,
    row: &Row<RunRecord>,
) -> Result<WayBack, Status> {
    let run = &row.record.run;
    if run.state.is_terminal() && set.last_release > run.release_number {
        return Err(Status::failed_precondition(format!(
            "release {} of set {} is newer than release {} of this run, and gets a run of its own: \
             see `tidegate get runs --set {}`",
            set.last_release, set.name, run.release_number, set.name
        )));
    }
    let members = state.members_of(&row.record).map(|row| &row.record.member);
    may_retry(run, members, set.latest_run != Some(run.id)).map_err(Status::failed_precondition)?;
    Ok(WayBack::default())
}

/// What is said of a cluster that the run knows nothing of.
pub(super) fn not_in(run: &Run, cluster: &str) -> Status {
    Status::not_found(format!(
        "cluster {cluster} is not in run {}; `tidegate describe run {}` shows who is",
        run.id, run.id
    ))
}

/// Who is meant by the name of a cluster; `None` when it is left out already.
pub(super) fn named(
    state: &State,
    row: &Row<RunRecord>,
    cluster: &str,
) -> Result<Option<WayBack>, Status> {
    if cluster.is_empty() {
        return Err(Status::invalid_argument(
            "the request names no cluster to leave out",
        ));
    }
    let members: BTreeMap<_, &Member> = state
        .members_of(&row.record)
        .map(|row| (row.record.member.id.clone(), &row.record.member))
        .collect();
    let mut named = members
        .values()
        .filter(|member| member.cluster_name == cluster)
        .peekable();
    let Some(uid) = named.peek().map(|member| member.id.cluster) else {
        return Err(not_in(&row.record.run, cluster));
    };
    if named.all(|member| member.state == MemberState::Skipped) {
        return Ok(None);
    }
    let only = Only {
        clusters: [uid].into(),
        ..Only::default()
    };
    may_skip(&row.record.run, &members, &only)
        .map_err(|why| Status::failed_precondition(format!("cluster {cluster}: {why}")))?;
    Ok(Some(WayBack {
        only,
        ..WayBack::default()
    }))
}
