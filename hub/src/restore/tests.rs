//! What a restore goes on from, and what it leaves alone.

use super::*;

fn backup(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

#[test]
fn a_restore_that_was_killed_while_it_wrote_its_mark_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    fs::write(dir.path().join(".tidegate-half"), "a").unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    check_directory(&layout, backup(1)).unwrap();
    begin(&layout, backup(1)).unwrap();
    fs::write(dir.path().join("anything"), "").unwrap();
    check_directory(&layout, backup(1)).unwrap();
    let other = check_directory(&layout, backup(2));
    assert!(matches!(other, Err(Error::Other { .. })), "{other:?}");
}

#[test]
fn a_directory_that_holds_anything_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes"), "mine").unwrap();
    let refused = check_directory(&Layout::new(dir.path()), backup(1));
    let Err(Error::NotEmpty { found, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(found, "notes");
}

#[tokio::test]
async fn one_that_was_killed_just_before_hubs_may_start_begins_anew_and_a_finished_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let etcd = tidegate_store::Memory::new();
    let ours = Move {
        source: "backup 1".to_owned(),
        command: String::new(),
    };
    let same = |found: &Move| *found == ours;
    let check = |backup| check_etcd(&layout, backup, &etcd, same);
    begin(&layout, backup(1)).unwrap();
    let records = vec![("/tidegate/v1/sets/a/b".to_owned(), vec![1].into())];
    moving::fill(&etcd, &ours, same, &records).await.unwrap();
    fs::write(layout.etcd_mark(), "http://127.0.0.1:1\n").unwrap();
    check(backup(1)).await.unwrap();
    let refused = |checked: Result<(), Error>| {
        let exists = matches!(checked, Err(Error::Storage(storage::Error::Exists { .. })));
        assert!(exists, "{checked:?}");
    };
    refused(check(backup(2)).await);
    moving::end(&etcd).await.unwrap();
    refused(check(backup(1)).await);
}
