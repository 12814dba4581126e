//! The whole hub in this process, from its command line on.

use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use clap::Parser as _;
use tidegate_store::{Blob, BlobId, BlobStore as _};

use super::*;
use crate::{
    config::{Cli, Command},
    init,
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes a hub in `dir`.
async fn new_hub(dir: &Path) {
    let (state, config) = (dir.join("state"), dir.join("admin.yaml"));
    let cli = Cli::parse_from([
        "tidegate-hub",
        "init",
        "--state-dir",
        state.to_str().unwrap(),
        "--admin-config",
        config.to_str().unwrap(),
    ]);
    let Command::Init(options) = cli.command else {
        panic!("not init")
    };
    init::run(&options).await.unwrap();
}

/// Options of `serve` on ports of the system's choice.
fn options(dir: &Path, flags: &[&str]) -> ServeOptions {
    let state = dir.join("state");
    let own = ["--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"];
    let mut line = vec![
        "tidegate-hub",
        "serve",
        "--state-dir",
        state.to_str().unwrap(),
    ];
    line.extend(own.iter().chain(flags));
    match Cli::parse_from(line).command {
        Command::Serve(options) => options,
        _ => panic!("not serve"),
    }
}

#[tokio::test]
async fn the_first_administrators_key_is_private_whatever_file_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("admin.yaml");
    fs::write(&config, "old: ".repeat(10_000)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    // Whoever has the old file open must not see the key.
    let mut old = fs::File::open(&config).unwrap();
    new_hub(dir.path()).await;
    let mode = fs::metadata(&config).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(fs::read_to_string(&config).unwrap().contains("keyData"));
    let mut kept = String::new();
    old.read_to_string(&mut kept).unwrap();
    assert!(kept.starts_with("old: ") && !kept.contains("keyData"));
}

#[tokio::test]
async fn a_running_hub_sweeps_its_blobs() {
    let dir = tempfile::tempdir().unwrap();
    new_hub(dir.path()).await;
    let layout = Layout::new(dir.path().join("state"));
    let blob = Blob::new("object", "{}").unwrap();
    let id: BlobId = blob.id().clone();
    let blobs = Files::open(layout.blobs()).await.unwrap();
    blobs.put(vec![blob]).await.unwrap();
    assert!(blobs.has(&id).await.unwrap());
    drop(blobs);

    let options = options(dir.path(), &["--blob-sweep-interval=1s"]);
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(serve(options, cancel.clone()));
    let name = id.digest().to_string().replace("sha256:", "");
    let path = layout.blobs().join("object").join(&name[..2]).join(&name);
    let gone = async {
        while path.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let swept = tokio::time::timeout(PATIENCE, gone).await;
    cancel.cancel();
    serving.await.unwrap().unwrap();
    swept.expect("nothing was swept");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_stops_the_hub_and_is_named_with_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    new_hub(dir.path()).await;
    let missing = dir.path().join("missing");
    for flag in [
        "--git-credentials-file",
        "--git-ca-file",
        "--git-ssh-key",
        "--git-ssh-known-hosts",
        "--analysis-ca-file",
    ] {
        let value = format!("{flag}={}", missing.display());
        let options = options(dir.path(), &[&value]);
        let error = serve(options, CancellationToken::new()).await.unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(flag) && error.contains(missing.to_str().unwrap()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_private_key_that_everybody_may_read_stops_the_hub() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    new_hub(dir.path()).await;
    let key = dir.path().join("id_ed25519");
    std::fs::write(&key, "key").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o604)).unwrap();
    let options = options(dir.path(), &[&format!("--git-ssh-key={}", key.display())]);
    let error = serve(options, CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("mode 0604"), "{error}");
}

#[test]
fn a_fetch_takes_no_longer_than_its_flag_says() {
    let layout = Layout::new("state");
    let timeout = |flags: &[&str]| {
        let options = options(Path::new("."), flags);
        git_options(&options, &layout).timeout
    };
    assert_eq!(timeout(&[]), Duration::from_mins(5));
    assert_eq!(timeout(&["--git-timeout=7s"]), Duration::from_secs(7));
}
