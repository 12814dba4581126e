//! A hub whose controller follows a real repository, for tests of what the API says of it.

use std::time::Duration;

use serde_json::json;
use tidegate_model::{health::Health, strategy::Strategy};
use tokio_util::sync::CancellationToken;

use super::{Hub, cluster, cluster_uid, report, repository::Repository, set};
use crate::{
    api::FleetApi,
    backend::Backend,
    controller::Controller,
    link::{port::LinkBackend as _, testing::Agent},
    poller::{Poller, PollerHandle},
    records::SetRecord,
    settled::Settled,
};

/// A `ConfigMap`.
pub(crate) const MANIFEST: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: one}\n";

/// The fleet.
pub(crate) struct Fleet {
    pub(crate) hub: Hub,
    pub(crate) api: FleetApi,
    pub(crate) repository: Repository,
    pub(crate) poller: PollerHandle,
    pub(crate) agents: Vec<Agent>,
}

/// A set that brings this repository to every cluster.
pub(crate) fn following(n: u128, name: &str, repository: &Repository) -> SetRecord {
    let mut record = set(n, name, &json!({}));
    let template = &mut record.document.spec.template;
    template.metadata.name = format!("{name}-{{{{.name}}}}");
    template.spec.destination.name = "{{.name}}".to_owned();
    template.spec.source.repo_url = repository.url();
    template.spec.source.target_revision = "main".to_owned();
    template.spec.source.path = ".".to_owned();
    record
}

impl Fleet {
    /// Clusters c1 and c2, told to run what is in the repository.
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, Strategy::default()).await
    }

    /// The same, by this strategy.
    pub(crate) async fn with(files: &[(&str, &str)], strategy: Strategy) -> Self {
        let hub = Hub::new().await;
        let repository = Repository::new(files);
        hub.create([cluster(1), cluster(2)]).await;
        let mut set = following(1, "web", &repository);
        set.document.spec.strategy = strategy;
        hub.create([set]).await;
        let (_, poller) = Poller::new(hub.db.clone(), hub.git(), Duration::from_secs(60));
        let api = hub.api();
        let agents = [1, 2].map(|n| Agent::connect(&hub.sessions, cluster_uid(n)));
        let fleet = Self {
            hub,
            api,
            repository,
            agents: agents.into(),
            poller,
        };
        fleet.publish().await;
        fleet
    }

    /// Fetches and does what follows from it.
    pub(crate) async fn publish(&self) {
        let sources = vec![self.repository.source()];
        let fetched = self.poller.refresh(sources).await.unwrap();
        assert_eq!(fetched[0].error, None);
        let settled = Settled::default();
        let controller = Controller::new(
            self.hub.db.clone(),
            self.hub.evidence.clone(),
            self.hub.sessions.clone(),
            self.poller.clone(),
            settled.clone(),
        );
        let cancel = CancellationToken::new();
        let running = tokio::spawn(controller.run(cancel.clone()));
        let revision = self.hub.db.read().revision;
        assert!(settled.reach(revision).await);
        cancel.cancel();
        running.await.unwrap().unwrap();
    }

    /// The commit at which the hub saw the repository last.
    pub(crate) async fn newest_commit(&self) -> String {
        let fetched = self.poller.refresh(vec![self.repository.source()]).await;
        fetched.unwrap().remove(0).commit.unwrap()
    }

    /// Agents say this of their last word.
    pub(crate) async fn report(&mut self, health: Health) {
        let backend = Backend::new(self.hub.db.clone());
        let apps: Vec<_> = self.hub.db.read().apps.iter().cloned().collect();
        for app in apps.iter().filter(|app| app.assignment.is_some()) {
            let said = report(app, health);
            backend.report(app.app.cluster, said).await.unwrap();
        }
        self.agents.iter_mut().for_each(Agent::confirm);
    }
}
