//! Commands on a set: `delete`, `rollback`, `unpin`, `refresh`, `sync`, and `hold approve`.

use std::collections::BTreeMap;

use tidegate_proto::v1 as wire;

use crate::{
    args::{Delete, DeleteWavePlan, Format, HoldApprove, Refresh, Rollback, Sync, Unpin, bare},
    connect::Hub,
    error::Error,
    output::{
        Output,
        rows::Row as _,
        text::{or_dash, plain},
    },
};

pub(super) async fn delete(hub: &Hub, options: &Delete, output: &mut Output) -> Result<(), Error> {
    let name = bare(&options.name, "set").to_owned();
    let request = wire::DeleteApplicationSetRequest {
        project: options.project.name(),
        name: name.clone(),
        reason: options.reason.reason.clone(),
    };
    let answer = hub
        .call(async |fleet| fleet.delete_application_set(request).await)
        .await?;
    output.answer(&answer, &format!("set/{name}"), || {
        format!(
            "set/{name} is being deleted, with {} applications",
            answer.applications
        )
    })
}

pub(super) async fn delete_plan(
    hub: &Hub,
    options: &DeleteWavePlan,
    output: &mut Output,
) -> Result<(), Error> {
    let name = bare(&options.name, "waveplan").to_owned();
    let request = wire::DeleteWavePlanRequest {
        project: options.project.name(),
        name: name.clone(),
        reason: options.reason.reason.clone(),
    };
    let answer = hub
        .call(async |fleet| fleet.delete_wave_plan(request).await)
        .await?;
    let name = format!("waveplan/{name}");
    output.answer(&answer, &name, || format!("{name} deleted"))
}

pub(super) async fn rollback(
    hub: &Hub,
    options: &Rollback,
    output: &mut Output,
) -> Result<(), Error> {
    let set = bare(&options.set, "set").to_owned();
    let request = wire::RollbackRequest {
        project: options.project.name(),
        set: set.clone(),
        reason: options.reason.reason.clone(),
        to_release: options.to.unwrap_or_default(),
        wave: options.wave.clone().unwrap_or_default(),
        pin_release: options.release.name().to_owned(),
        dry_run: options.dry_run,
        ..chosen(options.clusters.as_deref().unwrap_or_default())
    };
    let answer = hub
        .call(async |fleet| fleet.rollback(request).await)
        .await?;
    if options.dry_run {
        output.list(&answer.changes, "nothing would change")?;
        if output.format() == Format::Table {
            for line in details(&answer.changes) {
                output.line(&line)?;
            }
        }
        return Ok(());
    }
    let run = answer.run.unwrap_or_default();
    output.answer(&run, &run.name(), || {
        format!(
            "set/{set} is being rolled back ({}, {}); `tidegate run watch --set {set}` follows",
            plain(&run.name()),
            or_dash(&run.state)
        )
    })
}

/// What the table of a dry run has no room for: the objects that would be denied, and why something
/// would be left as it is.
fn details(changes: &[wire::RollbackChange]) -> Vec<String> {
    let mut denied: BTreeMap<&str, usize> = BTreeMap::new();
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for change in changes {
        for object in &change.denied {
            *denied.entry(object).or_default() += 1;
        }
        if !change.left.is_empty() {
            left.entry(&change.left).or_default().push(&change.app);
        }
    }
    let apps = |n: usize| match n {
        1 => "1 application".to_owned(),
        n => format!("{n} applications"),
    };
    let denied = denied.into_iter().map(|(object, n)| {
        let object = plain(object);
        format!("would be denied in {}: {object}", apps(n))
    });
    let left = left.into_iter().map(|(why, of)| {
        let (count, of, why) = (apps(of.len()), plain(&of.join(", ")), plain(why));
        format!("would be left as they are, {count} ({of}): {why}")
    });
    denied.chain(left).collect()
}

/// Clusters by name, or a selector: no name has a sign of one in it.
fn chosen(clusters: &str) -> wire::RollbackRequest {
    let mut request = wire::RollbackRequest::default();
    if clusters.contains(|c: char| "=!<>( ".contains(c)) {
        clusters.clone_into(&mut request.selector);
    } else {
        let names = clusters.split(',').filter(|name| !name.is_empty());
        request.clusters = names.map(|name| bare(name, "cluster").to_owned()).collect();
    }
    request
}

pub(super) async fn unpin(hub: &Hub, options: &Unpin, output: &mut Output) -> Result<(), Error> {
    let set = bare(&options.set, "set").to_owned();
    let request = wire::UnpinRequest {
        project: options.project.name(),
        set: set.clone(),
        app: options.app.clone().unwrap_or_default(),
        reason: options.reason.reason.clone(),
    };
    let answer = hub.call(async |fleet| fleet.unpin(request).await).await?;
    output.answer(&answer, &format!("set/{set}"), || {
        let mut lines: Vec<_> = answer
            .applications
            .iter()
            .map(|app| format!("application/{} unpinned", plain(app)))
            .collect();
        if answer.denies_lifted > 0 {
            lines.push(format!("set/{set}: {} denies lifted", answer.denies_lifted));
        }
        lines.join("\n")
    })
}

pub(super) async fn refresh(
    hub: &Hub,
    options: &Refresh,
    output: &mut Output,
) -> Result<(), Error> {
    let request = wire::RefreshRequest {
        project: options.project.name(),
        set: bare(&options.set, "set").to_owned(),
    };
    let answer = hub.call(async |fleet| fleet.refresh(request).await).await?;
    output.list(&answer.sources, "the set has no source")?;
    let failed: Vec<_> = answer
        .sources
        .iter()
        .filter(|source| !source.error.is_empty())
        .map(|source| {
            format!(
                "{} at {}: {}",
                source.repo_url, source.revision, source.error
            )
        })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Refresh(failed.join("\n")))
}

pub(super) async fn sync(hub: &Hub, options: &Sync, output: &mut Output) -> Result<(), Error> {
    let word = |word: &Option<String>, kind| {
        let word = word.as_deref().unwrap_or_default();
        bare(word, kind).to_owned()
    };
    let request = wire::SyncApplicationsRequest {
        project: options.project.name(),
        set: word(&options.set, "set"),
        name: word(&options.name, "application"),
        cluster: word(&options.cluster, "cluster"),
    };
    let answer = hub
        .call(async |fleet| fleet.sync_applications(request).await)
        .await?;
    output.list(&answer.items, "nothing to sync")?;
    let failed: Vec<_> = answer
        .items
        .iter()
        .filter(|item| !item.error.is_empty())
        .map(|item| format!("{} in {}: {}", item.name, item.cluster, item.error))
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Sync(failed.join("\n")))
}

pub(super) async fn approve_hold(
    hub: &Hub,
    options: &HoldApprove,
    output: &mut Output,
) -> Result<(), Error> {
    let request = wire::ApproveHoldRequest {
        id: bare(&options.id, "hold").to_owned(),
        reason: options.reason.reason.clone(),
    };
    let answer = hub
        .call(async |fleet| fleet.approve_hold(request).await)
        .await?;
    let hold = answer.hold.clone().unwrap_or_default();
    output.answer(&answer, &hold.name(), || {
        format!(
            "{} approved: {}",
            plain(&hold.name()),
            or_dash(&hold.message)
        )
    })
}
