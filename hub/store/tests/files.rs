//! What a real file can be: locked, read-only, foreign, newer, cut short, damaged.

#[cfg(test)]
mod files {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use redb::TableDefinition;
    use tempfile::TempDir;
    use tidegate_store::{Embedded, Error, Range, Store as _, Txn, disk, embedded::Options};

    async fn open(path: &Path) -> Result<Embedded, Error> {
        Embedded::open(path, Options::default()).await
    }

    /// A closed store with `n` entries whose values repeat their number.
    async fn filled(path: &Path, n: u32) {
        let store = open(path).await.unwrap();
        for i in 0..n {
            let key = format!("/tidegate/v1/run/{i:05}");
            let value = i.to_be_bytes().repeat(100);
            let outcome = store.transact(Txn::new().put(key, value)).await.unwrap();
            assert!(outcome.committed().is_some());
        }
    }

    async fn is_intact(store: &Embedded, n: u32) -> Result<bool, Error> {
        let page = store.range(Range::prefix("/tidegate/v1/run/")).await?;
        Ok(page.entries.len() == n as usize
            && page.revision == u64::from(n)
            && (0..n).zip(&page.entries).all(|(i, entry)| {
                entry.key == format!("/tidegate/v1/run/{i:05}")
                    && entry.value == i.to_be_bytes().repeat(100)
            }))
    }

    #[tokio::test]
    async fn a_second_opener_is_told_who_is_in_the_way() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        let first = open(&path).await.unwrap();
        let error = open(&path).await.unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error:?}");
        assert!(error.is_retryable());
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        drop(first);
        assert!(open(&path).await.is_ok());
    }

    #[tokio::test]
    async fn the_file_is_for_its_owner_alone() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        drop(open(&path).await.unwrap());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_missing_or_read_only_directory_is_named() {
        let directory = TempDir::new().unwrap();
        let missing = open(&directory.path().join("no/hub.redb"))
            .await
            .unwrap_err();
        assert!(
            matches!(missing, Error::Disk(disk::Error::Missing { .. })),
            "{missing:?}"
        );
        // Nobody, not even root, creates files in sysfs.
        let read_only = open(Path::new("/sys/hub.redb")).await.unwrap_err();
        assert!(
            matches!(read_only, Error::Disk(disk::Error::ReadOnly { .. })),
            "{read_only:?}"
        );
        assert!(read_only.to_string().contains("/sys/hub.redb"));
    }

    #[tokio::test]
    async fn a_foreign_file_is_refused_and_left_alone() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        let content = b"apiVersion: v1\n".repeat(1000);
        fs::write(&path, &content).unwrap();
        let error = open(&path).await.unwrap_err();
        assert!(matches!(error, Error::Corrupted { .. }), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), content);

        let other = directory.path().join("other.redb");
        let database = redb::Database::create(&other).unwrap();
        let write = database.begin_write().unwrap();
        write
            .open_table(TableDefinition::<&str, u64>::new("songs"))
            .unwrap();
        write.commit().unwrap();
        drop(database);
        let error = open(&other).await.unwrap_err();
        assert!(error.to_string().contains("songs"), "{error}");
    }

    #[tokio::test]
    async fn a_newer_format_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        filled(&path, 3).await;
        let database = redb::Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        write
            .open_table(TableDefinition::<&str, u64>::new("meta"))
            .unwrap()
            .insert("format", 2)
            .unwrap();
        write.commit().unwrap();
        drop(database);
        let error = open(&path).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::NewerFormat {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_file_cut_short_is_refused_or_whole() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        filled(&path, 200).await;
        let content = fs::read(&path).unwrap();
        let mut refused = 0;
        // Down to nothing: an empty file is no new store.
        for tenths in 0..10 {
            fs::write(&path, &content[..content.len() * tenths / 10]).unwrap();
            match open(&path).await {
                Ok(store) => assert!(is_intact(&store, 200).await.unwrap(), "{tenths}/10"),
                Err(error) => {
                    assert!(matches!(error, Error::Corrupted { .. }), "{error:?}");
                    assert!(error.to_string().contains("backup"), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0);
    }

    #[tokio::test]
    async fn a_damaged_byte_is_found_or_harmless() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        filled(&path, 50).await;
        let content = fs::read(&path).unwrap();
        // Every used page is hit: a step that is not a divisor of the page size.
        let mut refused = 0;
        for at in (0..content.len()).step_by(4001) {
            let mut damaged = content.clone();
            damaged[at] ^= 0x5a;
            fs::write(&path, &damaged).unwrap();
            match open(&path).await {
                Ok(store) => {
                    assert!(
                        is_intact(&store, 50).await.unwrap(),
                        "byte {at} changed data"
                    );
                }
                Err(error) => {
                    assert!(matches!(error, Error::Corrupted { .. }), "{at}: {error:?}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0);
    }
}
