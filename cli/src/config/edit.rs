//! Changing the configuration file: in one step, one writer at a time.
//!
//! Owns the lock; `files` replaces. Never writes a file that it could not read.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use super::{API_VERSION, Config, Context, Error, KIND};
use crate::files::{beside, private, replace};

/// How long another writer may hold the file.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts.
const RETRY: Duration = Duration::from_millis(20);

/// Lets `change` work on the file's content, an empty one where there is none, and writes what became
/// of it. Nothing is written when `change` refuses or changes nothing.
pub async fn edit<T>(
    path: &Path,
    change: impl FnOnce(&mut Config) -> Result<T, Error>,
) -> Result<T, Error> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    // A file that is a link, as those who keep their settings in Git have it, stays one.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    make_directory(&directory).map_err(failed)?;
    let _lock = lock(&beside(&target, "lock"), path).await?;
    let (mut config, before) = match Config::load(&target) {
        Ok(config) => (config.clone(), Some(config)),
        Err(Error::Missing { .. }) => (Config::empty(), None),
        Err(error) => return Err(error),
    };
    let answer = change(&mut config)?;
    if before.as_ref() != Some(&config) {
        let text = config.to_yaml(path)?;
        replace(&target, text.as_bytes()).map_err(failed)?;
    }
    Ok(answer)
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Waits for other writers. The lock goes with the process, so that none is left behind.
async fn lock(path: &Path, config: &Path) -> Result<fs::File, Error> {
    let failed = |source| Error::Write {
        path: config.to_owned(),
        source,
    };
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = private(&mut options).open(path).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
            Err(fs::TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => {
                return Err(Error::Locked {
                    path: config.to_owned(),
                    lock: path.to_owned(),
                });
            }
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(RETRY).await,
        }
    }
}

impl Config {
    /// A configuration without any context.
    pub fn empty() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            current_context: String::new(),
            contexts: Vec::new(),
        }
    }

    /// Uses a context from now on.
    pub fn use_context(&mut self, name: &str, path: &Path) -> Result<(), Error> {
        self.only(name, path)?;
        name.clone_into(&mut self.current_context);
        Ok(())
    }

    /// Takes a context out; no other one takes its place as the current one.
    pub fn delete(&mut self, name: &str, path: &Path) -> Result<Context, Error> {
        let index = self.only(name, path)?;
        if self.current_context == name {
            self.current_context.clear();
        }
        Ok(self.contexts.remove(index))
    }

    /// Gives a context another name; it stays the current one if it was.
    pub fn rename(&mut self, old: &str, new: &str, path: &Path) -> Result<(), Error> {
        let index = self.only(old, path)?;
        check_name(new)?;
        if old != new && self.contexts.iter().any(|context| context.name == new) {
            return Err(Error::Taken {
                names: new.to_owned(),
                path: path.to_owned(),
                hint: "choose another one, or delete that first",
            });
        }
        new.clone_into(&mut self.contexts[index].name);
        if self.current_context == old {
            new.clone_into(&mut self.current_context);
        }
        Ok(())
    }

    /// Takes over these contexts, all or none. The first becomes the current one where there is none.
    pub fn add(&mut self, new: Vec<Context>, overwrite: bool, path: &Path) -> Result<(), Error> {
        let taken: Vec<_> = new
            .iter()
            .filter(|context| self.contexts.iter().any(|known| known.name == context.name))
            .map(|context| context.name.clone())
            .collect();
        if !taken.is_empty() && !overwrite {
            return Err(Error::Taken {
                names: taken.join(", "),
                path: path.to_owned(),
                hint: "--as gives the new one another name, --overwrite replaces what is there",
            });
        }
        for context in new {
            check_name(&context.name)?;
            if self.current_context.is_empty() {
                self.current_context.clone_from(&context.name);
            }
            match self.contexts.iter().position(|it| it.name == context.name) {
                Some(_) => {
                    let index = self.only(&context.name, path)?;
                    self.contexts[index] = context;
                }
                None => self.contexts.push(context),
            }
        }
        Ok(())
    }

    /// The place of the only context of that name: of two nobody knows which is meant.
    fn only(&self, name: &str, path: &Path) -> Result<usize, Error> {
        self.context(Some(name), path)?;
        let places = self.contexts.iter().enumerate();
        let places: Vec<_> = places.filter(|(_, it)| it.name == name).collect();
        match places.as_slice() {
            [(index, _)] => Ok(*index),
            several => Err(Error::Invalid {
                path: path.to_owned(),
                problem: format!(
                    "it has {} contexts of the name {name:?}: give one another name with an editor",
                    several.len()
                ),
            }),
        }
    }
}

/// A name must be something that can be written on a command line and in one line of a table.
fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.chars().any(|it| it.is_control() || it.is_whitespace()) {
        return Err(Error::Name {
            name: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
