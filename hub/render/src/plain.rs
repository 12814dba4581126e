//! Plain directories of YAML and JSON.
//!
//! One entry point, [`render`]. Never renders a part: one wrong file fails the source, because a
//! bundle without it would prune what the file stands for.

use std::{collections::BTreeMap, fmt};

use tidegate_model::{
    bundle::{Bundle, BundleEntry, OBJECT_TAG},
    canonical,
    digest::Digest,
    manifest,
    object::ObjectId,
    source::Source,
};

use crate::{
    error::{Error, Place},
    object,
    select::{self, Selection},
    tree::{self, EntryKind, FileEntry, SourceTree},
};

/// How much one source may hold. Sizes are checked before a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Manifest files.
    pub files: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Objects.
    pub objects: usize,
    /// Limits inside one file.
    pub manifest: manifest::Limits,
}

impl Default for Limits {
    /// 5,000 files of at most 10 MiB, 100 MiB together; 10,000 objects.
    fn default() -> Self {
        Self {
            files: 5_000,
            file_bytes: 10 << 20,
            total_bytes: 100 << 20,
            objects: 10_000,
            manifest: manifest::Limits::default(),
        }
    }
}

/// A rendered source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The objects by digest. Empty if no file of the directory holds an object: whether that may
    /// be rolled out is for the hub to decide.
    pub bundle: Bundle,
    /// Canonical JSON of every object in the bundle, by digest (tag `object`).
    pub objects: BTreeMap<Digest, Vec<u8>>,
    /// Where each object stands.
    pub places: BTreeMap<ObjectId, Place>,
    /// What a person should know, in order of files.
    pub warnings: Vec<Warning>,
}

/// Something that renders but should be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A secret in plain text in Git.
    PlainSecret {
        /// Where.
        place: Place,
        /// Which.
        object: ObjectId,
    },
    /// A link below the source's directory whose name is not a manifest's; it may hide a
    /// directory.
    LinkSkipped {
        /// The link.
        path: String,
    },
    /// A submodule below the source's directory.
    SubmoduleSkipped {
        /// The submodule.
        path: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainSecret { place, object } => write!(
                f,
                "{place}: {object} is a Secret in plain text; keep it encrypted (SealedSecret, \
                 ExternalSecret) and change its values"
            ),
            Self::LinkSkipped { path } => write!(
                f,
                "{path}: symbolic links are not followed; commit what it points to"
            ),
            Self::SubmoduleSkipped { path } => write!(
                f,
                "{path}: submodules are not fetched; use the other repository as a source"
            ),
        }
    }
}

/// Renders the directory that `source` names in `tree`, which is its repository at the commit its
/// revision led to.
///
/// # Errors
/// The first thing that is wrong, with its file and line.
pub fn render(tree: &dyn SourceTree, source: &Source, limits: &Limits) -> Result<Rendered, Error> {
    let directory = tree::normalize(&source.path)?;
    let selection = Selection::new(&source.directory)?;
    let entries = tree
        .files(&directory, source.directory.recurse)
        .map_err(|error| in_source(error, source, &directory))?;
    let mut rendered = Rendered::default();
    let files = choose(entries, &directory, &selection, &mut rendered.warnings)?;
    check_sizes(&files, &directory, limits)?;
    let mut rows = Vec::new();
    for file in &files {
        let text = tree.read(&file.path)?;
        for document in manifest::read(text, &file.path, &limits.manifest)? {
            let (key, value, place) = object::read(document, &file.path)?;
            if rows.len() == limits.objects {
                return Err(Error::TooManyObjects {
                    place,
                    limit: limits.objects,
                });
            }
            if let Some(first) = rendered.places.get(&key.id) {
                return Err(Error::duplicate(&key, first, place));
            }
            if key.id.group.is_empty() && key.id.kind == "Secret" {
                rendered.warnings.push(Warning::PlainSecret {
                    place: place.clone(),
                    object: key.id.clone(),
                });
            }
            rendered.places.insert(key.id.clone(), place);
            let bytes = canonical::to_vec(&value);
            let digest = Digest::of_bytes(OBJECT_TAG, &bytes);
            rendered.objects.insert(digest, bytes);
            rows.push(BundleEntry { key, digest });
        }
    }
    rendered.bundle = Bundle::new(rows);
    Ok(rendered)
}

fn in_source(error: tree::Error, source: &Source, directory: &str) -> Error {
    let (repo, revision) = (source.repo_url.clone(), source.target_revision.clone());
    let path = directory.to_owned();
    match error {
        tree::Error::NotFound { .. } => Error::MissingPath {
            repo,
            path,
            revision,
        },
        tree::Error::NotADirectory { path } => Error::PathIsFile {
            repo,
            path,
            revision,
        },
        other => other.into(),
    }
}

/// The manifests among the entries; links and submodules are refused or told.
fn choose(
    entries: Vec<FileEntry>,
    directory: &str,
    selection: &Selection,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<FileEntry>, Error> {
    let mut files = Vec::new();
    for entry in entries {
        let relative = entry.path.strip_prefix(directory).unwrap_or(&entry.path);
        if !selection.admits(relative.trim_start_matches('/')) {
            continue;
        }
        match (entry.kind, select::is_manifest(&entry.path)) {
            (EntryKind::File, true) => files.push(entry),
            (EntryKind::File, false) => {}
            (EntryKind::Symlink, true) => return Err(Error::LinkedFile { file: entry.path }),
            (EntryKind::Symlink, false) => warnings.push(Warning::LinkSkipped { path: entry.path }),
            (EntryKind::Submodule, _) => {
                warnings.push(Warning::SubmoduleSkipped { path: entry.path });
            }
        }
    }
    Ok(files)
}

fn check_sizes(files: &[FileEntry], directory: &str, limits: &Limits) -> Result<(), Error> {
    if files.len() > limits.files {
        return Err(Error::TooManyFiles {
            directory: directory.to_owned(),
            files: files.len(),
            limit: limits.files,
        });
    }
    if let Some(large) = files.iter().find(|file| file.size > limits.file_bytes) {
        return Err(Error::FileTooLarge {
            file: large.path.clone(),
            bytes: large.size,
            limit: limits.file_bytes,
        });
    }
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    if bytes > limits.total_bytes {
        return Err(Error::TooLarge {
            directory: directory.to_owned(),
            bytes,
            limit: limits.total_bytes,
        });
    }
    Ok(())
}
