//! `config …`: the contexts of the configuration file.
//!
//! Never asks a hub and never prints a key.

use std::path::Path;

use serde::Serialize;
use x509_parser::{
    extensions::GeneralName,
    pem::parse_x509_pem,
    prelude::{FromDer as _, X509Certificate},
};

use crate::{
    args::{self, AddContexts, ConfigCommand, Format, Global},
    config::{self, Config, Context, edit::edit},
    error::Error,
    output::{
        Output,
        table::{self, column, flexible},
        text::{or_dash, plain},
    },
};

/// A context without what is secret or long.
#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    current: bool,
    server: String,
    user: String,
    /// The last day of the user's certificate, UTC.
    expires: String,
}

/// What `-o json` and `-o yaml` print.
#[derive(Serialize)]
struct Answer<'a> {
    items: &'a [Summary],
}

pub(super) async fn run(
    global: &Global,
    command: &ConfigCommand,
    output: &mut Output,
) -> Result<(), Error> {
    let path = config::path(global.config.as_deref())?;
    match command {
        ConfigCommand::GetContexts => list(&path, output),
        ConfigCommand::CurrentContext => {
            let config = Config::load(&path)?;
            let context = config.context(global.context.as_deref(), &path)?;
            let text = plain(&context.name);
            one(&config, &context.name, &text, output)
        }
        ConfigCommand::View => view(&path, output),
        ConfigCommand::UseContext(options) => {
            let name = bare(&options.name);
            let config = edit(&path, |config| {
                config.use_context(name, &path)?;
                Ok(config.clone())
            });
            let text = format!("Switched to context \"{}\".", plain(name));
            one(&config.await?, name, &text, output)
        }
        ConfigCommand::RenameContext(options) => {
            let (old, new) = (bare(&options.old), bare(&options.new));
            let config = edit(&path, |config| {
                config.rename(old, new, &path)?;
                Ok(config.clone())
            });
            let text = format!("Context \"{}\" renamed to \"{}\".", plain(old), plain(new));
            one(&config.await?, new, &text, output)
        }
        ConfigCommand::DeleteContext(options) => delete(&path, bare(&options.name), output).await,
        ConfigCommand::Add(options) => add(&path, options, output).await,
    }
}

fn bare(name: &str) -> &str {
    args::bare(name, "context")
}

async fn delete(path: &Path, name: &str, output: &mut Output) -> Result<(), Error> {
    let (gone, was_current) = edit(path, |config| {
        let was_current = config.current_context == name;
        Ok((config.delete(name, path)?, was_current))
    })
    .await?;
    if was_current {
        output.note(
            "warning: this removed your current context; `tidegate config use-context NAME` chooses \
             another one",
        );
    }
    let text = format!("deleted context {} from {}", plain(name), path.display());
    answer(&summary(&gone, false), &text, output)
}

async fn add(path: &Path, options: &AddContexts, output: &mut Output) -> Result<(), Error> {
    let mut new = Config::load(&options.file)?.contexts;
    match (&options.name, new.as_mut_slice()) {
        (_, []) => {
            let file = options.file.display();
            return Err(Error::Usage(format!("{file} holds no context to add")));
        }
        (None, _) => {}
        (Some(name), [context]) => name.clone_into(&mut context.name),
        (Some(_), several) => {
            return Err(Error::Usage(format!(
                "{} holds {} contexts: --as can name only one",
                options.file.display(),
                several.len()
            )));
        }
    }
    let names: Vec<_> = new.iter().map(|context| context.name.clone()).collect();
    let config = edit(path, |config| {
        config.add(new, options.overwrite, path)?;
        Ok(config.clone())
    })
    .await?;
    let added = summaries(&config)
        .into_iter()
        .filter(|it| names.contains(&it.name));
    let added: Vec<_> = added.collect();
    match output.format() {
        Format::Table => added.iter().try_for_each(|it| {
            let next = if it.current {
                "it is the current one".to_owned()
            } else {
                format!(
                    "`tidegate config use-context {}` makes it the current one",
                    plain(&it.name)
                )
            };
            output.line(&format!(
                "Context \"{}\" added to {}; {next}.",
                plain(&it.name),
                path.display()
            ))
        }),
        _ => show(&added, output),
    }
}

