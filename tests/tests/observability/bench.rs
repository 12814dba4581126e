//! A hub, an agent and a cluster in this process; the shipped binaries, a Git repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tidegate_sandbox::{Options, Sandbox};
use tidegate_tests::{
    harness::{Port, Process, Signal, command_for, eventually},
    story::product,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

const PATIENCE: Duration = Duration::from_secs(30);

/// The bench.
#[derive(Debug)]
pub(crate) struct Bench {
    hub: Option<Process>,
    agent: Option<Process>,
    port: Port,
    hub_health: Port,
    agent_health: Port,
    sandbox: Sandbox,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl Bench {
    /// A fleet of one cluster whose workloads take `delay`; hub and agent get these flags besides.
    pub(crate) async fn start(delay: Duration, hub: &[&str], agent: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let mut options = Options::named("dev");
        options.delay = delay;
        let sandbox = Sandbox::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(sandbox.clone().run(stop.clone()));
        tokio::spawn(sandbox.clone().serve(listener, stop.clone()));
        fs::write(
            folder.path().join("kubeconfig"),
            kubeconfig(&server).to_string(),
        )
        .unwrap();
        let mut bench = Self {
            hub: None,
            agent: None,
            port: Port::lease().unwrap(),
            hub_health: Port::lease().unwrap(),
            agent_health: Port::lease().unwrap(),
            sandbox,
            folder,
            _stop: stop.drop_guard(),
        };
        let server = bench.server();
        let init = ["init", "--state-dir", "hub", "--admin-config", "admin.yaml"];
        bench.run(
            "tidegate-hub",
            &[&init[..], &["--server", &server]].concat(),
        );
        bench.start_hub(hub).await;
        let token = bench.tidegate(&["cluster", "join-token", "dev"]);
        fs::write(bench.path().join("token"), token).unwrap();
        bench.start_agent(agent);
        bench.commit("one");
        bench
    }

    fn server(&self) -> String {
        format!("https://localhost:{}", self.port.number())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    pub(crate) async fn start_hub(&mut self, more: &[&str]) {
        self.start_hub_telling(more, None).await;
    }

    /// Starts the hub with its standard error there, or in its log.
    pub(crate) async fn start_hub_telling(&mut self, more: &[&str], stderr: Option<Stdio>) {
        let mut command = command_for(&product("tidegate-hub").unwrap());
        let address = |port: &Port| format!("127.0.0.1:{}", port.number());
        command
            .args(["serve", "--state-dir", "hub", "--allow-file-sources"])
            .args(["--listen", &address(&self.port)])
            .args(["--health-listen", &address(&self.hub_health)])
            .args(["--heartbeat-interval", "1s", "--git-poll-interval", "1h"])
            .args(["--log-format", "json"])
            .args(more)
            .current_dir(self.path());
        let log = self.path().join("hub.log");
        let process = Process::start_telling("hub", command, &log, stderr).unwrap();
        let ready = eventually("the hub ready", PATIENCE, || async {
            process.expect_running().map_err(|e| e.to_string())?;
            let answer = get(&self.hub_health, "/readyz").await?;
            if answer.starts_with("HTTP/1.0 200") {
                Ok(())
            } else {
                Err(answer)
            }
        });
        ready.await.unwrap();
        self.hub = Some(process);
    }

    pub(crate) fn start_agent(&mut self, more: &[&str]) {
        self.start_agent_telling(more, None);
    }

    /// Starts the agent with its standard error there, or in its log.
    pub(crate) fn start_agent_telling(&mut self, more: &[&str], stderr: Option<Stdio>) {
        let mut command = command_for(&product("tidegate-agent").unwrap());
        let health = format!("127.0.0.1:{}", self.agent_health.number());
        command
            .args(["--hub", &self.server(), "--state-dir", "agent"])
            .args(["--join-token-file", "token", "--kubeconfig", "kubeconfig"])
            .args(["--health-listen", &health, "--log-format", "json"])
            .args(more)
            .current_dir(self.path());
        let log = self.path().join("agent.log");
        let process = Process::start_telling("agent", command, &log, stderr);
        self.agent = Some(process.unwrap());
    }

    /// Ends the hub and returns its status.
    pub(crate) async fn end_hub(&mut self, signal: Signal) -> ExitStatus {
        end(&self.hub.take().unwrap(), signal).await
    }

    /// Ends the agent and returns its status.
    pub(crate) async fn end_agent(&mut self, signal: Signal) -> ExitStatus {
        end(&self.agent.take().unwrap(), signal).await
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(format!("{name}.log"))).unwrap()
    }

    /// The metrics of the hub or the agent.
    pub(crate) async fn metrics(&self, of: &str) -> Result<String, String> {
        let port = if of == "hub" {
            &self.hub_health
        } else {
            &self.agent_health
        };
        get(port, "/metrics").await
    }

    /// Waits until a metric has a value that fits, and returns it.
    pub(crate) async fn metric(&self, of: &str, name: &str, fits: impl Fn(f64) -> bool) -> f64 {
        let look = || async {
            let text = self.metrics(of).await?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.trim().parse().ok());
            match value {
                Some(value) if fits(value) => Ok(value),
                other => Err(format!("{name} is {other:?} in\n{text}")),
            }
        };
        eventually(name, PATIENCE, look).await.unwrap()
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let program: PathBuf = if program.starts_with("tidegate") {
            product(program).unwrap()
        } else {
            program.into()
        };
        let output = command_for(&program)
            .args(args)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("TIDEGATE_CONFIG", self.path().join("admin.yaml"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn tidegate(&self, args: &[&str]) -> String {
        self.run("tidegate", args)
    }

    /// Commits a workload with this image tag; returns the commit.
    pub(crate) fn commit(&self, tag: &str) -> String {
        let repo = self.path().join("repo");
        let git = |args: &[&str]| {
            let config = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
            let repo = repo.to_str().unwrap();
            self.run("git", &[&["-C", repo], &config[..], args].concat())
        };
        if !repo.exists() {
            fs::create_dir_all(repo.join("web")).unwrap();
            git(&["init", "-q", "-b", "main"]);
        }
        let settings = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings"}, "data": {"tag": tag}});
        fs::write(repo.join("web/settings.json"), settings.to_string()).unwrap();
        let web = deployment(tag).to_string();
        fs::write(repo.join("web/web.json"), web).unwrap();
        git(&["add", "."]);
        git(&["commit", "-qm", tag]);
        git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Applies the set that brings the repository to the cluster.
    pub(crate) fn apply(&self) {
        let repo = format!("file://{}", self.path().join("repo").display());
        let set = json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "ApplicationSet",
            "metadata": {"name": "web"},
            "spec": {
                "generators": [{"clusters": {}}],
                "template": {
                    "metadata": {"name": "web-{{.name}}"},
                    "spec": {
                        "source": {"repoURL": repo, "targetRevision": "main", "path": "web"},
                        "destination": {"name": "{{.name}}", "namespace": "default"}}},
                "strategy": {"type": "Waves", "waves": [
                    {"name": "all", "select": {"clusters": {}}, "healthWindow": "1s"}]}}});
        fs::write(self.path().join("set.json"), set.to_string()).unwrap();
        self.tidegate(&["apply", "-f", "set.json"]);
    }

    /// Waits until the set's latest run of this release is in this state.
    pub(crate) async fn run_is(&self, release: u64, state: &str) {
        // A long integer is a string in this JSON.
        let number = release.to_string();
        let look = || async {
            let text = self.tidegate(&["get", "runs", "--set", "web", "-o", "json"]);
            let runs: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            let run = &runs["items"][0];
            if run["state"] == state && run["release"] == number {
                Ok(())
            } else {
                Err(run.to_string())
            }
        };
        eventually("the run", PATIENCE, look).await.unwrap();
    }
}

async fn end(process: &Process, signal: Signal) -> ExitStatus {
    process.signal(signal).unwrap();
    ended(process).await
}

/// Waits until a process is over and returns its status.
pub(crate) async fn ended(process: &Process) -> ExitStatus {
    let what = format!("the end of the {}", process.name());
    let ended = eventually(&what, PATIENCE, || async {
        match process.status() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        }
    });
    ended.await.unwrap()
}

fn deployment(tag: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": format!("web:{tag}")}]}}}})
}

fn kubeconfig(server: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Config", "current-context": "dev",
        "clusters": [{"name": "dev", "cluster": {"server": server}}],
        "users": [{"name": "dev", "user": {}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "dev"}}]})
}

/// The whole answer of a plain port.
async fn get(port: &Port, path: &str) -> Result<String, String> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port.number())).await?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(Duration::from_secs(5), ask).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}
