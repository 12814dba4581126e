//! Git sources: from an address and a revision to a commit, and from a commit to its files.
//!
//! Owns the mirrors, bare repositories in the hub's directory that are a cache and may be deleted
//! at any time. Trees are read from Git's objects: nothing is ever checked out, no filter, hook or
//! attribute of a repository runs, and no configuration of the machine or the repository is read.
//! Never decides when to fetch (the poller does) and never renders.
//!
//! `address` is what may be fetched, `fetch` how, `mirror` where it is kept, `tree` how it is read.

mod address;
mod commit;
mod credentials;
mod error;
mod fetch;
mod meter;
mod mirror;
mod tree;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_model::source::RepoRevision;
use tokio::task::spawn_blocking;

pub(crate) use self::credentials::check_closed;
use self::{
    address::{Address, Revision},
    mirror::Mirror,
};
pub use self::{
    commit::{CommitInfo, Signature},
    credentials::Credential,
    error::Error,
    tree::{Limits as TreeLimits, Tree},
};
use crate::pem;

/// What a hub may fetch, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of the mirrors; created when it is missing.
    pub dir: PathBuf,
    /// Allows `file://` addresses, which the hub reads with its own rights.
    pub allow_file: bool,
    /// Credentials for `https://`, by host (`host` or `host:port`); sent to no other host.
    pub credentials: BTreeMap<String, Credential>,
    /// A file with more of them, read anew for every fetch; an entry of it wins.
    pub credentials_file: Option<PathBuf>,
    /// PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Private key for `ssh://`; without it, ssh's own keys and agent are used.
    pub ssh_key: Option<PathBuf>,
    /// Known hosts for `ssh://`; without it, ssh's own files. An unknown host is refused.
    pub ssh_known_hosts: Option<PathBuf>,
    /// The ssh program, OpenSSH or one that takes its options.
    pub ssh_program: PathBuf,
    /// Longest time for one fetch.
    pub timeout: Duration,
    /// Longest time without a byte from the server, and to connect.
    pub stall_timeout: Duration,
    /// Most bytes that one fetch may bring.
    pub fetch_bytes: u64,
    /// Most bytes of one object in memory; a larger object in a repository makes its fetch fail.
    pub object_bytes: u64,
    /// Packs in a mirror before a new one is begun beside it; each fetch that brings something
    /// makes one.
    pub packs: usize,
    /// How much of a tree is read.
    pub tree: TreeLimits,
}

impl Options {
    /// The defaults: no `file://`, 5 minutes, 1 GiB a fetch.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            allow_file: false,
            credentials: BTreeMap::new(),
            credentials_file: None,
            ca_file: None,
            ssh_key: None,
            ssh_known_hosts: None,
            ssh_program: PathBuf::from("ssh"),
            timeout: Duration::from_mins(5),
            stall_timeout: Duration::from_secs(30),
            fetch_bytes: 1 << 30,
            object_bytes: 512 << 20,
            packs: 200,
            tree: TreeLimits::default(),
        }
    }

    /// Whether the files that are named can be used.
    fn check(&self) -> Result<(), Error> {
        self.all_credentials()?;
        let named = |option, path: &Option<PathBuf>, check: fn(&Path) -> io::Result<()>| {
            let Some(path) = path else { return Ok(()) };
            check(path).map_err(|error| Error::Options {
                option,
                path: path.clone(),
                detail: error.to_string(),
            })
        };
        named("--git-ca-file", &self.ca_file, |path| {
            pem::certificates(path).map(drop)
        })?;
        named("--git-ssh-key", &self.ssh_key, |path| {
            credentials::check_closed(path)?;
            std::fs::File::open(path).map(drop)
        })?;
        named("--git-ssh-known-hosts", &self.ssh_known_hosts, |path| {
            std::fs::File::open(path).map(drop)
        })
    }

    /// The credentials as they are now.
    fn all_credentials(&self) -> Result<BTreeMap<String, Credential>, Error> {
        let mut all = self.credentials.clone();
        if let Some(path) = &self.credentials_file {
            let read = credentials::read(path).map_err(|detail| Error::Options {
                option: "--git-credentials-file",
                path: path.clone(),
                detail,
            })?;
            all.extend(read);
        }
        Ok(all)
    }
}

/// Where a revision led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The full commit id, 40 hexadecimal digits. Its tree is in the mirror.
    pub commit: String,
}

