//! Runs: look, explain, approve, stop, go back.
//!
//! A request is written into the run's header; the controller's next step carries it out, so a
//! hub that dies in between loses nothing.

mod back;
mod members;

use jiff::Timestamp;
use tidegate_model::{
    run::{Approval, GatePosition, Request, RequestVerb, Run, RunState, Verdict, WayBack},
    strategy::{Gate, Gates},
};
use tidegate_proto::v1 as wire;
use tidegate_waves::{approval_gate, has_windows, may_speak, outlook, quorum};
use tonic::Status;

use super::{FleetApi, convert, list::find_set};
use crate::{
    changes::{Changes, Decision},
    records::{RunRecord, SetRecord},
    state::{Row, State},
};

/// The run that a request names, by id or as the latest of a set.
pub(super) fn find<'a>(
    state: &'a State,
    request: &wire::GetRunRequest,
) -> Result<&'a Row<RunRecord>, Status> {
    if request.run_id.is_empty() {
        let set = find_set(state, &request.project, &request.set)?;
        let run = set.record.latest_run.and_then(|id| state.run(id));
        return run.ok_or_else(|| {
            Status::not_found(format!(
                "set {} has no run yet; `tidegate get sets` shows why",
                request.set
            ))
        });
    }
    let id = request.run_id.parse().map_err(|error| {
        Status::invalid_argument(format!("{:?} is no run id: {error}", request.run_id))
    })?;
    state.run(id).ok_or_else(|| {
        Status::not_found(format!(
            "no run {}; `tidegate get runs` lists them",
            request.run_id
        ))
    })
}

fn set_of<'a>(state: &'a State, run: &Run) -> Result<&'a SetRecord, Status> {
    state
        .set_by_uid(run.set)
        .map(AsRef::as_ref)
        .ok_or_else(|| Status::not_found("the set of this run is gone"))
}

fn open(run: &Run) -> Result<(), Status> {
    if run.state.is_terminal() {
        let state = convert::run_state(run.state);
        return Err(Status::failed_precondition(format!(
            "run {} is {state}: it changes no more",
            run.id
        )));
    }
    Ok(())
}

impl FleetApi {
    pub(super) async fn approve(
        &self,
        actor: &str,
        request: &wire::ApproveRunRequest,
    ) -> Result<wire::Run, Status> {
        let named = request.run.clone().unwrap_or_default();
        let now = self.db.clock().now();
        let (verdict, action) = if request.rejects {
            super::required_reason(&request.reason, "a rejection")?;
            (Verdict::Reject, "run.reject")
        } else {
            (Verdict::Approve, "run.approve")
        };
        self.write(|state| {
            let row = find(state, &named)?;
            let mut record = RunRecord::clone(&row.record);
            open(&record.run)?;
            let set = set_of(state, &record.run)?;
            let (wave, position) = waiting_gate(&record.run, &request.wave, now)?;
            let content = record.run.content;
            if !request.content.is_empty() && request.content != content.to_string() {
                return Err(Status::failed_precondition(format!(
                    "the approval is for content {}, the run brings {content}: look at it again",
                    request.content
                )));
            }
            let user = state.users.find(|user| user.name == actor);
            let word = Approval {
                wave,
                position,
                content,
                verdict,
                actor: actor.to_owned(),
                groups: user
                    .map(|user| user.record.groups.clone())
                    .unwrap_or_default(),
                reason: request.reason.clone(),
                at: now,
                soak: soak_of(&record.run, position),
            };
            if let Some(gate) = approval_gate(&record.run, wave, position) {
                may_speak(gate, &record.run, actor, &word.groups)
                    .map_err(|barred| Status::permission_denied(barred.to_string()))?;
            }
            let mut changes = Changes::default();
            if is_news(&record.run, &word) {
                record.run.approvals.push(word);
                changes.update(row, &record);
                let name = record
                    .run
                    .plan
                    .waves
                    .get(wave)
                    .map_or("", |wave| &wave.name);
                let subject = format!("set/{} run/{} wave/{name}", set.name, record.run.id);
                let reason = request.reason.clone();
                let decision = Decision::by(actor, &set.project, action, subject, reason);
                changes.decide(decision.from_to("", content));
            }
            Ok(((), changes))
        })
        .await?;
        self.show(&named)
    }

