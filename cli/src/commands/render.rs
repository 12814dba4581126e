//! `render`: the objects of a directory or of an application, without a hub.

use serde::Serialize;
use serde_json::Value;
use tidegate_model::{
    object::ObjectKey,
    source::{Directory, Source},
};
use tidegate_render::{Limits, Rendered, tree::DirectoryTree};

use super::apply;
use crate::{
    args::{Format, Render, bare},
    error::Error,
    offline::{self, World},
    output::{Output, manifest, text::plain},
};

/// What `-o json` prints.
#[derive(Serialize)]
struct Answer {
    items: Vec<Value>,
}

pub(super) fn render(options: &Render, output: &mut Output) -> Result<(), Error> {
    let (tree, source) = match &options.dir {
        Some(dir) => {
            let tree = DirectoryTree::open(dir).map_err(|error| Error::Input(error.to_string()))?;
            let source = Source {
                repo_url: dir.display().to_string(),
                target_revision: "working tree".to_owned(),
                path: ".".to_owned(),
                directory: Directory {
                    recurse: options.recurse,
                    include: options.include.clone(),
                    exclude: options.exclude.clone(),
                },
            };
            (tree, source)
        }
        None => application(options)?,
    };
    let rendered = tidegate_render::render(&tree, &source, &Limits::default())
        .map_err(|error| Error::Input(error.to_string()))?;
    for warning in &rendered.warnings {
        output.note(&format!("warning: {}", plain(&warning.to_string())));
    }
    print(&rendered, output)
}

/// Where an application of a set gets its manifests.
fn application(options: &Render) -> Result<(DirectoryTree, Source), Error> {
    let name = options.app.as_deref().unwrap_or_default();
    let name = bare(name, "application");
    let files = apply::read(&options.files, false)?;
    let sets = offline::sets(&files)?;
    let world = World::read(&options.inputs)?;
    let expansions: Vec<_> = sets.iter().map(|set| world.expand(set)).collect();
    let all = || expansions.iter().flat_map(|it| &it.applications);
    let app = all().find(|app| app.name == name).ok_or_else(|| {
        let names: Vec<_> = all().map(|app| app.name.as_str()).collect();
        let problems = expansions.iter().flat_map(|it| &it.problems);
        let mut lines = vec![match names.len() {
            0 => format!("no application {name}: the sets make none"),
            _ => format!("no application {name}: there are {}", names.join(", ")),
        }];
        lines.extend(problems.map(ToString::to_string));
        Error::NotFound(lines.join("\n"))
    })?;
    let tree = world.tree(&app.source.repo_url).map_err(Error::Input)?;
    Ok((tree, app.source.clone()))
}

fn print(rendered: &Rendered, output: &mut Output) -> Result<(), Error> {
    let objects = rendered.bundle.objects().iter().map(|entry| {
        let bytes = rendered.objects.get(&entry.digest).map(Vec::as_slice);
        let object = serde_json::from_slice(bytes.unwrap_or(b"null"));
        object.map_err(|error| Error::Print(error.to_string()))
    });
    let objects = objects.collect::<Result<Vec<Value>, _>>()?;
    if objects.is_empty() {
        output.note("no object");
    }
    match output.format() {
        Format::Name => objects
            .iter()
            .filter_map(ObjectKey::of)
            .try_for_each(|key| output.line(&name(&key))),
        Format::Json => output.value(&Answer { items: objects }, ""),
        Format::Table | Format::Yaml => objects.iter().try_for_each(|object| {
            let text = manifest::yaml(object)?;
            output.line("---")?;
            output.raw(text.as_bytes())
        }),
    }
}

/// As kubectl names it.
fn name(key: &ObjectKey) -> String {
    let kind = key.id.kind.to_lowercase();
    match key.id.group.as_str() {
        "" => format!("{kind}/{}", key.id.name),
        group => format!("{kind}.{group}/{}", key.id.name),
    }
}
