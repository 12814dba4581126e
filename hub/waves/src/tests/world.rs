//! The hub's rim around `step`, and the fleet: facts in, effects out, nothing decided.

mod doorman;
mod truth;

pub(crate) use self::doorman::Doorman;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    Answer, AppFacts, AssignKind, Audit, Blocking, ClusterFacts, Effect, Evidence, Facts, Outcome,
    QuestionId, SampleId, Step, due, explain,
    invariants::{self, Transition, Verdict},
    questions,
    step::unjudged,
};
use jiff::{SignedDuration, Timestamp};
use tidegate_model::{
    assignment::Assignment,
    deny::{Deny, Pin},
    digest::Digest,
    health::Health,
    ids::{AppUid, ClusterUid, Epoch, Generation},
    report::{Phase, Report},
    run::{
        Approval, GatePosition, LastGood, Member, MemberId, MemberState, Only, Request,
        RequestVerb, Run, Verdict as Word, WayBack,
    },
};

use crate::tests::{
    agent::{Agent, Kind},
    fixture::{denied, telling},
};

/// What the hub has stored of an application.
#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    pub(crate) cluster: Option<ClusterUid>,
    pub(crate) highest: Generation,
    pub(crate) current: Option<Assignment>,
    pub(crate) last_good: Option<LastGood>,
    pub(crate) removed: bool,
    pub(crate) report: Option<(Report, Timestamp)>,
    pub(crate) first_healthy_at: Option<Timestamp>,
    /// What runs before and after this one have to do with it.
    pub(crate) owed: Option<u64>,
    pub(crate) overtaken: bool,
}

/// What the hub knows of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) unreachable_since: Option<Timestamp>,
    pub(crate) removed: bool,
    pub(crate) confirmed: Option<Timestamp>,
}

/// Hub, agents and what happened.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The hub's clock.
    pub(crate) now: Timestamp,
    /// True time: what the agents' monotonic clocks show.
    pub(crate) truth: Duration,
    pub(crate) run: Run,
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) apps: BTreeMap<AppUid, App>,
    pub(crate) sessions: BTreeMap<ClusterUid, Session>,
    pub(crate) agents: BTreeMap<ClusterUid, Agent>,
    pub(crate) kinds: BTreeMap<Digest, Kind>,
    pub(crate) newer_release: Option<u64>,
    pub(crate) newer_run: bool,
    /// Every answer that a provider ever gave.
    pub(crate) measured: BTreeMap<SampleId, Outcome>,
    /// What was answered at gates.
    pub(crate) answers: BTreeMap<QuestionId, Answer>,
    /// What whoever is asked says now, in rounds.
    pub(crate) doorman: Doorman,
    /// What the provider says now; nothing at all while it is `None`.
    pub(crate) provider: Option<Meter>,
    /// What an earlier release brought.
    pub(crate) back: BTreeMap<AppUid, LastGood>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) denies: Vec<(Digest, Digest)>,
    pub(crate) denied: BTreeSet<Deny>,
    pub(crate) audits: Vec<Audit>,
    pub(crate) assigned: Vec<(AssignKind, Assignment)>,
    /// Every effect from the beginning.
    pub(crate) log: Vec<Effect>,
    /// What reverts took back, whatever the engine denied.
    pub(crate) taken_back: BTreeSet<Deny>,
    pub(crate) last: Option<Step>,
    pub(crate) steps: u64,
    /// How often each invariant's premise was true.
    pub(crate) premises: BTreeMap<&'static str, u64>,
    /// True time for which the open wave really was healthy at the run's content.
    pub(crate) true_soak: Duration,
    pub(crate) strict_truth: bool,
}

/// What a provider says, of which analyses here hold less than 10 for good and more than 20 for bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meter {
    Good,
    Bad,
    Between,
    NotANumber,
    Nothing,
}

impl Meter {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Good => Ok("1.5".to_owned()),
            Self::Bad => Ok("30".to_owned()),
            Self::Between => Ok("15".to_owned()),
            Self::NotANumber => Ok("NaN".to_owned()),
            Self::Nothing => Err("the query gives nothing".to_owned()),
        }
    }
}

/// A heartbeat's confirmation is good for so long, in seconds.
const FRESH: i64 = 30;

