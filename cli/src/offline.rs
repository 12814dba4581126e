//! What offline commands read from this machine where the hub would read its fleet and repositories.
//!
//! Owns the files and directories that stand in. Never asks a hub and never decides: expansion and
//! rendering are the hub's own code.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tidegate_generators::{Expansion, GitInput, Need};
use tidegate_model::{
    application_set::ApplicationSet,
    cluster::Cluster,
    digest::Digest,
    ids::ClusterUid,
    manifest::{self, Limits},
    written::Written,
};
use tidegate_proto::v1 as wire;
use tidegate_render::tree::{self, DirectoryTree, SourceTree as _};
use uuid::Uuid;

use crate::{args::Inputs, error::Error};

/// What a directory's commit is called.
const WORKING_TREE: &str = "working-tree";

/// The fleet and the repositories that stand in.
#[derive(Debug, Default)]
pub struct World {
    clusters: Option<Vec<Cluster>>,
    /// For every repository that is not named.
    any: Option<PathBuf>,
    named: BTreeMap<String, PathBuf>,
}

/// A cluster in a file; what else `get clusters` tells of it does not matter here.
#[derive(Deserialize)]
struct ClusterRow {
    #[serde(default)]
    uid: Option<ClusterUid>,
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    servers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ClusterFile {
    List { items: Vec<ClusterRow> },
    Rows(Vec<ClusterRow>),
}

impl World {
    /// Reads what the options name.
    pub fn read(inputs: &Inputs) -> Result<Self, Error> {
        let mut world = Self::default();
        if let Some(path) = &inputs.clusters {
            world.clusters = Some(clusters(path)?);
        }
        for repo in &inputs.repos {
            // A URL has a colon and slashes; a directory may have an = in its name.
            match repo.split_once('=') {
                Some((url, dir)) if url.contains(':') => {
                    world.named.insert(url.to_owned(), checked(dir)?);
                }
                _ => world.any = Some(checked(repo)?),
            }
        }
        Ok(world)
    }

    /// Expands a set as the hub would.
    pub fn expand(&self, set: &ApplicationSet) -> Expansion {
        let git = tidegate_generators::needs(set).into_iter().map(|need| {
            let read = self.git(&need);
            (need.repo, read)
        });
        let inputs = tidegate_generators::Inputs {
            clusters: self.clusters.as_deref().unwrap_or_default(),
            git: git.collect(),
        };
        tidegate_generators::expand(set, &inputs)
    }

    /// Whether a file named the clusters.
    pub fn has_clusters(&self) -> bool {
        self.clusters.is_some()
    }

    /// The directory that stands in for a repository.
    pub fn tree(&self, repo_url: &str) -> Result<DirectoryTree, String> {
        let dir = self.named.get(repo_url).or(self.any.as_ref());
        let dir = dir.ok_or_else(|| {
            format!("nothing stands in for repository {repo_url}: give --repo DIR or --repo {repo_url}=DIR")
        })?;
        DirectoryTree::open(dir).map_err(|error| error.to_string())
    }

    fn git(&self, need: &Need) -> Result<GitInput, String> {
        let tree = self.tree(&need.repo.repo_url)?;
        let text = |error: tree::Error| error.to_string();
        let mut input = GitInput {
            commit: WORKING_TREE.to_owned(),
            ..GitInput::default()
        };
        if need.directories {
            input.directories = tree::directories(&tree).map_err(text)?;
        }
        if !need.files.is_empty() {
            let all = tree.files("", true).map_err(text)?;
            for path in need.select_files(all.iter().map(|entry| entry.path.as_str())) {
                let content = tree.read(path).map_err(text)?;
                input.files.insert(path.to_owned(), content);
            }
        }
        Ok(input)
    }
}

fn checked(dir: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(dir);
    if path.is_dir() {
        Ok(path)
    } else {
        Err(Error::Usage(format!("--repo: {dir} is no directory")))
    }
}

fn clusters(path: &Path) -> Result<Vec<Cluster>, Error> {
    let text = fs::read(path).map_err(|source| Error::File {
        action: "read",
        path: path.display().to_string(),
        source,
    })?;
    let file: ClusterFile = serde_yaml::from_slice(&text).map_err(|error| {
        Error::Input(format!(
            "{}: {error}; write a list of clusters with name and labels, or what `tidegate get clusters -o yaml` shows",
            path.display()
        ))
    })?;
    let (ClusterFile::List { items } | ClusterFile::Rows(items)) = file;
    Ok(items.into_iter().map(cluster).collect())
}

fn cluster(row: ClusterRow) -> Cluster {
    let uid = row.uid.unwrap_or_else(|| {
        let digest = Digest::of("offline-cluster", &serde_json::json!(row.name));
        let half = digest.as_bytes()[..16].try_into().unwrap_or_default();
        ClusterUid(Uuid::from_bytes(half))
    });
    Cluster {
        uid,
        name: row.name,
        labels: row.labels,
        annotations: row.annotations,
        servers: row.servers,
    }
}

/// The sets in these files.
///
/// # Errors
/// Everything that is wrong with them, with places.
pub fn sets(files: &[wire::SourceFile]) -> Result<Vec<ApplicationSet>, Error> {
    let mut problems = Vec::new();
    let mut sets = Vec::new();
    for file in files {
        let documents = match manifest::read(&file.content, &file.name, &Limits::default()) {
            Ok(documents) => documents,
            Err(error) => {
                problems.push(format!("{}: {}", error.place, error.problem));
                continue;
            }
        };
        for document in documents {
            let mut check = |strategy| {
                if let Err(error) = tidegate_waves::validate(strategy) {
                    let line = document.line_of("/spec/strategy");
                    problems.push(format!("{}:{line}: spec.strategy: {error}", file.name));
                }
            };
            match Written::from_document(&document, &file.name) {
                Ok(Written::Set(set)) => {
                    check(&set.spec.strategy);
                    sets.push(*set);
                }
                // It makes no application.
                Ok(Written::Plan(plan)) => check(&plan.spec.strategy),
                Err(errors) => problems.extend(errors.iter().map(ToString::to_string)),
            }
        }
    }
    if problems.is_empty() {
        Ok(sets)
    } else {
        Err(Error::Input(problems.join("\n")))
    }
}
