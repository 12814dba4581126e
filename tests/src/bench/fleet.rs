//! The clusters of a benchmark: sandboxes with the agent that ships, in this process.
//!
//! Owns them until it is dropped. Agents reach the hub over TCP with mutual TLS, and their cluster
//! as a Kubernetes API; what is measured is looked up there, as kubectl would.

use std::{path::Path, sync::Arc, time::Duration};

use clap::Parser as _;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tidegate_agent::config::Cli;
use tidegate_proto::v1 as wire;
use tidegate_sandbox::{Options, Sandbox};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Error,
    hub::Hub,
    wire::{Passed, Wire},
};

/// What a Deployment without Pods takes its controller to call available.
const CONTROLLER: Duration = Duration::from_millis(20);

/// One cluster.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its label `stage`.
    pub stage: &'static str,
    /// Its label `group`, as a number: rollouts go to the clusters of one group.
    pub group: usize,
    sandbox: Sandbox,
    /// To the hub, in the first group: what is measured there passes here.
    wire: Option<Arc<Wire>>,
}

/// The label `group` of that group.
pub fn label(group: usize) -> String {
    format!("group-{group}")
}

/// When a Deployment was seen in a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// First with the content that is waited for.
    pub applied: Instant,
    /// First as what its controller reports as done.
    pub healthy: Instant,
}

impl Member {
    /// What passed between its agent and the hub since this was asked last.
    pub fn passed(&self) -> Passed {
        self.wire
            .as_ref()
            .map(|wire| wire.passed())
            .unwrap_or_default()
    }

    /// Waits until the Deployment has this label `version`, and until it is done there.
    ///
    /// # Errors
    ///
    /// The cluster's.
    pub async fn see(&self, namespace: &str, version: &str) -> Result<Seen, Error> {
        let client = Client::new(self.sandbox.clone(), "default");
        let api: Api<Deployment> = Api::namespaced(client, namespace);
        let mut applied = None;
        loop {
            let revision = self.sandbox.revision();
            if let Some(found) = api.get_opt("app").await? {
                let labels = found.metadata.labels.unwrap_or_default();
                if labels.get("version").is_some_and(|it| it == version) {
                    let applied = *applied.get_or_insert_with(Instant::now);
                    let status = found.status.unwrap_or_default();
                    let mut conditions = status.conditions.iter().flatten();
                    let available =
                        conditions.any(|it| it.type_ == "Available" && it.status == "True");
                    if available && status.observed_generation == found.metadata.generation {
                        let healthy = Instant::now();
                        return Ok(Seen { applied, healthy });
                    }
                }
            }
            self.sandbox.changed_since(revision).await;
        }
    }
}

/// The fleet.
#[derive(Debug)]
pub struct Fleet {
    /// Its clusters.
    pub members: Vec<Member>,
    _tasks: JoinSet<()>,
    _end: DropGuard,
}

impl Fleet {
    /// Registers `groups` times the clusters of these stages and starts their agents.
    ///
    /// # Errors
    ///
    /// When one cannot be registered or started.
    pub async fn start(
        hub: &Hub,
        stages: &[(&'static str, usize)],
        groups: usize,
        folder: &Path,
    ) -> Result<Self, Error> {
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut members = Vec::new();
        let stages = (0..groups).flat_map(|group| stages.iter().map(move |it| (group, *it)));
        for (group, (stage, count)) in stages {
            for number in 1..=count {
                let name = format!("{stage}-{group}-{number}");
                let labels = [
                    ("stage".to_owned(), stage.to_owned()),
                    ("group".to_owned(), label(group)),
                ];
                let request = wire::CreateJoinTokenRequest {
                    cluster: name.clone(),
                    labels: labels.into(),
                    ..wire::CreateJoinTokenRequest::default()
                };
                let token = hub.fleet().create_join_token(request).await?;
                let sandbox = Sandbox::new(Options {
                    delay: CONTROLLER,
                    ..Options::named(&name)
                });
                let wire = match group {
                    0 => Some(Arc::new(Wire::start(hub.port()).await?)),
                    _ => None,
                };
                let port = wire.as_ref().map_or(hub.port(), |wire| wire.port());
                let member = Member {
                    name,
                    stage,
                    group,
                    sandbox,
                    wire,
                };
                let options = options(port, &member.name, &token.into_inner().token, folder)?;
                member.start(options, &cancel, &mut tasks).await?;
                members.push(member);
            }
        }
        Ok(Self {
            members,
            _tasks: tasks,
            _end: cancel.drop_guard(),
        })
    }
}

impl Member {
    async fn start(
        &self,
        options: Cli,
        cancel: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Error> {
        let client = Client::new(self.sandbox.clone(), "default");
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(options.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let api: Api<Namespace> = Api::all(client.clone());
        api.create(&PostParams::default(), &namespace).await?;
        tasks.spawn(self.sandbox.clone().run(cancel.clone()));
        let (name, cancel) = (self.name.clone(), cancel.clone());
        tasks.spawn(async move {
            let served = tidegate_agent::runtime::serve_in(client, options, cancel);
            if let Err(error) = Box::pin(served).await {
                eprintln!("the agent of {name} ended: {error}");
            }
        });
        Ok(())
    }
}

fn options(port: u16, name: &str, token: &str, folder: &Path) -> Result<Cli, Error> {
    let state = folder.join("agents").join(name);
    Ok(Cli::try_parse_from([
        "tidegate-agent",
        &format!("--hub=https://localhost:{port}"),
        &format!("--state-dir={}", state.display()),
        &format!("--join-token={token}"),
        "--health-listen=127.0.0.1:0",
    ])?)
}
