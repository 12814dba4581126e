//! The servers of a control plane: how each is started and known to be ready.
//!
//! Owns the flags, the readiness probes and the answer to a port that a
//! stranger took. It does not know which servers make a cluster.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    binaries::Binaries,
    error::Error,
    ports::Port,
    process::{Process, Signal, command_for},
    scratch::Scratch,
    wait::eventually,
};

/// How long a server may take to be ready. Generous: a busy machine builds and
/// starts ten of them at once.
pub(crate) const START_DEADLINE: Duration = Duration::from_mins(3);

/// How long one readiness probe may take.
pub(crate) const PROBE: Duration = Duration::from_secs(5);

/// Ports tried before a taken port counts as a failure.
const ATTEMPTS: usize = 5;

/// Why a server is not up.
pub(super) enum Refusal {
    /// A stranger has its port.
    PortTaken,
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A running etcd and where it listens; dropped, it is killed.
#[derive(Debug)]
pub struct Etcd {
    pub(crate) url: String,
    pub(crate) process: Process,
    port: Port,
    program: PathBuf,
    flags: Vec<String>,
    folder: PathBuf,
    // After the process, which writes into it.
    scratch: Option<Scratch>,
}

impl Etcd {
    /// Starts an etcd of its own, whose state goes with it.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] or [`Error::Deadline`] with the end of its log.
    pub async fn alone(binaries: &Binaries) -> Result<Self, Error> {
        Self::alone_with(binaries, &[]).await
    }

    /// The same with more flags.
    ///
    /// # Errors
    ///
    /// As [`Self::alone`].
    pub async fn alone_with(binaries: &Binaries, flags: &[String]) -> Result<Self, Error> {
        let scratch = Scratch::create()?;
        let mut etcd = Self::start_with(binaries, scratch.path(), flags).await?;
        etcd.scratch = Some(scratch);
        Ok(etcd)
    }

    /// Starts etcd with its data and log in `folder`, on a port of its own.
    pub(crate) async fn start(binaries: &Binaries, folder: &Path) -> Result<Self, Error> {
        Self::start_with(binaries, folder, &[]).await
    }

    async fn start_with(
        binaries: &Binaries,
        folder: &Path,
        flags: &[String],
    ) -> Result<Self, Error> {
        let (process, port) = on_a_free_port(async |port| {
            run_etcd(&binaries.etcd, folder, port.number(), flags).await
        })
        .await?;
        Ok(Self {
            flags: flags.to_vec(),
            url: etcd_url(port.number()),
            process,
            port,
            program: binaries.etcd.clone(),
            folder: folder.to_owned(),
            scratch: None,
        })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it without a chance to say good-bye, and waits for its end. What it answered for is on
    /// disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal fails, [`Error::Deadline`] when it does not end.
    pub async fn kill(&self) -> Result<(), Error> {
        self.process.signal(Signal::Kill)?;
        eventually("etcd ended", START_DEADLINE, || async {
            match self.process.status() {
                Ok(None) => Err("it still runs".to_owned()),
                Ok(Some(_)) => Ok(Ok(())),
                Err(error) => Ok(Err(error)),
            }
        })
        .await?
    }

    /// Loses all that it has stored, after [`Self::kill`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when its data cannot be removed.
    pub fn forget(&self) -> Result<(), Error> {
        std::fs::remove_dir_all(self.folder.join("etcd"))
            .map_err(Error::io("remove the data of etcd"))
    }

    /// Starts it again with the state and port it had, after [`Self::kill`].
    ///
    /// # Errors
    ///
    /// As [`Self::alone`].
    pub async fn start_again(&mut self) -> Result<(), Error> {
        let (program, folder, port) = (&self.program, &self.folder, self.port.number());
        let flags = &self.flags;
        let what = format!("port {port} free again for etcd");
        let started = eventually(&what, START_DEADLINE, || async {
            match run_etcd(program, folder, port, flags).await {
                Ok(process) => Ok(Ok(process)),
                Err(Refusal::Failed(error)) => Ok(Err(error)),
                Err(Refusal::PortTaken) => Err("a stranger listens on it".to_owned()),
            }
        });
        self.process = started.await??;
        Ok(())
    }
}

fn etcd_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

async fn run_etcd(
    program: &Path,
    folder: &Path,
    port: u16,
    flags: &[String],
) -> Result<Process, Refusal> {
    let url = etcd_url(port);
    let mut command = command_for(program);
    command.arg("--data-dir").arg(folder.join("etcd")).args([
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        // Nobody joins: any port will do.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
    ]);
    command.args(flags);
    let process = Process::start("etcd", command, &folder.join("etcd.log"))?;
    let client = plain_client(&url)?;
    until_ready(process, || get(client.clone(), "/health")).await
}

/// What an API server needs to know, but for its port.
#[derive(Debug)]
pub(crate) struct ApiServer<'a> {
    /// Name of the cluster, and its key prefix in etcd.
    pub(crate) cluster: &'a str,
    /// The cluster's folder.
    pub(crate) folder: &'a Path,
    /// The URL of etcd.
    pub(crate) etcd: &'a str,
    /// The programs.
    pub(crate) binaries: &'a Binaries,
}

impl ApiServer<'_> {
    /// Starts it on a fresh port. `client` makes a client of a port.
    pub(crate) async fn start(
        &self,
        client: impl Fn(u16) -> Result<kube::Client, Error>,
    ) -> Result<(Process, Port), Error> {
        on_a_free_port(async |port| self.run(port.number(), client(port.number())?).await).await
    }

