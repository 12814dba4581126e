//! An agent whose link is the real one and whose cluster is in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::Value;
use tidegate_agent::{
    identity::{Identity, KeeperHandle},
    link::{
        Link, LinkHandle, Options,
        backoff::Limits,
        port::{Reconcile, ReportChanges},
        session::Outcome,
    },
};
use tidegate_model::{
    assignment::{Assignment, Desired, StateRow},
    bundle::Bundle,
    digest::Digest,
    duration::Span,
    health::Health,
    ids::{AppUid, Epoch, Generation},
    report::{Phase, Report},
};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::model::row;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) held: BTreeMap<AppUid, StateRow>,
    pub(crate) objects: BTreeMap<Digest, Value>,
    pub(crate) reports: BTreeMap<AppUid, (u64, Report)>,
    /// Every epoch and generation that was ever accepted, in order.
    pub(crate) accepted: Vec<(Epoch, AppUid, Generation)>,
    pub(crate) forgotten: Vec<AppUid>,
    pub(crate) epoch: Epoch,
    change: u64,
}

/// What outlives one process of the agent.
#[derive(Clone)]
pub(crate) struct FakeCluster {
    uid: &'static str,
    state: Arc<Mutex<State>>,
    nudge: watch::Sender<u64>,
}

impl FakeCluster {
    pub(crate) fn new(uid: &'static str) -> Self {
        Self {
            uid,
            state: Arc::default(),
            nudge: watch::Sender::new(0),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Holds this without the hub's doing.
    pub(crate) fn hold(&self, assignment: &Assignment) {
        self.state().held.insert(assignment.app, row(assignment));
        self.see(assignment, Health::Healthy);
    }

    /// Sees an application in this health from now on.
    pub(crate) fn see(&self, assignment: &Assignment, health: Health) {
        let StateRow {
            app,
            generation,
            digest,
        } = row(assignment);
        let phase = match assignment.desired {
            Desired::Run { .. } => Phase::Applied,
            Desired::Tombstone { .. } => Phase::Removed,
        };
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
        let mut state = self.state();
        state.change += 1;
        let change = state.change;
        state.reports.insert(app, (change, report));
        drop(state);
        self.nudge.send_replace(change);
    }

    pub(crate) fn generation(&self, app: AppUid) -> Option<u64> {
        self.state().held.get(&app).map(|row| row.generation.0)
    }
}

impl Reconcile for FakeCluster {
    type Changes = Changes;

    fn held(&self) -> Vec<StateRow> {
        self.state().held.values().copied().collect()
    }

    fn latest_reports(&self) -> Vec<Report> {
        self.state()
            .reports
            .values()
            .map(|(_, report)| report.clone())
            .collect()
    }

    fn report_changes(&self) -> Changes {
        Changes {
            cluster: self.clone(),
            nudge: self.nudge.subscribe(),
            seen: 0,
        }
    }

    fn epoch(&self) -> Epoch {
        self.state().epoch
    }

    async fn raise_epoch(&self, epoch: Epoch) -> Result<(), String> {
        let mut state = self.state();
        assert!(epoch >= state.epoch, "the link let a lower epoch through");
        state.epoch = epoch;
        Ok(())
    }

    fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        let state = self.state();
        digests
            .iter()
            .filter(|digest| !state.objects.contains_key(digest))
            .copied()
            .collect()
    }

    async fn accept(
        &self,
        hub_epoch: Epoch,
        assignment: Assignment,
        bundle: Bundle,
        objects: BTreeMap<Digest, Value>,
    ) -> Outcome {
        let wanted = assignment
            .bundle()
            .unwrap_or_else(|| Bundle::default().digest());
        assert_eq!(
            bundle.digest(),
            wanted,
            "the link let other content through"
        );
        {
            let mut state = self.state();
            assert_eq!(
                hub_epoch, state.epoch,
                "accepted before the epoch was durable"
            );
            state.objects.extend(objects);
            for entry in bundle.objects() {
                let object = state.objects.get(&entry.digest);
                assert!(object.is_some(), "the link left an object out");
            }
            let known = state
                .held
                .get(&assignment.app)
                .map_or(Generation(0), |row| row.generation);
            assert!(
                assignment.generation >= known,
                "the link let an old generation through"
            );
            state
                .accepted
                .push((hub_epoch, assignment.app, assignment.generation));
            state.held.insert(assignment.app, row(&assignment));
        }
        self.see(&assignment, Health::Healthy);
        let StateRow {
            generation, digest, ..
        } = row(&assignment);
        Outcome::Accepted {
            generation,
            digest,
            repeated: false,
        }
    }

    async fn forget(&self, app: AppUid, generation: Generation) -> Result<(), String> {
        let mut state = self.state();
        assert_eq!(
            state.held.get(&app).map(|row| row.generation),
            Some(generation)
        );
        state.held.remove(&app);
        state.reports.remove(&app);
        state.forgotten.push(app);
        Ok(())
    }

    fn sync_now(&self, app: AppUid) -> bool {
        self.state().held.contains_key(&app)
    }

    fn objects(&self, _app: AppUid) -> Option<tidegate_model::tree::Objects> {
        None
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let facts = [("fact.tidegate.dev/version", "v1.34"), ("env", "prod")];
        facts
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn kubernetes_uid(&self) -> String {
        self.uid.to_owned()
    }
}

pub(crate) struct Changes {
    cluster: FakeCluster,
    nudge: watch::Receiver<u64>,
    seen: u64,
}

impl ReportChanges for Changes {
    async fn changed(&mut self) -> Option<Vec<Report>> {
        loop {
            self.nudge.borrow_and_update();
            let seen = self.seen;
            let news: Vec<_> = {
                let state = self.cluster.state();
                self.seen = state.change;
                state
                    .reports
                    .values()
                    .filter(|(at, _)| *at > seen)
                    .map(|(_, r)| r.clone())
                    .collect()
            };
            if !news.is_empty() {
                return Some(news);
            }
            self.nudge.changed().await.ok()?;
        }
    }
}

/// Fast, so that nothing here takes long.
pub(crate) const BACKOFF: Limits = Limits {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(100),
    healthy_after: Duration::from_secs(60),
};

/// One process of the agent; it ends when it is dropped.
pub(crate) struct Running {
    pub(crate) link: LinkHandle,
    _cancel: DropGuard,
}

impl Running {
    pub(crate) fn last_end(&self) -> String {
        self.link.status().last_end.unwrap_or_default()
    }
}

pub(crate) fn start(url: &str, identity: Identity, cluster: &FakeCluster) -> Running {
    let (keep, identity) = watch::channel(Some(Arc::new(identity)));
    let running = start_with(url, identity, cluster);
    // Nobody renews it here, but the link must not find its keeper gone.
    std::mem::forget(keep);
    running
}

pub(crate) fn start_with(
    url: &str,
    identity: watch::Receiver<Option<Arc<Identity>>>,
    cluster: &FakeCluster,
) -> Running {
    let options = Options {
        hub: url.parse().unwrap(),
        backoff: BACKOFF,
        version: "0.1.0".to_owned(),
    };
    start_link(Link::new(options, cluster.clone(), identity))
}

/// The agent of a keeper, which hears what the hub wants of it.
pub(crate) fn start_kept(url: &str, keeper: &KeeperHandle, cluster: &FakeCluster) -> Running {
    let options = Options {
        hub: url.parse().unwrap(),
        backoff: BACKOFF,
        version: "0.1.0".to_owned(),
    };
    let link = Link::new(options, cluster.clone(), keeper.identity());
    start_link(link.renewing(keeper.renewals()))
}

fn start_link(link: Link<FakeCluster>) -> Running {
    let cancel = CancellationToken::new();
    let running = Running {
        link: link.handle(),
        _cancel: cancel.clone().drop_guard(),
    };
    tokio::spawn(link.run(cancel));
    running
}
