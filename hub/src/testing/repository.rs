//! A Git repository on this machine, made with Git itself.

use std::{path::Path, process::Command};

use tidegate_model::source::RepoRevision;

/// A repository with a work tree and the branch `main`.
pub(crate) struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    /// A repository with one commit of these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let repository = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        repository.git(&["init", "--quiet"]);
        repository.commit(files);
        repository
    }

    /// Commits these files; returns the commit's id.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            let path = self.dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.dir.path().display())
    }

    /// Its branch `main` as a source.
    pub(crate) fn source(&self) -> RepoRevision {
        RepoRevision {
            repo_url: self.url(),
            revision: "main".to_owned(),
        }
    }

    /// Takes it away, or puts it back.
    pub(crate) fn hide(&self, hidden: bool) {
        let (here, there) = (self.dir.path().join(".git"), self.dir.path().join("hidden"));
        let (from, to): (&Path, &Path) = if hidden {
            (&here, &there)
        } else {
            (&there, &here)
        };
        std::fs::rename(from, to).unwrap();
    }

    /// Git without any configuration of this machine.
    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(["-c", "init.defaultBranch=main"])
            .args(args)
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
