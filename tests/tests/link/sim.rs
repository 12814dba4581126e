//! Both state machines in a simulated network: what may happen there, and what must never.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tidegate_agent::link::{
    message as a,
    session::{self as agent, Local, Outcome},
};
use tidegate_hub::link::{
    message as h,
    session::{self as hub, Facts},
};
use tidegate_model::{
    assignment::{Assignment, Desired, StateRow},
    duration::Span,
    health::Health,
    ids::{AppUid, Epoch, Generation},
    report::{Phase, Report, StatusRow},
};

use super::{
    model::{FIRST, row, run, tombstone},
    translate::{from_agent, from_hub},
};

const HEARTBEAT: Duration = Duration::from_secs(10);
/// Applications that there are.
pub(crate) const APPS: u128 = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Assign(u128),
    Remove(u128),
    Retire,
    Forgets(u128),
    Loses(u128),
    Failover,
    OldHub,
    Replay(usize),
    Rogue(usize),
    Cut,
    Restart,
    Up,
    Down,
    LoseUp,
    LoseDown,
    RepeatUp,
    RepeatDown,
    Work(bool),
    See(u128, bool),
    Wait(u64),
}

/// What a hub has stored.
#[derive(Clone, Default)]
pub(crate) struct Store {
    pub(crate) assignments: BTreeMap<AppUid, Assignment>,
    pub(crate) reports: BTreeMap<AppUid, Report>,
}

impl Facts for Store {
    fn assignments(&self) -> Vec<Assignment> {
        self.assignments.values().cloned().collect()
    }

    fn status_rows(&self) -> Vec<StatusRow> {
        let known = self
            .reports
            .values()
            .filter(|r| self.assignments.contains_key(&r.app));
        known.map(StatusRow::from).collect()
    }

    fn renew_before(&self) -> Option<jiff::Timestamp> {
        None
    }
}

/// What the agent's cluster has.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) held: BTreeMap<AppUid, StateRow>,
    pub(crate) reports: BTreeMap<AppUid, Report>,
    epoch: Epoch,
}

impl Local for Cluster {
    fn held(&self) -> Vec<StateRow> {
        self.held.values().copied().collect()
    }

    fn reports(&self) -> Vec<Report> {
        self.reports.values().cloned().collect()
    }
}

pub(crate) struct Sim {
    now: Duration,
    epoch: Epoch,
    pub(crate) store: Store,
    /// The store and epoch of the hub before the last failover.
    old: Option<(Epoch, Store)>,
    history: Vec<Assignment>,
    generations: BTreeMap<u128, u64>,
    pub(crate) cluster: Cluster,
    sessions: Option<(hub::Session, agent::Session)>,
    /// Epoch and store of the hub that is spoken with.
    serving: (Epoch, bool),
    up: VecDeque<a::ToHub>,
    down: VecDeque<(Epoch, h::ToAgent)>,
    jobs: VecDeque<(Epoch, Assignment)>,
    unsent: Vec<AppUid>,
    pub(crate) confirmed: bool,
}

impl Sim {
    pub(crate) fn new() -> Self {
        Self {
            now: Duration::from_secs(1000),
            epoch: Epoch(5),
            store: Store::default(),
            old: None,
            history: Vec::new(),
            generations: BTreeMap::new(),
            cluster: Cluster::default(),
            sessions: None,
            serving: (Epoch(5), false),
            up: VecDeque::new(),
            down: VecDeque::new(),
            jobs: VecDeque::new(),
            unsent: Vec::new(),
            confirmed: false,
        }
    }

    pub(crate) fn connect(&mut self, old: bool) {
        self.cut();
        let epoch = match &self.old {
            Some((epoch, _)) if old => *epoch,
            _ => self.epoch,
        };
        self.serving = (epoch, old && self.old.is_some());
        let config = hub::Config {
            session_id: "s".into(),
            epoch,
            versions: hub::PROTOCOL,
            heartbeat: HEARTBEAT,
            bound_kubernetes_uid: None,
            certificate: None,
        };
        let introduction = a::Introduction {
            versions: agent::PROTOCOL,
            capabilities: Vec::new(),
            agent_uid: "a".into(),
            boot_id: "b".into(),
            kubernetes_uid: "k".into(),
            facts: BTreeMap::new(),
            version: "0.1.0".into(),
        };
        let unsent = std::mem::take(&mut self.unsent);
        self.sessions = Some((
            hub::Session::new(config, self.now),
            agent::Session::new(
                introduction,
                self.cluster.epoch,
                unsent,
                &self.cluster,
                self.now,
            ),
        ));
    }

    fn cut(&mut self) {
        if let Some((_, agent)) = self.sessions.take() {
            self.unsent = agent.unsent();
        }
        self.up.clear();
        self.down.clear();
        self.jobs.clear();
        self.confirmed = false;
    }

    fn store(&mut self) -> &mut Store {
        match &mut self.old {
            Some((_, store)) if self.serving.1 => store,
            _ => &mut self.store,
        }
    }

