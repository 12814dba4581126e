//! Pages of what the fleet is made of: clusters and Git sources.

use tidegate_proto::v1 as wire;
use tokio::try_join;

use super::{delivery::is_read, pairs, tally};
use crate::{
    commands::list::list,
    connect::Hub,
    error::Error,
    output::{
        age::moment,
        rows::{Row as _, health},
        sheet::Sheet,
    },
};

pub(super) async fn cluster(
    hub: &Hub,
    cluster: wire::Cluster,
    now_ms: i64,
) -> Result<Sheet, Error> {
    let request = || wire::ListRequest {
        cluster: cluster.name.clone(),
        ..wire::ListRequest::default()
    };
    let (mut apps, pins) = try_join!(
        list::<wire::Application>(hub, request()),
        list::<wire::Pin>(hub, request()),
    )?;
    apps.sort_by_key(|app| health(app.health) == "Healthy" && app.synced);
    let mut sheet = Sheet::new(&cluster.name());
    sheet.field("Name", &cluster.name);
    sheet.field("UID", &cluster.uid);
    sheet.fields("Labels", pairs(&cluster.labels));
    sheet.fields("Servers", cluster.servers.iter().cloned());
    let agent = match (cluster.joined, cluster.connected) {
        (false, _) => format!(
            "never joined; `tidegate cluster join-token {}` makes a token for it",
            cluster.name
        ),
        (true, true) => "connected".to_owned(),
        (true, false) => "joined, but not connected now".to_owned(),
    };
    sheet.field("Agent", agent);
    sheet.field("Agent version", &cluster.agent_version);
    sheet.field("Last seen", moment(cluster.last_seen_ms, now_ms));
    sheet.field("Health", health(cluster.health));
    sheet.field(
        "Applications",
        tally(apps.iter().map(|app| health(app.health))),
    );
    let all = |what: &str| format!("tidegate get {what} --cluster {}", cluster.name);
    sheet.table("Applications", &apps, now_ms, &all("apps"));
    sheet.table("Pins", &pins, now_ms, &all("pins"));
    sheet.put("cluster", &cluster)?;
    sheet.put_all("applications", &apps)?;
    sheet.put_all("pins", &pins)?;
    Ok(sheet)
}

pub(super) async fn source(hub: &Hub, source: wire::Source, now_ms: i64) -> Result<Sheet, Error> {
    let mut apps: Vec<wire::Application> = list(hub, wire::ListRequest::default()).await?;
    apps.retain(|app| is_read(&source, std::slice::from_ref(app)));
    let mut sets: Vec<_> = apps
        .iter()
        .map(|app| format!("{} in project {}", app.set, app.project))
        .collect();
    sets.sort();
    sets.dedup();
    let mut sheet = Sheet::new(&source.name());
    sheet.field("Repository", &source.repo_url);
    sheet.field("Revision", &source.revision);
    sheet.field("Commit", &source.commit);
    sheet.field("Checked", moment(source.checked_at_ms, now_ms));
    sheet.field("Error", &source.error);
    sheet.fields("Sets", sets);
    sheet.table("Applications", &apps, now_ms, "tidegate get apps");
    sheet.put("source", &source)?;
    sheet.put_all("applications", &apps)?;
    Ok(sheet)
}
