//! What a member waits for.

use jiff::Timestamp;
use tidegate_model::{
    run::{Member, MemberApp, MemberState},
    strategy::UnreachableThen,
};

use super::{
    BlockCode, Blocking, Explainer,
    debt::{OWED_CLEARS, owed_words},
};
use crate::{
    AppFacts,
    evidence::{Side, Stage, is_alive, see},
    mutant::{self, Mutant},
    step::{
        assign::owed,
        debt::{self, is_deferred},
        member::{is_regressed, unreachable_since},
    },
};

/// What is in the way, what clears it, since when.
struct Word {
    code: BlockCode,
    message: String,
    clears: &'static str,
    since: Option<Timestamp>,
}

impl Word {
    fn new(code: BlockCode, message: impl Into<String>, clears: &'static str) -> Self {
        Self {
            code,
            message: message.into(),
            clears,
            since: None,
        }
    }
}

impl Explainer<'_> {
    /// The first thing that keeps this member from moving; `None` when it only waits for its turn.
    pub(super) fn member(&self, member: &Member) -> Option<Blocking> {
        let word = self.link(member).or_else(|| self.evidence(member))?;
        let message = format!("cluster {}: {}", member.cluster_name, word.message);
        let mut said = self.say(word.code, &message, word.clears);
        self.name(&mut said, member);
        said.since = word.since;
        said.app = self.culprit(member);
        Some(said)
    }

    /// What is wrong between hub and cluster.
    fn link(&self, member: &Member) -> Option<Word> {
        let cluster = self.work.cluster(&member.id);
        let known = cluster
            .is_some_and(|cluster| member.apps.keys().all(|app| cluster.apps.contains_key(app)));
        if !known {
            let message = "the hub knows nothing of it";
            return Some(Word::new(
                BlockCode::NoFacts,
                message,
                "the hub's view of this cluster",
            ));
        }
        let Some(since) = unreachable_since(cluster) else {
            let release = owed(member, cluster).filter(|_| member.state == MemberState::Queued)?;
            return Some(Word::new(BlockCode::Debt, owed_words(release), OWED_CLEARS));
        };
        if mutant::on(Mutant::UnreachableUnexplained) {
            return None;
        }
        let (message, clears) = self.waited_for(member);
        let word = Word::new(BlockCode::Unreachable, message, clears);
        Some(Word {
            since: Some(since),
            ..word
        })
    }

    /// Why a wave that defers waits for a silent one all the same.
    fn waited_for(&self, member: &Member) -> (String, &'static str) {
        let wave = member.id.wave as usize;
        let defers = self.work.spec(wave).unreachable.then == UnreachableThen::Defer;
        let full = defers && member.state == MemberState::Unreachable;
        if !full || debt::room(&self.work, wave) > 0 {
            return ("its agent has no session".to_owned(), "its agent's return");
        }
        let deferred = self.work.wave_members(wave).filter(|m| is_deferred(m));
        let message = format!(
            "its agent has no session, and maxDeferred lets the wave go on without no more than {}",
            deferred.count()
        );
        (message, "its agent's return, or that of a deferred member")
    }

    /// What its reports lack.
    fn evidence(&self, member: &Member) -> Option<Word> {
        if member.state == MemberState::Queued {
            return None;
        }
        let side = side_of(member);
        let seen = see(
            member,
            self.work.cluster(&member.id),
            side,
            self.work.times(),
        );
        if seen.waits_for_person() {
            let message = seen.problem.map(|cause| cause.message).unwrap_or_default();
            let clears = "approve the prune, bring the objects back, cancel or roll back";
            return Some(Word::new(BlockCode::PruneHeld, message, clears));
        }
        if seen.stage == Stage::Healthy {
            let window = self.work.spec(member.id.wave as usize).health_window;
            let message = format!("healthy, and must stay so for {window}");
            return Some(Word::new(
                BlockCode::HealthWindow,
                message,
                "time, while it stays healthy",
            ));
        }
        if seen.stage == Stage::Applied && seen.problem.is_none() {
            let message = "its last heartbeat did not confirm its reports";
            return Some(Word::new(
                BlockCode::NotConfirmed,
                message,
                "its next heartbeat or report",
            ));
        }
        let message = match (seen.problem, is_regressed(member)) {
            (Some(cause), true) => format!("no longer healthy: {}", cause.message),
            (Some(cause), false) => cause.message,
            (None, _) => stage_words(seen.stage, side).to_owned(),
        };
        let clears =
            "a report that it is healthy at what the run assigned, or its progress deadline";
        let since = member
            .progress
            .running_since
            .and_then(|since| self.hub_time(since));
        Some(Word {
            since,
            ..Word::new(BlockCode::NotHealthy, message, clears)
        })
    }

    /// The application that is furthest behind.
    fn culprit(&self, member: &Member) -> Option<tidegate_model::ids::AppUid> {
        let cluster = self.work.cluster(&member.id);
        let side = side_of(member);
        let facts =
            |uid| -> Option<&AppFacts> { cluster.and_then(|cluster| cluster.apps.get(uid)) };
        let alone = |uid: &_, app: &MemberApp| {
            let mut one = member.clone();
            one.apps = [(*uid, app.clone())].into();
            see(&one, cluster, side, self.work.times()).stage
        };
        let alive = member.apps.iter().filter(|(uid, _)| is_alive(facts(uid)));
        alive
            .min_by_key(|(uid, app)| alone(uid, app))
            .map(|(uid, _)| *uid)
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
