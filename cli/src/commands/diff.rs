//! `diff` and `release diff`: what would change, or has.

use tidegate_proto::v1 as wire;

use super::apply;
use crate::{
    args::{Diff, Format, ReleaseDiff, bare},
    connect::Hub,
    error::Error,
    output::{
        Output,
        differences::{self, is_different},
        text::plain,
    },
};

/// What `diff` was asked, files read: what is wrong with them needs no hub.
pub(super) enum Asked {
    Commit(wire::PreviewRequest),
    Files(wire::PreviewApplyRequest),
}

pub(super) fn read(options: &Diff) -> Result<Asked, Error> {
    let filter = Some(options.only.filter());
    if !options.files.is_empty() {
        let files = apply::read(&options.files, options.recursive)?;
        return Ok(Asked::Files(wire::PreviewApplyRequest { files, filter }));
    }
    let set = options.name.as_ref().or(options.set.as_ref());
    let revision = options.commit.as_ref().or(options.revision.as_ref());
    Ok(Asked::Commit(wire::PreviewRequest {
        project: options.project.name(),
        set: bare(set.map_or("", String::as_str), "set").to_owned(),
        revision: revision.cloned().unwrap_or_default(),
        source: options.source.clone().unwrap_or_default(),
        filter,
    }))
}

pub(super) async fn diff(
    hub: &Hub,
    asked: Asked,
    options: &Diff,
    output: &mut Output,
) -> Result<(), Error> {
    let answer = match asked {
        Asked::Commit(request) => hub.call(async |fleet| fleet.preview(request).await).await?,
        Asked::Files(request) => hub
            .call(async |fleet| fleet.preview_apply(request).await)
            .await
            .map_err(apply::invalid)?,
    };
    let all: Vec<_> = answer
        .sets
        .iter()
        .filter_map(|set| set.differences.as_ref())
        .collect();
    if output.format() == Format::Name {
        names(&all, output)?;
    } else {
        let screen = output.screen();
        output.answer(&answer, "", || differences::preview(&answer, screen))?;
    }
    let failed: usize = answer
        .sets
        .iter()
        .map(|set| set.unrendered.len() + set.problems.len())
        .sum();
    if failed > 0 || answer.sets.iter().any(|set| set.incomplete) {
        return Err(Error::Incomplete(format!(
            "failed to compare everything: {failed} problems, told with their sets"
        )));
    }
    let held = answer.sets.iter().any(|set| !set.holds.is_empty());
    end(
        options.only.exit_code,
        held || all.into_iter().any(is_different),
    )
}

pub(super) async fn releases(
    hub: &Hub,
    options: &ReleaseDiff,
    output: &mut Output,
) -> Result<(), Error> {
    let request = wire::DiffReleasesRequest {
        project: options.project.name(),
        set: bare(&options.set, "set").to_owned(),
        from: options.from,
        to: options.to,
        filter: Some(options.only.filter()),
    };
    let answer = hub
        .call(async |fleet| fleet.diff_releases(request).await)
        .await?;
    let differences = answer.differences.clone().unwrap_or_default();
    if output.format() == Format::Name {
        names(&[&differences], output)?;
    } else {
        let screen = output.screen();
        output.answer(&answer, "", || {
            differences::of(&differences, &answer.unrendered, screen)
        })?;
    }
    let differs = is_different(&differences) || !answer.unrendered.is_empty();
    end(options.only.exit_code, differs)
}

/// One line for each application that differs.
fn names(all: &[&wire::Differences], output: &mut Output) -> Result<(), Error> {
    let groups = all.iter().flat_map(|differences| &differences.groups);
    let mut left_out: u32 = all.iter().map(|differences| differences.more_groups).sum();
    for group in groups {
        for place in &group.applications {
            output.line(&format!("application/{}", plain(&place.name)))?;
        }
        left_out += group.more_applications;
    }
    if left_out > 0 {
        output.note("some applications are left out: narrow it down with --cluster or --app");
    }
    Ok(())
}

/// With `--exit-code` the code tells whether anything differs, as with `git diff`.
fn end(wanted: bool, differs: bool) -> Result<(), Error> {
    if wanted && differs {
        return Err(Error::Differs);
    }
    Ok(())
}
