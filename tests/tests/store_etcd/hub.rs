//! The hub's command line on an etcd: made once, run, never on the wrong store.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use clap::Parser as _;
use tidegate_hub::{
    config::{Cli, Command},
    init, runtime,
    storage::Error,
};
use tidegate_tests::harness::{self, Port, eventually, require_servers};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_mins(1);

fn line(verb: &str, dir: &Path, flags: &[String]) -> Command {
    let state = dir.join("state").display().to_string();
    let mut line = vec![
        "tidegate-hub".to_owned(),
        verb.to_owned(),
        "--state-dir".to_owned(),
        state,
    ];
    if verb == "init" {
        line.push(format!(
            "--admin-config={}",
            dir.join("admin.yaml").display()
        ));
    }
    line.extend_from_slice(flags);
    Cli::parse_from(line).command
}

pub(crate) async fn init(dir: &Path, flags: &[String]) -> Result<(), init::Error> {
    let Command::Init(options) = line("init", dir, flags) else {
        unreachable!("not init")
    };
    init::run(&options).await
}

pub(crate) async fn serve(
    dir: &Path,
    flags: &[String],
    cancel: CancellationToken,
) -> Result<(), runtime::Error> {
    let Command::Serve(options) = line("serve", dir, flags) else {
        unreachable!("not serve")
    };
    runtime::serve(options, cancel).await
}

pub(crate) fn in_etcd(url: &str) -> Vec<String> {
    vec!["--store=etcd".to_owned(), format!("--etcd-endpoints={url}")]
}

