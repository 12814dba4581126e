//! A real Prometheus that scrapes one address of a test.
//!
//! Owns finding the program and its process from start to end. Never looks at what it measures.

use std::{env, fs, net::SocketAddr, path::PathBuf, process::Command, sync::OnceLock};

use super::{
    binaries::{fail, skip},
    error::Error,
    ports::Port,
    process::{Process, command_for},
    scratch::Scratch,
    script::{self, Trouble},
    servers::{get, on_a_free_port, plain_client, until_ready},
};

/// Names the program where the machine brings one.
const VARIABLE: &str = "TIDEGATE_PROMETHEUS";

/// The program, for the test of this name; `None` when the machine cannot have it.
///
/// The first call may download it. The skip is reported on stderr, past the capture of test output.
///
/// # Panics
///
/// When it cannot be had and `TIDEGATE_REQUIRE_REAL=1`; when the variable names no file; when the
/// download fails.
pub fn require_prometheus(test: &str) -> Option<PathBuf> {
    static FOUND: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    match FOUND.get_or_init(find) {
        Ok(Some(program)) => Some(program.clone()),
        Ok(None) => {
            let reason = format!("no Prometheus: this is no Debian, and {VARIABLE} is not set");
            skip(test, &reason);
            None
        }
        Err(reason) => fail(test, reason),
    }
}

fn find() -> Result<Option<PathBuf>, String> {
    let named = env::var_os(VARIABLE).filter(|path| !path.is_empty());
    if let Some(path) = named.map(PathBuf::from) {
        let wrong = format!("{VARIABLE} names {}, which is not a file", path.display());
        return path.is_file().then_some(Some(path)).ok_or(wrong);
    }
    match script::run("prometheus/install.sh") {
        Ok(program) => Ok(Some(program)),
        Err(Trouble::Lacks) => Ok(None),
        Err(Trouble::Failed(reason)) => Err(reason),
    }
}

/// A running server; dropped, it is killed and its data goes.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    port: Port,
    // After the process, which writes into it.
    _scratch: Scratch,
}

impl Prometheus {
    /// Starts it with a scrape of `/metrics` at `target` every second.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] or [`Error::Deadline`] with the end of its log.
    pub async fn start(program: PathBuf, target: SocketAddr) -> Result<Self, Error> {
        let scratch = Scratch::create()?;
        let folder = scratch.path();
        let configuration = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs:\n\
             - job_name: workload\n  static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        fs::write(folder.join("prometheus.yml"), configuration)
            .map_err(Error::io("write the configuration of Prometheus"))?;
        let (process, port) = on_a_free_port(async |port| {
            let mut command: Command = command_for(&program);
            command.args([
                format!("--web.listen-address=127.0.0.1:{}", port.number()),
                format!("--config.file={}", folder.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
            ]);
            let log = folder.join("prometheus.log");
            let process = Process::start("prometheus", command, &log)?;
            let client = plain_client(&url(port))?;
            until_ready(process, || get(client.clone(), "/-/ready")).await
        })
        .await?;
        Ok(Self {
            process,
            port,
            _scratch: scratch,
        })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        url(&self.port)
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn url(port: &Port) -> String {
    format!("http://127.0.0.1:{}", port.number())
}
