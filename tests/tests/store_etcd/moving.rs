//! Records that move from a file to an etcd and back, by the shipped binary, killed in the middle.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use clap::Parser as _;
use tidegate_hub::{
    config::{Cli, Command as Parsed, StoreOptions},
    layout::Layout,
    records::{EpochRecord, Record as _},
    storage,
};
use tidegate_store::{Embedded, Range, Store, Txn, embedded, etcd::LEADER};
use tidegate_tests::{
    harness::{self, command_for, require_servers},
    story::stage::product,
};

use crate::hub::{in_etcd, init};

/// Records that make a move long enough to be killed in; no hub reads them at its start.
const MANY: usize = 3_000;

/// Where the mark of a move is in a store.
const MARK: &str = "/tidegate/v1/moves/_";

type Records = BTreeMap<String, Vec<u8>>;

fn options(dir: &Path, flags: &[String]) -> StoreOptions {
    let state = dir.join("state").display().to_string();
    let mut line = ["tidegate-hub", "serve", "--state-dir", &state]
        .map(str::to_owned)
        .to_vec();
    line.extend_from_slice(flags);
    let Parsed::Serve(options) = Cli::parse_from(line).command else {
        unreachable!("not serve")
    };
    options.store
}

/// What a hub on this store would begin with, or why it would not start.
async fn start(dir: &Path, flags: &[String]) -> Result<Records, String> {
    let (layout, options) = (Layout::new(dir.join("state")), options(dir, flags));
    storage::check_made(&layout, &options).map_err(|error| error.to_string())?;
    let opened = storage::open(&layout, &options).await;
    let opened = opened.map_err(|error| error.to_string())?;
    Ok(records(&*opened.store).await)
}

async fn records(store: &dyn Store) -> Records {
    let page = store.range(Range::prefix("/tidegate/v1/")).await.unwrap();
    let entries = page.entries.into_iter();
    entries
        .map(|entry| (entry.key, entry.value.to_vec()))
        .collect()
}

/// The term, and everything else.
fn split(mut records: Records) -> (u64, Records) {
    let prefix = format!("/tidegate/v1/{}/", EpochRecord::KIND);
    let key = records
        .keys()
        .find(|key| key.starts_with(&prefix))
        .unwrap()
        .clone();
    let value = records.remove(&key).unwrap();
    (EpochRecord::decode(&key, &value).unwrap().epoch.0, records)
}

fn migrate(dir: &Path, etcd: &str, from: &str, to: &str) -> Command {
    let mut command = command_for(&product("tidegate-hub").unwrap());
    command
        .args([
            "migrate",
            "--from",
            from,
            "--to",
            to,
            "--etcd-endpoints",
            etcd,
        ])
        .arg("--state-dir")
        .arg(dir.join("state"));
    command
}

/// Whether records are being moved into or out of the etcd.
async fn is_marked(etcd: &str) -> bool {
    let client = etcd_client::Client::connect([etcd], None).await.unwrap();
    let found = client.kv_client().get(MARK, None).await.unwrap();
    !found.kvs().is_empty()
}

