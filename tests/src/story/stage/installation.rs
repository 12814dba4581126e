//! The hub and the agents of a story: the shipped binaries as processes.
//!
//! Owns their flags, folders and logs.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{super::proxy::Proxy, records::Records};
use crate::harness::{Error, Port, Process, Signal, command_for, eventually};

/// How long the hub may take until it is ready, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// Path of a binary of the product, built as the tests are.
///
/// # Errors
///
/// When it cannot be built.
pub fn product(name: &str) -> Result<PathBuf, Error> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER
        .get_or_init(build)
        .clone()
        .map_err(|problem| Error::Missing {
            what: "build the product".to_owned(),
            missing: problem,
        })?;
    Ok(folder.join(name))
}

/// Builds the binaries next to the running test, so that a story never runs an older product.
fn build() -> Result<PathBuf, String> {
    let test = env::current_exe().map_err(|error| error.to_string())?;
    // A test lies one folder deeper than a program.
    let folder = test
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .ok_or("the test lies in no target folder")?;
    let target = folder.parent().ok_or("the test lies in no target folder")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--bins", "--target-dir"])
        .arg(target)
        .args([
            "-p",
            "tidegate",
            "-p",
            "tidegate-hub",
            "-p",
            "tidegate-agent",
        ])
        .current_dir(super::workspace());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(folder.to_owned())
}

/// The hub.
#[derive(Debug)]
pub(super) struct Hub {
    // The hub ends before what it keeps its records in.
    process: Option<Process>,
    /// The file that its clock heeds.
    clock: Option<String>,
    records: Records,
    folder: PathBuf,
    port: Port,
    health: Port,
}

impl Hub {
    /// Makes a hub in `folder`, with `admin.yaml` beside it.
    pub(super) fn init(folder: &Path, records: Records) -> Result<Self, Error> {
        let hub = Self {
            process: None,
            clock: None,
            records,
            folder: folder.to_owned(),
            port: Port::lease()?,
            health: Port::lease()?,
        };
        hub.run_init("hub", "admin.yaml")?;
        Ok(hub)
    }

    fn run_init(&self, state: &str, config: &str) -> Result<(), Error> {
        let output = command_for(&product("tidegate-hub")?)
            .args(["init", "--state-dir", state, "--admin-config", config])
            .args([
                "--server",
                &format!("https://localhost:{}", self.port.number()),
            ])
            .args(self.records.flags())
            .current_dir(&self.folder)
            .output()
            .map_err(Error::io("run tidegate-hub init"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Missing {
            what: "make a hub".to_owned(),
            missing: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number()))
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Where its plain port listens.
    pub(super) fn health(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.health.number()))
    }

    fn log(&self) -> PathBuf {
        self.folder.join("hub.log")
    }

    /// Starts it, from now on with the clock that `file` says.
    pub(super) async fn start_at(&mut self, file: &str) -> Result<(), Error> {
        self.clock = Some(file.to_owned());
        self.start(None).await
    }

    /// Starts it and waits until it is ready. With `limit` no file of it grows beyond so many KiB,
    /// which is what a full disk is to it.
    pub(super) async fn start(&mut self, limit: Option<u32>) -> Result<(), Error> {
        let program = product("tidegate-hub")?;
        let mut command = match limit {
            Some(kib) => limited(&program, kib),
            None => command_for(&program),
        };
        let health = self.health().to_string();
        command
            .args(["serve", "--state-dir", "hub", "--allow-file-sources"])
            .args([
                "--listen",
                &self.address().to_string(),
                "--health-listen",
                &health,
            ])
            .args(["--heartbeat-interval", "1s", "--git-poll-interval", "1h"])
            .args(["--log", "info,tidegate_hub=debug"])
            .args(self.records.flags())
            .current_dir(&self.folder);
        if let Some(clock) = &self.clock {
            command.args(["--test-clock-file", clock]);
        }
        let process = Process::start("hub", command, &self.log())?;
        let health = SocketAddr::from(([127, 0, 0, 1], self.health.number()));
        let ready = eventually("the hub ready", PATIENCE, || async {
            process
                .expect_running()
                .map_err(|error| error.to_string())?;
            let asked = tokio::time::timeout(Duration::from_secs(2), get(health, "/readyz")).await;
            match asked {
                Ok(Ok(answer)) if answer.starts_with("HTTP/1.0 200") => Ok(()),
                Ok(Ok(answer)) => Err(answer),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("it does not answer".to_owned()),
            }
        });
        ready.await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it without a warning.
    pub(super) async fn kill(&mut self) -> Result<(), Error> {
        end(&mut self.process, Signal::Kill).await
    }

    /// Ends it in good order.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        end(&mut self.process, Signal::Terminate).await
    }

