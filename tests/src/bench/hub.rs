//! The hub of a benchmark: the shipped binary as a process, and its API over mutual TLS.
//!
//! Owns the process, its folder, and a client. Uses the defaults that ship, but for Git sources,
//! which it is told of.

use std::{path::Path, time::Duration};

use serde_json::Value;
use tidegate_proto::v1::{self as wire, fleet_client::FleetClient};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::Error;
use crate::{
    harness::{Port, Process, command_for, eventually},
    story::stage::product,
};

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer of the API, bytes.
const LARGEST: usize = 256 << 20;

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    process: Process,
    port: Port,
    fleet: FleetClient<Channel>,
}

impl Hub {
    /// Makes a hub in this folder and runs it.
    ///
    /// # Errors
    ///
    /// When it cannot be made or does not answer.
    pub async fn start(folder: &Path) -> Result<Self, Error> {
        let (port, health) = (Port::lease()?, Port::lease()?);
        let program = product("tidegate-hub")?;
        let server = format!("https://localhost:{}", port.number());
        let config = folder.join("admin.yaml");
        let made = command_for(&program)
            .args(["init", "--state-dir", "hub", "--admin-config", "admin.yaml"])
            .args(["--server", &server])
            .current_dir(folder)
            .output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into());
        }
        let mut command = command_for(&program);
        command
            .args(["serve", "--state-dir", "hub", "--allow-file-sources"])
            .args(["--listen", &format!("127.0.0.1:{}", port.number())])
            .args(["--health-listen", &format!("127.0.0.1:{}", health.number())])
            // Commits are announced.
            .args(["--git-poll-interval", "1h"])
            .current_dir(folder);
        let process = Process::start("hub", command, &folder.join("hub.log"))?;
        let endpoint = endpoint(&config)?;
        let channel = eventually("the hub", PATIENCE, || async {
            let running = process.expect_running();
            running.map_err(|error| error.to_string())?;
            endpoint.connect().await.map_err(|error| error.to_string())
        });
        let fleet = FleetClient::new(channel.await?).max_decoding_message_size(LARGEST);
        Ok(Self {
            process,
            port,
            fleet,
        })
    }

    /// The port that agents dial.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its API.
    pub fn fleet(&self) -> FleetClient<Channel> {
        self.fleet.clone()
    }

    /// Applies a document.
    ///
    /// # Errors
    ///
    /// The hub's.
    pub async fn apply(&self, document: &str) -> Result<(), Error> {
        let file = wire::SourceFile {
            name: "bench.yaml".to_owned(),
            content: document.as_bytes().to_vec(),
        };
        let request = wire::ApplyRequest {
            files: vec![file],
            dry_run: false,
        };
        self.fleet().apply(request).await?;
        Ok(())
    }

    /// The latest run of a set, when it is of this commit and has ended.
    ///
    /// # Errors
    ///
    /// The hub's, or the run ended otherwise than well.
    pub async fn ended(&self, set: &str, commit: &str) -> Result<wire::Run, Error> {
        loop {
            let request = wire::GetRunRequest {
                set: set.to_owned(),
                ..wire::GetRunRequest::default()
            };
            let mut states = self.fleet().watch_run(request).await?.into_inner();
            while let Some(run) = states.message().await? {
                let ours = run.sources.iter().any(|source| source.commit == commit);
                if !run.terminal || !ours {
                    continue;
                }
                if run.state != "Succeeded" {
                    return Err(
                        format!("the run of {set} ended {}: {:?}", run.state, run.cause).into(),
                    );
                }
                return Ok(run);
            }
            // The run before is over, and the one of this commit has not begun.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn endpoint(config: &Path) -> Result<Endpoint, Error> {
    let config: Value = serde_yaml::from_str(&std::fs::read_to_string(config)?)?;
    let context = &config["contexts"][0];
    let text = |key: &str| context[key].as_str().unwrap_or_default().to_owned();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(text("caData")))
        .identity(Identity::from_pem(text("certificateData"), text("keyData")));
    Ok(Endpoint::from_shared(text("server"))?.tls_config(tls)?)
}
