//! One test's world: a hub on a free port, a configuration file, and the binary.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tidegate::config::{Config, Context, Reserved};
use tidegate_proto::v1::fleet_server::FleetServer;
use tokio::{
    process::{Child, Command},
    runtime::{Builder, Runtime},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::{
    fleet::Canned,
    pki::{Authority, Pair, Valid},
};

/// The longest that a command may take before its test fails.
const LIMIT: Duration = Duration::from_mins(1);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The results, if it went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.out
    }

    /// The words of the error, if it ended with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.err.contains("error: "), "{self:#?}");
        self.err
    }
}

/// A running hub and who speaks to it.
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) config: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) hub: Arc<Canned>,
    pub(crate) authority: Arc<Authority>,
    identity: Pair,
    serving: Serving,
}

/// The hub's server, until it is stopped or dropped. It has a runtime of its own and ends with that as
/// a process does: a server that is told to stop waits for open streams, and they may have no end.
struct Serving(Option<Runtime>);

impl Serving {
    fn start(listener: TcpListener, hub: &Arc<Canned>, authority: &Authority, it: Pair) -> Self {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(it.certificate, it.key))
            .client_ca_root(Certificate::from_pem(&authority.pem));
        listener.set_nonblocking(true).unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(FleetServer::from_arc(Arc::clone(hub)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        drop(inside);
        Self(Some(runtime))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl World {
    /// A hub and a person that trust each other.
    pub(crate) fn new() -> Self {
        let authority = Authority::new("tidegate");
        let hub = authority.hub("localhost", Valid::Now);
        Self::with(authority, hub)
    }

    /// A hub with this certificate.
    pub(crate) fn with(authority: Authority, identity: Pair) -> Self {
        // Another test may have been first; the provider is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = Arc::new(authority);
        let hub = Arc::new(Canned::new(Arc::clone(&authority)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Serving::start(listener, &hub, &authority, identity.clone());
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.yaml");
        let world = Self {
            directory,
            config,
            address,
            hub,
            authority,
            identity,
            serving,
        };
        let kim = world.authority.person("kim", Valid::Now);
        configure(&world.config, &world.server(), &world.authority.pem, kim);
        world
    }

    /// The hub ends: connections are closed, and nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        let runtime = self.serving.0.take();
        let runtime = runtime.expect("the hub was stopped before");
        let ended = tokio::task::spawn_blocking(|| drop(runtime));
        ended.await.unwrap();
    }

    /// The hub is there again, at the same address.
    pub(crate) fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        let identity = self.identity.clone();
        self.serving = Serving::start(listener, &self.hub, &self.authority, identity);
    }

    /// Where the hub answers.
    pub(crate) fn server(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The binary with these arguments and nothing in its environment but a home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.directory.path())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts a command as the configured person.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .env("TIDEGATE_CONFIG", &self.config)
            .spawn()
            .unwrap()
    }

    /// Runs a command as the configured person.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        ran(command.env("TIDEGATE_CONFIG", &self.config)).await
    }

    /// Runs a command line, split at spaces.
    pub(crate) async fn line(&self, line: &str) -> Ran {
        self.run(&line.split(' ').collect::<Vec<_>>()).await
    }

    /// A file in the test's directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// Writes a configuration file.
pub(crate) fn configure(path: &Path, server: &str, ca: &str, person: Pair) {
    let context = Context {
        name: "test".to_owned(),
        server: server.to_owned(),
        ca_data: ca.to_owned(),
        certificate_data: person.certificate,
        key_data: person.key,
    };
    Reserved::make(path)
        .unwrap()
        .fill(&Config::single(context))
        .unwrap();
}

/// Runs a command to its end.
pub(crate) async fn ran(command: &mut Command) -> Ran {
    let output = tokio::time::timeout(LIMIT, command.output());
    let output = output.await.expect("the command does not end").unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