    /// Starts it on the port it had, and waits for a stranger there to leave.
    pub(crate) async fn restart(&self, port: u16, client: kube::Client) -> Result<Process, Error> {
        let what = format!(
            "port {port} free again for kube-apiserver of {}",
            self.cluster
        );
        let started = eventually(&what, START_DEADLINE, || async {
            match self.run(port, client.clone()).await {
                Ok(process) => Ok(Ok(process)),
                Err(Refusal::Failed(error)) => Ok(Err(error)),
                Err(Refusal::PortTaken) => Err("a stranger listens on it".to_owned()),
            }
        });
        started.await?
    }

    async fn run(&self, port: u16, client: kube::Client) -> Result<Process, Refusal> {
        let name = format!("kube-apiserver of {}", self.cluster);
        let process = Process::start(
            &name,
            self.command(port),
            &self.folder.join("apiserver.log"),
        )?;
        until_ready(process, || get(client.clone(), "/readyz")).await
    }

    fn command(&self, port: u16) -> Command {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut command = command_for(&self.binaries.apiserver);
        command.args([
            format!("--etcd-servers={}", self.etcd),
            format!("--etcd-prefix=/{}", self.cluster),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={}", file("certs")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--anonymous-auth=false".to_owned(),
            "--profiling=false".to_owned(),
        ]);
        command
    }
}

/// Starts the controller manager of a cluster. It is ready when it has made the
/// first object of a controller, which is for the caller to see.
pub(crate) fn start_controllers(
    program: &Path,
    cluster: &str,
    folder: &Path,
    kubeconfig: &Path,
) -> Result<Process, Error> {
    const CONTROLLERS: &str = "deployment-controller,replicaset-controller,statefulset-controller,\
        daemonset-controller,job-controller,garbage-collector-controller,namespace-controller,\
        serviceaccount-controller";
    let mut command = command_for(program);
    for flag in [
        "kubeconfig",
        "authentication-kubeconfig",
        "authorization-kubeconfig",
    ] {
        command.arg(format!("--{flag}={}", kubeconfig.display()));
    }
    command.args([
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            folder.join("sa.key").display()
        ),
        format!("--controllers={CONTROLLERS}"),
    ]);
    let name = format!("kube-controller-manager of {cluster}");
    Process::start(&name, command, &folder.join("controller-manager.log"))
}

/// Runs `start` on one fresh port after another until it is not a stranger's.
pub(super) async fn on_a_free_port(
    start: impl AsyncFn(&Port) -> Result<Process, Refusal>,
) -> Result<(Process, Port), Error> {
    for _ in 0..ATTEMPTS {
        let port = Port::lease()?;
        match start(&port).await {
            Ok(process) => return Ok((process, port)),
            Err(Refusal::PortTaken) => {}
            Err(Refusal::Failed(error)) => return Err(error),
        }
    }
    Err(Error::Missing {
        what: "start a server".to_owned(),
        missing: format!("{ATTEMPTS} ports in a row were taken by others after they were leased"),
    })
}

/// Waits until `probe` answers or the process ends.
pub(super) async fn until_ready<Fut>(
    process: Process,
    probe: impl Fn() -> Fut,
) -> Result<Process, Refusal>
where
    Fut: Future<Output = Result<(), String>>,
{
    let what = format!("{} ready", process.name());
    let ready = eventually(&what, START_DEADLINE, || async {
        match process.expect_running() {
            Ok(()) => probe().await.map(|()| Ok(())),
            Err(ended) => Ok(Err(ended)),
        }
    });
    match ready.await {
        Ok(Ok(())) => Ok(process),
        Ok(Err(Error::Ended { tail, .. })) if tail.contains("address already in use") => {
            Err(Refusal::PortTaken)
        }
        Ok(Err(ended)) => Err(ended.into()),
        Err(Error::Deadline { what, within, last }) => {
            let last = format!(
                "{last}; end of {}:\n{}",
                process.log().display(),
                process.log_tail()
            );
            Err(Error::Deadline { what, within, last }.into())
        }
        Err(other) => Err(other.into()),
    }
}

/// Whether a GET of this path succeeds within [`PROBE`].
pub(super) async fn get(client: kube::Client, path: &str) -> Result<(), String> {
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(PROBE, client.request_text(request)).await {
        Ok(Ok(_body)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("no answer to GET {path} within {PROBE:?}")),
    }
}

/// A client of a server without TLS and users.
pub(super) fn plain_client(url: &str) -> Result<kube::Client, Error> {
    let mut config = kube::Config::new(uri(url)?);
    config.default_retry = false;
    kube::Client::try_from(config).map_err(Error::kube(format!("make a client of {url}")))
}

/// Parses a URL of the harness's own making.
pub(crate) fn uri(url: &str) -> Result<http::Uri, Error> {
    url.parse()
        .map_err(|error: http::uri::InvalidUri| Error::Missing {
            what: format!("read the URL {url}"),
            missing: error.to_string(),
        })
}
