//! The hub and the agents of the fleet, each with the options that its own program would be given.
//!
//! Owns those options. Hub and agent share nothing here but the TCP port between them.

use std::{ffi::OsString, net::Ipv4Addr, path::Path};

use clap::Parser as _;
use kube::Client;
use tidegate_agent::config::Cli as AgentOptions;
use tidegate_hub::config::{Cli as HubCli, Command as HubCommand};
use tidegate_telemetry::describe;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    error::Error,
    layout::Layout,
    state::{Cluster, State},
};

/// Any free port of this machine, for health and metrics that nobody asked for.
const ANY: &str = "127.0.0.1:0";

/// Makes the hub, unless it is made.
pub(super) async fn make_hub(layout: &Layout, state: &mut State) -> Result<(), Error> {
    if state.hub_made {
        return Ok(());
    }
    // One that was interrupted before its first administrator was recorded is of no use.
    match std::fs::remove_dir_all(layout.hub()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            let path = layout.hub();
            return Err(Error::File {
                action: "remove",
                path,
                source,
            });
        }
        _ => {}
    }
    let (folder, config) = (layout.hub(), layout.config());
    let arguments = [
        "init".into(),
        "--store=redb".into(),
        flag("--state-dir", &folder),
        flag("--admin-config", &config),
        format!("--server={}", server(state.port)).into(),
    ];
    let HubCommand::Init(options) = hub_options(arguments)? else {
        return Err(Error::Options {
            part: "hub",
            problem: "it has no init".to_owned(),
        });
    };
    let made = tidegate_hub::init::run(&options).await;
    made.map_err(|error| part("hub", &error, layout))?;
    state.hub_made = true;
    state.save(layout)
}

/// Runs the hub until `cancel`.
pub(super) async fn run_hub(
    layout: Layout,
    listener: TcpListener,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let arguments = [
        "serve".into(),
        "--store=redb".into(),
        flag("--state-dir", &layout.hub()),
        format!("--health-listen={ANY}").into(),
        "--allow-file-sources".into(),
        // Somebody sits and watches: a commit should be seen at once.
        "--git-poll-interval=1s".into(),
        "--heartbeat-interval=2s".into(),
    ];
    let HubCommand::Serve(options) = hub_options(arguments)? else {
        return Err(Error::Options {
            part: "hub",
            problem: "it has no serve".to_owned(),
        });
    };
    let served = Box::pin(tidegate_hub::runtime::serve_on(
        options,
        Some(listener),
        cancel.clone(),
    ))
    .await;
    served.map_err(|error| part("hub", &error, &layout))?;
    if cancel.is_cancelled() {
        return Ok(());
    }
    Err(Error::Part {
        part: "hub".to_owned(),
        problem: "it ended".to_owned(),
        log: layout.log(),
    })
}

/// The options of a cluster's agent, which dials `port`.
pub(super) fn agent_options(
    layout: &Layout,
    cluster: &Cluster,
    kubeconfig: Option<&Path>,
    port: u16,
) -> Result<AgentOptions, Error> {
    let mut arguments: Vec<OsString> = vec![
        "tidegate-agent".into(),
        format!("--hub={}", server(port)).into(),
        flag("--state-dir", &layout.agent(&cluster.name)),
        flag("--join-token-file", &layout.token(&cluster.name)),
        format!("--health-listen={ANY}").into(),
    ];
    if let (Some(kubeconfig), Some(context)) = (kubeconfig, &cluster.context) {
        arguments.push(flag("--kubeconfig", kubeconfig));
        arguments.push(format!("--context={context}").into());
    }
    AgentOptions::try_parse_from(arguments).map_err(|error| Error::Options {
        part: "agent",
        problem: error.to_string(),
    })
}

/// Runs an agent in the cluster of this client until `cancel`.
pub(super) async fn run_agent(
    layout: Layout,
    name: String,
    client: Client,
    options: AgentOptions,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let served = Box::pin(tidegate_agent::runtime::serve_in(client, options, cancel)).await;
    served.map_err(|error| part(&format!("agent of cluster {name}"), &error, &layout))
}

/// The URL of a port of this machine.
pub(super) fn server(port: u16) -> String {
    format!("https://{}:{port}", Ipv4Addr::LOCALHOST)
}

fn hub_options(arguments: impl IntoIterator<Item = OsString>) -> Result<HubCommand, Error> {
    let arguments = [OsString::from("tidegate-hub")]
        .into_iter()
        .chain(arguments);
    let parsed = HubCli::try_parse_from(arguments);
    parsed
        .map(|cli| cli.command)
        .map_err(|error| Error::Options {
            part: "hub",
            problem: error.to_string(),
        })
}

/// `--name=path`, whatever bytes the path has.
fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push("=");
    flag.push(path);
    flag
}

fn part(part: &str, error: &dyn std::error::Error, layout: &Layout) -> Error {
    Error::Part {
        part: part.to_owned(),
        problem: describe(error),
        log: layout.log(),
    }
}
