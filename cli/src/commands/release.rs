//! `release list`, `release show` and `release diff`.

use tidegate_proto::v1 as wire;

use super::{describe, diff, get, list::list};
use crate::{
    args::ReleaseCommand,
    connect::Hub,
    error::Error,
    output::{Output, rows::Row as _},
};

pub(super) async fn run(
    hub: &Hub,
    command: &ReleaseCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        ReleaseCommand::List(options) => get::get(hub, &options.get(), output).await,
        ReleaseCommand::Diff(options) => diff::releases(hub, options, output).await,
        ReleaseCommand::Show(options) => {
            let found: wire::Release = describe::one(hub, &options.get()).await?;
            let release = whole(hub, found).await?;
            let sheet = describe::delivery::contents(&release, output.now_ms());
            let screen = output.screen();
            output.answer(&release, &release.name(), || sheet.render(screen))
        }
    }
}

/// The release with what it holds, which lists leave out.
pub(super) async fn whole(hub: &Hub, release: wire::Release) -> Result<wire::Release, Error> {
    let request = wire::ListRequest {
        project: release.project.clone(),
        set: release.set.clone(),
        name: release.number.to_string(),
        ..wire::ListRequest::default()
    };
    let mut found = list::<wire::Release>(hub, request).await?;
    Ok(found.pop().unwrap_or(release))
}
