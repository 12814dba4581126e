//! `expand`: the applications that sets make, without a hub.

use serde::Serialize;
use tidegate_generators::Problem;
use tidegate_model::application::Application;

use super::apply;
use crate::{
    args::{Expand, Format},
    error::Error,
    offline::{self, World},
    output::{
        Output,
        table::{self, column, flexible},
        text::plain,
    },
};

/// What `-o json` and `-o yaml` print.
#[derive(Serialize)]
struct Answer<'a> {
    items: &'a [Application],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Problem],
}

pub(super) fn expand(options: &Expand, output: &mut Output) -> Result<(), Error> {
    let files = apply::read(&options.files, options.recursive)?;
    let sets = offline::sets(&files)?;
    let world = World::read(&options.inputs)?;
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    for set in &sets {
        let expansion = world.expand(set);
        items.extend(expansion.applications);
        problems.extend(expansion.problems);
        let generates = set.spec.generators.iter().any(|it| it.clusters.is_some());
        if generates && !world.has_clusters() {
            let name = &set.metadata.name;
            output.note(&format!(
                "set {name} generates from clusters, and there are none: give --clusters FILE (`tidegate get clusters -o yaml` makes one)"
            ));
        }
    }
    print(&items, &problems, output)?;
    if problems.is_empty() {
        return Ok(());
    }
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Err(Error::Input(problems.join("\n")))
}

fn print(items: &[Application], problems: &[Problem], output: &mut Output) -> Result<(), Error> {
    match output.format() {
        Format::Table if items.is_empty() => {
            output.note("no application");
            Ok(())
        }
        Format::Table => {
            let columns = [
                column("NAME"),
                flexible("CLUSTER"),
                flexible("NAMESPACE"),
                flexible("PATH"),
                flexible("FROM"),
            ];
            let rows: Vec<_> = items.iter().map(row).collect();
            let width = output.screen().width;
            output.line(&table::render(&columns, &rows, width, 1))
        }
        Format::Name => items
            .iter()
            .try_for_each(|app| output.line(&format!("application/{}", plain(&app.name)))),
        Format::Json | Format::Yaml => output.value(&Answer { items, problems }, ""),
    }
}

fn row(app: &Application) -> Vec<String> {
    let from = format!("{} row {}", app.provenance.generator, app.provenance.row);
    let cells = [
        &app.name,
        &app.cluster_name,
        &app.namespace,
        &app.source.path,
        &from,
    ];
    cells.map(|cell| plain(cell)).to_vec()
}
