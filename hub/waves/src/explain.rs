//! What a run waits for.
//!
//! Owns the words for every blocking cause: what it is, whom it concerns, since when, and what
//! would clear it. For a run that is not over the answer is never empty, and clearing exactly what
//! it names lets a step happen (invariant 41). Never moves a run.

mod analysis;
mod approval;
mod back;
mod debt;
mod member;
mod turn;
mod window;

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::{
    ids::{AppUid, ClusterUid},
    run::{GatePosition, Member, MemberId, MemberState, Run, RunState},
    strategy::SoakMode,
};

use crate::{
    Facts, quorum,
    step::{self, Work, advance, decide::is_settled, same_but_clock},
};

/// What kind of cause blocks a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockCode {
    /// Nothing: the next step moves it.
    StepPending,
    /// A person paused it.
    PausedByPerson,
    /// A member of an earlier wave is no longer healthy.
    Regression,
    /// A person must approve.
    Approval,
    /// A window is closed.
    Window,
    /// An alarm fires, or nobody knows whether it does.
    Alarm,
    /// A webhook has not let the run through.
    Webhook,
    /// The wave soaks.
    Soak,
    /// An analysis of the soaking wave needs more samples that pass.
    Analysis,
    /// A member is healthy and must stay so for the health window.
    HealthWindow,
    /// A member's agent has not said that it is healthy at the run's content.
    NotHealthy,
    /// A member's agent holds a prune back until a person approves it.
    PruneHeld,
    /// A member's cluster has no session.
    Unreachable,
    /// A wave went on without a member: it holds up nobody, and is owed what the rest has.
    Deferred,
    /// An earlier run still owes a member its content.
    Debt,
    /// A member's session lives, but its last word is not confirmed.
    NotConfirmed,
    /// Members wait until others of their wave are through or work again, or until a later wave is
    /// back.
    Turn,
    /// The hub has no facts about a member.
    NoFacts,
}

impl BlockCode {
    /// Its name for programs; never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StepPending => "StepPending",
            Self::PausedByPerson => "PausedByPerson",
            Self::Regression => "Regression",
            Self::Approval => "Approval",
            Self::Window => "Window",
            Self::Alarm => "Alarm",
            Self::Webhook => "Webhook",
            Self::Soak => "Soak",
            Self::Analysis => "Analysis",
            Self::HealthWindow => "HealthWindow",
            Self::NotHealthy => "NotHealthy",
            Self::PruneHeld => "PruneHeld",
            Self::Unreachable => "Unreachable",
            Self::Deferred => "Deferred",
            Self::Debt => "Debt",
            Self::NotConfirmed => "NotConfirmed",
            Self::Turn => "Turn",
            Self::NoFacts => "NoFacts",
        }
    }

    /// Whether only a person can clear it.
    pub const fn is_human(self) -> bool {
        matches!(
            self,
            Self::PausedByPerson | Self::Approval | Self::PruneHeld
        )
    }
}

/// One thing that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blocking {
    /// What kind.
    pub code: BlockCode,
    /// Index of the wave; the number of waves for one after the last.
    pub wave: usize,
    /// The wave's name.
    pub wave_name: String,
    /// The member it concerns.
    pub member: Option<MemberId>,
    /// The name of the member's cluster.
    pub cluster: Option<String>,
    /// The application it concerns.
    pub app: Option<AppUid>,
    /// Which gate, for an approval.
    pub position: Option<GatePosition>,
    /// Since when, by the hub's clock, where that is known.
    pub since: Option<Timestamp>,
    /// What is in the way, for people.
    pub message: String,
    /// What would clear it, for people.
    pub clears: String,
}

impl Blocking {
    /// The cluster it concerns.
    pub fn cluster_uid(&self) -> Option<ClusterUid> {
        self.member.as_ref().map(|id| id.cluster)
    }
}

/// Everything that blocks the run now, and whom it goes on without; empty only when it is over and
/// owes nothing.
pub fn explain(
    run: &Run,
    members: &BTreeMap<MemberId, Member>,
    facts: &Facts,
    now: Timestamp,
) -> Vec<Blocking> {
    if !run.is_live() && run.request.is_none() {
        return Vec::new();
    }
    let (mut next, changed, effects) = advance(run, members, facts, now);
    let explainer = Explainer {
        run,
        work: Work::new(run, members, facts, now),
    };
    if !changed.is_empty() || !effects.is_empty() || !same_but_clock(run, &mut next) {
        return vec![explainer.say(
            BlockCode::StepPending,
            "nothing: the hub's next step moves it",
            "the hub's next step",
        )];
    }
    let mut blocking = explainer.blocking();
    blocking.extend(explainer.debts());
    blocking.sort();
    blocking.dedup();
    blocking
}

