//! One real cluster: who may talk to it, and its outages.
//!
//! Owns an API server with state of its own on the fleet's etcd, a controller
//! manager and a fake kubelet, and every way a test reaches them. It never
//! touches the machine's own kubeconfig.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{
    authority::{Authority, User},
    binaries::Binaries,
    error::Error,
    kubelet::FakeKubelet,
    ports::Port,
    process::{Process, Signal, command_for},
    servers::{ApiServer, START_DEADLINE, start_controllers, uri},
    wait::eventually,
};

/// How long a client of the harness waits for a silent server.
const PATIENCE: Duration = Duration::from_secs(65);
/// How long one kubectl command may take.
const KUBECTL: Duration = Duration::from_mins(2);
/// How long a server may take to end in good order. It refuses connections at
/// once, but ends only when its last watch does, which may be a minute later;
/// what it holds is in etcd by then.
const GRACE: Duration = Duration::from_secs(3);

/// A cluster of a [`super::Fleet`]; it ends with the fleet.
#[derive(Debug)]
pub struct Cluster {
    // First, so that it is the first to end.
    kubelet: FakeKubelet,
    controllers: Option<Process>,
    // None while stopped. The lock is never held across an await.
    apiserver: Mutex<Option<Arc<Process>>>,
    port: Port,
    name: String,
    folder: PathBuf,
    etcd: String,
    binaries: Binaries,
    authority: Authority,
}

