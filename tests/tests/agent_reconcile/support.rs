//! One cluster, agents on it, and applications as a hub would assign them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_agent::{
    cluster,
    port::{Accepted, CancellationToken, Options, Reconciler, ReconcilerHandle, Rejected},
};
use tidegate_model::{
    assignment::{Assignment, Desired},
    bundle::{Bundle, BundleEntry, OBJECT_TAG},
    digest::Digest,
    health::Health,
    ids::{AppUid, Epoch, Generation},
    object::ObjectKey,
    policy::{Drift, Policy},
    report::{Phase, Report},
};
use tidegate_tests::harness::{Cluster, Fleet, User, eventually, require_real};

pub(crate) const LABEL: &str = "tidegate.dev/app-id";
/// Long enough for a busy machine; what must be fast is measured on its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A real cluster with the shipped RBAC.
pub(crate) struct World {
    fleet: Fleet,
}

impl World {
    pub(crate) async fn start(test: &str) -> Option<Self> {
        let binaries = require_real(test)?;
        let world = Self {
            fleet: Fleet::start(&binaries, 1).await.unwrap(),
        };
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/agent");
        world
            .kubectl(&["apply", "-f", shipped.to_str().unwrap()])
            .await;
        Some(world)
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.fleet.clusters()[0]
    }

    /// Runs kubectl as an engineer and returns what it printed.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with(arguments, "").await
    }

    pub(crate) async fn kubectl_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self
            .cluster()
            .kubectl_as(User::Engineer, arguments, input)
            .await
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A live object, `Null` if there is none.
    pub(crate) async fn get(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let mut arguments = vec![
            "get",
            kind,
            name,
            "-o",
            "json",
            "--show-managed-fields",
            "--ignore-not-found",
        ];
        if !namespace.is_empty() {
            arguments.extend(["-n", namespace]);
        }
        let text = self.kubectl(&arguments).await;
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn exists(&self, kind: &str, namespace: &str, name: &str) -> bool {
        !self.get(kind, namespace, name).await.is_null()
    }

    pub(crate) async fn until_gone(&self, kind: &str, namespace: &str, name: &str) {
        let probe = || async {
            if self.exists(kind, namespace, name).await {
                Err("it is there".to_owned())
            } else {
                Ok(())
            }
        };
        eventually(&format!("the end of {kind} {name}"), PATIENCE, probe)
            .await
            .unwrap();
    }

    /// Waits until the API server tells its clients of a kind.
    pub(crate) async fn until_served(&self, plural: &str) {
        let probe = || async {
            let served = self
                .cluster()
                .kubectl_as(User::Engineer, &["get", plural], "")
                .await
                .unwrap();
            if served.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&served.stderr).into_owned())
            }
        };
        eventually(&format!("{plural} served"), PATIENCE, probe)
            .await
            .unwrap();
    }

    /// Writes that the API server has carried out for a resource, dry runs left out.
    pub(crate) async fn writes(&self, resource: &str) -> u64 {
        let metrics = self.kubectl(&["get", "--raw", "/metrics"]).await;
        let verbs = ["APPLY", "PATCH", "POST", "PUT", "DELETE"];
        let counted = metrics.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                && line.contains("dry_run=\"\"")
                && line.contains("subresource=\"\"")
                && line.contains(&format!("resource=\"{resource}\""))
                && verbs
                    .iter()
                    .any(|verb| line.contains(&format!("verb=\"{verb}\"")))
        });
        counted
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    pub(crate) async fn agent(&self) -> Agent {
        self.agent_with(TempDir::new().unwrap(), |_| {}).await
    }

    pub(crate) async fn agent_with(
        &self,
        folder: TempDir,
        change: impl FnOnce(&mut Options),
    ) -> Agent {
        let kubeconfig =
            kube::config::Kubeconfig::read_from(self.cluster().kubeconfig_for(User::Agent))
                .unwrap();
        let config = kube::Config::from_custom_kubeconfig(
            kubeconfig,
            &kube::config::KubeConfigOptions::default(),
        )
        .await
        .unwrap();
        let mut options = Options::new(folder.path().to_owned());
        options.stage_wait = Duration::from_secs(10);
        options.prune_delay = Duration::from_millis(300);
        change(&mut options);
        let cancel = CancellationToken::new();
        let client = cluster::connect(config).unwrap();
        let handle = Reconciler::start(options, client, cancel.clone())
            .await
            .unwrap();
        Agent {
            handle,
            cancel,
            folder,
        }
    }

    /// Removes everything that agents keep in the cluster.
    pub(crate) async fn lose_cluster_state(&self) {
        self.kubectl(&["delete", "secrets", "-n", "tidegate-system", "--all"])
            .await;
    }
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) handle: ReconcilerHandle,
    cancel: CancellationToken,
    folder: TempDir,
}

impl Agent {
    /// Ends it and returns its disk.
    pub(crate) async fn stop(self) -> TempDir {
        self.cancel.cancel();
        self.handle.stopped().await;
        self.folder
    }

