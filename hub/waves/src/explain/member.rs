//! What a member waits for.

use jiff::Timestamp;
use tidegate_model::run::{Member, MemberApp, MemberState};

use super::{BlockCode, Blocking, Explainer};
use crate::{
    AppFacts,
    evidence::{Side, Stage, is_alive, see},
    step::member::{is_regressed, unreachable_since},
};

impl Explainer<'_> {
    /// The first thing that keeps this member from moving; `None` when it only waits for its turn.
    pub(super) fn member(&self, member: &Member) -> Option<Blocking> {
        let (code, message, clears, since) = self.judge(member)?;
        let mut said = self.say(
            code,
            &format!("cluster {}: {message}", member.cluster_name),
            clears,
        );
        self.name(&mut said, member);
        said.since = since;
        said.app = self.culprit(member);
        Some(said)
    }

    fn judge(
        &self,
        member: &Member,
    ) -> Option<(BlockCode, String, &'static str, Option<Timestamp>)> {
        let cluster = self.work.cluster(&member.id);
        let side = side_of(member);
        let Some(known) = cluster.filter(|cluster| {
            member.apps.keys().all(|app| cluster.apps.contains_key(app))
        }) else {
            let message = "the hub knows nothing of it".to_owned();
            return Some((BlockCode::NoFacts, message, "the hub's view of this cluster", None));
        };
        if let Some(since) = unreachable_since(cluster) {
            let message = "its agent has no session".to_owned();
            return Some((BlockCode::Unreachable, message, "its agent's return", Some(since)));
        }
        if member.state == MemberState::Queued {
            return None;
        }
        let seen = see(member, cluster, side, self.work.times());
        if seen.waits_for_person() {
            let message = seen.problem.map(|cause| cause.message).unwrap_or_default();
            let clears = "approve the prune, bring the objects back, cancel or roll back";
            return Some((BlockCode::PruneHeld, message, clears, None));
        }
        if seen.stage == Stage::Healthy {
            let window = self.work.spec(member.id.wave as usize).health_window;
            let message = format!("healthy, and must stay so for {window}");
            return Some((BlockCode::HealthWindow, message, "time, while it stays healthy", None));
        }
        let stale = known.apps.values().filter_map(|app| app.evidence.as_ref()).any(|e| !e.fresh);
        if stale && seen.stage == Stage::Applied && seen.problem.is_none() {
            let message = "its last heartbeat did not confirm its reports".to_owned();
            return Some((BlockCode::NotConfirmed, message, "its next heartbeat or report", None));
        }
        let message = match (seen.problem, is_regressed(member)) {
            (Some(cause), true) => format!("no longer healthy: {}", cause.message),
            (Some(cause), false) => cause.message,
            (None, _) => stage_words(seen.stage, side).to_owned(),
        };
        Some((
            BlockCode::NotHealthy,
            message,
            "a report that it is healthy at what the run assigned, or its progress deadline",
            member.progress.running_since.and_then(|since| self.hub_time(since)),
        ))
    }

    /// The application that is furthest behind.
    fn culprit(&self, member: &Member) -> Option<tidegate_model::ids::AppUid> {
        let cluster = self.work.cluster(&member.id);
        let side = side_of(member);
        let facts = |uid| -> Option<&AppFacts> { cluster.and_then(|cluster| cluster.apps.get(uid)) };
        let alone = |uid: &_, app: &MemberApp| {
            let mut one = member.clone();
            one.apps = [(*uid, app.clone())].into();
            see(&one, cluster, side, self.work.times()).stage
        };
        let alive = member.apps.iter().filter(|(uid, _)| is_alive(facts(uid)));
        alive.min_by_key(|(uid, app)| alone(uid, app)).map(|(uid, _)| *uid)
    }

    /// A reading of the run's clock as hub time, as far as the two agree.
    fn hub_time(&self, at: Timestamp) -> Option<Timestamp> {
        let ago = self.work.now.duration_since(at);
        self.work.hub_now.checked_sub(ago).ok()
    }
}

fn side_of(member: &Member) -> Side {
    let back = member.apps.values().any(|app| app.revert.is_some());
    if back { Side::Revert } else { Side::Forward }
}

fn stage_words(stage: Stage, side: Side) -> &'static str {
    match (stage, side) {
        (Stage::Silent, Side::Forward) => "its agent has not reported this run's content",
        (Stage::Silent, Side::Revert) => "its agent has not reported its last known good",
        (Stage::Accepted, _) => "its agent holds the content and has not begun to apply it",
        (Stage::Applying, _) => "its agent is applying it",
        (Stage::Applied | Stage::Healthy, _) => "applied; health is being watched",
    }
}