    pub(super) async fn control(
        &self,
        actor: &str,
        request: &wire::ControlRunRequest,
    ) -> Result<wire::Run, Status> {
        let named = request.run.clone().unwrap_or_default();
        let (verb, action) = match request.verb() {
            wire::RunVerb::Pause => (RequestVerb::Pause, "run.pause"),
            wire::RunVerb::Resume => (RequestVerb::Resume, "run.resume"),
            wire::RunVerb::Cancel => (RequestVerb::Cancel, "run.cancel"),
            wire::RunVerb::Retry => (RequestVerb::Retry, "run.retry"),
            wire::RunVerb::Skip => (RequestVerb::Skip, "run.skip"),
            wire::RunVerb::Unspecified => {
                return Err(Status::invalid_argument(
                    "the request names no verb: pause, resume, cancel, retry or skip",
                ));
            }
        };
        self.write(|state| {
            let row = find(state, &named)?;
            let set = set_of(state, &row.record.run)?;
            let way = match verb {
                RequestVerb::Retry => members::fits_retry(state, set, row)?,
                RequestVerb::Skip => {
                    // What a run that is over still owes, a person may take away.
                    if !row.record.run.is_live() {
                        open(&row.record.run)?;
                    }
                    match members::named(state, row, &request.cluster)? {
                        Some(way) => way,
                        None => return Ok(((), Changes::default())),
                    }
                }
                _ => {
                    open(&row.record.run)?;
                    fits(&row.record.run, verb)?;
                    WayBack::default()
                }
            };
            let asked = Request {
                verb,
                actor: actor.to_owned(),
                reason: request.reason.clone(),
                way,
            };
            Ok(((), ask(set, row, action, asked)?))
        })
        .await?;
        self.show(&named)
    }

    pub(super) async fn open_windows(
        &self,
        actor: &str,
        request: &wire::BreakGlassRequest,
    ) -> Result<wire::Run, Status> {
        let reason = super::required_reason(&request.reason, "a broken glass")?;
        let named = request.run.clone().unwrap_or_default();
        self.write(|state| {
            let row = find(state, &named)?;
            let run = &row.record.run;
            open(run)?;
            if run.broken_glass.iter().any(|known| known.wave == run.wave) {
                return Ok(((), Changes::default()));
            }
            if !has_windows(run, run.wave) {
                return Err(Status::failed_precondition(
                    "the open wave has no window; `tidegate run explain` says what the run waits for",
                ));
            }
            let asked = Request {
                verb: RequestVerb::BreakGlass,
                actor: actor.to_owned(),
                reason: reason.clone(),
                way: WayBack::default(),
            };
            let set = set_of(state, run)?;
            Ok(((), ask(set, row, "run.break-glass", asked)?))
        })
        .await?;
        self.show(&named)
    }

    pub(super) fn show(&self, named: &wire::GetRunRequest) -> Result<wire::Run, Status> {
        let state = self.db.read();
        find(&state, named).map(|row| convert::run(&state, &row.record))
    }

    pub(super) fn explain(
        &self,
        named: &wire::GetRunRequest,
    ) -> Result<wire::ExplainRunResponse, Status> {
        let state = self.db.read();
        let row = find(&state, named)?;
        let now = self.db.clock().now();
        let blocking =
            crate::promote::explain(&state, &self.evidence, &row.record, self.db.epoch(), now);
        Ok(wire::ExplainRunResponse {
            run: Some(convert::run(&state, &row.record)),
            blocking,
            windows: outlook(&row.record.run, now)
                .into_iter()
                .map(|windows| convert::windows(&row.record.run, windows))
                .collect(),
        })
    }
}

/// The soak that a word on this gate speaks of.
fn soak_of(run: &Run, position: GatePosition) -> u32 {
    match (position, &run.analysing) {
        (GatePosition::Analysis, Some(known)) => known.soak,
        _ => 0,
    }
}