impl World {
    pub(crate) fn facts(&self) -> Facts {
        let clusters = self.sessions.iter().map(|(uid, session)| {
            let fresh = session.unreachable_since.is_none()
                && session
                    .confirmed
                    .is_some_and(|at| (0..=FRESH).contains(&self.now.duration_since(at).as_secs()));
            let own = self
                .apps
                .iter()
                .filter(|(_, app)| app.cluster == Some(*uid));
            let apps = own.map(|(app, known)| {
                (
                    *app,
                    app_facts(known, session.confirmed, fresh, self.run.owes),
                )
            });
            let facts = ClusterFacts {
                unreachable_since: session.unreachable_since,
                removed: session.removed,
                apps: apps.collect(),
            };
            (*uid, facts)
        });
        Facts {
            epoch: Epoch(7),
            newer_release: self.newer_release,
            newer_run: self.newer_run,
            back: Some(self.back.clone()),
            measured: self.measured.clone(),
            answers: self.answers.clone(),
            clusters: clusters.collect(),
        }
    }

    /// One step, judged by every invariant and stored; says whether there may be more.
    pub(crate) fn step(&mut self) -> bool {
        let facts = self.facts();
        let (step, after) = unjudged(&self.run, &self.members, &facts, self.now);
        assert!(step.changed.len() <= Step::MAX_MEMBERS);
        let transition = Transition {
            run: &self.run,
            members: &self.members,
            facts: &facts,
            now: self.now,
            after: &step,
            members_after: &after,
        };
        for (name, invariant) in invariants::ALL {
            note(&mut self.premises, name, invariant(&transition));
        }
        self.steps += 1;
        self.check_against_truth(&step);
        self.commit(&step, after);
        let more = step.more;
        self.last = Some(step);
        more
    }

    /// Holds a verdict and counts it.
    pub(crate) fn note(&mut self, name: &'static str, verdict: Verdict) {
        note(&mut self.premises, name, verdict);
    }

    /// Steps until nothing moves any more at this time.
    pub(crate) fn settle(&mut self) {
        for _ in 0..500 {
            if !self.step() {
                return;
            }
        }
        panic!(
            "rest: 500 steps and still more to do: {:?} {:?}",
            self.run.state, self.members
        );
    }

    fn commit(&mut self, step: &Step, members: BTreeMap<MemberId, Member>) {
        if step.run.wave != self.run.wave {
            self.true_soak = Duration::ZERO;
        }
        self.run = step.run.clone();
        self.members = members;
        self.log.extend(step.effects.iter().cloned());
        for effect in &step.effects {
            match effect {
                Effect::Assign(assign) => {
                    let app = self.apps.get_mut(&assign.assignment.app).unwrap();
                    let bundle = assign.assignment.bundle();
                    let before = app.current.as_ref().and_then(Assignment::bundle);
                    if let Some(bad) =
                        before.filter(|_| assign.kind == AssignKind::Revert && before != bundle)
                    {
                        let scope = step.run.strategy.rollback.deny;
                        self.taken_back.insert(telling(bad, scope));
                    }
                    app.highest = assign.assignment.generation;
                    app.current = Some(assign.assignment.clone());
                    self.assigned.push((assign.kind, assign.assignment.clone()));
                }
                Effect::RecordLastGood { app, good, .. } => {
                    self.apps.get_mut(app).unwrap().last_good = Some(good.clone());
                }
                Effect::Pin(pin) => self.pins.push(pin.clone()),
                Effect::Deny {
                    bad, good, scope, ..
                } => {
                    self.denies.push((*bad, *good));
                    self.denied.extend(denied(*bad, *good, *scope));
                }
                Effect::Audit(audit) => self.audits.push(audit.clone()),
            }
        }
    }

    /// Time passes for everybody.
    pub(crate) fn tick(&mut self, secs: i64) {
        self.soak_in_truth(Duration::from_secs(secs.unsigned_abs()));
        self.truth += Duration::from_secs(secs.unsigned_abs());
        self.jump(secs);
    }

    /// Only the hub's clock moves.
    pub(crate) fn jump(&mut self, secs: i64) {
        self.now = self
            .now
            .checked_add(SignedDuration::from_secs(secs))
            .unwrap();
    }

    pub(crate) fn is_connected(&self, cluster: ClusterUid) -> bool {
        self.sessions[&cluster].unreachable_since.is_none()
    }

