//! Where fetched commits are kept: bare repositories in numbered directories.
//!
//! `<dir>/<hash of the address>/<number>`. The highest number is current. Each fetch adds a pack
//! and nothing here repacks, so a mirror with many packs is left behind and a new one begun; the
//! one before stays until the next change, for commits that are not in the new one yet. A mirror
//! that does not open is left behind too: everything in it can be fetched again. Lock files that a
//! killed hub left in one are removed: the mirrors are this hub's alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gix::{ObjectId, Repository};

use super::{Error, Options, Tree, address::Address, error::chain};

/// The mirrors of one repository.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    dir: PathBuf,
    options: Options,
}

impl Mirror {
    pub(super) fn new(options: &Options, address: &Address) -> Self {
        Self {
            dir: options.dir.join(address.directory()),
            options: options.clone(),
        }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// The repository to fetch into: the current one, or a new one if that is full or broken. Called
    /// under the repository's lock: nobody else writes into it.
    pub(super) fn current(&self) -> Result<Repository, Error> {
        make_directory(&self.dir)?;
        let numbers = self.numbers()?;
        let last = numbers.last().copied();
        if let Some(last) = last {
            remove_locks(&self.path(last));
            match self.open(last) {
                Ok(repository) if packs(&repository) < self.options.packs => return Ok(repository),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "leaving a broken mirror behind"),
            }
        }
        for old in numbers.iter().rev().skip(1) {
            let path = self.path(*old);
            fs::remove_dir_all(&path).map_err(|error| failed(&path, &error))?;
        }
        self.create(last.map_or(1, |last| last + 1))
    }

    /// The repository that has the commit, newest first.
    pub(super) fn find(&self, commit: ObjectId) -> Result<Option<Repository>, Error> {
        for number in self.numbers()?.into_iter().rev() {
            let Ok(repository) = self.open(number) else {
                // The next fetch replaces it.
                continue;
            };
            if has_commit(&repository, commit) {
                return Ok(Some(repository));
            }
        }
        Ok(None)
    }

    /// The tree of a commit.
    pub(super) fn tree(&self, address: &Address, commit: &str) -> Result<Tree, Error> {
        let (id, repository) = self.with_commit(address, commit)?;
        let root = repository
            .find_commit(id)
            .and_then(|commit| Ok(commit.tree_id()?.detach()))
            .map_err(|error| Error::Mirror {
                path: repository.git_dir().to_owned(),
                detail: chain(&error),
            })?;
        Ok(Tree::new(repository, root, self.options.tree))
    }

    /// A commit's id and the repository that has it.
    pub(super) fn with_commit(
        &self,
        address: &Address,
        commit: &str,
    ) -> Result<(ObjectId, Repository), Error> {
        let missing = || Error::MissingCommit {
            repo: address.text().to_owned(),
            commit: commit.chars().take(40).collect(),
        };
        let id = ObjectId::from_hex(commit.as_bytes()).map_err(|_| missing())?;
        let repository = self.find(id)?.ok_or_else(missing)?;
        Ok((id, repository))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(number.to_string())
    }

    /// The numbers of what is there, ascending.
    fn numbers(&self) -> Result<Vec<u64>, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failed(&self.dir, &error))?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(&self.dir, &error))?;
            numbers.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<u64>().ok()),
            );
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn open(&self, number: u64) -> Result<Repository, Error> {
        let path = self.path(number);
        let opened = self.open_options().open_path_as_is(true).open(&path);
        opened
            .map(|repository| repository.to_thread_local())
            .map_err(|error| Error::Mirror {
                path,
                detail: chain(&error),
            })
    }

    fn create(&self, number: u64) -> Result<Repository, Error> {
        let path = self.path(number);
        let created = gix::ThreadSafeRepository::init_opts(
            &path,
            gix::create::Kind::Bare,
            gix::create::Options::default(),
            self.open_options(),
        );
        created
            .map(|repository| repository.to_thread_local())
            .map_err(|error| Error::Mirror {
                path,
                detail: chain(&error),
            })
    }

    /// No configuration of the machine, the user or the environment: only what the hub says.
    fn open_options(&self) -> gix::open::Options {
        gix::open::Options::isolated()
            .with(gix::sec::Trust::Full)
            .config_overrides([
                format!("gitoxide.objects.allocLimit={}", self.options.object_bytes),
                format!("core.sshCommand={}", ssh_command(&self.options)),
                "ssh.variant=ssh".to_owned(),
            ])
    }
}

/// Whether the mirror has this object and it is a commit. Its tree is then there too: a pack comes
/// into a mirror whole or not at all.
pub(super) fn has_commit(repository: &Repository, id: ObjectId) -> bool {
    repository
        .find_header(id)
        .is_ok_and(|header| header.kind() == gix::objs::Kind::Commit)
}

/// Removes lock files that a fetch left which was killed, or nothing could be fetched ever again.
/// What cannot be removed, the fetch that follows complains of.
fn remove_locks(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && entry.file_name() != "objects" {
            remove_locks(&path);
        } else if !is_directory && path.extension().is_some_and(|it| it == "lock") {
            tracing::info!(path = %path.display(), "removing a lock that a killed hub left");
            let _ = fs::remove_file(&path);
        }
    }
}

fn packs(repository: &Repository) -> usize {
    let directory = repository.git_dir().join("objects/pack");
    // Unreadable counts as empty: the fetch that follows will say what is wrong.
    fs::read_dir(directory).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|it| it == "pack"))
            .count()
    })
}

/// The command line of ssh, for the shell. Never asks anything: nobody is there to answer.
fn ssh_command(options: &Options) -> String {
    let seconds = options.stall_timeout.as_secs().max(1);
    let mut words = vec![
        options.ssh_program.display().to_string(),
        "-oBatchMode=yes".to_owned(),
        "-oStrictHostKeyChecking=yes".to_owned(),
        format!("-oConnectTimeout={seconds}"),
        format!("-oServerAliveInterval={}", seconds.div_ceil(3)),
        "-oServerAliveCountMax=3".to_owned(),
    ];
    if let Some(path) = &options.ssh_known_hosts {
        words.push(format!("-oUserKnownHostsFile=\"{}\"", path.display()));
    }
    if let Some(path) = &options.ssh_key {
        words.push(format!("-oIdentityFile=\"{}\"", path.display()));
        words.push("-oIdentitiesOnly=yes".to_owned());
    }
    let quoted: Vec<_> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    quoted.join(" ")
}

/// Makes a directory and those above it.
pub(super) fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::Mirror {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}