/// Whether a word says anything that the same person's latest on that gate does not: the same request
/// again changes nothing (facts/promotion.md §2.4, 21), unless it renews a yes that is too old.
fn is_news(run: &Run, word: &Approval) -> bool {
    let gate = |word: &Approval| (word.wave, word.position, word.content, word.soak);
    let mut known = run.approvals.iter().rev();
    let latest = known.find(|known| gate(known) == gate(word) && known.actor == word.actor);
    let expired = quorum(run, word.wave, word.position, word.at)
        .is_some_and(|quorum| quorum.expired.contains(&word.actor));
    latest.is_none_or(|latest| latest.verdict != word.verdict) || expired
}

fn wave_named(run: &Run, name: &str) -> Result<usize, Status> {
    let waves = &run.plan.waves;
    waves
        .iter()
        .position(|wave| wave.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = waves.iter().map(|wave| wave.name.as_str()).collect();
            let names = names.join(", ");
            Status::not_found(format!("the run has no wave {name}; it has {names}"))
        })
}

/// The gate that an approval without a position means: the one that the named or open wave has and
/// has not passed.
fn waiting_gate(run: &Run, name: &str, now: Timestamp) -> Result<(usize, GatePosition), Status> {
    let wave = if name.is_empty() {
        run.wave
    } else {
        wave_named(run, name)?
    };
    if wave < run.wave {
        return Err(Status::failed_precondition(
            "that wave is done: there is nothing to approve",
        ));
    }
    if wave == run.wave && run.gate == Some(GatePosition::Analysis) {
        return Ok((wave, GatePosition::Analysis));
    }
    let gates = run.strategy.waves.get(wave).map(|wave| &wave.gates);
    let asks = |list: fn(&Gates) -> &[Gate]| {
        gates.is_some_and(|gates| list(gates).iter().any(Gate::is_approval))
    };
    let (asks_before, asks_after) = (asks(|gates| &gates.before), asks(|gates| &gates.after));
    let begun = wave == run.wave && matches!(run.state, RunState::Soaking | RunState::Rolling);
    let before_given = quorum(run, wave, GatePosition::Before, now).is_some_and(|q| q.is_open());
    let before_open = begun || (before_given && asks_after);
    let position = if asks_before && !before_open {
        GatePosition::Before
    } else if asks_after {
        GatePosition::After
    } else {
        return Err(Status::failed_precondition(
            "that wave has no approval gate",
        ));
    };
    Ok((wave, position))
}

fn fits(run: &Run, verb: RequestVerb) -> Result<(), Status> {
    let paused = run.state == RunState::Paused;
    match verb {
        RequestVerb::Pause | RequestVerb::Resume
            if matches!(run.state, RunState::RollingBack | RunState::Breached) =>
        {
            Err(Status::failed_precondition(
                "the run is being rolled back: let it finish, or cancel it",
            ))
        }
        RequestVerb::Pause if paused && run.paused.is_some_and(|paused| paused.by_person) => {
            Err(Status::failed_precondition(
                "the run is paused already: resume, cancel or roll it back",
            ))
        }
        RequestVerb::Resume if !paused => Err(Status::failed_precondition(format!(
            "the run is not paused, it is {}: there is nothing to resume",
            convert::run_state(run.state)
        ))),
        RequestVerb::Resume if run.paused.is_some_and(|paused| !paused.by_person) => {
            Err(Status::failed_precondition(
                "a member of an earlier wave is not healthy: the run goes on by itself when it is, \
                 or cancel it or roll it back",
            ))
        }
        _ => Ok(()),
    }
}

fn ask(
    set: &SetRecord,
    row: &Row<RunRecord>,
    action: &str,
    asked: Request,
) -> Result<Changes, Status> {
    let mut record = RunRecord::clone(&row.record);
    if let Some(request) = &record.run.request {
        return Err(Status::aborted(format!(
            "{} has just asked for {:?}; wait for it",
            request.actor, request.verb
        )));
    }
    let (actor, reason) = (asked.actor.clone(), asked.reason.clone());
    let subject = format!("set/{} run/{}", set.name, record.run.id);
    record.run.request = Some(asked);
    let mut changes = Changes::default();
    changes.update(row, &record);
    changes.decide(Decision::by(&actor, &set.project, action, subject, reason));
    Ok(changes)
}
