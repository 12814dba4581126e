//! In which waves a release would roll out, and how long that takes.
//!
//! Owns which applications are planned for and the words for gates. Writes nothing: the plan and its
//! times are `tidegate-waves`'.

use std::{collections::BTreeMap, time::Duration};

use tidegate_model::{
    ids::ClusterUid,
    run::MemberId,
    strategy::{Analysis, ApprovalGate, Gate, Wave},
};
use tidegate_proto::v1 as wire;
use tidegate_waves::{Planned, WaveForecast, forecast, samples_needed};
use tonic::Status;

use super::{
    FleetApi, convert, list,
    preview::{SETS, in_set, too_many},
};
use crate::{preview::At, promote, records::SetRecord, state::State};

impl FleetApi {
    /// The plan of a set as it is.
    pub(super) fn plan_set(
        &self,
        request: &wire::PlanRequest,
    ) -> Result<wire::PlanResponse, Status> {
        let state = self.db.read().clone();
        let row = list::find_set(&state, &request.project, &request.set)?;
        let each = each(request.each_ms)?;
        Ok(self.answer(vec![self.planned(&state, &row.record, each)]))
    }

    /// The plans of sets as these documents have them.
    pub(super) async fn plan_documents(
        &self,
        actor: &str,
        request: &wire::PlanApplyRequest,
    ) -> Result<wire::PlanResponse, Status> {
        let (state, sets) = self.as_if_applied(actor, &request.files)?;
        if sets.is_empty() {
            return Err(Status::invalid_argument(
                "the documents hold no application set; to see what a wave plan does, hand over a \
                 set that names it as well",
            ));
        }
        if sets.len() > SETS {
            return Err(too_many(sets.len(), "plan fewer files at once"));
        }
        let each = each(request.each_ms)?;
        let _turn = self.previews.acquire().await;
        let mut plans = Vec::new();
        for (project, name) in sets {
            let previewer = self.previewer();
            let (after, _) = previewer
                .published(state.clone(), &project, &name, &At::default())
                .await
                .map_err(|error| in_set(&Status::from(error), &project, &name))?;
            if let Some(row) = after.set(&project, &name) {
                plans.push(self.planned(&after, &row.record, each));
            }
        }
        Ok(self.answer(plans))
    }

    fn answer(&self, plans: Vec<wire::RolloutPlan>) -> wire::PlanResponse {
        wire::PlanResponse {
            plans,
            now_ms: convert::millis(Some(self.db.clock().now())),
        }
    }

    fn planned(&self, state: &State, set: &SetRecord, each: Duration) -> wire::RolloutPlan {
        let mut told = wire::RolloutPlan {
            project: set.project.clone(),
            set: set.name.clone(),
            problems: set.problems.clone(),
            ..wire::RolloutPlan::default()
        };
        let planned = match promote::planned(state, set) {
            Ok((planned, left_out)) => {
                told.problems
                    .extend(left_out.map(|error| error.to_string()));
                planned
            }
            Err(error) => {
                told.problems.push(error.to_string());
                return told;
            }
        };
        let (strategy, now) = (state.strategy(set).as_waves(), self.db.clock().now());
        let times = forecast(&strategy, &planned.plan, each, now);
        let waves = planned.plan.waves.iter().enumerate();
        told.waves = waves
            .map(|(index, wave)| wire::WaveOfPlan {
                name: wave.name.clone(),
                clusters: names(&planned, &wave.members),
                ..of_wave(strategy.waves.get(index), times.get(index))
            })
            .collect();
        told.excluded = names(&planned, &planned.plan.excluded);
        told
    }
}

fn names(planned: &Planned, members: &[MemberId]) -> Vec<String> {
    let known: &BTreeMap<ClusterUid, String> = &planned.cluster_names;
    let name = |id: &MemberId| known.get(&id.cluster).cloned().unwrap_or_default();
    members.iter().map(name).collect()
}

/// Times and gates of a wave. `AllAtOnce` has times and no more.
fn of_wave(spec: Option<&Wave>, times: Option<&WaveForecast>) -> wire::WaveOfPlan {
    let mut told = wire::WaveOfPlan::default();
    if let Some(times) = times {
        told.at_once = u32::try_from(times.at_once).unwrap_or(u32::MAX);
        told.begins_ms = convert::millis(Some(times.begins));
        told.ends_ms = convert::millis(Some(times.ends));
        told.soaks_ms = ms(times.soaks);
    }
    if let Some(spec) = spec {
        let gates = &spec.gates;
        told.before = gates.before.iter().map(in_words).collect();
        told.after = gates.after.iter().map(in_words).collect();
        let all = spec.analysis.iter();
        told.analyses = all.map(|analysis| measured(spec, analysis)).collect();
        let mut all = gates.before.iter().chain(&gates.after);
        told.asks_people = all.any(Gate::is_approval);
    }
    told
}

fn in_words(gate: &Gate) -> String {
    match gate {
        Gate::Approval(approval) => approved(approval),
        Gate::Window(window) => window.to_string(),
        Gate::AlarmClear(alarm) => format!("alarm {} must not fire", alarm.name),
        Gate::Webhook(webhook) => format!("webhook {} must say yes", webhook.name),
        Gate::Analysis(analysis) => format!("a sample of {} must pass", analysis.name),
    }
}

fn approved(gate: &ApprovalGate) -> String {
    let who = match gate.min_approvals.max(1) {
        1 => "1 person".to_owned(),
        many => format!("{many} people"),
    };
    let asked: Vec<_> = gate
        .approvers
        .iter()
        .map(|rule| {
            let must = if rule.required { " (required)" } else { "" };
            format!("{rule}{must}")
        })
        .collect();
    let of = match asked.len() {
        0 => String::new(),
        _ => format!(" of {}", asked.join(", ")),
    };
    let apart = if gate.separation_of_duties {
        ", not by its authors"
    } else {
        ""
    };
    format!("approval by {who}{of}{apart}")
}

fn measured(spec: &Wave, analysis: &Analysis) -> String {
    let (name, every) = (&analysis.name, analysis.interval);
    match samples_needed(spec, analysis) {
        1 => format!("1 sample of {name} after {every}"),
        many => format!("{many} samples of {name}, one every {every}"),
    }
}

fn each(ms: i64) -> Result<Duration, Status> {
    let ms = u64::try_from(ms);
    let ms = ms.map_err(|_| {
        Status::invalid_argument("each_ms is negative; nothing takes less than no time")
    })?;
    Ok(Duration::from_millis(ms))
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