pub(crate) async fn get(port: u16, path: &str) -> Result<String, String> {
    let asking = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    asking.await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_hub_is_made_in_an_etcd_once_and_runs_on_it() {
    let Some(binaries) = require_servers("a_hub_is_made_in_an_etcd_once") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let flags = in_etcd(server.url());
    init(dir.path(), &flags).await.unwrap();
    assert!(!dir.path().join("state/store.redb").exists());
    let again = init(dir.path(), &flags).await.unwrap_err();
    assert!(
        matches!(again, init::Error::Storage(Error::Exists { .. })),
        "{again}"
    );
    let second = init(other.path(), &flags).await.unwrap_err();
    assert!(
        matches!(second, init::Error::Storage(Error::EtcdInUse { .. })),
        "{second}"
    );
    assert!(
        !other.path().join("admin.yaml").exists(),
        "nothing is made for nothing"
    );

    let (port, health) = (Port::lease().unwrap(), Port::lease().unwrap());
    let mut flags = flags;
    flags.push(format!("--listen=127.0.0.1:{}", port.number()));
    flags.push(format!("--health-listen=127.0.0.1:{}", health.number()));
    let cancel = CancellationToken::new();
    let (path, ended) = (dir.path().to_owned(), cancel.clone());
    let serving = tokio::spawn(async move { serve(&path, &flags, ended).await });
    eventually("the hub ready", PATIENCE, || async {
        let answer = get(health.number(), "/readyz").await?;
        let ready = answer.starts_with("HTTP/1.0 200");
        ready.then_some(()).ok_or(answer)
    })
    .await
    .unwrap();
    cancel.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_hub_on_the_wrong_store_says_so() {
    let Some(binaries) = require_servers("a_hub_on_the_wrong_store") else {
        return;
    };
    let (first, second) = (
        harness::Etcd::alone(&binaries).await.unwrap(),
        harness::Etcd::alone(&binaries).await.unwrap(),
    );
    let ports = [
        "--listen=127.0.0.1:0".to_owned(),
        "--health-listen=127.0.0.1:0".to_owned(),
    ];
    let refused = async |dir: &Path, store: &[String]| {
        let flags = [store, &ports].concat();
        let serving = serve(dir, &flags, CancellationToken::new());
        match tokio::time::timeout(PATIENCE, serving).await.unwrap() {
            Err(runtime::Error::Storage(error)) => error,
            other => unreachable!("{other:?}"),
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let error = refused(dir.path(), &in_etcd(first.url())).await;
    assert!(matches!(error, Error::NoHub { .. }), "{error}");
    init(dir.path(), &in_etcd(first.url())).await.unwrap();
    let error = refused(dir.path(), &[]).await;
    assert!(error.to_string().contains("--store etcd"), "{error}");
    let error = refused(dir.path(), &in_etcd(second.url())).await;
    assert!(matches!(error, Error::Empty { .. }), "{error}");
    let missing = [
        in_etcd(first.url()),
        vec!["--etcd-ca-file=/nowhere/ca.pem".to_owned()],
    ]
    .concat();
    let words = refused(dir.path(), &missing).await.to_string();
    assert!(
        words.contains("--etcd-ca-file") && words.contains("/nowhere/ca.pem"),
        "{words}"
    );
    let open = dir.path().join("etcd-password");
    std::fs::write(&open, "secret").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o604)).unwrap();
    let user = [
        "--etcd-user=hub".to_owned(),
        format!("--etcd-password-file={}", open.display()),
    ];
    let error = refused(dir.path(), &[&in_etcd(first.url())[..], &user].concat()).await;
    assert!(
        error.to_string().contains("--etcd-password-file"),
        "{error}"
    );
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("mode 0604"), "{why}");
    let gone = in_etcd(first.url());
    let url = first.url().to_owned();
    drop(first);
    let words = refused(dir.path(), &gone).await.to_string();
    assert!(
        words.contains(&url) && words.contains("cannot reach"),
        "{words}"
    );
}

#[tokio::test]
async fn a_hub_with_the_directory_of_another_says_so() {
    let Some(binaries) = require_servers("a_hub_with_the_directory_of_another") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ports = [
        "--listen=127.0.0.1:0".to_owned(),
        "--health-listen=127.0.0.1:0".to_owned(),
    ];
    let flags = [&in_etcd(server.url())[..], &ports].concat();
    init(dir.path(), &flags[..2]).await.unwrap();
    let state = |dir: &tempfile::TempDir, file: &str| dir.path().join("state").join(file);
    let take = |file: &str| std::fs::copy(state(&dir, file), state(&copy, file)).unwrap();
    std::fs::create_dir_all(state(&copy, "identity")).unwrap();
    for file in ["store.etcd", "identity/ca.pem", "identity/server.pem"] {
        take(file);
    }
    // The first hub names the directory.
    let cancel = CancellationToken::new();
    let (path, more, ended) = (dir.path().to_owned(), flags.clone(), cancel.clone());
    let serving = tokio::spawn(async move { serve(&path, &more, ended).await });
    let etcd = etcd_client::Client::connect([server.url()], None)
        .await
        .unwrap();
    eventually("the directory named", PATIENCE, || {
        let mut kv = etcd.kv_client();
        async move {
            let found = kv.get("/tidegate/v1/homes/_", None).await;
            let named = found.map_err(|error| error.to_string())?.count() == 1;
            named.then_some(()).ok_or_else(|| "it is not".to_owned())
        }
    })
    .await
    .unwrap();
    cancel.cancel();
    serving.await.unwrap().unwrap();
    let refused = async || {
        let serving = serve(copy.path(), &flags, CancellationToken::new());
        let ended = tokio::time::timeout(PATIENCE, serving).await.unwrap();
        ended.unwrap_err().to_string()
    };
    let words = refused().await;
    assert!(
        words.contains("has none") && words.contains("not a copy"),
        "{words}"
    );
    std::fs::write(state(&copy, "id"), "another\n").unwrap();
    let words = refused().await;
    assert!(words.contains("has another"), "{words}");
    take("id");
    let other = tempfile::tempdir().unwrap();
    init(other.path(), &[]).await.unwrap();
    for file in ["identity/ca.pem", "identity/server.pem"] {
        std::fs::copy(state(&other, file), state(&copy, file)).unwrap();
    }
    let words = refused().await;
    assert!(words.contains("another certificate authority"), "{words}");
}
