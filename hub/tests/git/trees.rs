//! From a commit to files.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink},
};

use tidegate_model::source::{Directory, Source};
use tidegate_render::{EntryKind, Limits, SourceTree as _, tree::Error};

use crate::fixture::{Hub, Repo};

#[tokio::test]
async fn files_are_listed_with_kind_and_size_and_read() {
    let (hub, repo) = (Hub::new(), Repo::new());
    repo.write("app.yaml", "four");
    repo.write("app/sub/b.yaml", "");
    repo.write("run.sh", "#!/bin/sh");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(repo.path().join("run.sh"), executable).unwrap();
    repo.commit_all();
    let tree = hub.tree(&repo, "main").await;
    let list = |dir: &str, recurse| {
        let entries = tree.files(dir, recurse).unwrap().into_iter();
        entries
            .map(|it| (it.path, it.size, it.kind))
            .collect::<Vec<_>>()
    };
    let file = |path: &str, size| (path.to_owned(), size, EntryKind::File);
    assert_eq!(list("", false), [file("app.yaml", 4), file("run.sh", 9)]);
    assert_eq!(list("app", false), [file("app/a.yaml", 3)]);
    let below = [file("app/a.yaml", 3), file("app/sub/b.yaml", 0)];
    assert_eq!(list("./app/", true), below);
    // Byte order of whole paths: "app.yaml" before "app/…".
    let paths: Vec<_> = list(".", true).into_iter().map(|it| it.0).collect();
    assert_eq!(
        paths,
        ["app.yaml", "app/a.yaml", "app/sub/b.yaml", "run.sh"]
    );
    assert_eq!(tree.read("app/a.yaml").unwrap(), b"one");
    assert_eq!(tree.directories().unwrap(), ["app", "app/sub"]);
}

#[tokio::test]
async fn no_path_and_no_link_leaves_the_tree() {
    let (hub, repo) = (Hub::new(), Repo::new());
    symlink("/etc", repo.path().join("etc")).unwrap();
    symlink("app", repo.path().join("inside")).unwrap();
    symlink("/etc/passwd", repo.path().join("app/link.yaml")).unwrap();
    repo.commit_all();
    let tree = hub.tree(&repo, "main").await;
    for path in [
        "etc",
        "etc/passwd",
        "inside",
        "inside/a.yaml",
        "app/link.yaml",
    ] {
        assert!(matches!(tree.read(path), Err(Error::Link { .. })), "{path}");
        assert!(
            matches!(tree.files(path, true), Err(Error::Link { .. })),
            "{path}"
        );
    }
    for path in ["..", "/etc/passwd", "app/../../x", "app/../app/a.yaml"] {
        assert!(
            matches!(tree.read(path), Err(Error::Escapes { .. })),
            "{path}"
        );
        assert!(
            matches!(tree.files(path, true), Err(Error::Escapes { .. })),
            "{path}"
        );
    }
    let kinds = tree.files("app", false).unwrap();
    assert_eq!(kinds[1].kind, EntryKind::Symlink);
    assert!(matches!(
        tree.matching(|path| path == "etc"),
        Err(Error::Link { .. })
    ));
}

#[tokio::test]
async fn what_is_not_there_or_something_else_is_told() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let tree = hub.tree(&repo, "main").await;
    assert!(matches!(
        tree.files("no", false),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(tree.read("app/no"), Err(Error::NotFound { .. })));
    assert!(matches!(
        tree.read("no/a.yaml"),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(tree.read("app"), Err(Error::NotAFile { .. })));
    assert!(matches!(tree.read(""), Err(Error::NotAFile { .. })));
    assert!(matches!(
        tree.files("app/a.yaml", false),
        Err(Error::NotADirectory { .. })
    ));
    assert!(matches!(
        tree.read("app/a.yaml/x"),
        Err(Error::NotADirectory { .. })
    ));
}

#[tokio::test]
async fn a_submodule_is_a_name_and_nothing_more() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let commit = repo.git(["rev-parse", "HEAD"]);
    let entry = format!("160000,{commit},vendor/lib");
    repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    repo.git(["commit", "--quiet", "--message", "submodule"]);
    let tree = hub.tree(&repo, "main").await;
    let entries = tree.files("vendor", true).unwrap();
    assert_eq!(entries[0].kind, EntryKind::Submodule);
    assert!(matches!(
        tree.files("vendor/lib", true),
        Err(Error::Submodule { .. })
    ));
    assert!(matches!(
        tree.read("vendor/lib/x"),
        Err(Error::Submodule { .. })
    ));
    assert_eq!(tree.directories().unwrap(), ["app", "vendor"]);
}

