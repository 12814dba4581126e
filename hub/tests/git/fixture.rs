//! Repositories for tests, and a hub's `Git` to read them with.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tidegate_hub::git::{Error, Git, Options, Tree};
use tidegate_model::source::RepoRevision;

/// A command that sees no configuration but what is given here.
pub(crate) fn git_command(home: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args(["-c", "init.defaultBranch=main"]);
    command
}

/// A repository with a work tree.
pub(crate) struct Repo {
    directory: TempDir,
}

impl Repo {
    /// A repository without a commit.
    pub(crate) fn empty() -> Self {
        let repo = Self {
            directory: TempDir::new().unwrap(),
        };
        repo.git(["init", "--quiet"]);
        repo
    }

    /// A repository with one commit of `app/a.yaml`.
    pub(crate) fn new() -> Self {
        let repo = Self::empty();
        repo.commit("app/a.yaml", "one");
        repo
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    pub(crate) fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        self.git_with(args, b"")
    }

    /// Runs Git with this on its standard input; returns what it printed, without the last line
    /// break.
    pub(crate) fn git_with<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> String {
        let mut child = git_command(self.path())
            .args(args)
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits everything that is there; returns the commit's id.
    pub(crate) fn commit_all(&self) -> String {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "--message", "change"]);
        self.git(["rev-parse", "HEAD"])
    }

    pub(crate) fn commit(&self, path: &str, content: &str) -> String {
        self.write(path, content);
        self.commit_all()
    }

    pub(crate) fn at(&self, revision: &str) -> RepoRevision {
        at(&self.url(), revision)
    }
}

pub(crate) fn at(url: &str, revision: &str) -> RepoRevision {
    RepoRevision {
        repo_url: url.to_owned(),
        revision: revision.to_owned(),
    }
}

/// A hub's Git sources in a directory of their own.
pub(crate) struct Hub {
    pub(crate) git: Git,
    directory: TempDir,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut options = Options::new(directory.path().join("mirrors"));
        options.allow_file = true;
        change(&mut options);
        Self {
            git: Git::new(options).unwrap(),
            directory,
        }
    }

    pub(crate) async fn fetch(&self, repo: &Repo, revision: &str) -> Result<String, Error> {
        let fetched = self.git.fetch(&repo.at(revision)).await;
        fetched.map(|fetched| fetched.commit)
    }

    /// Fetches a revision and opens its tree.
    pub(crate) async fn tree(&self, repo: &Repo, revision: &str) -> Tree {
        let commit = self.fetch(repo, revision).await.unwrap();
        self.git.tree(&repo.url(), &commit).unwrap()
    }

    /// The mirrors of the only repository that was fetched, oldest first.
    pub(crate) fn mirrors(&self) -> Vec<PathBuf> {
        let list = |path: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(path).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let repositories = list(&self.directory.path().join("mirrors"));
        let [repository] = &repositories[..] else {
            panic!("{repositories:?}")
        };
        let mut mirrors = list(repository);
        mirrors.sort_by_key(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.parse::<u64>().unwrap()
        });
        mirrors
    }
}
