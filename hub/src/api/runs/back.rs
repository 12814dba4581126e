//! A rollback that a person asks for: whom, where to, and what it would change.
//!
//! The rules are `tidegate-waves`'; here they become an answer before anything is written. A dry run
//! plays the same steps on a copy.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    deny::{Deny, PinRelease},
    digest::Digest,
    release::ReleaseEntry,
    run::{Only, Request, RequestVerb, RunState, WayBack},
    selector::Selector,
    strategy::DenyScope,
};
use tidegate_proto::v1 as wire;
use tidegate_waves::{Turn, may_go_back};
use tonic::Status;

use super::{ask, find, members, set_of, wave_named};
use crate::{
    api::{FleetApi, convert, list::find_set, required_reason},
    changes::Changes,
    garbage::keep,
    preview::Previewer,
    promote,
    records::{RunRecord, SetRecord},
    state::{Row, State},
};

impl FleetApi {
    pub(in crate::api) async fn go_back(
        &self,
        actor: &str,
        request: &wire::RollbackRequest,
    ) -> Result<wire::RollbackResponse, Status> {
        let reason = required_reason(&request.reason, "a rollback")?;
        let named = wire::GetRunRequest {
            project: request.project.clone(),
            set: request.set.clone(),
            run_id: String::new(),
        };
        let asked = |way: WayBack| Request {
            verb: RequestVerb::Rollback,
            actor: actor.to_owned(),
            reason: reason.clone(),
            way,
        };
        if request.dry_run {
            return self.say_way_back(&named, request, asked).await;
        }
        self.write(|state| {
            let row = find(state, &named)?;
            let set = set_of(state, &row.record.run)?;
            if row.record.run.state == RunState::RollingBack {
                return Ok(((), Changes::default()));
            }
            let way = way(state, set, row, request)?;
            Ok(((), ask(set, row, "run.rollback", asked(way))?))
        })
        .await?;
        Ok(wire::RollbackResponse {
            run: Some(self.show(&named)?),
            changes: Vec::new(),
        })
    }

    async fn say_way_back(
        &self,
        named: &wire::GetRunRequest,
        request: &wire::RollbackRequest,
        asked: impl Fn(WayBack) -> Request,
    ) -> Result<wire::RollbackResponse, Status> {
        let (way, entries) = {
            let state = self.db.read();
            let row = find(&state, named)?;
            let set = set_of(&state, &row.record.run)?;
            let way = way(&state, set, row, request)?;
            let release = way.to.and_then(|number| state.release(set, number));
            (way, release.map(|row| row.record.entries))
        };
        let _turn = self.previews.acquire().await;
        let previewer = self.previewer();
        let entries: Vec<ReleaseEntry> = match entries {
            Some(digest) => previewer.entries(digest).await?,
            None => Vec::new(),
        };
        let (run, turns) = {
            let state = self.db.read();
            let row = find(&state, named)?;
            let set = find_set(&state, &named.project, &named.set)?;
            let view = promote::View {
                state: &state,
                evidence: &self.evidence,
                set,
                entries: &entries,
                release: None,
                epoch: self.db.epoch(),
                now: self.db.clock().now(),
            };
            let turns = promote::turns(&view, &row.record, asked(way))
                .map_err(Status::failed_precondition)?;
            (RunRecord::clone(&row.record), turns)
        };
        let denied = denied(&previewer, &turns, run.run.strategy.rollback.deny).await?;
        let state = self.db.read();
        Ok(wire::RollbackResponse {
            run: Some(convert::run(&state, &run)),
            changes: turns
                .into_iter()
                .map(|turn| change(&state, &run, turn, &denied))
                .collect(),
        })
    }
}

/// The way that a request means, if the latest run of the set can go it.
fn way(
    state: &State,
    set: &SetRecord,
    row: &Row<RunRecord>,
    request: &wire::RollbackRequest,
) -> Result<WayBack, Status> {
    let run = &row.record.run;
    let pin = match request.pin_release.as_str() {
        "" => None,
        "converged" => Some(PinRelease::Converged),
        "changed" => Some(PinRelease::Changed),
        "manual" => Some(PinRelease::Manual),
        other => {
            return Err(Status::invalid_argument(format!(
                "{other:?} opens no pin; choose converged, changed or manual"
            )));
        }
    };
    let to = (request.to_release != 0).then_some(request.to_release);
    if let Some(number) = to {
        check_release(state, set, number)?;
    }
    let way = WayBack {
        only: only(state, row, request)?,
        to,
        pin,
    };
    let members = state.members_of(&row.record).map(|row| &row.record.member);
    may_go_back(run, members, set.latest_run != Some(run.id), &way).map_err(|why| {
        let state = convert::run_state(run.state);
        Status::failed_precondition(format!(
            "nothing to roll back in the last run of set {}, which is {state}: {why}; `tidegate \
             get pins` shows what is pinned",
            set.name
        ))
    })?;
    Ok(way)
}