#[tokio::test]
async fn wanted_files_come_with_their_content() {
    let (hub, repo) = (Hub::new(), Repo::new());
    repo.write("clusters/a/config.json", "{}");
    repo.write("clusters/b/config.json", "[]");
    repo.write("clusters/b/other.json", "");
    repo.commit_all();
    let tree = hub.tree(&repo, "main").await;
    let found = tree
        .matching(|path| path.ends_with("/config.json"))
        .unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(path, text)| (path.as_str(), &text[..]))
        .collect();
    let expected = [
        ("clusters/a/config.json", &b"{}"[..]),
        ("clusters/b/config.json", b"[]"),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn wanted_files_are_bounded() {
    let hub = Hub::with(|options| options.tree.matching_bytes = 10);
    let repo = Repo::new();
    repo.write("b.yaml", "123456");
    repo.commit_all();
    let tree = hub.tree(&repo, "main").await;
    assert!(tree.matching(|_| true).is_ok());
    repo.write("c.yaml", "12");
    repo.commit_all();
    let tree = hub.tree(&repo, "main").await;
    assert!(matches!(
        tree.matching(|_| true),
        Err(Error::TooLarge { limit: 10, .. })
    ));
}

/// Over the limit of 10 MiB, and a few kilobytes in Git: refused by its size, and the rest of the
/// repository is not.
#[tokio::test]
async fn a_big_file_is_refused_by_its_size() {
    let (hub, repo) = (Hub::new(), Repo::new());
    repo.write("big/dump.json", vec![b' '; (10 << 20) + 1]);
    repo.commit("app/a.yaml", "");
    let tree = hub.tree(&repo, "main").await;
    let source = |path: &str| Source {
        repo_url: repo.url(),
        target_revision: "main".to_owned(),
        path: path.to_owned(),
        directory: Directory::default(),
    };
    let error = tidegate_render::render(&tree, &source("big"), &Limits::default()).unwrap_err();
    assert!(
        matches!(&error, tidegate_render::Error::FileTooLarge { file, .. } if file == "big/dump.json"),
        "{error:?}"
    );
    assert!(tidegate_render::render(&tree, &source("app"), &Limits::default()).is_ok());
}

#[tokio::test]
async fn a_name_that_is_not_text_is_told() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let name = OsStr::from_bytes(b"app/\xff.yaml");
    std::fs::write(repo.path().join(name), "").unwrap();
    repo.commit_all();
    let tree = hub.tree(&repo, "main").await;
    let error = tree.files("app", false).unwrap_err();
    assert!(matches!(error, Error::NotUtf8 { .. }), "{error:?}");
}

/// A tree whose entries are these, as Git would never write it.
fn raw_tree(repo: &Repo, entries: &[(&str, &str, &str)]) -> String {
    let mut raw = Vec::new();
    for (mode, name, id) in entries {
        raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let digits = id.as_bytes().chunks(2);
        raw.extend(
            digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()),
        );
    }
    let args = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
    repo.git_with(args, &raw)
}

fn commit_tree(repo: &Repo, tree: &str, branch: &str) {
    let commit = repo.git(["commit-tree", "-m", "raw", tree]);
    repo.git(["update-ref", &format!("refs/heads/{branch}"), &commit]);
}

#[tokio::test]
async fn names_that_git_forbids_are_refused() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let blob = repo.git(["rev-parse", "HEAD:app/a.yaml"]);
    for (n, name) in ["..", ".", ".git", "a/b", "..\\x"].into_iter().enumerate() {
        let branch = format!("evil{n}");
        commit_tree(&repo, &raw_tree(&repo, &[("100644", name, &blob)]), &branch);
        // Refused on the way in or when it is read, whoever comes first.
        let Ok(commit) = hub.fetch(&repo, &branch).await else {
            continue;
        };
        let tree = hub.git.tree(&repo.url(), &commit).unwrap();
        let error = tree.files("", true).unwrap_err();
        assert!(matches!(error, Error::Escapes { .. }), "{name}: {error:?}");
    }
}

/// Ten directories in ten directories, ten levels deep: ten objects, ten billion paths.
#[tokio::test]
async fn a_tree_that_unfolds_without_end_is_bounded() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let mut below = repo.git(["rev-parse", "HEAD:app"]);
    for _ in 0..10 {
        let entries: Vec<_> = names
            .iter()
            .map(|name| ("40000", name.as_str(), below.as_str()))
            .collect();
        below = raw_tree(&repo, &entries);
    }
    commit_tree(&repo, &below, "bomb");
    let tree = hub.tree(&repo, "bomb").await;
    assert!(matches!(tree.files("", true), Err(Error::TooLarge { .. })));
    assert!(matches!(tree.directories(), Err(Error::TooLarge { .. })));
    assert!(matches!(
        tree.matching(|_| false),
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(tree.read("0/1/2/3/4/5/6/7/8/9/a.yaml").unwrap(), b"one");
}