    /// Lets both sides say what they have to say, and look at the clock.
    fn speak(&mut self) {
        let Some((mut hub, mut agent)) = self.sessions.take() else {
            return;
        };
        let over = hub.check(self.now).is_err() || agent.check(self.now).is_err();
        hub.nudge(self.store());
        self.up.extend(std::iter::from_fn(|| {
            agent.next_message(&self.cluster, self.now)
        }));
        let epoch = self.serving.0;
        self.down
            .extend(std::iter::from_fn(|| hub.next_message(self.now)).map(|m| (epoch, m)));
        let due = agent.due_work(self.now);
        self.sessions = Some((hub, agent));
        self.obey(due);
        if over {
            self.cut();
        }
    }

    fn deliver_up(&mut self) {
        let Some(message) = self.up.pop_front() else {
            return;
        };
        let Some((mut hub, agent)) = self.sessions.take() else {
            return;
        };
        let now = self.now;
        let taken = hub.take(from_agent(message), self.store(), now);
        let Ok(actions) = taken else {
            self.sessions = Some((hub, agent));
            return self.cut();
        };
        for action in actions {
            match action {
                hub::Action::Admit(_) => hub.admitted(self.store(), now),
                hub::Action::Report(report) => {
                    let store = self.store();
                    if store.assignments.contains_key(&report.app) {
                        store.reports.insert(report.app, report);
                    } else {
                        hub.stranger(StatusRow::from(&report));
                    }
                }
                hub::Action::Confirmed => self.confirmed = true,
                hub::Action::Differs => self.confirmed = false,
                hub::Action::Ack(_) | hub::Action::Answer(_) => {}
            }
        }
        self.sessions = Some((hub, agent));
    }

    fn deliver_down(&mut self) {
        let Some((epoch, message)) = self.down.pop_front() else {
            return;
        };
        let Some((hub, mut agent)) = self.sessions.take() else {
            return;
        };
        let message = a::FromHub {
            epoch,
            body: from_hub(message),
        };
        let taken = agent.take(message, &self.cluster, self.now);
        assert!(
            taken.is_err() || epoch >= self.cluster.epoch,
            "a lower epoch was obeyed"
        );
        self.sessions = Some((hub, agent));
        match taken {
            Ok(actions) => self.obey(actions),
            Err(_) => self.cut(),
        }
    }

    fn obey(&mut self, actions: Vec<agent::Action>) {
        for action in actions {
            match action {
                agent::Action::RaiseEpoch(epoch) => {
                    assert!(epoch > self.cluster.epoch, "a lower epoch was obeyed");
                    self.cluster.epoch = epoch;
                }
                agent::Action::Accept { epoch, assignment } => {
                    assert_eq!(
                        epoch, self.cluster.epoch,
                        "accepted before the epoch was durable"
                    );
                    self.jobs.push_back((epoch, assignment));
                }
                agent::Action::Forget { app, generation } => {
                    let held = self.cluster.held.remove(&app);
                    assert!(held.is_none_or(|row| row.generation == generation));
                    self.cluster.reports.remove(&app);
                }
                agent::Action::SyncNow { .. }
                | agent::Action::Renew(_)
                | agent::Action::ListObjects { .. } => {
                    panic!("nobody asked for that")
                }
            }
        }
    }

    /// Ends one piece of work, well or not.
    fn work(&mut self, well: bool) {
        let Some((_, assignment)) = self.jobs.pop_front() else {
            return;
        };
        let app = assignment.app;
        let outcome = if well {
            let StateRow {
                generation, digest, ..
            } = row(&assignment);
            let held = self.cluster.held.insert(app, row(&assignment));
            let known = held.map_or(Generation(0), |row| row.generation);
            assert!(
                generation >= known,
                "generation {generation} was accepted over {known}"
            );
            self.report(&assignment, Health::Progressing);
            Outcome::Accepted {
                generation,
                digest,
                repeated: held == Some(row(&assignment)),
            }
        } else {
            Outcome::Rejected {
                reason: "hub away".into(),
                retryable: true,
            }
        };
        let actions = match &mut self.sessions {
            Some((_, agent)) => agent.worked(app, outcome, self.now),
            None => Vec::new(),
        };
        self.obey(actions);
    }

    fn report(&mut self, assignment: &Assignment, health: Health) {
        let phase = match assignment.desired {
            Desired::Run { .. } => Phase::Applied,
            Desired::Tombstone { .. } => Phase::Removed,
        };
        let StateRow {
            app,
            generation,
            digest,
        } = row(assignment);
        let report = Report {
            app,
            generation,
            digest,
            phase,
            health,
            healthy_for: Span::default(),
            drift: Vec::new(),
            problems: Vec::new(),
            held_prune: None,
        };
        self.cluster.reports.insert(app, report.clone());
        if let Some((_, agent)) = &mut self.sessions {
            agent.reported(vec![report]);
        }
    }

    fn assign(&mut self, n: u128, make: impl FnOnce(u64) -> Assignment) {
        let generation = self.generations.entry(n).or_default();
        *generation += 1;
        let assignment = Assignment {
            epoch: self.epoch,
            ..make(*generation)
        };
        self.history.push(assignment.clone());
        self.store.assignments.insert(assignment.app, assignment);
    }

