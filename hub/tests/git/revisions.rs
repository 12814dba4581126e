//! From a revision to a commit.

use std::fs;

use tidegate_hub::git::Error;
use tidegate_render::SourceTree as _;

use crate::fixture::{Hub, Repo, git_command};

#[tokio::test]
async fn a_branch_is_followed() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let first = repo.git(["rev-parse", "HEAD"]);
    assert_eq!(hub.fetch(&repo, "main").await.unwrap(), first);
    assert_eq!(hub.fetch(&repo, "main").await.unwrap(), first);
    for content in ["two", "three"] {
        let commit = repo.commit("app/a.yaml", content);
        let tree = hub.tree(&repo, "main").await;
        assert_eq!(tree.read("app/a.yaml").unwrap(), content.as_bytes());
        assert_eq!(hub.fetch(&repo, "refs/heads/main").await.unwrap(), commit);
    }
    let old = hub.git.tree(&repo.url(), &first).unwrap();
    assert_eq!(old.read("app/a.yaml").unwrap(), b"one");
}

#[tokio::test]
async fn only_the_commit_and_not_its_history_is_fetched() {
    let (hub, repo) = (Hub::new(), Repo::new());
    for content in ["two", "three"] {
        repo.commit("app/a.yaml", content);
    }
    for _ in 0..2 {
        let commit = hub.fetch(&repo, "main").await.unwrap();
        let [mirror] = &hub.mirrors()[..] else {
            panic!("one mirror")
        };
        let output = git_command(mirror)
            .arg("--git-dir")
            .arg(mirror)
            .args(["rev-list", "--count", &commit])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n");
        repo.commit("app/a.yaml", "four");
    }
}

#[tokio::test]
async fn a_forced_push_is_followed() {
    let (hub, repo) = (Hub::new(), Repo::new());
    repo.commit("app/a.yaml", "two");
    hub.fetch(&repo, "main").await.unwrap();
    repo.git(["checkout", "--quiet", "--orphan", "other"]);
    let commit = repo.commit("app/a.yaml", "rewritten");
    repo.git(["branch", "--force", "main", "other"]);
    assert_eq!(hub.fetch(&repo, "main").await.unwrap(), commit);
    // And back to what the mirror has already.
    repo.git(["branch", "--force", "main", "main@{1}"]);
    let before = repo.git(["rev-parse", "main"]);
    assert_ne!(before, commit);
    assert_eq!(hub.fetch(&repo, "main").await.unwrap(), before);
}

#[tokio::test]
async fn a_tag_is_followed_to_its_commit_even_when_it_moves() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let first = repo.git(["rev-parse", "HEAD"]);
    repo.git(["tag", "light"]);
    repo.git(["tag", "--annotate", "--message", "m", "v1"]);
    repo.git(["tag", "--annotate", "--message", "m", "tag-of-tag", "v1"]);
    for tag in ["light", "v1", "tag-of-tag", "refs/tags/v1"] {
        assert_eq!(hub.fetch(&repo, tag).await.unwrap(), first, "{tag}");
    }
    let second = repo.commit("app/a.yaml", "two");
    repo.git(["tag", "--annotate", "--message", "m", "--force", "v1"]);
    assert_eq!(hub.fetch(&repo, "v1").await.unwrap(), second);
}

#[tokio::test]
async fn head_is_the_default_branch() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let first = hub.fetch(&repo, "HEAD").await.unwrap();
    repo.git(["checkout", "--quiet", "-b", "next"]);
    let second = repo.commit("app/a.yaml", "two");
    assert_eq!(hub.fetch(&repo, "HEAD").await.unwrap(), second);
    assert_eq!(hub.fetch(&repo, "main").await.unwrap(), first);
}