impl Cluster {
    /// Starts a cluster and waits until its server, its controllers and its
    /// node work.
    pub(crate) async fn start(
        name: &str,
        folder: PathBuf,
        etcd: &str,
        binaries: &Binaries,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder)
            .map_err(Error::io(format!("make {}", folder.display())))?;
        let authority = Authority::create(name, &folder)?;
        let server = ApiServer {
            cluster: name,
            folder: &folder,
            etcd,
            binaries,
        };
        let (apiserver, port) = server
            .start(|port| authority.client(User::Admin, &uri(&url(port))?, PATIENCE))
            .await?;
        let url = url(port.number());
        for user in User::ALL {
            authority.write_kubeconfig(user, &url, &kubeconfig(&folder, user))?;
        }
        let controllers = binaries
            .controller_manager
            .as_ref()
            .map(|program| {
                start_controllers(
                    program,
                    name,
                    &folder,
                    &kubeconfig(&folder, User::ControllerManager),
                )
            })
            .transpose()?;
        let client = authority.client(User::Kubelet, &uri(&url)?, PATIENCE)?;
        let cluster = Self {
            kubelet: FakeKubelet::start(client),
            controllers,
            apiserver: Mutex::new(Some(Arc::new(apiserver))),
            port,
            name: name.to_owned(),
            folder,
            etcd: etcd.to_owned(),
            binaries: binaries.clone(),
            authority,
        };
        cluster.until_controlled().await?;
        cluster.kubelet.until_registered(START_DEADLINE).await?;
        Ok(cluster)
    }

    /// Its name, which is also its key prefix in etcd.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of its API server, the same for the cluster's whole life.
    pub fn url(&self) -> String {
        url(self.port.number())
    }

    /// The folder of its logs and keys.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_for(User::Admin)
    }

    /// The path of a user's kubeconfig: one file, no references to others.
    pub fn kubeconfig_for(&self, user: User) -> PathBuf {
        kubeconfig(&self.folder, user)
    }

    /// A client of the administrator; see [`Cluster::kube_client_for`].
    ///
    /// # Errors
    ///
    /// [`Error::Kube`] when TLS cannot be set up.
    pub fn kube_client(&self) -> Result<kube::Client, Error> {
        self.kube_client_for(User::Admin)
    }

    /// A client of this user. It never retries by itself, and gives up on a
    /// server that is silent for 65 seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Kube`] when TLS cannot be set up.
    pub fn kube_client_for(&self, user: User) -> Result<kube::Client, Error> {
        self.authority.client(user, &uri(&self.url())?, PATIENCE)
    }

    /// The scripted node of the cluster.
    pub fn kubelet(&self) -> &FakeKubelet {
        &self.kubelet
    }

    /// Runs kubectl as the administrator; a refusal is an [`Output`], not an error.
    ///
    /// # Errors
    ///
    /// As [`Cluster::kubectl_as`].
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Output, Error> {
        self.kubectl_as(User::Admin, arguments, "").await
    }

    /// Runs kubectl as this user, with `input` on its stdin (for `-f -`).
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] without a kubectl, [`Error::Io`] when it cannot be
    /// run, [`Error::Deadline`] when it takes longer than two minutes.
    pub async fn kubectl_as(
        &self,
        user: User,
        arguments: &[&str],
        input: &str,
    ) -> Result<Output, Error> {
        let shown = format!("run kubectl {} on {}", arguments.join(" "), self.name);
        let Some(program) = &self.binaries.kubectl else {
            let missing = "the control plane has no kubectl; set TIDEGATE_KUBECTL".to_owned();
            return Err(Error::Missing {
                what: shown,
                missing,
            });
        };
        let mut command = tokio::process::Command::from(command_for(program));
        command
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig_for(user))
            // Its caches and preferences live below the home folder.
            .env("HOME", &self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let run = async {
            let mut child = command.spawn()?;
            let stdin = child.stdin.take();
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // A command that does not read its input closes it; its status says the rest.
                    let _ = stdin.write_all(input.as_bytes()).await;
                }
            };
            let ((), output) = futures::join!(feed, child.wait_with_output());
            output
        };
        match timeout(KUBECTL, run).await {
            Ok(output) => output.map_err(Error::io(shown)),
            Err(_elapsed) => Err(Error::Deadline {
                what: format!("the end of \"{shown}\""),
                within: KUBECTL,
                last: "it runs".to_owned(),
            }),
        }
    }

    /// Makes the API server silent: connections stay open, nothing is answered.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when it is stopped, and those of [`Process::pause`].
    pub async fn pause(&self) -> Result<(), Error> {
        let process = self.running("pause")?;
        process.pause().await
    }

    /// Lets a paused API server go on where it was.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when it is stopped, [`Error::Io`] when the signal fails.
    pub fn resume(&self) -> Result<(), Error> {
        self.running("resume")?.signal(Signal::Continue)
    }

    /// Ends the API server; connections to its port are refused from then on.
    /// Its state stays in etcd. Does nothing when it is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the process cannot be ended.
    pub async fn stop(&self) -> Result<(), Error> {
        let process = self.apiserver().take();
        match process {
            Some(process) => process.end(GRACE).await,
            None => Ok(()),
        }
    }

    /// Starts a stopped API server with the state, keys and port it had, and
    /// waits until it is ready. Does nothing when it runs.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] or [`Error::Deadline`] with the end of the server's log.
    pub async fn start_again(&self) -> Result<(), Error> {
        if self.apiserver().is_some() {
            return Ok(());
        }
        let (cluster, folder, etcd, binaries) =
            (&*self.name, &*self.folder, &*self.etcd, &self.binaries);
        let server = ApiServer {
            cluster,
            folder,
            etcd,
            binaries,
        };
        let process = server
            .restart(self.port.number(), self.kube_client()?)
            .await?;
        *self.apiserver() = Some(Arc::new(process));
        Ok(())
    }

    /// The ids of its running processes.
    pub fn pids(&self) -> Vec<u32> {
        let apiserver = self.apiserver().as_ref().map(|process| process.pid());
        let controllers = self.controllers.as_ref().map(Process::pid);
        apiserver.into_iter().chain(controllers).collect()
    }

    fn apiserver(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.apiserver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, what: &str) -> Result<Arc<Process>, Error> {
        self.apiserver().clone().ok_or_else(|| Error::Missing {
            what: format!("{what} kube-apiserver of {}", self.name),
            missing: "it is stopped; start it first".to_owned(),
        })
    }

    /// The controllers work once one of them has made its first object.
    async fn until_controlled(&self) -> Result<(), Error> {
        let Some(controllers) = &self.controllers else {
            return Ok(());
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.kube_client()?, "default");
        let what = format!("{} at work", controllers.name());
        let working = eventually(&what, START_DEADLINE, || async {
            if let Err(ended) = controllers.expect_running() {
                return Ok(Err(ended));
            }
            match accounts.get_opt("default").await {
                Ok(Some(_)) => Ok(Ok(())),
                Ok(None) => Err("no service account default/default".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
        working.await?
    }
}

fn url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

fn kubeconfig(folder: &Path, user: User) -> PathBuf {
    folder.join(format!("{user}.kubeconfig"))
}
