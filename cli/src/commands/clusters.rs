//! `cluster list`, `join-token`, `label`, `rotate`, `remove`.

use std::{fs, path::Path, time::Duration};

use tidegate_proto::v1 as wire;

use super::{get, list::list};
use crate::{
    args::{
        ClusterCommand, Format, Get, JoinToken, Label, LabelChange, Remove, Rotate, What, bare,
    },
    connect::Hub,
    error::Error,
    output::{Output, age::length, rows::Row as _, text::plain},
};

pub(super) async fn run(
    hub: &Hub,
    command: &ClusterCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        ClusterCommand::List(options) => {
            let mut all = Get::of(What::Clusters);
            all.watching = options.watching.clone();
            get::get(hub, &all, output).await
        }
        ClusterCommand::JoinToken(options) => join_token(hub, options, output).await,
        ClusterCommand::Label(options) => label(hub, options, output).await,
        ClusterCommand::Rotate(options) => rotate(hub, options, output).await,
        ClusterCommand::Remove(options) => remove(hub, options, output).await,
    }
}

async fn join_token(hub: &Hub, options: &JoinToken, output: &mut Output) -> Result<(), Error> {
    let request = wire::CreateJoinTokenRequest {
        cluster: options.name.clone(),
        labels: options
            .labels
            .iter()
            .map(|label| (label.key.clone(), label.value.clone()))
            .collect(),
        servers: options.servers.clone(),
        ttl_ms: options
            .ttl
            .map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or_default()),
    };
    let answer = hub
        .call(async |fleet| fleet.create_join_token(request).await)
        .await?;
    if let Some(path) = &options.ca_out {
        write(path, &answer.ca_pem)?;
    }
    if output.format() == Format::Table {
        let left = length(answer.expires_at_ms.saturating_sub(output.now_ms()));
        output.note(&format!(
            "cluster {} may join {} once with this token, within {left}:",
            options.name,
            hub.address()
        ));
    }
    output.answer(&answer, &format!("cluster/{}", options.name), || {
        plain(&answer.token)
    })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::File {
        action: "write",
        path: path.display().to_string(),
        source,
    };
    fs::write(path, text).map_err(failed)
}

async fn label(hub: &Hub, options: &Label, output: &mut Output) -> Result<(), Error> {
    let mut request = wire::LabelClusterRequest {
        cluster: bare(&options.name, "cluster").to_owned(),
        ..Default::default()
    };
    for change in &options.changes {
        match change {
            LabelChange::Set(pair) => {
                request.set.insert(pair.key.clone(), pair.value.clone());
            }
            LabelChange::Remove(key) => request.remove.push(key.clone()),
        }
    }
    let twice = request
        .remove
        .iter()
        .find(|key| request.set.contains_key(*key));
    if let Some(key) = twice {
        return Err(Error::Usage(format!(
            "label {key} is both set and removed: leave one out"
        )));
    }
    let cluster = hub
        .call(async |fleet| fleet.label_cluster(request).await)
        .await?;
    output.answer(&cluster, &cluster.name(), || {
        let labels: Vec<_> = cluster
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!(
            "{} labeled: {}",
            plain(&cluster.name()),
            plain(&labels.join(","))
        )
    })
}

/// Between two looks at a cluster whose certificate is replaced.
const PERIOD: Duration = Duration::from_millis(500);

async fn rotate(hub: &Hub, options: &Rotate, output: &mut Output) -> Result<(), Error> {
    let request = wire::RotateClusterRequest {
        cluster: bare(&options.name, "cluster").to_owned(),
        reason: options.reason.reason.clone(),
    };
    let cluster = hub
        .call(async |fleet| fleet.rotate_cluster(request).await)
        .await?;
    let name = plain(&cluster.name());
    let ordered = if cluster.connected {
        format!(
            "{name} is told to make a new key; the former certificate is refused once the new one \
             is in use"
        )
    } else {
        format!(
            "{name} is not connected: recorded; its agent makes a new key when it comes, and the \
             former certificate is refused then"
        )
    };
    if !options.wait {
        return output.answer(&cluster, &cluster.name(), || ordered);
    }
    output.note(&ordered);
    let waiting = "waiting for the agent to use its new certificate";
    output.progress().say(waiting);
    let looking = rotated(hub, options, output);
    let cluster = match options.timeout {
        None => looking.await?,
        Some(limit) => match tokio::time::timeout(limit.0, looking).await {
            Ok(cluster) => cluster?,
            Err(_) => {
                return Err(Error::Timeout(format!(
                    "{name} does not use a new certificate after {limit}; the order stands, and \
                     the former one is good until then"
                )));
            }
        },
    };
    output.answer(&cluster, &cluster.name(), || {
        format!("{name} uses a new certificate; the former is refused")
    })
}

/// The cluster once nothing is left to be done. Looks at what is, so nothing is missed.
async fn rotated(hub: &Hub, options: &Rotate, output: &mut Output) -> Result<wire::Cluster, Error> {
    let name = bare(&options.name, "cluster");
    let mut connected = None;
    loop {
        let request = wire::ListRequest {
            name: name.to_owned(),
            ..wire::ListRequest::default()
        };
        match list::<wire::Cluster>(hub, request).await {
            Ok(clusters) => {
                let found = clusters.into_iter().find(|it| it.name == name);
                let gone = || Error::NotFound(format!("cluster {name} was removed"));
                let cluster = found.ok_or_else(gone)?;
                if !cluster.rotating {
                    return Ok(cluster);
                }
                if connected.replace(cluster.connected) == Some(true) && !cluster.connected {
                    output.note("waiting: its agent is not connected");
                }
            }
            // A hub that restarts only delays it: the order stands.
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn remove(hub: &Hub, options: &Remove, output: &mut Output) -> Result<(), Error> {
    let request = wire::RemoveClusterRequest {
        cluster: bare(&options.name, "cluster").to_owned(),
        reason: options.reason.reason.clone(),
    };
    let answer = hub
        .call(async |fleet| fleet.remove_cluster(request).await)
        .await?;
    let name = format!("cluster/{}", bare(&options.name, "cluster"));
    output.answer(&answer, &name, || {
        format!("{name} removed; what runs there stays")
    })
}