#[tokio::test]
async fn a_commit_is_pinned_and_needs_no_server_twice() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let pinned = repo.commit("app/a.yaml", "pinned");
    repo.commit("app/a.yaml", "later");
    assert_eq!(hub.fetch(&repo, &pinned).await.unwrap(), pinned);
    let upper = pinned.to_uppercase();
    assert_eq!(hub.fetch(&repo, &upper).await.unwrap(), pinned);
    let tree = hub.git.tree(&repo.url(), &pinned).unwrap();
    assert_eq!(tree.read("app/a.yaml").unwrap(), b"pinned");
    fs::remove_dir_all(repo.path().join(".git")).unwrap();
    assert_eq!(hub.fetch(&repo, &pinned).await.unwrap(), pinned);
    assert!(hub.fetch(&repo, "main").await.is_err());
}

#[tokio::test]
async fn a_deleted_branch_is_unknown_and_its_commit_stays_readable() {
    let (hub, repo) = (Hub::new(), Repo::new());
    repo.git(["branch", "feature"]);
    let commit = hub.fetch(&repo, "feature").await.unwrap();
    repo.git(["branch", "--delete", "--force", "feature"]);
    let error = hub.fetch(&repo, "feature").await.unwrap_err();
    assert!(matches!(error, Error::UnknownRevision { .. }), "{error:?}");
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(
        text.contains("\"feature\"") && text.contains(&repo.url()),
        "{text}"
    );
    assert!(hub.git.tree(&repo.url(), &commit).is_ok());
    // A name that could not be beside the old one.
    repo.git(["checkout", "--quiet", "-b", "feature/x"]);
    let commit = repo.commit("app/a.yaml", "two");
    assert_eq!(hub.fetch(&repo, "feature/x").await.unwrap(), commit);
}

#[tokio::test]
async fn a_name_of_both_branch_and_tag_must_be_written_out() {
    let (hub, repo) = (Hub::new(), Repo::new());
    repo.git(["tag", "main"]);
    let tagged = hub.fetch(&repo, "main").await.unwrap();
    let branch = repo.commit("app/a.yaml", "two");
    let error = hub.fetch(&repo, "main").await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error:?}");
    assert!(error.to_string().contains("refs/tags/main"), "{error}");
    assert_eq!(hub.fetch(&repo, "refs/heads/main").await.unwrap(), branch);
    assert_eq!(hub.fetch(&repo, "refs/tags/main").await.unwrap(), tagged);
}

#[tokio::test]
async fn what_is_not_there_is_unknown() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let short = repo.git(["rev-parse", "--short", "HEAD"]);
    let other = "0123456789abcdef0123456789abcdef01234567";
    for revision in [
        "no-such",
        "refs/heads/no-such",
        "refs/other/x",
        &short,
        other,
    ] {
        let error = hub.fetch(&repo, revision).await.unwrap_err();
        assert!(
            matches!(error, Error::UnknownRevision { .. }),
            "{revision}: {error:?}"
        );
    }
    // A prefix of a name is another name.
    repo.git(["branch", "release"]);
    assert!(hub.fetch(&repo, "releas").await.is_err());
}

#[tokio::test]
async fn a_tag_of_a_file_is_not_a_commit() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let blob = repo.git(["rev-parse", "HEAD:app/a.yaml"]);
    repo.git(["tag", "file", &blob]);
    for revision in ["file", &blob] {
        let error = hub.fetch(&repo, revision).await.unwrap_err();
        assert!(
            matches!(&error, Error::NotACommit { kind, .. } if kind == "blob"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_empty_repository_is_told_and_then_followed() {
    let (hub, repo) = (Hub::new(), Repo::empty());
    let error = hub.fetch(&repo, "HEAD").await.unwrap_err();
    assert!(matches!(error, Error::Empty { .. }), "{error:?}");
    let error = hub.fetch(&repo, "main").await.unwrap_err();
    assert!(matches!(error, Error::UnknownRevision { .. }), "{error:?}");
    let commit = repo.commit("a.yaml", "");
    assert_eq!(hub.fetch(&repo, "HEAD").await.unwrap(), commit);
}