/// Runs the move, killed as soon as it has begun, then later and later, until it comes to its end;
/// says how often it was killed half way.
async fn killed(dir: &Path, etcd: &str, from: &str, to: &str) -> usize {
    let file: &[String] = &[];
    let (mut half_way, mut over) = (0, false);
    for kills in 0_u32.. {
        let mut child = migrate(dir, etcd, from, to)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let later = Duration::from_millis(u64::from(kills) * 25);
        let at = tokio::time::Instant::now() + later;
        while child.try_wait().unwrap().is_none() {
            let due = match kills {
                0 => is_marked(etcd).await,
                _ => tokio::time::Instant::now() >= at,
            };
            if due {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Nothing happens if it has ended.
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.code().is_some() {
            // Killed when all was done and only not said, it now says where the records are.
            let is_there = String::from_utf8_lossy(&output.stderr).contains("keeps its records in");
            assert!(output.status.success() || (over && is_there), "{output:?}");
            return half_way;
        }
        half_way += usize::from(is_marked(etcd).await);
        // Nobody waits in a test for the lease of the one that was killed.
        let client = etcd_client::Client::connect([etcd], None).await.unwrap();
        client.kv_client().delete(LEADER, None).await.unwrap();
        let (file, etcd) = (start(dir, file).await, start(dir, &in_etcd(etcd)).await);
        assert!(
            file.is_err() || etcd.is_err(),
            "a hub could start on either store after the kill number {kills}"
        );
        over = if to == "etcd" { etcd } else { file }.is_ok();
    }
    unreachable!("it never came to its end")
}

/// Makes a hub with many records; the store is still open.
async fn made(dir: &Path) -> Embedded {
    let made = command_for(&product("tidegate-hub").unwrap())
        .arg("init")
        .arg("--state-dir")
        .arg(dir.join("state"))
        .arg("--admin-config")
        .arg(dir.join("admin.yaml"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let path = dir.join("state/store.redb");
    let store = Embedded::open(&path, embedded::Options::default())
        .await
        .unwrap();
    for some in (0..MANY).collect::<Vec<_>>().chunks(100) {
        let put =
            |txn: Txn, n: &usize| txn.put(format!("/tidegate/v1/audit/p/{n:06}"), vec![7; 300]);
        let outcome = store.transact(some.iter().fold(Txn::new(), put)).await;
        assert!(outcome.unwrap().committed().is_some());
    }
    store
}

#[tokio::test]
async fn a_hub_moves_to_an_etcd_and_back_however_often_it_is_killed() {
    let Some(binaries) = require_servers("a_hub_moves_to_an_etcd_and_back") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = made(dir.path()).await;
    let path = dir.path().join("state/store.redb");
    // While somebody has the file nothing is moved.
    let output = migrate(dir.path(), server.url(), "redb", "etcd")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("a hub is running on it"), "{told}");
    let (term, all) = split(records(&store).await);
    drop(store);

    let half_way = killed(dir.path(), server.url(), "redb", "etcd").await;
    assert!(half_way > 0, "it was never killed half way");
    let (moved_term, moved) = split(start(dir.path(), &in_etcd(server.url())).await.unwrap());
    assert_eq!(moved, all);
    assert!(
        moved_term > term + 1,
        "{moved_term} could be reached on the file"
    );
    let refused = start(dir.path(), &[]).await.unwrap_err();
    assert!(refused.contains("--store etcd"), "{refused}");

    let half_way = killed(dir.path(), server.url(), "etcd", "redb").await;
    assert!(half_way > 0, "it was never killed half way");
    let (back_term, back) = split(start(dir.path(), &[]).await.unwrap());
    assert_eq!(back, all);
    assert!(back_term > moved_term);
    // The records that are left there are nobody's, whatever directory a hub comes with.
    let mark = dir.path().join("state/store.etcd");
    std::fs::rename(&path, dir.path().join("aside")).unwrap();
    std::fs::write(&mark, server.url()).unwrap();
    let refused = start(dir.path(), &in_etcd(server.url())).await.unwrap_err();
    assert!(refused.contains("migrate"), "{refused}");
    std::fs::remove_file(&mark).unwrap();
    std::fs::rename(dir.path().join("aside"), &path).unwrap();
    // And once more: what this hub left there gives way.
    let output = migrate(dir.path(), server.url(), "redb", "etcd")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        split(start(dir.path(), &in_etcd(server.url())).await.unwrap()).1,
        all
    );
}

#[tokio::test]
async fn an_etcd_with_a_hub_in_it_is_left_as_it_is() {
    let Some(binaries) = require_servers("an_etcd_with_a_hub_in_it") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    init(theirs.path(), &in_etcd(server.url())).await.unwrap();
    init(ours.path(), &[]).await.unwrap();
    let before = start(theirs.path(), &in_etcd(server.url())).await.unwrap();
    let output = migrate(ours.path(), server.url(), "redb", "etcd")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains("holds records already"),
        "{told}"
    );
    let same = migrate(ours.path(), server.url(), "redb", "redb")
        .output()
        .unwrap();
    let told = String::from_utf8(same.stderr).unwrap();
    assert!(
        !same.status.success() && told.contains("--from and --to are both redb"),
        "{told}"
    );
    assert_eq!(
        start(theirs.path(), &in_etcd(server.url())).await.unwrap(),
        before
    );
    start(ours.path(), &[]).await.unwrap();
}
