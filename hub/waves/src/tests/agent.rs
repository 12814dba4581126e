//! An agent and its cluster, as far as the engine can tell: pulls, applies, reports, tells the truth.
//!
//! Knows nothing of the engine; time is its own monotonic clock.

use std::{collections::BTreeMap, time::Duration};

use tidegate_model::{
    assignment::Assignment,
    digest::Digest,
    duration::Span,
    health::Health,
    ids::{AppUid, Generation},
    report::{HeldPrune, Phase, Report},
};

/// What becomes of a bundle in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Applies and gets healthy.
    Good,
    /// Applies and is Degraded.
    Degrades,
    /// Applies and stays Progressing.
    Sticks,
    /// An object is refused, again and again.
    Refused,
    /// Its prune waits for a person.
    Prunes,
}

/// One application in one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) held: Assignment,
    pub(crate) digest: Digest,
    pub(crate) phase: Phase,
    pub(crate) health: Health,
    pub(crate) healthy_since: Option<Duration>,
    pub(crate) held_prune: bool,
}

/// One agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agent {
    pub(crate) apps: BTreeMap<AppUid, Running>,
    /// Reports on their way, oldest first.
    pub(crate) wire: Vec<Report>,
    /// The longest unbroken health of each generation: what is true, whatever was reported.
    pub(crate) best: BTreeMap<(AppUid, Generation), Duration>,
}

impl Agent {
    /// Takes over a newer assignment, or gets one step further with the one it holds.
    pub(crate) fn work(
        &mut self,
        desired: &[Assignment],
        kind: impl Fn(Digest) -> Kind,
        now: Duration,
    ) {
        for assignment in desired {
            let held = self
                .apps
                .get(&assignment.app)
                .map(|running| running.held.generation);
            if held.is_none_or(|held| assignment.generation > held) {
                self.accept(assignment, now);
            } else {
                self.progress(assignment.app, &kind, now);
            }
        }
    }

    fn accept(&mut self, assignment: &Assignment, now: Duration) {
        let app = assignment.app;
        self.end_health(app, now);
        let running = Running {
            held: assignment.clone(),
            digest: assignment.digest(),
            phase: Phase::Accepted,
            health: Health::Progressing,
            healthy_since: None,
            held_prune: false,
        };
        self.apps.insert(app, running);
        self.tell(app, now);
    }

    fn progress(&mut self, app: AppUid, kind: impl Fn(Digest) -> Kind, now: Duration) {
        let Some(running) = self.apps.get_mut(&app) else {
            return;
        };
        let Some(bundle) = running.held.bundle() else {
            return;
        };
        let kind = kind(bundle);
        let before = (running.phase, running.health);
        match (running.phase, kind) {
            (Phase::Accepted, _) => running.phase = Phase::Applying,
            (Phase::Applying, Kind::Refused) => running.phase = Phase::Failed,
            (Phase::Applying, Kind::Prunes) => running.held_prune = true,
            (Phase::Applying | Phase::Failed, _) if kind != Kind::Refused => {
                running.phase = Phase::Applied;
            }
            (Phase::Applied, Kind::Good) => return self.set_health(app, Health::Healthy, now),
            (Phase::Applied, Kind::Degrades) => return self.set_health(app, Health::Degraded, now),
            _ => {}
        }
        if before != (running.phase, running.health) || running.held_prune {
            self.tell(app, now);
        }
    }

    /// What runs changes its health by itself.
    pub(crate) fn set_health(&mut self, app: AppUid, health: Health, now: Duration) {
        let Some(running) = self.apps.get(&app) else {
            return;
        };
        if running.health == health {
            return;
        }
        self.end_health(app, now);
        if let Some(running) = self.apps.get_mut(&app) {
            running.health = health;
            running.healthy_since = (health == Health::Healthy).then_some(now);
        }
        self.tell(app, now);
    }

    pub(crate) fn note_health(&mut self, now: Duration) {
        for (app, running) in &self.apps {
            let Some(since) = running.healthy_since else {
                continue;
            };
            let best = self
                .best
                .entry((*app, running.held.generation))
                .or_default();
            *best = (*best).max(now.saturating_sub(since));
        }
    }

    fn end_health(&mut self, app: AppUid, now: Duration) {
        self.note_health(now);
        if let Some(running) = self.apps.get_mut(&app) {
            running.healthy_since = None;
        }
    }

    pub(crate) fn tell(&mut self, app: AppUid, now: Duration) {
        self.wire.extend(self.report(app, now));
    }

    /// What it would report now.
    pub(crate) fn report(&self, app: AppUid, now: Duration) -> Option<Report> {
        let running = self.apps.get(&app)?;
        Some(Report {
            app,
            generation: running.held.generation,
            digest: running.digest,
            phase: running.phase,
            health: running.health,
            healthy_for: Span(
                running
                    .healthy_since
                    .map_or(Duration::ZERO, |since| now.saturating_sub(since)),
            ),
            drift: Vec::new(),
            problems: Vec::new(),
            held_prune: running.held_prune.then(|| HeldPrune {
                count: 3,
                reason: "3 of 3 objects would go".to_owned(),
            }),
        })
    }

    /// Everything again, as after a reconnect.
    pub(crate) fn resync(&mut self, now: Duration) {
        self.wire.clear();
        let apps: Vec<_> = self.apps.keys().copied().collect();
        for app in apps {
            self.tell(app, now);
        }
    }
}
