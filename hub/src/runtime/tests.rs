//! The whole hub in this process, from its command line on.

use std::{path::Path, time::Duration};

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
        Command::Init(_) => panic!("not serve"),
    }
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
