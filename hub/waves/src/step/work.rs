//! The state of a step while it is being made.
//!
//! Owns the overlay of changed members, the run's clock and the effects. Never decides anything.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tidegate_model::{
    audit::Context,
    run::{GatePosition, Member, MemberId, MemberState, Run, RunClock, RunState},
    strategy::{Strategy, StrategyType, Wave},
};

use super::{debt::is_deferred, member, record};
use crate::{
    Action, Audit, ClusterFacts, Effect, Facts, SYSTEM, Step,
    budget::Budget,
    evidence::Times,
    mutant::{self, Mutant},
    plan::all_at_once,
};

/// Header, changed members, effects.
pub(crate) type Moved = (Run, BTreeMap<MemberId, Member>, Vec<Effect>);

/// A step in the making.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    before: &'a Run,
    base: &'a BTreeMap<MemberId, Member>,
    /// What is known.
    pub(crate) facts: &'a Facts,
    /// The hub's time.
    pub(crate) hub_now: Timestamp,
    /// The run's time.
    pub(crate) now: Timestamp,
    /// The header as it becomes.
    pub(crate) run: Run,
    changed: BTreeMap<MemberId, Member>,
    /// Members whose change has no room in this step; decisions that stop something heed them,
    /// those that let something happen wait.
    late: BTreeMap<MemberId, Member>,
    effects: Vec<Effect>,
    /// What is left of the step.
    pub(crate) budget: Budget,
}

impl<'a> Work<'a> {
    pub(crate) fn new(
        run: &'a Run,
        base: &'a BTreeMap<MemberId, Member>,
        facts: &'a Facts,
        hub_now: Timestamp,
    ) -> Self {
        Self {
            before: run,
            base,
            facts,
            hub_now,
            now: shows(run, hub_now),
            run: run.clone(),
            changed: BTreeMap::new(),
            late: BTreeMap::new(),
            effects: Vec::new(),
            budget: Budget::default(),
        }
    }

    /// A member as it is in this step.
    pub(crate) fn member(&self, id: &MemberId) -> Option<&Member> {
        self.changed
            .get(id)
            .or_else(|| self.late.get(id))
            .or_else(|| self.base.get(id))
    }

    /// The members of a wave in the order of the plan.
    pub(crate) fn wave_members(&self, wave: usize) -> impl Iterator<Item = &Member> {
        let ids = self
            .run
            .plan
            .waves
            .get(wave)
            .map_or(&[][..], |wave| &wave.members);
        ids.iter().filter_map(|id| self.member(id))
    }

    /// All members, wave by wave, in the order of the plan.
    pub(crate) fn members(&self) -> impl DoubleEndedIterator<Item = &Member> {
        let ids = self.run.plan.waves.iter().flat_map(|wave| &wave.members);
        ids.filter_map(|id| self.member(id))
    }