    /// The agent of a cluster does one piece of work.
    pub(crate) fn work(&mut self, cluster: ClusterUid) {
        let connected = self.is_connected(cluster);
        let agent = self.agents.get_mut(&cluster).unwrap();
        let desired: Vec<_> = if connected {
            let own = self
                .apps
                .values()
                .filter(|app| app.cluster == Some(cluster));
            own.filter_map(|app| app.current.clone()).collect()
        } else {
            agent
                .apps
                .values()
                .map(|running| running.held.clone())
                .collect()
        };
        let kinds = &self.kinds;
        agent.work(
            &desired,
            |bundle| kinds.get(&bundle).copied().unwrap_or(Kind::Good),
            self.truth,
        );
    }

    /// The oldest report on the wire arrives.
    pub(crate) fn deliver(&mut self, cluster: ClusterUid) -> bool {
        let connected = self.is_connected(cluster);
        let agent = self.agents.get_mut(&cluster).unwrap();
        if !connected || agent.wire.is_empty() {
            return false;
        }
        let report = agent.wire.remove(0);
        self.ingest(report);
        true
    }

    /// The hub stores a report.
    pub(crate) fn ingest(&mut self, report: Report) {
        let app = self.apps.get_mut(&report.app).unwrap();
        let same = app.report.as_ref().is_some_and(|(known, _)| {
            (known.generation, known.digest) == (report.generation, report.digest)
                && known.health.is_healthy()
        });
        app.first_healthy_at = match report.health {
            Health::Healthy if same => app.first_healthy_at.or(Some(self.now)),
            Health::Healthy => Some(self.now),
            _ => None,
        };
        app.report = Some((report, self.now));
    }

    /// A heartbeat with the status root: confirms only what the hub has stored.
    pub(crate) fn heartbeat(&mut self, cluster: ClusterUid) {
        if !self.is_connected(cluster) {
            return;
        }
        let agent = &self.agents[&cluster];
        let row = |report: &Report| {
            (
                report.generation,
                report.digest,
                report.phase,
                report.health,
            )
        };
        let same = self
            .apps
            .iter()
            .filter(|(_, app)| app.cluster == Some(cluster))
            .all(|(uid, app)| {
                let stored = app.report.as_ref().map(|(report, _)| row(report));
                stored == agent.report(*uid, self.truth).as_ref().map(row)
            });
        let session = self.sessions.get_mut(&cluster).unwrap();
        session.confirmed = same.then_some(self.now);
    }

    pub(crate) fn disconnect(&mut self, cluster: ClusterUid) {
        let session = self.sessions.get_mut(&cluster).unwrap();
        session.unreachable_since.get_or_insert(self.now);
        session.confirmed = None;
        self.agents.get_mut(&cluster).unwrap().wire.clear();
    }

    pub(crate) fn reconnect(&mut self, cluster: ClusterUid) {
        let session = self.sessions.get_mut(&cluster).unwrap();
        if session.unreachable_since.take().is_some() {
            self.agents.get_mut(&cluster).unwrap().resync(self.truth);
        }
    }

    /// An agent swears that an application runs well, at a generation that is not the hub's word.
    pub(crate) fn lie(&mut self, app: AppUid, back: u64) {
        let known = &self.apps[&app];
        let Some(current) = &known.current else {
            return;
        };
        if current.generation.0 <= back {
            return;
        }
        let cluster = known.cluster.unwrap();
        let report = Report {
            app,
            generation: Generation(current.generation.0 - back),
            digest: if back == 0 {
                Digest::of("lie", &1.into())
            } else {
                current.digest()
            },
            phase: Phase::Applied,
            health: Health::Healthy,
            healthy_for: tidegate_model::duration::Span::secs(86_400),
            drift: Vec::new(),
            problems: Vec::new(),
            held_prune: None,
        };
        self.ingest(report);
        self.sessions.get_mut(&cluster).unwrap().confirmed = Some(self.now);
    }

    /// Every agent works and everything arrives; then time passes and the hub steps.
    pub(crate) fn round(&mut self, secs: i64) {
        let clusters: Vec<_> = self.sessions.keys().copied().collect();
        for cluster in &clusters {
            self.work(*cluster);
            while self.deliver(*cluster) {}
            self.heartbeat(*cluster);
        }
        let mut left = secs;
        while left > 0 {
            self.tick(left.min(10));
            left -= 10;
            for cluster in &clusters {
                self.heartbeat(*cluster);
            }
        }
        self.answer(self.doorman, 0);
        if let Some(meter) = self.provider {
            self.measure(meter);
        }
        self.settle();
    }

