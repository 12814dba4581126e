//! `bench waves`: `KubeFleet`'s staged rollout (its performance report of the first quarter of 2026).
//!
//! Stages with 20, 30 and 50 of a hundred clusters, half of a stage at once, a namespace, a
//! `ConfigMap` of 1 KB and a Deployment without replicas each; once alone and a hundred at the same
//! time, in a fleet of a thousand of which each rollout goes to a hundred. The shipped hub on redb,
//! agents over mutual TLS. A commit is announced (`refresh`), and the time runs until the run has
//! succeeded.
//!
//! A gate's time runs from the last evidence to the next assignment, both on the wire: from the last
//! message of an agent of a stage to the first assignment for one of the next. Beside it the time
//! between clusters is told: from the last Deployment of a stage that is done in its cluster to the
//! first new one of the next stage in its.

use std::{path::Path, time::Duration};

use futures::future::try_join_all;
use serde_json::json;
use tidegate_proto::v1 as wire;
use tokio::{process::Command, time::Instant};

use super::{
    Error, Report,
    fleet::{Fleet, Seen, label},
    hub::Hub,
    peak_rss_mib, percentile,
    wire::Passed,
};

/// The stages and how many of a hundred clusters they have.
const STAGES: [(&str, usize); 3] = [("canary", 20), ("early", 30), ("rest", 50)];
/// The longest that all rollouts of one kind may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Clusters of a rollout.
    pub clusters: usize,
    /// Clusters of the fleet: those of a rollout, so many times.
    pub groups: usize,
    /// Rollouts at the same time.
    pub parallel: usize,
    /// Rollouts alone.
    pub repeat: usize,
}

/// Measures.
///
/// # Errors
///
/// When a rollout does not succeed.
pub async fn run(options: Options) -> Result<Report, Error> {
    let folder = tempfile::tempdir()?;
    let repository = Repository::new(folder.path(), options.parallel).await?;
    let hub = Hub::start(folder.path()).await?;
    let stages = STAGES.map(|(name, percent)| (name, (options.clusters * percent / 100).max(1)));
    eprintln!("starting {} clusters …", options.clusters * options.groups);
    let fleet = Fleet::start(&hub, &stages, options.groups, folder.path()).await?;
    let mut report = Report::new("waves");
    let bench = Bench {
        hub,
        fleet,
        repository,
        groups: options.groups,
    };
    let measured = bench.measure(options, &mut report);
    tokio::time::timeout(PATIENCE, measured)
        .await
        .map_err(|_| format!("not done within {PATIENCE:?}"))??;
    report.value("hub_rss_mib", peak_rss_mib(bench.hub.pid())?);
    Ok(report)
}

struct Bench {
    hub: Hub,
    fleet: Fleet,
    repository: Repository,
    groups: usize,
}

impl Bench {
    async fn measure(&self, options: Options, report: &mut Report) -> Result<(), Error> {
        self.apply(0).await?;
        let commit = self.repository.head().await?;
        self.hub.ended(&name(0), &commit).await?;
        let (mut alone, mut gates, mut between) = (vec![], vec![], vec![]);
        for number in 1..=options.repeat {
            let mut rolled = self.alone(number).await?;
            report.row([
                ("rollout", json!(format!("alone {number}"))),
                ("seconds", json!(super::round(rolled.seconds))),
                ("gate_ms", json!(percentile(&rolled.gates, 99).round())),
            ]);
            alone.push(rolled.seconds);
            gates.append(&mut rolled.gates);
            between.append(&mut rolled.between);
        }
        report.value("single_s", percentile(&alone, 50));
        report.value("gate_p50_ms", percentile(&gates, 50));
        report.value("gate_p99_ms", percentile(&gates, 99));
        report.value("between_clusters_p50_ms", percentile(&between, 50));
        report.value("between_clusters_p99_ms", percentile(&between, 99));
        eprintln!(
            "bringing out the first release of {} sets …",
            options.parallel
        );
        for index in 1..options.parallel {
            self.apply(index).await?;
        }
        let commit = self.repository.head().await?;
        self.all(options.parallel, &commit, Instant::now()).await?;
        eprintln!("and the next of all of them at once …");
        let commit = self.repository.commit("all", 0..options.parallel).await?;
        let begun = Instant::now();
        self.refresh(&name(0)).await?;
        let seconds = self.all(options.parallel, &commit, begun).await?;
        for percent in [50, 90, 100] {
            report.row([
                (
                    "rollout",
                    json!(format!("{} at once, p{percent}", options.parallel)),
                ),
                (
                    "seconds",
                    json!(super::round(percentile(&seconds, percent))),
                ),
                ("gate_ms", json!(null)),
            ]);
        }
        report.value("parallel_100_p50_s", percentile(&seconds, 50));
        report.value("parallel_100_p90_s", percentile(&seconds, 90));
        Ok(())
    }

    async fn apply(&self, index: usize) -> Result<(), Error> {
        let set = set(index, index % self.groups, &self.repository.url());
        self.hub.apply(&set).await
    }

    async fn alone(&self, number: usize) -> Result<Rolled, Error> {
        let version = format!("alone-{number}");
        let commit = self.repository.commit(&version, 0..1).await?;
        let members = self.fleet.members.iter().filter(|it| it.group == 0);
        let watched = members.map(|member| {
            let version = version.clone();
            async move { Ok::<_, Error>((member.stage, member.see(&name(0), &version).await?)) }
        });
        // What passed before is none of this rollout's.
        self.passed();
        let begun = Instant::now();
        let rolled = async {
            self.refresh(&name(0)).await?;
            self.hub.ended(&name(0), &commit).await?;
            Ok::<_, Error>(begun.elapsed().as_secs_f64())
        };
        let (seconds, seen) = tokio::try_join!(rolled, try_join_all(watched))?;
        let rolled = Rolled {
            seconds,
            gates: gates(&self.passed()),
            between: between(&seen),
        };
        let all = STAGES.len() - 1;
        if rolled.gates.len() != all || rolled.between.len() != all {
            return Err(format!("of {all} gates not all were seen on the wire").into());
        }
        Ok(rolled)
    }

