//! What a story plays on: clusters, a hub, agents, a Git repository, a shell.
//!
//! Owns the processes of one story and the words that change them (`% …`). The hub and the agents
//! are the shipped binaries; everything ends with the stage.

mod ground;
mod installation;
mod metrics;
mod records;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

pub use self::installation::product;
use self::{
    ground::Ground,
    installation::{Agent, Hub},
    metrics::Metrics,
    records::Records,
};
use super::bed::Bed;
use crate::harness::{Binaries, Error, User, command_for};

/// No command of a story takes longer.
const PATIENCE: Duration = Duration::from_secs(150);

/// The stage.
#[derive(Debug)]
pub struct Stage {
    bed: Bed,
    binaries: Binaries,
    // Fields end in this order: agents and hub before the clusters, files last.
    agents: Vec<Agent>,
    hub: Option<Hub>,
    ground: Option<Ground>,
    metrics: Option<Metrics>,
    /// Ports that take connections and never answer.
    deaf: Vec<std::net::TcpListener>,
    folder: tempfile::TempDir,
}

impl Stage {
    /// An empty stage: a folder with an empty Git repository `repo` and the commands that a story
    /// may use.
    ///
    /// # Errors
    ///
    /// When files cannot be written or the product cannot be built.
    pub fn new(binaries: &Binaries, bed: Bed) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("make the folder of a story"))?;
        let bin = folder.path().join("bin");
        let failed = Error::io("set up the folder of a story");
        let set_up = || {
            fs::create_dir_all(folder.path().join("repo"))?;
            fs::create_dir(&bin)?;
            fs::write(folder.path().join(".gitconfig"), GIT_CONFIG)
        };
        set_up().map_err(failed)?;
        let mut programs = vec![];
        for program in ["tidegate", "tidegate-hub", "tidegate-agent"] {
            programs.push((program, product(program)?));
        }
        // The test bed brings one; a control plane given by the machine comes with the machine's.
        let jq = binaries.kubectl.as_ref().map(|k| k.with_file_name("jq"));
        programs.extend(jq.filter(|jq| jq.is_file()).map(|jq| ("jq", jq)));
        for (program, target) in programs {
            symlink(target, bin.join(program)).map_err(Error::io(format!("link {program}")))?;
        }
        Ok(Self {
            bed,
            binaries: binaries.clone(),
            agents: Vec::new(),
            hub: None,
            ground: None,
            metrics: None,
            deaf: Vec::new(),
            folder,
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Does what `% words` says.
    ///
    /// # Errors
    ///
    /// When it is no such word, or it cannot be done.
    pub async fn act(&mut self, words: &[&str]) -> Result<(), Error> {
        match words {
            ["fleet", members @ ..] => self.raise(members).await,
            ["join", member] => {
                let (name, labels) = split(member);
                self.join(&name, &labels).await
            }
            ["hub", "start", "limit-files", kib] => {
                let kib = kib.parse().map_err(|_| unknown(words))?;
                self.hub()?.start(Some(kib)).await
            }
            ["hub", "start", "test-clock", file] => self.hub()?.start_at(file).await,
            ["hub", verb] => self.act_on_hub(verb).await,
            ["agent", name, verb] => self.act_on_agent(name, verb).await,
            ["wire", name, verb @ ("cut" | "mend")] => {
                let agent = self.agent(name)?;
                if *verb == "cut" {
                    agent.wire.cut();
                } else {
                    agent.wire.mend();
                }
                Ok(())
            }
            ["kubelet", name, verb @ ("hold" | "release")] => {
                self.ground()?.hold(name, *verb == "hold")
            }
            ["deaf", file] => self.deafen(file),
            ["prometheus", "start"] => {
                self.metrics = Some(Metrics::start(self.path()).await?);
                Ok(())
            }
            ["prometheus", "kill"] => self
                .metrics
                .take()
                .map(drop)
                .ok_or_else(|| missing("Prometheus")),
            ["cluster", name, "pause"] => self.ground()?.pause(name).await,
            ["cluster", name, "resume"] => self.ground()?.resume(name),
            _ => Err(unknown(words)),
        }
    }

    /// Starts clusters, a new hub and an agent in each cluster. A member is `name` and the labels
    /// of the cluster: `dev-1:env=dev,rank=1`. A cluster of which the hub hears nothing yet is
    /// `+name`; `% join name:labels` makes it a member.
    async fn raise(&mut self, members: &[&str]) -> Result<(), Error> {
        let named = members.iter().map(|it| it.strip_prefix('+').unwrap_or(it));
        let names: Vec<_> = named.map(|member| split(member).0).collect();
        let (ground, records) = tokio::try_join!(
            Ground::start(self.bed, &self.binaries, self.path(), &names),
            Records::start(self.bed, &self.binaries, self.path()),
        )?;
        for name in &names {
            self.add_cluster_command(&ground, name)?;
        }
        self.ground = Some(ground);
        self.hub = Some(Hub::init(self.path(), records)?);
        self.act_on_hub("start").await?;
        for member in members.iter().filter(|member| !member.starts_with('+')) {
            let (name, labels) = split(member);
            self.join(&name, &labels).await?;
        }
        Ok(())
    }

    /// Registers a cluster that runs already, and starts its agent.
    async fn join(&mut self, name: &str, labels: &[String]) -> Result<(), Error> {
        let rights = workspace().join("deploy/agent");
        let rights = rights.to_string_lossy().into_owned();
        self.must(&format!("k {name} apply -f '{rights}'")).await?;
        let flags: Vec<_> = labels
            .iter()
            .map(|label| format!("--label {label}"))
            .collect();
        self.must(&format!(
            "tidegate cluster join-token {name} {} > token-{name}",
            flags.join(" ")
        ))
        .await?;
        let hub = self.hub.as_ref().ok_or_else(|| missing("the hub"))?;
        let kubeconfig = self.ground()?.kubeconfig(name, User::Agent)?;
        let mut agent = Agent::new(name, self.folder.path(), hub.address(), kubeconfig).await?;
        agent.start()?;
        self.agents.push(agent);
        Ok(())
    }

    /// A port that takes connections and never answers; its address goes into `file`.
    fn deafen(&mut self, file: &str) -> Result<(), Error> {
        let failed = || Error::io("open a port that never answers");
        let port = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed())?;
        let address = port.local_addr().map_err(failed())?.to_string();
        fs::write(self.path().join(file), address).map_err(failed())?;
        self.deaf.push(port);
        Ok(())
    }

    /// `k NAME …` is kubectl as the cluster's administrator, `engineer NAME …` as somebody else
    /// with the same rights.
    fn add_cluster_command(&self, ground: &Ground, cluster: &str) -> Result<(), Error> {
        let kubectl = self
            .binaries
            .kubectl
            .as_ref()
            .ok_or_else(|| missing("kubectl"))?;
        for (command, user) in [("k", User::Admin), ("engineer", User::Engineer)] {
            let folder = self.path().join("kube").join(command);
            let kubeconfig = ground.kubeconfig(cluster, user)?;
            let write = || {
                fs::create_dir_all(&folder)?;
                fs::copy(kubeconfig, folder.join(cluster))?;
                let script = kubectl_for(self.bed, &folder, kubectl);
                let path = self.path().join("bin").join(command);
                fs::write(&path, script)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            };
            write().map_err(Error::io(format!("write the command {command}")))?;
        }
        Ok(())
    }

    async fn act_on_hub(&mut self, verb: &str) -> Result<(), Error> {
        let hub = self.hub()?;
        match verb {
            "start" => hub.start(None).await,
            "kill" => hub.kill().await,
            "stop" => hub.stop().await,
            "forget" => hub.forget().await,
            "lose" => hub.lose().await,
            _ => Err(unknown(&["hub", verb])),
        }
    }

    async fn act_on_agent(&mut self, name: &str, verb: &str) -> Result<(), Error> {
        let agent = self.agent(name)?;
        match verb {
            "start" => agent.start(),
            "kill" => agent.kill().await,
            "lose-disk" => agent.lose_disk(),
            _ => Err(unknown(&["agent", name, verb])),
        }
    }

    fn hub(&mut self) -> Result<&mut Hub, Error> {
        self.hub.as_mut().ok_or_else(|| missing("the hub"))
    }

    fn agent(&mut self, name: &str) -> Result<&mut Agent, Error> {
        self.agents
            .iter_mut()
            .find(|agent| agent.name == name)
            .ok_or_else(|| missing(name))
    }

    fn ground(&self) -> Result<&Ground, Error> {
        self.ground.as_ref().ok_or_else(|| missing("the fleet"))
    }

    /// Runs a command that must succeed.
    async fn must(&self, command: &str) -> Result<(), Error> {
        match self.shell(command).await {
            (0, _, _) => Ok(()),
            (status, out, err) => Err(Error::Missing {
                what: format!("run `{command}`"),
                missing: format!("it ended with {status}: {out}{err}"),
            }),
        }
    }

    /// Runs a shell command in the story's folder: exit status, standard output, standard error.
    /// `$REPO` is the repository's URL, `$HUB` the hub's, `$HUB_HEALTH` the address of its plain
    /// port, `$HUB_PID` its process, `$STORE` the flags that say where its records are, `$PROMETHEUS`
    /// and `$WORKLOAD` the URLs of what `% prometheus start` started.
    pub async fn shell(&self, command: &str) -> (i32, String, String) {
        let mut shell = Command::from(command_for(Path::new("/bin/bash")));
        let path = std::env::var("PATH").unwrap_or_default();
        shell
            .args(["-euo", "pipefail", "-c", command])
            .current_dir(self.path())
            .env(
                "PATH",
                format!("{}:{path}", self.path().join("bin").display()),
            )
            .env("HOME", self.path())
            .env(
                "REPO",
                format!("file://{}", self.path().join("repo").display()),
            )
            .env("TIDEGATE_CONFIG", self.path().join("admin.yaml"))
            .env("GIT_CONFIG_GLOBAL", self.path().join(".gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(metrics) = &self.metrics {
            shell
                .env("PROMETHEUS", metrics.prometheus())
                .env("WORKLOAD", metrics.workload());
        }
        if let Some(hub) = &self.hub {
            let address = hub.address();
            shell
                .env("HUB", format!("https://localhost:{}", address.port()))
                .env("HUB_HEALTH", hub.health().to_string())
                .env("STORE", hub.store_flags().join(" "));
            if let Some(pid) = hub.pid() {
                shell.env("HUB_PID", pid.to_string());
            }
        }
        match tokio::time::timeout(PATIENCE, shell.output()).await {
            Ok(Ok(output)) => (
                output.status.code().unwrap_or(-1),
                String::from_utf8_lossy(&output.stdout).into_owned(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ),
            Ok(Err(error)) => (-1, String::new(), error.to_string()),
            Err(_) => (
                -1,
                String::new(),
                format!("it took longer than {PATIENCE:?}"),
            ),
        }
    }

    /// The ends of the logs of hub and agents.
    pub fn last_words(&self) -> String {
        let mut text = String::new();
        if let Some(hub) = &self.hub {
            text.push_str(&hub.last_words());
        }
        for agent in &self.agents {
            text.push_str(&agent.last_words());
        }
        text
    }
}

const GIT_CONFIG: &str = "[user]\n\tname = story\n\temail = story@example.com\n\
    [init]\n\tdefaultBranch = main\n[commit]\n\tgpgsign = false\n[safe]\n\tdirectory = *\n";

/// Name and labels of a member: `dev-1:env=dev,rank=1`.
fn split(member: &str) -> (String, Vec<String>) {
    let (name, labels) = member.split_once(':').unwrap_or((member, ""));
    let labels = labels.split(',').filter(|label| !label.is_empty());
    (name.to_owned(), labels.map(str::to_owned).collect())
}

/// The script of a cluster command: kubectl with the kubeconfig in `folder` that its first argument
/// names.
fn kubectl_for(bed: Bed, folder: &Path, kubectl: &Path) -> String {
    let (folder, kubectl) = (folder.display(), kubectl.display());
    let validation = match bed {
        Bed::Redb | Bed::Etcd => "",
        // kubectl checks objects with the server's OpenAPI document, and a sandbox has none; it
        // checks them itself.
        Bed::Sandbox => {
            "case $1 in apply|create) verb=$1; shift; set -- \"$verb\" --validate=false \"$@\";; esac\n"
        }
    };
    format!(
        "#!/bin/sh\ncluster=$1; shift\n{validation}KUBECONFIG='{folder}'/\"$cluster\" exec '{kubectl}' \"$@\"\n"
    )
}

/// The project's root.
fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

fn missing(what: &str) -> Error {
    Error::Missing {
        what: format!("use {what}"),
        missing: "the story has not set it up; begin with `% fleet …`".to_owned(),
    }
}

fn unknown(words: &[&str]) -> Error {
    Error::Missing {
        what: format!("do `% {}`", words.join(" ")),
        missing: "no such word".to_owned(),
    }
}