fn list(path: &Path, output: &mut Output) -> Result<(), Error> {
    show(&summaries(&Config::load(path)?), output)
}

fn one(config: &Config, name: &str, text: &str, output: &mut Output) -> Result<(), Error> {
    match summaries(config).iter().find(|it| it.name == name) {
        Some(summary) => answer(summary, text, output),
        None => output.line(text),
    }
}

fn answer(summary: &Summary, text: &str, output: &mut Output) -> Result<(), Error> {
    match output.format() {
        Format::Name => output.line(&format!("context/{}", plain(&summary.name))),
        _ => output.value(summary, text),
    }
}

fn show(contexts: &[Summary], output: &mut Output) -> Result<(), Error> {
    match output.format() {
        Format::Table if contexts.is_empty() => {
            output.note("no contexts; `tidegate config add FILE` adds some");
            Ok(())
        }
        Format::Table => {
            let columns = [
                column("CURRENT"),
                column("NAME"),
                flexible("SERVER"),
                flexible("USER"),
                column("EXPIRES"),
            ];
            let rows = contexts.iter().map(|it| {
                vec![
                    if it.current { "*" } else { "" }.to_owned(),
                    or_dash(&it.name),
                    or_dash(&it.server),
                    or_dash(&it.user),
                    or_dash(&it.expires),
                ]
            });
            let screen = output.screen();
            output.line(&table::fitted(
                &columns,
                &rows.collect::<Vec<_>>(),
                screen,
                1,
            ))
        }
        Format::Name => contexts
            .iter()
            .try_for_each(|it| output.line(&format!("context/{}", plain(&it.name)))),
        Format::Json | Format::Yaml => output.value(&Answer { items: contexts }, ""),
    }
}

/// The file with marks where keys and certificates are, as `kubectl config view` has them.
fn view(path: &Path, output: &mut Output) -> Result<(), Error> {
    let mut config = Config::load(path)?;
    for context in &mut config.contexts {
        for (field, mark) in [
            (&mut context.ca_data, "DATA+OMITTED"),
            (&mut context.certificate_data, "DATA+OMITTED"),
            (&mut context.key_data, "REDACTED"),
        ] {
            if !field.is_empty() {
                mark.clone_into(field);
            }
        }
    }
    match output.format() {
        Format::Table => output.raw(config.to_yaml(path)?.as_bytes()),
        Format::Name => show(&summaries(&config), output),
        Format::Json | Format::Yaml => output.value(&config, ""),
    }
}

fn summaries(config: &Config) -> Vec<Summary> {
    let contexts = config.contexts.iter();
    contexts
        .map(|context| summary(context, context.name == config.current_context))
        .collect()
}

fn summary(context: &Context, current: bool) -> Summary {
    let (user, expires) = identity(&context.certificate_data).unwrap_or_default();
    Summary {
        name: context.name.clone(),
        current,
        server: context.server.clone(),
        user,
        expires,
    }
}

/// Who a certificate is for, and its last day.
fn identity(pem: &str) -> Option<(String, String)> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&pem.contents).ok()?;
    let names = certificate.subject_alternative_name().ok()?;
    let uri = names.and_then(|names| {
        let mut names = names.value.general_names.iter();
        names.find_map(|name| match name {
            GeneralName::URI(uri) => uri.rsplit('/').next().map(str::to_owned),
            _ => None,
        })
    });
    let common = || {
        let mut names = certificate.subject().iter_common_name();
        names.find_map(|name| name.as_str().ok().map(str::to_owned))
    };
    let end = certificate.validity().not_after.to_datetime().date();
    Some((uri.or_else(common).unwrap_or_default(), end.to_string()))
}
