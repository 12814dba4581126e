//! Sets and what hangs on them: deletion, pins, refresh, holds.

use tidegate_proto::v1 as wire;
use tonic::Status;

use super::{FleetApi, convert, list::find_set};
use crate::{
    changes::{Changes, Decision},
    records::{HoldRecord, SetRecord},
    state::State,
};

impl FleetApi {
    pub(super) async fn delete_set(
        &self,
        actor: &str,
        request: &wire::DeleteApplicationSetRequest,
    ) -> Result<wire::DeleteApplicationSetResponse, Status> {
        let reason = super::required_reason(&request.reason, "deleting a set")?;
        let applications = self
            .write(|state| {
                let row = find_set(state, &request.project, &request.name)?;
                let mut record = SetRecord::clone(&row.record);
                let mut changes = Changes::default();
                let applications = state.apps_of(&record).count();
                if !record.deleting {
                    record.deleting = true;
                    changes.update(row, &record);
                    let subject = format!("set/{}", record.name);
                    changes.decide(Decision::by(
                        actor,
                        &record.project,
                        "set.delete",
                        subject,
                        reason.clone(),
                    ));
                }
                Ok((applications, changes))
            })
            .await?;
        Ok(wire::DeleteApplicationSetResponse {
            applications: convert::count(applications),
        })
    }

    pub(super) async fn lift_pins(
        &self,
        actor: &str,
        request: &wire::UnpinRequest,
    ) -> Result<wire::UnpinResponse, Status> {
        let reason = super::required_reason(&request.reason, "unpin")?;
        let mut answer = wire::UnpinResponse::default();
        loop {
            let lifted = self
                .write(|state| lift(state, actor, request, &reason))
                .await?;
            let nothing = lifted.applications.is_empty() && lifted.denies_lifted == 0;
            answer.applications.extend(lifted.applications);
            answer.denies_lifted += lifted.denies_lifted;
            if nothing && (answer.denies_lifted > 0 || !answer.applications.is_empty()) {
                return Ok(answer);
            }
            if nothing {
                let what = if request.app.is_empty() {
                    "pinned or denied"
                } else {
                    "pinned under that name"
                };
                return Err(Status::not_found(format!(
                    "nothing of set {} is {what}; `tidegate get pins` lists what is",
                    request.set
                )));
            }
        }
    }

    pub(super) async fn refresh_set(
        &self,
        actor: &str,
        request: &wire::RefreshRequest,
    ) -> Result<wire::RefreshResponse, Status> {
        self.write(|state| {
            let set = &find_set(state, &request.project, &request.set)?.record;
            let mut changes = Changes::default();
            let subject = format!("set/{}", set.name);
            changes.decide(Decision::by(
                actor,
                &set.project,
                "set.refresh",
                subject,
                String::new(),
            ));
            Ok(((), changes))
        })
        .await?;
        let wanted: Vec<_> = {
            let state = self.db.read();
            let set = &find_set(&state, &request.project, &request.set)?.record;
            let apps = state
                .apps_of(set)
                .map(|row| row.record.app.source.repo_revision());
            let mut wanted = super::apply::sources(&set.document);
            wanted.extend(apps);
            wanted.into_iter().collect()
        };
        let records = self
            .poller
            .refresh(wanted)
            .await
            .map_err(|error| Status::unavailable(format!("failed to refresh: {error}")))?;
        // The caller's next question is what became of it: a release, a hold, a run.
        let revision = self.db.read().revision;
        self.settled.reach(revision).await;
        Ok(wire::RefreshResponse {
            sources: records.iter().map(convert::source).collect(),
        })
    }

    pub(super) async fn approve_held(
        &self,
        actor: &str,
        request: &wire::ApproveHoldRequest,
    ) -> Result<wire::ApproveHoldResponse, Status> {
        let reason = super::required_reason(&request.reason, "letting a held result through")?;
        let hold = self
            .write(|state| {
                let row = state
                    .holds
                    .find(|hold| hold.id == request.id)
                    .ok_or_else(|| {
                        Status::not_found(format!(
                            "no hold {}; `tidegate get holds` lists them",
                            request.id
                        ))
                    })?;
                if !row.record.approvable {
                    return Err(Status::failed_precondition(format!(
                        "{}: an approval does not open this; new content or `tidegate unpin` does",
                        row.record.message
                    )));
                }
                let mut record = HoldRecord::clone(&row.record);
                let mut changes = Changes::default();
                if record.approved_by.is_none() {
                    record.approved_by = Some(actor.to_owned());
                    changes.update(row, &record);
                    let subject = format!("hold/{}: {}", record.id, record.message);
                    changes.decide(
                        Decision::by(
                            actor,
                            &record.project,
                            "hold.approve",
                            subject,
                            reason.clone(),
                        )
                        .from_to("", record.content),
                    );
                }
                Ok((convert::hold(state, &record), changes))
            })
            .await?;
        Ok(wire::ApproveHoldResponse { hold: Some(hold) })
    }
}

/// The most pins and denies that one transaction lifts. While some are left they hold the set's
/// releases, so that a part is as good as nothing.
const BATCH: usize = 50;

/// Lifts as many pins and denies as one transaction holds.
fn lift(
    state: &State,
    actor: &str,
    request: &wire::UnpinRequest,
    reason: &str,
) -> Result<(wire::UnpinResponse, Changes), Status> {
    let set = &find_set(state, &request.project, &request.set)?.record;
    let mut changes = Changes::default();
    let mut answer = wire::UnpinResponse::default();
    for row in state.pins_of(set) {
        let name = state
            .app(row.record.pin.app)
            .map(|app| app.app.name.clone())
            .unwrap_or_default();
        if (request.app.is_empty() || request.app == name) && changes.operations() < BATCH {
            changes.delete(row);
            answer.applications.push(name);
        }
    }
    let denies = state.denies_of(set).filter(|_| request.app.is_empty());
    for row in denies.take(BATCH - changes.operations()) {
        changes.delete(row);
        answer.denies_lifted += 1;
    }
    if !changes.is_empty() {
        let subject = format!("set/{} {}", set.name, answer.applications.join(","));
        let project = &set.project;
        changes.decide(Decision::by(
            actor,
            project,
            "set.unpin",
            subject,
            reason.to_owned(),
        ));
    }
    Ok((answer, changes))
}