    /// Replaces its store by an empty one; its identity stays, as after a volume was lost and the
    /// keys were restored.
    pub(super) async fn forget(&mut self) -> Result<(), Error> {
        self.records.forget().await?;
        self.run_init("empty", "empty.yaml")?;
        let swap = || {
            let (old, new) = (self.folder.join("hub"), self.folder.join("empty"));
            fs::remove_dir_all(new.join("identity"))?;
            fs::rename(old.join("identity"), new.join("identity"))?;
            fs::remove_dir_all(&old)?;
            fs::rename(new, old)
        };
        swap().map_err(Error::io("empty the hub's store"))
    }

    /// Loses all that it has: its state directory goes to `lost`, its etcd is empty.
    pub(super) async fn lose(&mut self) -> Result<(), Error> {
        self.records.forget().await?;
        let lost = self.folder.join("lost");
        fs::rename(self.folder.join("hub"), lost).map_err(Error::io("move the hub away"))
    }

    /// Flags that say where its records are.
    pub(super) fn store_flags(&self) -> Vec<String> {
        self.records.flags()
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        tail("hub", &self.log())
    }
}

/// An agent and its wire to the hub.
#[derive(Debug)]
pub(super) struct Agent {
    /// Name of its cluster.
    pub(super) name: String,
    /// What it reaches the hub through.
    pub(super) wire: Proxy,
    folder: PathBuf,
    kubeconfig: PathBuf,
    health: Port,
    process: Option<Process>,
}

impl Agent {
    /// An agent that has not started.
    pub(super) async fn new(
        name: &str,
        folder: &Path,
        hub: SocketAddr,
        kubeconfig: PathBuf,
    ) -> Result<Self, Error> {
        let wire = Proxy::start(hub).await.map_err(Error::io("start a wire"))?;
        let (name, folder) = (name.to_owned(), folder.to_owned());
        Ok(Self {
            name,
            wire,
            folder,
            kubeconfig,
            health: Port::lease()?,
            process: None,
        })
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("agent-{}.log", self.name))
    }

    fn state(&self) -> PathBuf {
        self.folder.join(format!("agent-{}", self.name))
    }

    /// Starts it; it joins by itself.
    pub(super) fn start(&mut self) -> Result<(), Error> {
        let mut command = command_for(&product("tidegate-agent")?);
        let token = self.folder.join(format!("token-{}", self.name));
        command
            .args([
                "--hub",
                &format!("https://localhost:{}", self.wire.address().port()),
            ])
            .arg("--state-dir")
            .arg(self.state())
            .arg("--join-token-file")
            .arg(token)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args([
                "--health-listen",
                &format!("127.0.0.1:{}", self.health.number()),
            ])
            .args(["--log", "info,tidegate_agent=debug"])
            .current_dir(&self.folder);
        self.process = Some(Process::start(
            &format!("agent {}", self.name),
            command,
            &self.log(),
        )?);
        Ok(())
    }

    /// Ends it without a warning.
    pub(super) async fn kill(&mut self) -> Result<(), Error> {
        end(&mut self.process, Signal::Kill).await
    }

    /// Its node is lost: what was on its disk is gone.
    pub(super) fn lose_disk(&self) -> Result<(), Error> {
        fs::remove_dir_all(self.state()).map_err(Error::io("remove an agent's folder"))
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        tail(&format!("agent {}", self.name), &self.log())
    }
}

/// The whole answer of a plain port.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A command for `program` that cannot write beyond `kib` KiB of a file and is told so instead of
/// being killed. `prlimit` can lift the limit again.
fn limited(program: &Path, kib: u32) -> Command {
    let mut command = command_for(Path::new("/bin/bash"));
    let script = r#"trap '' XFSZ; ulimit -S -f "$1"; shift; exec "$@""#;
    command
        .args(["-c", script, "limited", &kib.to_string()])
        .arg(program);
    command
}

async fn end(process: &mut Option<Process>, signal: Signal) -> Result<(), Error> {
    let Some(running) = process.take() else {
        return Ok(());
    };
    running.signal(signal)?;
    eventually("the end of the process", PATIENCE, || async {
        match running.status() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

fn tail(name: &str, log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(40)..].join("\n");
    format!("--- end of the log of {name}\n{last}\n")
}