/// Whether what that release holds is still there.
fn check_release(state: &State, set: &SetRecord, number: u64) -> Result<(), Status> {
    let name = &set.name;
    if state.release(set, number).is_none() {
        return Err(Status::not_found(format!(
            "set {name} has no release {number}; `tidegate release list --set {name}` shows them"
        )));
    }
    if !keep::keeps_release(state, set, number) {
        return Err(Status::failed_precondition(format!(
            "what release {number} of set {name} held is gone: the last {} releases are kept; \
             choose one of them, or revert the source and let it make a new one",
            keep::RELEASES
        )));
    }
    Ok(())
}

/// Whom it is about.
fn only(
    state: &State,
    row: &Row<RunRecord>,
    request: &wire::RollbackRequest,
) -> Result<Only, Status> {
    let run = &row.record.run;
    let mut only = Only::default();
    if !request.wave.is_empty() {
        let index = wave_named(run, &request.wave)?;
        only.wave = u32::try_from(index).ok();
    }
    let all: Vec<_> = state
        .members_of(&row.record)
        .map(|row| &row.record.member)
        .collect();
    for name in &request.clusters {
        let mut named = all.iter().filter(|one| one.cluster_name == *name);
        let Some(member) = named.next() else {
            return Err(members::not_in(run, name));
        };
        only.clusters.insert(member.id.cluster);
    }
    if !request.selector.is_empty() {
        let selector: Selector = request
            .selector
            .parse()
            .map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let labels = |uid| {
            state
                .cluster(uid)
                .map(|row| row.record.cluster.labels.clone())
        };
        let picked: BTreeSet<_> = all
            .iter()
            .map(|member| member.id.cluster)
            .filter(|uid| labels(*uid).is_some_and(|labels| selector.matches(&labels)))
            .collect();
        if picked.is_empty() {
            return Err(Status::not_found(format!(
                "no cluster of run {} has the labels {}; `tidegate get clusters` shows them",
                run.id, request.selector
            )));
        }
        only.clusters.extend(picked);
    }
    Ok(only)
}

/// The denied objects by the bundle they come from and the one that is gone back to.
type Denied = BTreeMap<(Digest, Digest), BTreeSet<Deny>>;

async fn denied(previewer: &Previewer, turns: &[Turn], scope: DenyScope) -> Result<Denied, Status> {
    let pairs = |turn: &Turn| -> Vec<_> {
        let good = turn.to.into_iter();
        good.flat_map(|good| turn.denied.iter().map(move |bad| (*bad, good)))
            .collect()
    };
    let pairs: BTreeSet<_> = turns.iter().flat_map(pairs).collect();
    let mut all = Denied::new();
    for (bad, good) in pairs {
        all.insert((bad, good), previewer.denied(bad, good, scope).await?);
    }
    Ok(all)
}

fn change(state: &State, run: &RunRecord, turn: Turn, denied: &Denied) -> wire::RollbackChange {
    let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string()).unwrap_or_default();
    let wave = run.run.plan.waves.get(turn.member.wave as usize);
    let objects: BTreeSet<String> = turn
        .to
        .into_iter()
        .flat_map(|good| turn.denied.iter().map(move |bad| (*bad, good)))
        .filter_map(|pair| denied.get(&pair))
        .flatten()
        .map(|deny| deny.object.to_string())
        .collect();
    wire::RollbackChange {
        app: state
            .app(turn.app)
            .map(|app| app.app.name.clone())
            .unwrap_or_default(),
        cluster: convert::cluster_name(state, turn.member.cluster),
        wave: wave.map(|wave| wave.name.clone()).unwrap_or_default(),
        from: text(turn.from),
        to: text(turn.to),
        pinned: turn.pinned,
        denied: objects.into_iter().collect(),
        left: turn.left.unwrap_or_default(),
    }
}
