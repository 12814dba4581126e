//! The git generator: rows from directories, or from the YAML and JSON files, of a repository.
//!
//! Directories are given to the template by path alone; of files the content counts. Never takes
//! an input that failed for one that is empty.

use serde_json::{Map, Value, json};
use tidegate_model::{
    application::InputVersion,
    application_set::{GitGenerator, PathPattern},
    glob::{self, Glob},
    manifest::{self, Document, Limits},
    source::RepoRevision,
};

use crate::{
    inputs::{GitInput, Inputs},
    row::{Lost, Row, Rows},
    template::text::normalize,
    values::Values,
};

/// The patterns of a generator. A path is selected when one includes and none excludes it.
pub(crate) struct Paths {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl Paths {
    pub(crate) fn new(patterns: &[PathPattern]) -> Result<Self, glob::Error> {
        let (mut include, mut exclude) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let list = if pattern.exclude {
                &mut exclude
            } else {
                &mut include
            };
            list.push(Glob::new(&pattern.path)?);
        }
        Ok(Self { include, exclude })
    }

    pub(crate) fn select(&self, path: &str) -> bool {
        let fits = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(path));
        fits(&self.include) && !fits(&self.exclude)
    }
}

/// What the generator reads from.
pub(crate) fn repo_revision(git: &GitGenerator) -> RepoRevision {
    RepoRevision {
        repo_url: git.repo_url.clone(),
        revision: git.revision.clone(),
    }
}

/// Adds the generator's rows to `rows`.
pub(crate) fn rows(git: &GitGenerator, inputs: &Inputs<'_>, rows: &mut Rows) {
    let repo = repo_revision(git);
    let input = match inputs.git.get(&repo) {
        Some(Ok(input)) => input,
        Some(Err(cause)) => {
            let name = name(&repo);
            let message =
                format!("failed to read {name}: {cause}; nothing is changed until it can be read");
            return lose(rows, "", message);
        }
        None => {
            let name = name(&repo);
            let message = format!("{name} was not read; nothing is changed until it is");
            return lose(rows, "", message);
        }
    };
    let (field, patterns) = match (git.directories.is_empty(), git.files.is_empty()) {
        (false, true) => ("directories", &git.directories),
        (true, false) => ("files", &git.files),
        _ => {
            let message = "the generator needs either directories or files; keep one of them";
            return lose(rows, "", message.to_owned());
        }
    };
    let paths = match Paths::new(patterns) {
        Ok(paths) => paths,
        Err(error) => return lose(rows, field, error.to_string()),
    };
    let Some(mut values) = Values::new(&git.values, rows) else {
        return;
    };
    let reader = Reader { git, repo, input };
    let found = if field == "directories" {
        reader.directories(&paths)
    } else {
        reader.files(&paths, rows)
    };
    for row in found {
        values.add(row, rows);
    }
}

fn lose(rows: &mut Rows, field: &str, message: String) {
    let field = match field {
        "" => String::new(),
        field => format!("{}.{field}", rows.generator),
    };
    rows.lost.push(Lost {
        field,
        message,
        ..Lost::default()
    });
}

fn name(repo: &RepoRevision) -> String {
    format!("git repository {} at {}", repo.repo_url, repo.revision)
}

/// A generator and what it reads from.
struct Reader<'a> {
    git: &'a GitGenerator,
    repo: RepoRevision,
    input: &'a GitInput,
}

impl Reader<'_> {
    fn directories(&self, paths: &Paths) -> Vec<Row> {
        let hidden = |path: &str| path.split('/').any(|part| part.starts_with('.'));
        let mut found: Vec<_> = self
            .input
            .directories
            .iter()
            .map(|path| path.trim_matches('/'))
            .filter(|path| !path.is_empty() && !hidden(path) && paths.select(path))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|path| self.row(path, format!("directory {path}"), Map::new()))
            .collect()
    }

    fn files(&self, paths: &Paths, rows: &mut Rows) -> Vec<Row> {
        let mut found = Vec::new();
        let selected = self
            .input
            .files
            .iter()
            .filter(|(path, _)| paths.select(path));
        for (path, text) in selected {
            match contents(path, text) {
                Ok(contents) => {
                    let several = contents.len() > 1;
                    for (index, content) in contents.into_iter().enumerate() {
                        let mut origin = format!("file {path}");
                        if several {
                            origin.extend([" item ", &index.to_string()]);
                        }
                        found.push(self.row(path, origin, content));
                    }
                }
                // A file that cannot be read costs its own rows, not those of the others.
                Err(message) => rows.lost.push(Lost {
                    origin: format!("file {path}"),
                    message,
                    ..Lost::default()
                }),
            }
        }
        found
    }

    /// A row whose parameters are `.path` over what the file holds.
    fn row(&self, path: &str, origin: String, mut params: Map<String, Value>) -> Row {
        let path_params = path_params(path, !self.git.files.is_empty());
        match self.git.path_param_prefix.as_str() {
            "" => drop(params.insert("path".to_owned(), path_params)),
            prefix => drop(params.insert(prefix.to_owned(), json!({"path": path_params}))),
        }
        let RepoRevision { repo_url, revision } = &self.repo;
        let input = InputVersion {
            input: format!("git/{repo_url}@{revision}:{path}"),
            version: self.input.commit.clone(),
        };
        Row {
            origin,
            params,
            inputs: vec![input],
        }
    }
}

/// `.path`: of a directory itself, of a file its directory and its name.
fn path_params(path: &str, is_file: bool) -> Value {
    let (directory, file) = match path.rsplit_once('/') {
        _ if !is_file => (path, None),
        Some((directory, file)) => (directory, Some(file)),
        None => (".", Some(path)),
    };
    let basename = directory.rsplit('/').next().unwrap_or(directory);
    let mut params = json!({
        "path": directory,
        "basename": basename,
        "basenameNormalized": normalize(basename),
        "segments": directory.split('/').collect::<Vec<_>>(),
    });
    if let Some(file) = file {
        params["filename"] = json!(file);
        params["filenameNormalized"] = json!(normalize(file));
    }
    params
}

/// The objects in a file: none but the path where it is empty, one, or those of a list.
fn contents(path: &str, text: &[u8]) -> Result<Vec<Map<String, Value>>, String> {
    let documents = manifest::read_documents(text, path, &Limits::default());
    let documents = documents.map_err(|error| error.to_string())?;
    let mut documents = documents.into_iter();
    let (first, second) = (documents.next(), documents.next());
    if let Some(second) = second {
        let line = second.line;
        return Err(format!(
            "failed to use {path}:{line}: a second document begins here; write the objects as one list"
        ));
    }
    let Some(Document { value, lines, .. }) = first else {
        return Ok(vec![Map::new()]);
    };
    let wrong = |pointer: &str, what: &str| {
        let line = lines.line_of(pointer);
        format!("failed to use {path}:{line}: {what} is no object; write key: value pairs")
    };
    match value {
        Value::Object(map) => Ok(vec![map]),
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::Object(map) => Ok(map),
                _ => Err(wrong(
                    &format!("/{index}"),
                    &format!("item {index} of the list"),
                )),
            })
            .collect(),
        _ => Err(wrong("", "the file")),
    }
}
