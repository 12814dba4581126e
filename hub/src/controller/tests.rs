//! The loop over a whole hub: from a commit to assignments and to rest.

use std::time::Duration;

use tidegate_model::{health::Health, run::RunState};

use super::*;
use crate::{
    backend::Backend,
    link::{port::LinkBackend as _, testing::Agent},
    poller::Poller,
    records::AppRecord,
    testing::{Hub, cluster, cluster_uid, report, repository::Repository, set, soon},
};

const MANIFEST: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: one}\n";

struct World {
    hub: Hub,
    poller: PollerHandle,
    repository: Repository,
    agents: Vec<Agent>,
}

impl World {
    /// Clusters 1 and 2, and a set that brings the repository to both.
    async fn new() -> Self {
        let hub = Hub::new().await;
        let (_, poller) = Poller::new(hub.db.clone(), hub.git(), Duration::from_secs(60));
        let repository = Repository::new(&[("a.yaml", MANIFEST)]);
        hub.create([cluster(1), cluster(2)]).await;
        hub.create([following(1, "web", &repository)]).await;
        let agents = [1, 2].map(|n| Agent::connect(&hub.sessions, cluster_uid(n)));
        let world = Self {
            hub,
            poller,
            repository,
            agents: agents.into(),
        };
        world.refresh().await;
        world
    }

    fn controller(&self) -> Controller {
        Controller::new(
            self.hub.db.clone(),
            self.hub.evidence.clone(),
            self.hub.sessions.clone(),
            self.poller.clone(),
            Settled::default(),
        )
    }

    async fn refresh(&self) {
        let records = self
            .poller
            .refresh(vec![self.repository.source()])
            .await
            .unwrap();
        assert_eq!(records[0].error, None);
    }

    fn apps(&self) -> Vec<AppRecord> {
        let state = self.hub.db.read();
        state.apps.iter().map(|app| AppRecord::clone(app)).collect()
    }

    fn set(&self) -> SetRecord {
        SetRecord::clone(&self.hub.db.read().set("default", "web").unwrap().record)
    }

    fn run_state(&self) -> Option<RunState> {
        let state = self.hub.db.read();
        let id = state.set("default", "web")?.record.latest_run?;
        state.run(id).map(|row| row.record.run.state)
    }

    /// Agents say that all is well with their last word.
    async fn report(&mut self) {
        let backend = Backend::new(self.hub.db.clone());
        for app in self.apps().iter().filter(|app| app.assignment.is_some()) {
            backend
                .report(app.app.cluster, report(app, Health::Healthy))
                .await
                .unwrap();
        }
        self.agents.iter_mut().for_each(Agent::confirm);
    }
}

/// A set that brings this repository to every cluster.
fn following(n: u128, name: &str, repository: &Repository) -> SetRecord {
    let mut record = set(n, name, &serde_json::json!({}));
    let template = &mut record.document.spec.template;
    template.metadata.name = format!("{name}-{{{{.name}}}}");
    template.spec.destination.name = "{{.name}}".to_owned();
    template.spec.source.repo_url = repository.url();
    template.spec.source.target_revision = "main".to_owned();
    template.spec.source.path = ".".to_owned();
    record
}

#[tokio::test]
async fn a_commit_reaches_every_cluster_and_then_all_is_quiet() {
    let mut world = World::new().await;
    let mut controller = world.controller();
    let cancel = CancellationToken::new();
    controller.settle("default", "web", &cancel).await.unwrap();
    assert_eq!(world.set().problems, Vec::<String>::new());
    assert_eq!((world.set().last_release, world.apps().len()), (1, 2));
    assert!(world.apps().iter().all(|app| app.assignment.is_some()));
    for _ in 0..3 {
        world.report().await;
        controller.settle("default", "web", &cancel).await.unwrap();
        world.hub.clock.wind(jiff::SignedDuration::from_secs(60));
    }
    assert_eq!(world.run_state(), Some(RunState::Succeeded));
    let revision = world.hub.revision().await;
    controller.settle("default", "web", &cancel).await.unwrap();
    // A new process knows nothing of what was published, and finds nothing to do.
    world
        .controller()
        .settle("default", "web", &cancel)
        .await
        .unwrap();
    assert_eq!(world.hub.revision().await, revision);

    world
        .repository
        .commit(&[("a.yaml", &MANIFEST.replace("one", "two"))]);
    world.refresh().await;
    controller.settle("default", "web", &cancel).await.unwrap();
    assert_eq!(world.set().last_release, 2);
    assert!(
        world
            .apps()
            .iter()
            .all(|app| app.release == 2 && app.generation.0 == 2)
    );
}

