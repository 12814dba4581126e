//! A chain in a file: one line of JSON a record.
//!
//! Owns the form of a line, and what of it the hash covers beside the record: the project. Never
//! decides whether a chain holds.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write as _},
    path::Path,
};

use serde_json::Value;
use tempfile::NamedTempFile;
use tidegate_model::audit::Record;
use tidegate_proto::v1 as wire;

use super::{
    DEFAULT,
    chain::{Chain, Checked, pages},
    judge, show,
};
use crate::{
    args::{AuditExport, AuditVerify, Noted},
    connect::Hub,
    error::Error,
    output::{Output, message},
};

/// Beside the record's own fields in a line.
const PROJECT: &str = "project";

fn write(project: &str, record: &wire::AuditRecord) -> Result<String, Error> {
    let mut line = message::value(record)?;
    if let Some(fields) = line.as_object_mut() {
        fields.insert(PROJECT.to_owned(), project.into());
    }
    Ok(format!("{line}\n"))
}

/// Nothing may stand beside what the hash covers.
fn read(line: &str) -> Result<(String, wire::AuditRecord), String> {
    let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Value::Object(mut fields) = line else {
        return Err("it is no object".to_owned());
    };
    let Some(Value::String(project)) = fields.remove(PROJECT) else {
        return Err(format!("it has no {PROJECT}"));
    };
    Ok((project, message::read(Value::Object(fields))?))
}

/// Writes the chain of a project, and says on standard error where it ends.
pub(super) async fn export(
    hub: &Hub,
    options: &AuditExport,
    output: &mut Output,
) -> Result<(), Error> {
    let project = options.project.as_deref().unwrap_or(DEFAULT);
    let mut file = match &options.out {
        Some(path) => Some((path, create(path)?)),
        None => None,
    };
    let mut chain = Chain::of(project, &[]);
    pages(hub, project, |page| {
        chain.take(&page, &mut |_| {});
        let lines = page.iter().map(|record| write(project, record));
        let text = lines.collect::<Result<String, _>>()?.into_bytes();
        match &mut file {
            Some((path, file)) => file.write_all(&text).map_err(failed("write", path))?,
            None => output.raw(&text)?,
        }
        Ok(true)
    })
    .await?;
    if let Some((path, file)) = file {
        file.as_file().sync_all().map_err(failed("write", path))?;
        let kept = file.persist_noclobber(path).map_err(|failed| failed.error);
        kept.map_err(failed("write", path))?;
    }
    let checked = chain.end();
    let end = match checked.end.as_str() {
        "" => "it has no record yet".to_owned(),
        end => format!("{} records fit and end with {end}", checked.records),
    };
    output.note(&format!("project {project}: {end}"));
    judge(&[checked])
}

/// Checks an export.
pub(in crate::commands) fn verify(
    path: &Path,
    options: &AuditVerify,
    output: &mut Output,
) -> Result<(), Error> {
    let project = options.project.as_deref();
    let checked = [check_file(path, project, &options.noted, &mut |_| {})?];
    show(&checked, output)?;
    judge(&checked)
}

/// Checks the chain in a file, of `project` or of whichever its first record is of, and hands over each
/// record that fits.
pub(super) fn check_file(
    path: &Path,
    project: Option<&str>,
    noted: &[Noted],
    each: &mut dyn FnMut(&Record),
) -> Result<Checked, Error> {
    if path == Path::new("-") {
        return check_lines(io::stdin().lock(), path, project, noted, each);
    }
    let file = File::open(path).map_err(failed("read", path))?;
    check_lines(BufReader::new(file), path, project, noted, each)
}

fn check_lines(
    lines: impl BufRead,
    path: &Path,
    project: Option<&str>,
    noted: &[Noted],
    each: &mut dyn FnMut(&Record),
) -> Result<Checked, Error> {
    let wrong = |number: usize, problem: &str| {
        let place = path.display();
        Error::Audit(format!("failed to read {place}:{number}: {problem}"))
    };
    let mut chain = None;
    let mut of = project.map(str::to_owned);
    for (index, line) in lines.lines().enumerate() {
        let line = line.map_err(failed("read", path))?;
        let (project, record) = read(&line).map_err(|problem| {
            wrong(index + 1, &format!("it is no line of an export: {problem}"))
        })?;
        let of = of.get_or_insert_with(|| project.clone());
        if project != *of {
            let problem = format!("it is of project {project}, and the chain is of {of}");
            return Err(wrong(index + 1, &problem));
        }
        let chain = chain.get_or_insert_with(|| Chain::of(of, noted));
        chain.take(&[record], each);
    }
    let none = || {
        wrong(
            1,
            "it holds no record; write it with `tidegate audit export`",
        )
    };
    Ok(chain.ok_or_else(none)?.end())
}

/// A file that gets its name when it is whole: half a chain holds as well as a whole one. It never
/// takes the place of another, and only its owner reads it.
fn create(path: &Path) -> Result<NamedTempFile, Error> {
    if path.exists() {
        return Err(failed("write", path)(io::ErrorKind::AlreadyExists.into()));
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    NamedTempFile::new_in(parent.unwrap_or(Path::new("."))).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::File {
        action,
        path,
        source,
    }
}
