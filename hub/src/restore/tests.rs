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