    pub(crate) async fn accept(&self, order: &Order) -> Result<Accepted, Rejected> {
        let objects = order.objects.clone();
        self.handle
            .accept(
                Epoch(1),
                order.assignment.clone(),
                order.bundle.clone(),
                objects,
            )
            .await
    }

    /// Waits for a report of this application of which `wanted` holds.
    pub(crate) async fn until(
        &self,
        app: &App,
        what: &str,
        wanted: impl Fn(&Report) -> bool,
    ) -> Report {
        self.until_within(app, what, PATIENCE, wanted).await
    }

    pub(crate) async fn until_within(
        &self,
        app: &App,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Report) -> bool,
    ) -> Report {
        let probe = || async {
            let report = self.report(app).ok_or("no report yet")?;
            if report.generation == app.generation && wanted(&report) {
                Ok(report)
            } else {
                Err(format!("{report:?}"))
            }
        };
        eventually(&format!("{}: {what}", app.name), within, probe)
            .await
            .unwrap()
    }

    pub(crate) fn report(&self, app: &App) -> Option<Report> {
        self.handle
            .reports()
            .latest()
            .into_iter()
            .find(|report| report.app == app.uid)
    }

    /// Gives the application new content and waits until it is applied.
    pub(crate) async fn run(&self, app: &mut App, objects: &[Value]) -> Report {
        self.accept(&app.order(objects)).await.unwrap();
        self.until(app, "applied", |report| report.phase == Phase::Applied)
            .await
    }

    pub(crate) async fn until_healthy(&self, app: &App) -> Report {
        let healthy =
            |report: &Report| report.phase == Phase::Applied && report.health == Health::Healthy;
        self.until(app, "healthy", healthy).await
    }

    /// Runs one more full pass, over when this returns.
    pub(crate) async fn pass_again(&self, app: &App) {
        let pass = tokio::time::timeout(PATIENCE, self.handle.sync(app.uid));
        assert!(pass.await.unwrap());
    }
}

/// What a hub sends.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) assignment: Assignment,
    pub(crate) bundle: Bundle,
    pub(crate) objects: BTreeMap<Digest, Value>,
}

/// An application with a namespace of its own.
pub(crate) struct App {
    pub(crate) uid: AppUid,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) generation: Generation,
    pub(crate) policy: Policy,
    pub(crate) approved: bool,
}

impl App {
    /// A new one; its namespace is made by hand, so that it is no object of the application.
    pub(crate) async fn new(world: &World, name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{name}-{number}");
        world.kubectl(&["create", "namespace", &namespace]).await;
        Self {
            uid: format!("01890000-0000-7000-8000-{number:012}")
                .parse()
                .unwrap(),
            name: format!("demo/{name}"),
            namespace,
            generation: Generation(0),
            policy: Policy::default(),
            approved: false,
        }
    }

    pub(crate) fn drift(mut self, drift: Drift) -> Self {
        self.policy.drift = drift;
        self
    }

    /// The next generation with this content.
    pub(crate) fn order(&mut self, objects: &[Value]) -> Order {
        let entries = objects.iter().map(|object| BundleEntry {
            key: ObjectKey::of(object).unwrap(),
            digest: Digest::of(OBJECT_TAG, object),
        });
        let bundle = Bundle::new(entries.collect());
        let desired = Desired::Run {
            bundle: bundle.digest(),
            policy: self.policy.clone(),
            namespace: self.namespace.clone(),
            run: "01890000-0000-7000-8000-00000000aaaa".parse().unwrap(),
            prune_approved: self.approved,
        };
        Order {
            assignment: self.assignment(desired),
            bundle,
            objects: objects
                .iter()
                .map(|object| (Digest::of(OBJECT_TAG, object), object.clone()))
                .collect(),
        }
    }

    pub(crate) fn tombstone(&mut self, cascade: bool) -> Order {
        Order {
            assignment: self.assignment(Desired::Tombstone { cascade }),
            bundle: Bundle::default(),
            objects: BTreeMap::new(),
        }
    }

    fn assignment(&mut self, desired: Desired) -> Assignment {
        self.generation = self.generation.next();
        Assignment {
            cluster: "01890000-0000-7000-8000-00000000cccc".parse().unwrap(),
            app: self.uid,
            app_name: self.name.clone(),
            generation: self.generation,
            epoch: Epoch(1),
            desired,
        }
    }
}

pub(crate) fn config(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) fn configs(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| config(&format!("c{n:03}"), &json!({"n": n.to_string()})))
        .collect()
}

pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap()
}

pub(crate) fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

/// The `managedFields` entries of the agent.
pub(crate) fn ours(object: &Value) -> Vec<&Value> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries
        .iter()
        .filter(|entry| entry["manager"] == "tidegate-agent")
        .collect()
}

/// The text of everything a report says.
pub(crate) fn said(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}
