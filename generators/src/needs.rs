//! What an expansion will read from Git, so that the caller can read it first.
//!
//! Never reads.

use std::collections::BTreeMap;

use tidegate_model::{
    application_set::{ApplicationSet, PathPattern},
    source::RepoRevision,
};

use crate::git::Paths;

/// What is needed from one repository at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which repository and revision.
    pub repo: RepoRevision,
    /// Whether the list of all directories is needed.
    pub directories: bool,
    /// The patterns of every generator that reads files. A file is needed when one of them selects
    /// it.
    pub files: Vec<Vec<PathPattern>>,
}

impl Need {
    /// Those of `paths` (all files of the tree) whose content is needed, in order of path.
    /// Patterns that cannot be read select nothing: [`crate::expand`] reports them.
    pub fn select_files<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let selections: Vec<_> = self
            .files
            .iter()
            .filter_map(|patterns| Paths::new(patterns).ok())
            .collect();
        let mut selected: Vec<_> = paths
            .into_iter()
            .filter(|path| selections.iter().any(|it| it.select(path)))
            .collect();
        selected.sort_unstable();
        selected.dedup();
        selected
    }
}

/// What an expansion of `set` will read from Git, ordered by repository and revision, each once.
pub fn needs(set: &ApplicationSet) -> Vec<Need> {
    let mut all = BTreeMap::new();
    for git in set.spec.generators.iter().filter_map(|it| it.git.as_ref()) {
        let repo = crate::git::repo_revision(git);
        let need = all.entry(repo.clone()).or_insert_with(|| Need {
            repo,
            directories: false,
            files: Vec::new(),
        });
        need.directories |= !git.directories.is_empty();
        if !git.files.is_empty() && !need.files.contains(&git.files) {
            need.files.push(git.files.clone());
        }
    }
    all.into_values().collect()
}