struct Explainer<'a> {
    run: &'a Run,
    work: Work<'a>,
}

impl Explainer<'_> {
    fn blocking(&self) -> Vec<Blocking> {
        let wave = self.run.wave;
        match self.run.state {
            RunState::Paused if self.work.paused_by_person() => vec![self.paused()],
            RunState::Paused => self.regressions(),
            RunState::Planned | RunState::WaitingGate => self.gate(),
            RunState::Rolling => {
                let members = self.work.wave_members(wave);
                members
                    .filter(|member| !is_settled(member))
                    .filter_map(|m| self.member(m))
                    .chain(self.turn())
                    .chain(self.assigning())
                    .collect()
            }
            RunState::Soaking => self.soaking(),
            RunState::RollingBack => self.going_back(),
            _ => Vec::new(),
        }
    }

    fn paused(&self) -> Blocking {
        let cause = self.run.cause.as_ref();
        let mut said = self.say(
            BlockCode::PausedByPerson,
            &cause.map_or_else(|| "paused".to_owned(), |cause| cause.message.clone()),
            "resume, cancel or roll back the run",
        );
        said.since = Some(self.run.clock.hub);
        said
    }

    fn approval(&self) -> Blocking {
        let position = self.run.gate.unwrap_or(GatePosition::Before);
        let when = match position {
            GatePosition::Before => "before",
            GatePosition::After => "after",
            GatePosition::Analysis => "in the soak of",
        };
        let name = self.wave_name(self.run.wave);
        let quorum = quorum(self.run, self.run.wave, position, self.work.hub_now);
        let needs = quorum.as_ref().map_or_else(String::new, approval::needs);
        let who = quorum.map_or_else(
            || "an approval".to_owned(),
            |quorum| approval::clears(&quorum),
        );
        let why = self.silence(position);
        let mut said = self.say(
            BlockCode::Approval,
            &format!(
                "the gate {when} wave {name} {needs} for content {}{why}",
                self.run.content.short()
            ),
            &format!("{who} of run {} {when} wave {name}", self.run.id),
        );
        said.position = Some(position);
        said
    }

    fn soak(&self) -> Blocking {
        let time = self.work.spec(self.run.wave).soak.time;
        let done = self.soaked().min(time.0);
        let done = tidegate_model::duration::Span(std::time::Duration::from_secs(done.as_secs()));
        self.say(
            BlockCode::Soak,
            &format!(
                "wave {} has soaked {done} of {time}",
                self.wave_name(self.run.wave)
            ),
            match self.work.spec(self.run.wave).soak.clock {
                SoakMode::HealthyOnly => {
                    "time, while every member of the wave stays healthy and confirmed"
                }
                SoakMode::Continuous => {
                    "time without a break: it begins anew when a member is not healthy and confirmed"
                }
            },
        )
    }

    fn regressions(&self) -> Vec<Blocking> {
        let members = self.work.members();
        let regressed = members.filter(|member| {
            member.state == MemberState::Soaked && step::member::is_regressed(member)
        });
        let mut all: Vec<_> =
            regressed
                .map(|member| {
                    let message = member.cause.as_ref().map_or("", |cause| &cause.message);
                    let mut said = self.say(
                    BlockCode::Regression,
                    &format!("cluster {} is no longer healthy: {message}", member.cluster_name),
                    "its application healthy again for the health window; or cancel or roll back",
                );
                    self.name(&mut said, member);
                    said
                })
                .collect();
        for said in &mut all {
            // Silence on top of it: recovery cannot be shown before the cluster is back.
            let member = said.member.as_ref().and_then(|id| self.work.member(id));
            if let Some(since) = member.and_then(|member| member.unreachable_since) {
                said.since = Some(since);
                said.message.push_str("; its cluster cannot be reached");
            }
        }
        all
    }

    fn say(&self, code: BlockCode, message: &str, clears: &str) -> Blocking {
        Blocking {
            code,
            wave: self.run.wave,
            wave_name: self.wave_name(self.run.wave).to_owned(),
            member: None,
            cluster: None,
            app: None,
            position: None,
            since: None,
            message: message.to_owned(),
            clears: clears.to_owned(),
        }
    }

    fn name(&self, said: &mut Blocking, member: &Member) {
        said.wave = member.id.wave as usize;
        self.wave_name(said.wave).clone_into(&mut said.wave_name);
        said.member = Some(member.id.clone());
        said.cluster = Some(member.cluster_name.clone());
    }

    fn wave_name(&self, wave: usize) -> &str {
        self.run.plan.waves.get(wave).map_or("", |wave| &wave.name)
    }
}