    /// What passed on the wires of the first group.
    fn passed(&self) -> Vec<(&'static str, Passed)> {
        let members = self.fleet.members.iter().filter(|it| it.group == 0);
        members
            .map(|member| (member.stage, member.passed()))
            .collect()
    }

    /// Seconds since `begun` until each set has rolled this commit out.
    async fn all(&self, sets: usize, commit: &str, begun: Instant) -> Result<Vec<f64>, Error> {
        try_join_all((0..sets).map(|index| async move {
            self.hub.ended(&name(index), commit).await?;
            Ok(begun.elapsed().as_secs_f64())
        }))
        .await
    }

    async fn refresh(&self, set: &str) -> Result<(), Error> {
        let request = wire::RefreshRequest {
            set: set.to_owned(),
            ..wire::RefreshRequest::default()
        };
        self.hub.fleet().refresh(request).await?;
        Ok(())
    }
}

/// One rollout.
struct Rolled {
    seconds: f64,
    /// Milliseconds from the last evidence to the next assignment.
    gates: Vec<f64>,
    /// Milliseconds from the last cluster of a stage to the first of the next.
    between: Vec<f64>,
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}

/// Between the stages, on the wire.
fn gates(passed: &[(&'static str, Passed)]) -> Vec<f64> {
    let of = |stage: &'static str| passed.iter().filter(move |(it, _)| *it == stage);
    STAGES
        .windows(2)
        .filter_map(|pair| {
            let told = of(pair[1].0).filter_map(|(_, passed)| passed.told.first());
            let opened = *told.min()?;
            let said = of(pair[0].0).flat_map(|(_, passed)| &passed.said);
            let last = *said.filter(|at| **at < opened).max()?;
            Some(milliseconds(last, opened))
        })
        .collect()
}

/// Between the stages, in the clusters.
fn between(seen: &[(&'static str, Seen)]) -> Vec<f64> {
    let of = |stage: &'static str| seen.iter().filter(move |(it, _)| *it == stage);
    STAGES
        .windows(2)
        .filter_map(|pair| {
            let done = of(pair[0].0).map(|(_, seen)| seen.healthy).max()?;
            let opened = of(pair[1].0).map(|(_, seen)| seen.applied).min()?;
            Some(milliseconds(done, opened))
        })
        .collect()
}

fn name(index: usize) -> String {
    format!("rollout-{index}")
}

fn set(index: usize, group: usize, url: &str) -> String {
    let name = name(index);
    let waves: Vec<_> = STAGES
        .iter()
        .map(|(stage, _)| {
            json!({
                "name": stage,
                "select": {"clusters": {"matchLabels": {"stage": stage}}},
                "maxConcurrency": "50%",
                "failureBudget": {"max": 0, "mode": "fast"},
                "healthWindow": "0s",
            })
        })
        .collect();
    json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name},
        "spec": {
            "goTemplate": true,
            "generators": [{"clusters": {"selector": {"matchLabels": {"group": label(group)}}}}],
            "template": {
                "metadata": {"name": format!("{name}-{{{{.name}}}}")},
                "spec": {
                    "source": {"repoURL": url, "targetRevision": "main", "path": name},
                    "destination": {"name": "{{.name}}", "namespace": name},
                },
            },
            "strategy": {"type": "Waves", "waves": waves},
        },
    })
    .to_string()
}

/// A Git repository with a folder for each rollout.
struct Repository {
    path: std::path::PathBuf,
}

impl Repository {
    async fn new(folder: &Path, rollouts: usize) -> Result<Self, Error> {
        let path = folder.join("repository");
        std::fs::create_dir(&path)?;
        let repository = Self { path };
        repository.git(&["init", "-q", "-b", "main"]).await?;
        repository.commit("first", 0..rollouts).await?;
        Ok(repository)
    }

    fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    async fn head(&self) -> Result<String, Error> {
        self.git(&["rev-parse", "HEAD"]).await
    }

    /// Gives these rollouts new content and returns the commit.
    async fn commit(
        &self,
        version: &str,
        rollouts: std::ops::Range<usize>,
    ) -> Result<String, Error> {
        for index in rollouts {
            let folder = self.path.join(name(index));
            std::fs::create_dir_all(&folder)?;
            let objects = objects(&name(index), version).map(|object| object.to_string());
            std::fs::write(folder.join("app.yaml"), objects.join("\n---\n"))?;
        }
        self.git(&["add", "."]).await?;
        self.git(&["commit", "-q", "-m", version]).await?;
        self.head().await
    }

    async fn git(&self, arguments: &[&str]) -> Result<String, Error> {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=bench",
                "-c",
                "user.email=bench@example.com",
            ])
            .args(arguments)
            .current_dir(&self.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

fn objects(name: &str, version: &str) -> [serde_json::Value; 3] {
    let labels = json!({"app": name});
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "app"},
            "data": {"version": version, "filler": "x".repeat(1000)},
        }),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "app", "labels": {"version": version}},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": {"app": name, "version": version}},
                    "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
                },
            },
        }),
    ]
}