/// The Git sources of a hub. Clones share mirrors and locks.
#[derive(Clone, Debug)]
pub struct Git {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    /// One lock a repository: its fetches are serialised, those of others are not.
    locks: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Git {
    /// Opens the directory of the mirrors.
    ///
    /// # Errors
    /// [`Error::Mirror`] if it cannot be made; [`Error::Options`] if a file that the options name
    /// cannot be read.
    pub fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        mirror::make_directory(&options.dir)?;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                locks: Mutex::default(),
            }),
        })
    }

    /// Whether a source may be fetched at all: form and scheme of its address, form of its
    /// revision. Asks nobody.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::FileRefused`], [`Error::Revision`].
    pub fn check(&self, source: &RepoRevision) -> Result<(), Error> {
        self.parse(source).map(drop)
    }

    fn parse(&self, source: &RepoRevision) -> Result<(Address, Revision), Error> {
        let address = Address::parse(&source.repo_url, self.inner.options.allow_file)?;
        let revision = Revision::parse(&source.revision)?;
        Ok((address, revision))
    }

    /// Finds out where a revision leads now and brings its commit into the mirror, with as little
    /// history as the server allows. A commit that is there already asks nobody.
    ///
    /// A branch, a tag (annotated or not) by short or full name, `HEAD`, or a full commit id.
    /// A second fetch of the same repository waits for the first.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::is_retryable`] tells which may pass by themselves.
    pub async fn fetch(&self, source: &RepoRevision) -> Result<Fetched, Error> {
        let (address, revision) = self.parse(source)?;
        let timeout = self.inner.options.timeout;
        let stop = Arc::new(AtomicBool::new(false));
        // Also set when the caller drops this future.
        let _stop = StopOnDrop(Arc::clone(&stop));
        let lock = self.lock(address.text());
        let inner = Arc::clone(&self.inner);
        let repo = address.text().to_owned();
        let work = async move {
            // Goes into the thread: a fetch that outlives its caller still keeps others out.
            let held = lock.lock_owned().await;
            let fetched = spawn_blocking(move || {
                let _held = held;
                let mirror = Mirror::new(&inner.options, &address);
                fetch::fetch(&mirror, &address, &revision, &stop)
            });
            fetched.await.unwrap_or_else(|panic| {
                Err(Error::Internal {
                    detail: panic.to_string(),
                })
            })
        };
        match tokio::time::timeout(timeout, work).await {
            Ok(fetched) => Ok(Fetched { commit: fetched? }),
            Err(_) => Err(Error::Timeout {
                repo,
                seconds: timeout.as_secs(),
            }),
        }
    }

    /// The tree of a commit that was fetched. Blocks on the disk: call it, and read the tree, in
    /// a blocking thread.
    ///
    /// # Errors
    /// [`Error::MissingCommit`] if the mirror does not have it (any more): fetch it by its id.
    pub fn tree(&self, repo_url: &str, commit: &str) -> Result<Tree, Error> {
        let address = Address::parse(repo_url, self.inner.options.allow_file)?;
        Mirror::new(&self.inner.options, &address).tree(&address, commit)
    }

    /// Who made a commit and what for. Fetches it if the mirror does not have it any more.
    ///
    /// # Errors
    /// As [`Git::fetch`].
    pub async fn commit(&self, repo_url: &str, commit: &str) -> Result<CommitInfo, Error> {
        let source = RepoRevision {
            repo_url: repo_url.to_owned(),
            revision: commit.to_owned(),
        };
        self.fetch(&source).await?;
        self.fetched_commit(repo_url, commit).await
    }

    /// Who made a commit that was fetched and what for. Asks nobody and waits for no fetch.
    ///
    /// # Errors
    /// As [`Git::tree`].
    pub async fn fetched_commit(&self, repo_url: &str, commit: &str) -> Result<CommitInfo, Error> {
        let address = Address::parse(repo_url, self.inner.options.allow_file)?;
        let (inner, commit) = (Arc::clone(&self.inner), commit.to_owned());
        spawn_blocking(move || Mirror::new(&inner.options, &address).info(&address, &commit))
            .await
            .unwrap_or_else(|panic| {
                Err(Error::Internal {
                    detail: panic.to_string(),
                })
            })
    }

    fn lock(&self, repo: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self
            .inner
            .locks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Only those in use count: repositories come and go.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(repo.to_owned()).or_default())
    }
}

/// Tells the blocking thread to stop when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
