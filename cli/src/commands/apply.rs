//! `apply`: files in, all or none.
//!
//! Never reads what is in a document: the hub does, and names file and line.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use tidegate_proto::v1 as wire;
use tonic::Code;

use crate::{
    args::Format,
    connect::Hub,
    error::{self, Error},
    output::{Output, rows::Row as _, text::plain},
};

/// The most that one call carries, bytes; gRPC servers take messages of 4 MiB unless told otherwise.
const LARGEST: u64 = 4_000_000;

/// Reads these files, and those of directories, in a stable order.
pub(super) fn read(files: &[PathBuf], recursive: bool) -> Result<Vec<wire::SourceFile>, Error> {
    let mut paths = Vec::new();
    for path in files {
        if path.is_dir() {
            let before = paths.len();
            find(path, recursive, &mut paths)?;
            if paths.len() == before {
                let hint = if recursive {
                    ""
                } else {
                    "; -R goes into directories below it"
                };
                return Err(Error::Input(format!(
                    "{} holds no .yaml, .yml or .json file{hint}",
                    path.display()
                )));
            }
        } else {
            paths.push(path.clone());
        }
    }
    let mut left = LARGEST;
    paths.iter().map(|path| read_one(path, &mut left)).collect()
}

fn find(directory: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| file_error(directory, source);
    let mut entries: Vec<_> = fs::read_dir(directory)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    entries.sort();
    for path in entries {
        let kind = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            // A link may lead back up, where this would never end.
            if recursive && !path.is_symlink() {
                find(&path, recursive, found)?;
            }
        } else if matches!(kind, Some("yaml" | "yml" | "json")) {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads one file and takes its size from what is `left`.
fn read_one(path: &Path, left: &mut u64) -> Result<wire::SourceFile, Error> {
    let standard = path == Path::new("-");
    let name = if standard {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let mut content = Vec::new();
    // One byte more than fits tells that there is more, without reading all of it.
    let read = if standard {
        io::stdin().lock().take(*left + 1).read_to_end(&mut content)
    } else {
        fs::File::open(path).and_then(|file| file.take(*left + 1).read_to_end(&mut content))
    };
    let size = read.map_err(|source| file_error(path, source))? as u64;
    *left = left.checked_sub(size).ok_or_else(|| {
        Error::Input(format!(
            "{name} is too big: one apply carries at most {LARGEST} bytes in all; apply the files in \
             several calls, and look whether this one is meant to be applied at all"
        ))
    })?;
    Ok(wire::SourceFile { name, content })
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File {
        action: "read",
        path: path.display().to_string(),
        source,
    }
}

/// Hands the files to the hub and tells what became of them.
pub(super) async fn send(
    hub: &Hub,
    files: Vec<wire::SourceFile>,
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Error> {
    let request = wire::ApplyRequest { files, dry_run };
    let answer = hub
        .call(async |fleet| fleet.apply(request).await)
        .await
        .map_err(invalid)?;
    if output.format() != Format::Table {
        return output.list(&answer.objects, "nothing was applied");
    }
    let suffix = if dry_run { " (dry run)" } else { "" };
    for object in &answer.objects {
        let outcome = object.cells(0).pop().unwrap_or_default();
        output.line(&format!("{} {outcome}{suffix}", plain(&object.name())))?;
    }
    Ok(())
}

/// A wrong document is something else than a wrong command line.
pub(super) fn invalid(error: Error) -> Error {
    match error {
        Error::Hub(status) if status.code() == Code::InvalidArgument => {
            Error::Input(error::describe(&status))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_in_order_and_only_what_can_be_a_document() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for name in ["b.yml", "a.yaml", "c.json", "README.md", "inner/d.yaml"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let names = |recursive| -> Vec<String> {
            let files = read(&[directory.path().to_owned()], recursive).unwrap();
            files
                .into_iter()
                .map(|file| String::from_utf8(file.content).unwrap())
                .collect()
        };
        assert_eq!(names(false), ["a.yaml", "b.yml", "c.json"]);
        assert_eq!(names(true), ["a.yaml", "b.yml", "c.json", "inner/d.yaml"]);
    }

    #[test]
    fn an_empty_directory_is_an_error_that_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let error = read(&[directory.path().to_owned()], false).unwrap_err();
        assert!(
            matches!(&error, Error::Input(text) if text.contains("-R")),
            "{error}"
        );
    }

    #[test]
    fn what_is_too_big_is_refused_before_it_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("big.yaml");
        fs::File::create(&path)
            .unwrap()
            .set_len(50_000_000)
            .unwrap();
        let error = read(&[path], false).unwrap_err();
        assert!(
            matches!(&error, Error::Input(text) if text.contains("big.yaml")),
            "{error}"
        );
    }
}