#[tokio::test]
async fn a_problem_of_the_promotion_is_noted_and_comes_to_rest() {
    let world = World::new().await;
    let row = world.hub.db.read().set("default", "web").unwrap().clone();
    let mut record = SetRecord::clone(&row.record);
    record.document.spec.strategy = serde_json::from_value(serde_json::json!({
        "type": "Waves", "waves": [{"name": "first",
            "select": {"clusters": {"matchLabels": {"rank": "1"}}}}]}))
    .unwrap();
    world
        .hub
        .write(|changes| changes.update(&row, &record))
        .await;
    let mut controller = world.controller();
    let cancel = CancellationToken::new();
    controller.settle("default", "web", &cancel).await.unwrap();
    assert!(
        world
            .set()
            .problems
            .iter()
            .any(|problem| problem.contains("no wave picks c2"))
    );
    let revision = world.hub.revision().await;
    controller.settle("default", "web", &cancel).await.unwrap();
    assert_eq!(
        world.hub.revision().await,
        revision,
        "publication and promotion undo each other"
    );
}

#[tokio::test]
async fn one_sets_error_stops_no_other() {
    let world = World::new().await;
    // Its release is there, the blob of its entries is not.
    let mut broken = following(2, "broken", &world.repository);
    broken.last_release = 1;
    broken.deleting = false;
    let release = crate::records::ReleaseRecord {
        project: broken.project.clone(),
        id: tidegate_model::ids::ReleaseId(world.hub.clock.id()),
        set: broken.uid,
        number: 1,
        content: crate::testing::bundle("lost"),
        entries: crate::testing::bundle("lost"),
        sources: Vec::new(),
        set_version: 1,
        cause: "git".to_owned(),
        authors: Vec::new(),
        created_at: world.hub.clock.now(),
    };
    // A source that was never fetched: nothing newer is published over it.
    broken.document.spec.template.spec.source.target_revision = "other".to_owned();
    world.hub.create([broken]).await;
    world.hub.create([release]).await;
    let cancel = CancellationToken::new();
    let running = tokio::spawn(world.controller().run(cancel.clone()));
    let mut changes = world.hub.db.changes();
    let assigned = || {
        let apps = world.apps();
        apps.len() == 2 && apps.iter().all(|app| app.assignment.is_some())
    };
    soon(changes.wait_for(|_| assigned())).await.unwrap();
    assert!(!running.is_finished());
    cancel.cancel();
    soon(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_hub_that_lost_its_term_stops() {
    let world = World::new().await;
    let running = tokio::spawn(world.controller().run(CancellationToken::new()));
    let mut changes = world.hub.db.changes();
    soon(changes.wait_for(|_| world.run_state().is_some()))
        .await
        .unwrap();
    let cancel = CancellationToken::new();
    let (store, blobs, clock) = (&world.hub.store, &world.hub.blobs, &world.hub.clock);
    let newer = crate::testing::open(store, blobs, clock, &cancel)
        .await
        .unwrap();
    // Something to do, which only the newer hub may.
    let mut more = crate::changes::Changes::default();
    more.create(&following(3, "more", &world.repository));
    newer.commit(more).await.unwrap();
    let error = soon(running).await.unwrap().unwrap_err();
    assert!(matches!(error, db::Error::Fenced { .. }), "{error}");
}

#[tokio::test]
async fn agents_that_come_later_get_their_assignments() {
    let mut world = World::new().await;
    world.agents.clear();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(world.controller().run(cancel.clone()));
    let mut changes = world.hub.db.changes();
    soon(changes.wait_for(|_| world.run_state() == Some(RunState::Rolling)))
        .await
        .unwrap();
    assert!(
        world.apps().iter().all(|app| app.assignment.is_none()),
        "nobody is there"
    );
    let _agents = [1, 2].map(|n| Agent::connect(&world.hub.sessions, cluster_uid(n)));
    let assigned = || world.apps().iter().all(|app| app.assignment.is_some());
    soon(changes.wait_for(|_| assigned())).await.unwrap();
    cancel.cancel();
    soon(running).await.unwrap().unwrap();
}
