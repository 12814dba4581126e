//! Wave plans: written, listed, deleted.
//!
//! A plan that changes is used by the next run of each set that names it; a run that goes on keeps
//! what it froze. Never lets a set lose its plan.

use tidegate_model::wave_plan::WavePlan;
use tidegate_proto::v1 as wire;
use tonic::Status;

use super::FleetApi;
use crate::{
    changes::{Changes, Decision},
    records::WavePlanRecord,
    state::State,
};

/// Writes a plan into `changes`.
pub(super) fn put(
    state: &State,
    actor: &str,
    plan: &WavePlan,
    changes: &mut Changes,
) -> wire::AppliedObject {
    let (project, name) = (&plan.spec.project, &plan.metadata.name);
    let decide = |action: &str| {
        Decision::by(
            actor,
            project,
            action,
            format!("waveplan/{name}"),
            String::new(),
        )
    };
    let outcome = match state.wave_plan(project, name) {
        None => {
            changes.create(&WavePlanRecord {
                project: project.clone(),
                name: name.clone(),
                version: 1,
                document: plan.clone(),
                applied_by: actor.to_owned(),
            });
            changes.decide(decide("waveplan.create"));
            wire::ApplyOutcome::Created
        }
        Some(row) if row.record.document == *plan => wire::ApplyOutcome::Unchanged,
        Some(row) => {
            let version = row.record.version + 1;
            changes.update(
                row,
                &WavePlanRecord {
                    version,
                    document: plan.clone(),
                    applied_by: actor.to_owned(),
                    ..WavePlanRecord::clone(&row.record)
                },
            );
            changes.decide(decide("waveplan.change").from_to(row.record.version, version));
            wire::ApplyOutcome::Configured
        }
    };
    wire::AppliedObject {
        kind: "WavePlan".to_owned(),
        project: project.clone(),
        name: name.clone(),
        outcome: outcome.into(),
    }
}

/// A plan as the API shows it.
pub(super) fn shown(state: &State, record: &WavePlanRecord) -> wire::WavePlan {
    let sets = state.sets_with(&record.project, &record.name);
    wire::WavePlan {
        project: record.project.clone(),
        name: record.name.clone(),
        version: record.version,
        document: serde_json::to_string(&record.document).unwrap_or_default(),
        sets: sets.map(|set| set.name.clone()).collect(),
        waves: waves(record),
        applied_by: record.applied_by.clone(),
    }
}

fn waves(record: &WavePlanRecord) -> Vec<String> {
    let strategy = record.document.spec.strategy.as_waves();
    strategy.waves.into_iter().map(|wave| wave.name).collect()
}

impl FleetApi {
    pub(super) async fn delete_plan(
        &self,
        actor: &str,
        request: &wire::DeleteWavePlanRequest,
    ) -> Result<wire::DeleteWavePlanResponse, Status> {
        let reason = super::required_reason(&request.reason, "deleting a wave plan")?;
        let project = super::project_or_default(&request.project);
        let name = &request.name;
        self.write(|state| {
            let row = state.wave_plan(project, name).ok_or_else(|| {
                Status::not_found(format!(
                    "no wave plan {name} in project {project}; `tidegate get waveplans` lists them"
                ))
            })?;
            let sets: Vec<_> = state.sets_with(project, name).collect();
            if !sets.is_empty() {
                let names: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
                return Err(Status::failed_precondition(format!(
                    "wave plan {name} is what these sets roll out by: {}; give them another first",
                    names.join(", ")
                )));
            }
            let mut changes = Changes::default();
            changes.delete(row);
            changes.decide(Decision::by(
                actor,
                project,
                "waveplan.delete",
                format!("waveplan/{name}"),
                reason.clone(),
            ));
            Ok(((), changes))
        })
        .await?;
        Ok(wire::DeleteWavePlanResponse {})
    }
}