    /// Forgets what was removed, as a hub does.
    fn retire(&mut self) {
        let reports = &self.store.reports;
        self.store.assignments.retain(|app, assignment| {
            let removed = reports.get(app).is_some_and(|report| {
                report.phase == Phase::Removed
                    && report.digest == assignment.digest()
                    && report.generation == assignment.generation
            });
            !removed
        });
    }

    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Assign(n) => self.assign(n, |g| run(FIRST, n, g, &g.to_string())),
            Step::Remove(n) if self.generations.contains_key(&n) => {
                self.assign(n, |g| tombstone(FIRST, n, g));
            }
            Step::Retire => self.retire(),
            // A hub that was restored from an old copy, and a cluster that lost its records.
            Step::Forgets(n) => drop(self.store.assignments.remove(&super::model::app(n))),
            Step::Loses(n) => {
                self.cluster.held.remove(&super::model::app(n));
                self.cluster.reports.remove(&super::model::app(n));
            }
            Step::Failover => {
                self.old = Some((self.epoch, self.store.clone()));
                self.epoch = Epoch(self.epoch.0 + 1);
                self.connect(false);
            }
            Step::OldHub => self.connect(true),
            Step::Replay(n) if !self.history.is_empty() => {
                let old = self.history[n % self.history.len()].clone();
                self.down
                    .push_back((self.serving.0, h::ToAgent::Desired(old)));
            }
            Step::Rogue(n) if !self.history.is_empty() => {
                let old = self.history[n % self.history.len()].clone();
                let lower = Epoch(self.cluster.epoch.0.saturating_sub(1));
                self.down.push_back((lower, h::ToAgent::Desired(old)));
            }
            Step::Remove(_) | Step::Replay(_) | Step::Rogue(_) => {}
            Step::Cut => self.connect(false),
            Step::Restart => {
                self.cut();
                self.unsent = self.cluster.reports.keys().copied().collect();
                self.connect(false);
            }
            Step::Up => self.deliver_up(),
            Step::Down => self.deliver_down(),
            Step::LoseUp => drop(self.up.pop_front()),
            Step::LoseDown => drop(self.down.pop_front()),
            Step::RepeatUp => self.up.extend(self.up.front().cloned()),
            Step::RepeatDown => self.down.extend(self.down.front().cloned()),
            Step::Work(well) => self.work(well),
            Step::See(n, healthy) => self.see(n, healthy),
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
        }
        self.speak();
    }

    fn see(&mut self, n: u128, healthy: bool) {
        let app = super::model::app(n);
        let held = self.cluster.held.get(&app).copied();
        let known = self
            .history
            .iter()
            .find(|old| Some(row(old)) == held)
            .cloned();
        if let Some(assignment) = known {
            self.report(
                &assignment,
                if healthy {
                    Health::Healthy
                } else {
                    Health::Degraded
                },
            );
        }
    }

    /// Whether this is a tombstone that was carried out.
    pub(crate) fn is_removed(&self, row: &StateRow) -> bool {
        let report = self.cluster.reports.get(&row.app);
        report.is_some_and(|r| r.phase == Phase::Removed && r.digest == row.digest)
    }

    /// Whether both sides know all there is to know.
    fn is_settled(&self) -> bool {
        let ours = |app: &AppUid| self.store.assignments.contains_key(app);
        // Strangers are left alone, and the removed are dropped by both, each in its own time.
        let held = self
            .cluster
            .held
            .values()
            .filter(|row| ours(&row.app) && !self.is_removed(row));
        let runs = |a: &&Assignment| matches!(a.desired, Desired::Run { .. });
        let wanted = self.store.assignments.values().filter(runs).map(row);
        let rows = |reports: &BTreeMap<AppUid, Report>| -> Vec<_> {
            let there = reports
                .values()
                .filter(|r| ours(&r.app) && r.phase != Phase::Removed);
            there.map(StatusRow::from).collect()
        };
        let is_known =
            |a: &Assignment| runs(&a) || is_carried_out(self.store.reports.get(&a.app), &row(a));
        self.confirmed
            && self.store.assignments.values().all(is_known)
            && held.copied().eq(wanted)
            && rows(&self.cluster.reports) == rows(&self.store.reports)
    }

    /// The network is well again: a second at a time, everything arrives and all work succeeds.
    pub(crate) fn settle(&mut self) -> bool {
        for _ in 0..1500 {
            if self.sessions.is_none() || self.serving != (self.epoch, false) {
                self.connect(false);
            }
            self.speak();
            while !(self.up.is_empty() && self.down.is_empty() && self.jobs.is_empty()) {
                self.deliver_up();
                self.deliver_down();
                self.work(true);
                self.speak();
            }
            if self.is_settled() {
                return true;
            }
            self.now += Duration::from_secs(1);
        }
        false
    }
}

/// Whether this report says that exactly this was removed.
fn is_carried_out(report: Option<&Report>, row: &StateRow) -> bool {
    report.is_some_and(|report| {
        report.phase == Phase::Removed
            && (report.generation, report.digest) == (row.generation, row.digest)
    })
}
