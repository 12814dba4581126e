//! `ssh://` and `user@host:path` through a program that takes ssh's arguments.
//!
//! The program writes down how it was called and runs the remote command here, so what is tested
//! is everything up to OpenSSH itself.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;
use tidegate_hub::git::Error;

use crate::fixture::{Hub, Repo, at};

/// Reads its arguments as ssh does: options, host, and the rest is the command.
const RUN: &str = r#"
    while :; do case "$1" in -o) shift 2;; -*) shift;; *) break;; esac; done
    shift; exec sh -c "$*""#;

/// A program that does what `ends_with` says after writing its arguments, one a line, to `args`.
fn program(ends_with: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    // A blank in the path: it goes through a shell.
    let path = directory.path().join("my ssh");
    let args = directory.path().join("args");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n{ends_with}\n",
        args.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (directory, path)
}

#[tokio::test]
async fn both_forms_of_address_reach_the_host() {
    let (directory, ssh) = program(RUN);
    let key = directory.path().join("a key");
    let known_hosts = directory.path().join("known hosts");
    fs::write(&key, "").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&known_hosts, "").unwrap();
    let hub = Hub::with(|options| {
        options.ssh_program = ssh.clone();
        options.ssh_key = Some(key.clone());
        options.ssh_known_hosts = Some(known_hosts.clone());
    });
    let repo = Repo::new();
    let commit = repo.git(["rev-parse", "HEAD"]);
    let path = repo.path().display();
    for (url, host, port) in [
        (
            format!("git@git.example.com:{path}"),
            "git@git.example.com",
            None,
        ),
        (
            format!("ssh://git@git.example.com:2222{path}"),
            "git@git.example.com",
            Some("-p2222"),
        ),
        (
            format!("ssh://git.example.com{path}"),
            "git.example.com",
            None,
        ),
    ] {
        let fetched = hub.git.fetch(&at(&url, "main")).await.unwrap();
        assert_eq!(fetched.commit, commit, "{url}");
        let args = fs::read_to_string(directory.path().join("args")).unwrap();
        let args: Vec<_> = args.lines().collect();
        for expected in [
            host,
            "-oBatchMode=yes",
            "-oStrictHostKeyChecking=yes",
            "-oIdentitiesOnly=yes",
            &format!("-oIdentityFile=\"{}\"", key.display()),
            &format!("-oUserKnownHostsFile=\"{}\"", known_hosts.display()),
        ] {
            assert!(args.contains(&expected), "{expected} is not in {args:?}");
        }
        assert_eq!(
            args.iter().find(|arg| arg.starts_with("-p")).copied(),
            port,
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_refused_key_is_a_matter_of_credentials() {
    let message = "git@git.example.com: Permission denied (publickey).";
    let (_directory, ssh) = program(&format!("echo '{message}' >&2; exit 255"));
    let hub = Hub::with(|options| options.ssh_program = ssh);
    let error = hub
        .git
        .fetch(&at("git@git.example.com:a/b.git", "main"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
    assert!(
        error.to_string().contains("refused with the keys"),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_is_not_found_is_unreachable() {
    let message = "ssh: Could not resolve hostname git.example.com: Name or service not known";
    let (_directory, ssh) = program(&format!("echo '{message}' >&2; exit 255"));
    let hub = Hub::with(|options| options.ssh_program = ssh);
    let error = hub
        .git
        .fetch(&at("git@git.example.com:a/b.git", "main"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_missing_ssh_program_is_named() {
    let hub = Hub::with(|options| options.ssh_program = PathBuf::from("/nonexistent/ssh"));
    let error = hub
        .git
        .fetch(&at("git@git.example.com:a/b.git", "main"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("git.example.com"), "{error}");
}

/// Old servers speak protocol 0 and give only commits that have a name.
#[tokio::test]
async fn an_old_server_gives_a_commit_with_its_history() {
    let (_directory, ssh) = program(&format!("unset GIT_PROTOCOL; {RUN}"));
    let hub = Hub::with(|options| options.ssh_program = ssh);
    let repo = Repo::new();
    let old = repo.git(["rev-parse", "HEAD"]);
    repo.commit("app/a.yaml", "two");
    let url = format!("git@git.example.com:{}", repo.path().display());
    assert_eq!(hub.git.fetch(&at(&url, &old)).await.unwrap().commit, old);
    assert!(hub.git.tree(&url, &old).is_ok());
    let later = repo.commit("app/a.yaml", "three");
    assert_eq!(
        hub.git.fetch(&at(&url, "main")).await.unwrap().commit,
        later
    );
    let unknown = at(&url, "0123456789abcdef0123456789abcdef01234567");
    let error = hub.git.fetch(&unknown).await.unwrap_err();
    assert!(matches!(error, Error::UnknownRevision { .. }), "{error:?}");
}