    /// What is known of a member's cluster.
    pub(crate) fn cluster(&self, id: &MemberId) -> Option<&'a ClusterFacts> {
        self.facts.clusters.get(&id.cluster)
    }

    /// When the run began and what time it is, by the hub's clock.
    pub(crate) fn times(&self) -> Times {
        Times {
            began: self.run.started_at,
            now: self.hub_now,
        }
    }

    /// The strategy's words on a wave.
    pub(crate) fn spec(&self, wave: usize) -> Cow<'_, Wave> {
        wave_of(&self.run, wave)
    }

    /// Whether some changes have no room in this step.
    pub(crate) fn is_truncated(&self) -> bool {
        !self.late.is_empty()
    }

    /// Brings every member of the open and of earlier waves up to date with the evidence: failures
    /// first, then those that were healthy, so that nothing opens on evidence that is gone.
    pub(crate) fn observe(&mut self) {
        let end = u32::try_from(self.run.wave).unwrap_or(u32::MAX);
        // Of a run that is over nobody is looked after but those whom it owes.
        let over = self.run.state.is_terminal();
        let known = self.base.iter().take_while(|(id, _)| id.wave <= end);
        let known = known.filter(|(_, member)| !over || is_deferred(member));
        let mut seen: Vec<_> = known
            .filter_map(|(_, member)| member::observe(self, member))
            .collect();
        seen.sort_by_key(|(member, _)| {
            (
                !member.state.is_failed(),
                member.state == MemberState::Healthy,
            )
        });
        for (member, effects) in seen {
            self.put(member, effects);
        }
    }

    /// Stores a member with its effects, or keeps it for the next step when there is no room.
    pub(crate) fn put(&mut self, member: Member, mut effects: Vec<Effect>) -> bool {
        let told = self.effects.iter().chain(&effects);
        effects.extend(record::of_member(self, &member, told));
        let known = self.changed.contains_key(&member.id);
        let room = if known {
            self.budget.take_more(effects.len())
        } else {
            self.budget.take(effects.len())
        };
        if room {
            self.changed.insert(member.id.clone(), member);
            self.effects.extend(effects);
        } else if !known {
            self.late.insert(member.id.clone(), member);
        }
        room
    }

    /// The header as it was.
    pub(super) fn before(&self) -> &'a Run {
        self.before
    }

    /// A member as it will be stored.
    pub(super) fn stored(&self, id: &MemberId) -> Option<&Member> {
        self.changed.get(id).or_else(|| self.base.get(id))
    }

    /// The effects so far; they are gone until they are put back.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The effects as they are now.
    pub(super) fn put_back(&mut self, effects: Vec<Effect>) {
        self.effects = effects;
    }

    /// Records a decision about the run.
    pub(crate) fn audit(&mut self, action: Action, actor: &str, reason: impl Into<String>) {
        self.effects.push(Effect::Audit(Audit {
            action,
            actor: actor.to_owned(),
            wave: self.run.wave,
            member: None,
            app: None,
            cause: self.run.cause.clone(),
            reason: reason.into(),
            before: None,
            after: Some(self.run.content),
            context: Context::default(),
        }));
    }

    /// Records a decision of the engine about the run.
    pub(crate) fn decide(&mut self, action: Action, reason: impl Into<String>) {
        self.audit(action, SYSTEM, reason);
    }

    /// Whether the run stands still because a person wants it to.
    pub(crate) fn paused_by_person(&self) -> bool {
        is_paused_by_person(&self.run)
    }

    /// The finished step.
    pub(crate) fn finish(mut self) -> Moved {
        record::complete(&mut self);
        let moved =
            !self.changed.is_empty() || !self.effects.is_empty() || self.run != *self.before;
        let gap = self.hub_now.duration_since(self.before.clock.hub);
        // A run that is over has a clock only while somebody is being paid.
        let paying = |member: &Member| member.progress.running_since.is_some();
        let runs = !self.run.state.is_terminal() || self.members().any(paying);
        let open = self.run.is_live() && runs && !self.paused_by_person();
        let due = open && (gap.is_negative() || gap.as_secs() >= Step::HEARTBEAT_SECS);
        if moved || due {
            self.run.clock = RunClock {
                shows: self.now,
                hub: self.hub_now,
            };
            super::decide::bank_soak(&mut self);
        }
        (self.run, self.changed, self.effects)
    }
}

/// What the run's clock shows: hub time since the last stored step, if that is a time in which the
/// run was looked after.
pub(crate) fn shows(run: &Run, hub_now: Timestamp) -> Timestamp {
    let stands = is_paused_by_person(run) && !mutant::on(Mutant::PauseCounts);
    if stands || !run.is_live() {
        return run.clock.shows;
    }
    let longest = SignedDuration::from_secs(2 * Step::HEARTBEAT_SECS);
    let mut gap = hub_now.duration_since(run.clock.hub);
    if mutant::on(Mutant::StepBackCounts) {
        gap = gap.abs();
    }
    let gap = gap.clamp(SignedDuration::ZERO, longest);
    run.clock.shows.checked_add(gap).unwrap_or(run.clock.shows)
}

/// Time between two readings of the run's clock.
pub(crate) fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn is_paused_by_person(run: &Run) -> bool {
    run.state == RunState::Paused && run.paused.is_some_and(|paused| paused.by_person)
}

/// Whether the open wave's members may be assigned, or have been.
pub(crate) fn is_opened(run: &Run) -> bool {
    let state = match run.paused {
        Some(paused) if run.state == RunState::Paused => paused.from,
        _ => run.state,
    };
    match state {
        RunState::Planned => false,
        RunState::WaitingGate => {
            matches!(run.gate, Some(GatePosition::After | GatePosition::Analysis))
        }
        _ => true,
    }
}

/// Whether the member's wave may be assigned, or has been: another attempt stands before a wave that
/// was opened once.
pub(crate) fn has_begun(run: &Run, member: &Member) -> bool {
    let wave = member.id.wave as usize;
    wave < run.wave || (wave == run.wave && is_opened(run))
}

/// The strategy's words on a wave; those of [`all_at_once`] where it has no waves.
pub(crate) fn wave_of(run: &Run, wave: usize) -> Cow<'_, Wave> {
    spec_of(&run.strategy, wave)
}

/// The same of a strategy that no run has yet.
pub(crate) fn spec_of(strategy: &Strategy, wave: usize) -> Cow<'_, Wave> {
    match strategy.kind {
        StrategyType::Waves | StrategyType::RollingSync => {
            strategy.waves.get(wave).map(Cow::Borrowed)
        }
        StrategyType::AllAtOnce => None,
    }
    .unwrap_or_else(|| Cow::Owned(all_at_once()))
}