    /// Whoever is asked answers.
    pub(crate) fn answer(&mut self, doorman: Doorman, ago: i64) {
        let at = self
            .now
            .checked_sub(SignedDuration::from_secs(ago))
            .unwrap();
        for question in questions(&self.run) {
            if let Some(said) = doorman.says(&question.gate) {
                self.answers.insert(question.id, Answer { at, said });
            }
        }
    }

    /// The provider answers all that is due.
    pub(crate) fn measure(&mut self, meter: Meter) {
        for measure in due(&self.run, self.now) {
            self.measured.insert(measure.id, meter.outcome());
        }
    }

    /// Rounds until `wanted`, at most so many.
    pub(crate) fn rounds_until(&mut self, most: usize, wanted: impl Fn(&Self) -> bool) {
        for _ in 0..most {
            if wanted(self) {
                return;
            }
            self.round(5);
        }
        assert!(
            wanted(self),
            "not after {most} rounds: {:?} {:#?}",
            self.run.state,
            self.explain()
        );
    }

    pub(crate) fn ask(&mut self, verb: RequestVerb) {
        self.ask_of(verb, Only::default());
    }

    /// Asks for something about these members.
    pub(crate) fn ask_of(&mut self, verb: RequestVerb, only: Only) {
        let way = WayBack {
            only,
            ..WayBack::default()
        };
        self.ask_way(verb, way);
    }

    /// Asks for something that goes this way.
    pub(crate) fn ask_way(&mut self, verb: RequestVerb, way: WayBack) {
        let request = Request {
            verb,
            actor: "ada".to_owned(),
            reason: "because".to_owned(),
            way,
        };
        self.run.request = Some(request);
    }

    /// Everybody whom a gate may ask for says yes.
    pub(crate) fn approve(&mut self, wave: usize, position: GatePosition, content: Digest) {
        for actor in ["ada", "grace", "kim"] {
            self.say(wave, position, content, actor, Word::Approve);
        }
    }

    /// A person's word on a gate; kim is in the group sre.
    pub(crate) fn say(
        &mut self,
        wave: usize,
        position: GatePosition,
        content: Digest,
        actor: &str,
        verdict: Word,
    ) {
        let sre = (actor == "kim").then(|| "sre".to_owned());
        self.run.approvals.push(Approval {
            wave,
            position,
            content,
            verdict,
            actor: actor.to_owned(),
            groups: sre.into_iter().collect(),
            reason: "a word".to_owned(),
            at: self.now,
            soak: match position {
                GatePosition::Analysis => self.run.analysing.as_ref().map_or(0, |known| known.soak),
                _ => 0,
            },
        });
    }

    pub(crate) fn explain(&self) -> Vec<Blocking> {
        explain(&self.run, &self.members, &self.facts(), self.now)
    }

    pub(crate) fn state(&self, wave: u32, cluster: ClusterUid) -> MemberState {
        self.members[&MemberId { wave, cluster }].state
    }

    /// Applications whose last word is the release's content.
    pub(crate) fn at_target(&self) -> BTreeSet<AppUid> {
        let apps = self.members.values().flat_map(|member| &member.apps);
        apps.filter(|(uid, app)| {
            let current = self.apps[uid].current.as_ref().and_then(Assignment::bundle);
            current.is_some() && current == app.target.bundle()
        })
        .map(|(uid, _)| *uid)
        .collect()
    }
}

fn note(met: &mut BTreeMap<&'static str, u64>, name: &'static str, verdict: Verdict) {
    match verdict {
        Verdict::Held => *met.entry(name).or_default() += 1,
        Verdict::Idle => {}
        Verdict::Broken(problem) => panic!("{name}: {problem}"),
    }
}

fn app_facts(app: &App, confirmed: Option<Timestamp>, fresh: bool, owes: bool) -> AppFacts {
    let evidence = app.report.as_ref().map(|(report, received_at)| Evidence {
        report: report.clone(),
        received_at: *received_at,
        confirmed_at: confirmed.unwrap_or(*received_at),
        first_healthy_at: app.first_healthy_at,
        fresh,
    });
    AppFacts {
        removed: app.removed,
        highest: app.highest,
        current: app.current.clone(),
        evidence,
        owed: app.owed,
        overtaken: app.overtaken && owes,
    }
}
