//! The blob store, on both backends, and what can happen to its files.

#[cfg(test)]
mod blobs {
    use std::{
        collections::BTreeSet,
        fs,
        os::unix::fs::PermissionsExt as _,
        path::{Path, PathBuf},
        sync::Arc,
    };

    use tempfile::TempDir;
    use tidegate_store::{
        blob::{Blob, BlobId, BlobStore, Error, Files, MemoryBlobs, Swept},
        disk,
    };

    fn blob(tag: &str, text: &str) -> Blob {
        Blob::new(tag, text.to_owned()).unwrap()
    }

    async fn both() -> (TempDir, [Arc<dyn BlobStore>; 2]) {
        let directory = TempDir::new().unwrap();
        let files = Files::open(directory.path().join("blobs")).await.unwrap();
        (directory, [Arc::new(files), Arc::new(MemoryBlobs::new())])
    }

    fn keep(blobs: &[&Blob]) -> BTreeSet<BlobId> {
        blobs.iter().map(|blob| blob.id().clone()).collect()
    }

    #[tokio::test]
    async fn what_is_put_is_read_under_its_name_and_tag() {
        let (_directory, stores) = both().await;
        for store in stores {
            let (a, b) = (blob("object", "{}"), blob("bundle", "{}"));
            assert_ne!(a.id(), b.id());
            assert_eq!(store.get(a.id()).await.unwrap(), None);
            store
                .put(vec![a.clone(), b.clone(), a.clone()])
                .await
                .unwrap();
            store.put(vec![a.clone()]).await.unwrap();
            store.put(Vec::new()).await.unwrap();
            assert_eq!(store.get(a.id()).await.unwrap().unwrap(), "{}");
            assert!(store.has(b.id()).await.unwrap());
            let wrong_tag = BlobId::new("bundle", a.id().digest()).unwrap();
            assert!(!store.has(&wrong_tag).await.unwrap());
            let listed: BTreeSet<_> = store.list().await.unwrap().into_iter().collect();
            assert_eq!(listed, keep(&[&a, &b]));
        }
    }

    #[tokio::test]
    async fn many_blobs_in_one_put() {
        let (_directory, stores) = both().await;
        for store in stores {
            let blobs: Vec<_> = (0..300)
                .map(|i| blob("object", &format!("{{\"n\":{i}}}")))
                .collect();
            store.put(blobs.clone()).await.unwrap();
            assert_eq!(store.list().await.unwrap().len(), 300);
            for blob in &blobs {
                assert_eq!(
                    store.get(blob.id()).await.unwrap().as_ref(),
                    Some(blob.bytes())
                );
            }
        }
    }

    #[tokio::test]
    async fn an_unreferenced_blob_goes_with_the_second_sweep() {
        let (_directory, stores) = both().await;
        for store in stores {
            let (a, b) = (blob("object", "1"), blob("object", "2"));
            store.put(vec![a.clone(), b.clone()]).await.unwrap();
            let swept = async |kept: &[&Blob]| store.sweep(keep(kept)).await.unwrap();
            let result = |deleted, pending| Swept { deleted, pending };
            assert_eq!(swept(&[&a]).await, result(0, 1));
            assert_eq!(swept(&[&a]).await, result(1, 0));
            assert!(store.has(a.id()).await.unwrap());
            assert!(!store.has(b.id()).await.unwrap());
        }
    }

    #[tokio::test]
    async fn putting_or_keeping_a_blob_starts_its_grace_again() {
        let (_directory, stores) = both().await;
        for store in stores {
            let a = blob("object", "1");
            store.put(vec![a.clone()]).await.unwrap();
            let swept = async |kept: &[&Blob]| store.sweep(keep(kept)).await.unwrap().deleted;
            assert_eq!(swept(&[]).await, 0);
            store.put(vec![a.clone()]).await.unwrap();
            assert_eq!(swept(&[]).await, 0, "it was put in between");
            assert_eq!(swept(&[&a]).await, 0);
            assert_eq!(swept(&[]).await, 0, "it was referenced in between");
            assert_eq!(swept(&[]).await, 1);
        }
    }

    async fn files() -> (TempDir, Files, Blob, PathBuf) {
        let directory = TempDir::new().unwrap();
        let root = directory.path().join("blobs");
        let store = Files::open(&root).await.unwrap();
        let blob = blob("object", "{\"kind\":\"ConfigMap\"}");
        store.put(vec![blob.clone()]).await.unwrap();
        let digits = blob.id().digest().to_string();
        let digits = digits.strip_prefix("sha256:").unwrap();
        let path = root.join("object").join(&digits[..2]).join(digits);
        (directory, store, blob, path)
    }

    #[tokio::test]
    async fn a_damaged_file_is_named_never_returned_and_repaired_by_a_put() {
        let (_directory, store, blob, path) = files().await;
        for damage in ["", "{\"kind\":\"ConfigMaq\"}", "{\"kind\":\"ConfigMap\"} "] {
            fs::write(&path, damage).unwrap();
            let error = store.get(blob.id()).await.unwrap_err();
            assert!(
                matches!(&error, Error::Corrupted { path: p, .. } if *p == path),
                "{error:?}"
            );
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
            assert!(!error.is_retryable());
            store.put(vec![blob.clone()]).await.unwrap();
            assert_eq!(
                store.get(blob.id()).await.unwrap().as_ref(),
                Some(blob.bytes())
            );
        }
    }

    #[tokio::test]
    async fn files_are_for_their_owner_alone() {
        let (_directory, _store, _blob, path) = files().await;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[tokio::test]
    async fn what_an_interrupted_put_left_is_cleared_away() {
        let (directory, store, blob, _path) = files().await;
        let temporary = directory.path().join("blobs/.tmp");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
        drop(store);
        fs::write(temporary.join("7"), "half").unwrap();
        fs::write(directory.path().join("blobs/object/README"), "by hand").unwrap();
        let store = Files::open(directory.path().join("blobs")).await.unwrap();
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
        assert_eq!(store.list().await.unwrap(), [blob.id().clone()]);
        let usage = store.usage().await.unwrap();
        assert_eq!((usage.blobs, usage.bytes), (1, blob.bytes().len() as u64));
    }

    #[tokio::test]
    async fn a_second_opener_is_refused() {
        let (directory, store, ..) = files().await;
        let root = directory.path().join("blobs");
        let error = Files::open(&root).await.unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error:?}");
        drop(store);
        assert!(Files::open(&root).await.is_ok());
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_named() {
        let missing = Files::open("/nonexistent/a/blobs").await.unwrap_err();
        assert!(
            matches!(missing, Error::Disk(disk::Error::Missing { .. })),
            "{missing:?}"
        );
        let read_only = Files::open("/sys/blobs").await.unwrap_err();
        assert!(
            matches!(read_only, Error::Disk(disk::Error::ReadOnly { .. })),
            "{read_only:?}"
        );
    }

    /// A directory in the place of a blob's file: the rename fails however privileged we are.
    #[tokio::test]
    async fn a_failed_put_says_so_and_leaves_nothing_behind() {
        let (directory, store, _blob, _path) = files().await;
        let other = blob("object", "7");
        let digits = other.id().digest().to_string();
        let digits = digits.strip_prefix("sha256:").unwrap().to_owned();
        let path = directory
            .path()
            .join("blobs/object")
            .join(&digits[..2])
            .join(&digits);
        fs::create_dir_all(path.join("x")).unwrap();
        let error = store.put(vec![other]).await.unwrap_err();
        assert!(matches!(error, Error::Disk(_)), "{error:?}");
        let temporary = directory.path().join("blobs/.tmp");
        assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
    }
}
