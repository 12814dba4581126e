//! What is not reached, too large, too slow, broken or refused.

use std::{fs, net::TcpListener, time::Duration};

use tidegate_hub::git::{Error, Git, Options};
use tidegate_render::SourceTree as _;

use crate::fixture::{Hub, Repo, at};

#[tokio::test]
async fn what_is_refused_is_refused_before_anyone_is_asked() {
    let hub = Hub::with(|options| options.allow_file = false);
    let repo = Repo::new();
    let error = hub.fetch(&repo, "main").await.unwrap_err();
    assert!(matches!(error, Error::FileRefused { .. }), "{error:?}");
    assert!(hub.git.tree(&repo.url(), "x").is_err());
    for url in [
        "http://host/x",
        "ext::sh -c id",
        "--upload-pack=id",
        "/srv/x",
    ] {
        let error = hub.git.check(&at(url, "main")).unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{url}: {error:?}");
        assert!(hub.git.fetch(&at(url, "main")).await.is_err());
    }
    let error = hub.git.check(&at("https://host/x", "-x")).unwrap_err();
    assert!(matches!(error, Error::Revision { .. }), "{error:?}");
    assert!(hub.git.check(&at("https://host/x", "main")).is_ok());
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told() {
    let hub = Hub::new();
    let repo = Repo::new();
    let missing = at(&format!("{}/no", repo.url()), "main");
    let error = hub.git.fetch(&missing).await.unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }), "{error:?}");
    // A directory, but not a repository.
    let plain = at(&format!("{}/app", repo.url()), "main");
    let error = hub.git.fetch(&plain).await.unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable() {
    let hub = Hub::new();
    // Bound and dropped: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("https://{address}/repo.git");
    let error = hub.git.fetch(&at(&url, "main")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_holds_up_nobody_else() {
    let hub = Hub::with(|options| options.stall_timeout = Duration::from_secs(2));
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/repo.git", silent.local_addr().unwrap());
    let stuck = tokio::spawn({
        let git = hub.git.clone();
        async move { git.fetch(&at(&url, "main")).await }
    });
    // Accepted: the fetch above is under way.
    let (_connection, _) = silent.accept().await.unwrap();
    let repo = Repo::new();
    assert!(hub.fetch(&repo, "main").await.is_ok());
    assert!(!stuck.is_finished(), "the other fetch waited for it");
    let error = stuck.await.unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_fetch_that_takes_too_long_is_given_up() {
    let hub = Hub::with(|options| options.timeout = Duration::from_millis(300));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/repo.git", silent.local_addr().unwrap());
    let error = hub.git.fetch(&at(&url, "main")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_fetch_that_brings_too_much_is_given_up() {
    let hub = Hub::with(|options| options.fetch_bytes = 100_000);
    let repo = Repo::new();
    assert!(hub.fetch(&repo, "main").await.is_ok());
    // Bytes that do not compress: a linear congruential generator's upper halves.
    let mut seed = 1_u64;
    let noise: Vec<u8> = (0..2_000_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .collect();
    repo.write("noise.bin", noise);
    repo.commit_all();
    let error = hub.fetch(&repo, "main").await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 100_000, .. }),
        "{error:?}"
    );
    repo.git(["rm", "--quiet", "noise.bin"]);
    let commit = repo.commit_all();
    assert_eq!(hub.fetch(&repo, "main").await.unwrap(), commit);
}

#[tokio::test]
async fn an_object_too_large_for_memory_fails_its_fetch_alone() {
    let hub = Hub::with(|options| options.object_bytes = 1 << 20);
    let repo = Repo::new();
    // Two megabytes of nothing: a few kilobytes on the wire.
    repo.write("bomb.bin", vec![0; 2 << 20]);
    repo.commit_all();
    let error = hub.fetch(&repo, "main").await.unwrap_err();
    assert!(matches!(error, Error::ObjectTooLarge { .. }), "{error:?}");
    assert!(hub.fetch(&Repo::new(), "main").await.is_ok());
}

#[tokio::test]
async fn a_broken_mirror_is_replaced() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let commit = hub.fetch(&repo, "main").await.unwrap();
    for part in ["HEAD", "objects"] {
        let broken = hub.mirrors().pop().unwrap().join(part);
        if broken.is_dir() {
            fs::remove_dir_all(&broken).unwrap();
        } else {
            fs::remove_file(&broken).unwrap();
        }
        assert_eq!(hub.fetch(&repo, "main").await.unwrap(), commit, "{part}");
        assert!(hub.git.tree(&repo.url(), &commit).is_ok(), "{part}");
    }
}

#[tokio::test]
async fn mirrors_do_not_grow_for_ever() {
    let hub = Hub::with(|options| options.packs = 3);
    let repo = Repo::new();
    let mut before = hub.fetch(&repo, "main").await.unwrap();
    for n in 0..12 {
        repo.commit("app/a.yaml", &n.to_string());
        let commit = hub.fetch(&repo, "main").await.unwrap();
        for readable in [&before, &commit] {
            let tree = hub.git.tree(&repo.url(), readable).unwrap();
            assert!(tree.read("app/a.yaml").is_ok());
        }
        before = commit;
    }
    let mirrors = hub.mirrors();
    assert_eq!(mirrors.len(), 2, "{mirrors:?}");
    let packs = fs::read_dir(mirrors[1].join("objects/pack")).unwrap();
    assert!(packs.count() < 12);
}

#[tokio::test]
async fn fetches_of_one_repository_at_a_time_all_succeed() {
    let (hub, repo) = (Hub::new(), Repo::new());
    for n in 0..10 {
        repo.git(["branch", &format!("b{n}")]);
        repo.commit("app/a.yaml", &n.to_string());
    }
    let fetches: Vec<_> = (0..10)
        .map(|n| {
            let (git, at) = (hub.git.clone(), repo.at(&format!("b{n}")));
            tokio::spawn(async move { git.fetch(&at).await.unwrap().commit })
        })
        .collect();
    for (n, fetch) in fetches.into_iter().enumerate() {
        let branch = format!("b{n}");
        assert_eq!(fetch.await.unwrap(), repo.git(["rev-parse", &branch]));
    }
}

#[tokio::test]
async fn a_commit_that_was_never_fetched_has_no_tree() {
    let (hub, repo) = (Hub::new(), Repo::new());
    let commit = repo.git(["rev-parse", "HEAD"]);
    for commit in [commit.as_str(), "", "x", "main"] {
        let error = hub.git.tree(&repo.url(), commit).unwrap_err();
        assert!(matches!(error, Error::MissingCommit { .. }), "{error:?}");
    }
}

#[test]
fn options_that_cannot_work_are_told_at_the_start() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a certificate").unwrap();
    let error = Git::new(Options::new(file.join("mirrors"))).unwrap_err();
    assert!(matches!(error, Error::Mirror { .. }), "{error:?}");
    let with = |change: fn(&mut Options, std::path::PathBuf), path| {
        let mut options = Options::new(directory.path().join("mirrors"));
        change(&mut options, path);
        Git::new(options).unwrap_err()
    };
    for error in [
        with(|options, path| options.ca_file = Some(path), file.clone()),
        with(|options, path| options.ssh_key = Some(path), file.join("x")),
        with(
            |options, path| options.ssh_known_hosts = Some(path),
            file.join("x"),
        ),
    ] {
        assert!(matches!(error, Error::Options { .. }), "{error:?}");
        assert!(
            error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
    }
}

/// A hub that is killed while it fetches leaves lock files, and nothing else may write while they
/// are there.
#[tokio::test]
async fn locks_of_a_killed_hub_do_not_keep_the_next_one_out() {
    let (hub, repo) = (Hub::new(), Repo::new());
    hub.fetch(&repo, "main").await.unwrap();
    let mirror = hub.mirrors().pop().unwrap();
    for lock in ["shallow.lock", "packed-refs.lock", "HEAD.lock"] {
        fs::write(mirror.join(lock), "").unwrap();
    }
    let commit = repo.commit("app/a.yaml", "two");
    assert_eq!(hub.fetch(&repo, "main").await.unwrap(), commit);
    assert_eq!(hub.mirrors(), [mirror], "the mirror was left behind");
}
