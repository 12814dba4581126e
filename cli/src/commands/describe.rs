//! `describe`: one thing and everything that is known about it and its neighbours.
//!
//! Owns finding the one thing that is meant. Each kind's page is made beside.

pub(super) mod delivery;
mod fleet;
mod run;

use std::collections::BTreeMap;

use tidegate_proto::v1 as wire;

use super::{
    get::filters,
    list::{Shown, list},
};
use crate::{
    args::{Describe, Format, Get, What},
    connect::Hub,
    error::Error,
    output::{
        Output,
        sheet::Sheet,
        text::{or_dash, plain},
    },
};

/// How many runs and releases of the past a page shows.
const RECENT: u32 = 5;

/// Shows the page of one thing.
pub(super) async fn describe(
    hub: &Hub,
    options: &Describe,
    output: &mut Output,
) -> Result<(), Error> {
    let (of, now_ms) = (options.one()?, output.now_ms());
    let sheet = match of.what {
        // It asks for much at once.
        What::Sets => Box::pin(delivery::set(hub, one(hub, &of).await?, now_ms)).await,
        What::WavePlans => delivery::wave_plan(&one(hub, &of).await?),
        What::Applications => delivery::application(hub, one(hub, &of).await?, now_ms).await,
        What::Releases => delivery::release(hub, one(hub, &of).await?, now_ms).await,
        What::Runs => run::run(hub, one(hub, &of).await?, now_ms).await,
        What::Holds => run::hold(hub, one(hub, &of).await?, now_ms).await,
        What::Pins => run::pin(hub, one(hub, &of).await?, now_ms).await,
        What::Clusters => fleet::cluster(hub, one(hub, &of).await?, now_ms).await,
        What::Sources => fleet::source(hub, one(hub, &of).await?, now_ms).await,
        What::Audit => Err(Error::Usage("see `tidegate get audit`".to_owned())),
    }?;
    match output.format() {
        Format::Table => output.line(&sheet.render(output.screen())),
        Format::Name => output.line(sheet.name()),
        Format::Json | Format::Yaml => output.value(sheet.data(), ""),
    }
}

/// The only one that is meant: none is not found, and of several the user must choose.
pub(super) async fn one<T: Shown>(hub: &Hub, options: &Get) -> Result<T, Error> {
    let mut items = T::select(hub, options).await?;
    let (kind, kinds) = (options.what.singular(), options.what.plural());
    let name = options.name.as_deref().unwrap_or("at all");
    match items.len() {
        1 => {}
        0 => {
            return Err(Error::NotFound(format!(
                "no {kind} {name}{}; `tidegate get {kinds}` lists them",
                filters(options)
            )));
        }
        several => {
            let which: Vec<_> = items
                .iter()
                .take(5)
                .map(|item| match item.project() {
                    Some(project) => format!("{} in project {project}", item.name()),
                    None => item.name(),
                })
                .collect();
            return Err(Error::Usage(format!(
                "there are {several} of the name {name}: {}; write the whole name, or say which \
                 with --project or --set",
                plain(&which.join(", "))
            )));
        }
    }
    items.pop().ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// What is of this set.
async fn of_set<T: super::list::Listed>(
    hub: &Hub,
    project: &str,
    set: &str,
    limit: u32,
) -> Result<Vec<T>, Error> {
    let request = wire::ListRequest {
        project: project.to_owned(),
        set: set.to_owned(),
        limit,
        ..wire::ListRequest::default()
    };
    list(hub, request).await
}

/// `12 (9 Healthy, 3 Degraded)`.
fn tally<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let total: usize = counts.values().sum();
    let each: Vec<_> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    match each.as_slice() {
        [] => "0".to_owned(),
        each => format!("{total} ({})", each.join(", ")),
    }
}

/// `a=1` for each.
fn pairs(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

/// State and what it is for.
fn state(state: &str, cause: Option<&wire::Cause>) -> String {
    match cause {
        None => or_dash(state),
        Some(cause) => format!(
            "{}: {} ({})",
            or_dash(state),
            plain(&cause.message),
            or_dash(&cause.code)
        ),
    }
}

/// The commits that something was made of.
fn commits(sheet: &mut Sheet, sources: &[wire::SourceCommit]) {
    let lines = sources.iter().map(|source| {
        format!(
            "{} at {}: {}",
            source.repo_url,
            or_dash(&source.revision),
            or_dash(&source.commit)
        )
    });
    sheet.fields("Sources", lines);
}
