//! A backup reads back as it was written, or says that it does not.

use std::fs;

use super::*;

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        made_at: Timestamp::from_second(1_700_000_000).unwrap(),
        made_by: "1.2.3".to_owned(),
        revision: 7,
        term: 5,
        records: 2,
        records_digest: Digest::from_bytes([0; 32]),
        identity: BTreeMap::new(),
        blobs: Vec::new(),
    }
}

/// A folder with a blob directory and a backup of it.
struct Made {
    folder: tempfile::TempDir,
    path: PathBuf,
    records: Records,
    blobs: Vec<Blob>,
}

async fn made(with: Manifest) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let blobs: Vec<_> = ["{}", "[]", "[1]"]
        .map(|bytes| Blob::new("object", bytes).unwrap())
        .to_vec();
    let files = blob::Files::open(folder.path().join("blobs"))
        .await
        .unwrap();
    tidegate_store::BlobStore::put(&files, blobs.clone())
        .await
        .unwrap();
    let record = |name: &str| (format!("/tidegate/v1/sets/{name}"), Bytes::from("value"));
    let records = vec![record("a"), record("b")];
    let identity = BTreeMap::from([("ca.pem".to_owned(), b"secret".to_vec())]);
    let ids: Vec<_> = blobs.iter().map(|blob| blob.id().clone()).collect();
    let path = folder.path().join("backup");
    // While the directory is open: a hub on etcd runs meanwhile.
    let reader = Reader::new(folder.path().join("blobs"));
    write(&path, with, &records, &identity, (&reader, &ids)).unwrap();
    Made {
        folder,
        path,
        records,
        blobs,
    }
}

fn read_back(path: &Path) -> Result<(Contents, Vec<Blob>), Error> {
    let mut blobs = Vec::new();
    let contents = read(path, |blob| {
        blobs.push(blob);
        Ok::<_, Error>(())
    })?;
    Ok((contents, blobs))
}

#[tokio::test]
async fn a_backup_reads_back_as_written_and_is_closed_to_others() {
    let made = made(manifest()).await;
    let (contents, blobs) = read_back(&made.path).unwrap();
    assert_eq!(contents.records, made.records);
    assert_eq!(contents.identity["ca.pem"], b"secret");
    assert_eq!(blobs, made.blobs);
    let mode = fs::metadata(&made.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let left = fs::read_dir(made.folder.path()).unwrap().count();
    assert_eq!(left, 2, "temporary files were left behind");
}

#[tokio::test]
async fn every_changed_byte_and_every_cut_is_seen() {
    let made = made(manifest()).await;
    let good = fs::read(&made.path).unwrap();
    let bad = made.folder.path().join("bad");
    let mut harmless = 0;
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x10;
        fs::write(&bad, &changed).unwrap();
        // A bit may mean nothing, or another way to say the same; then all of it is what it was.
        if let Ok((contents, blobs)) = read_back(&bad) {
            assert_eq!(contents.records, made.records, "byte {at}");
            assert_eq!(contents.identity["ca.pem"], b"secret", "byte {at}");
            assert_eq!(blobs, made.blobs, "byte {at}");
            harmless += 1;
        }
        fs::write(&bad, &good[..at]).unwrap();
        let cut = read_back(&bad);
        assert!(matches!(cut, Err(Error::Damaged { .. })), "cut at {at}");
    }
    assert!(
        harmless * 50 < good.len(),
        "{harmless} changed bytes passed"
    );
}

/// A name and its bytes.
type File<'a> = (&'a str, &'a [u8]);

/// A backup made of these files.
fn forged(path: &Path, files: &[File<'_>]) {
    let encoder = zstd::Encoder::new(fs::File::create(path).unwrap(), 0).unwrap();
    let mut tar = tar::Builder::new(encoder);
    for (name, bytes) in files {
        add(&mut tar, name, bytes, Timestamp::UNIX_EPOCH).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

#[tokio::test]
async fn a_whole_file_with_other_content_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged");
    let object = Blob::new("object", "{}").unwrap();
    let name = blob_name(object.id());
    let with = |blobs: Vec<String>, identity: &[(&str, &str)]| {
        let identity = identity.iter().map(|(name, bytes)| {
            let digest = Digest::of_bytes(FILE_TAG, bytes.as_bytes());
            ((*name).to_owned(), digest)
        });
        serde_json::to_vec(&Manifest {
            records: 0,
            records_digest: Digest::of_bytes(RECORDS_TAG, b""),
            blobs,
            identity: identity.collect(),
            ..manifest()
        })
        .unwrap()
    };
    let blob_file = format!("{BLOBS}{name}");
    let one = with(vec![name.clone()], &[]);
    let cases: [(&str, Vec<File<'_>>); 5] = [
        ("missing", vec![(MANIFEST, &one), (RECORDS, b"")]),
        (
            "changed",
            vec![(MANIFEST, &one), (RECORDS, b""), (&blob_file, b"[]")],
        ),
        (
            "records are changed",
            vec![(MANIFEST, &one), (RECORDS, b"x"), (&blob_file, b"{}")],
        ),
        (
            "more than it names",
            vec![
                (MANIFEST, &one),
                (RECORDS, b""),
                (&blob_file, b"{}"),
                ("more", b""),
            ],
        ),
        ("missing", vec![(RECORDS, b"")]),
    ];
    for (words, files) in cases {
        forged(&path, &files);
        let error = read_back(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    forged(
        &path,
        &[(MANIFEST, &one), (RECORDS, b""), (&blob_file, b"{}")],
    );
    read_back(&path).unwrap();
    // A name that leads out of the directory: its file is the one that the usual tools cannot write.
    let outside = with(vec![], &[("..", "x")]);
    forged(&path, &[(MANIFEST, &outside), (RECORDS, b"")]);
    let error = read_back(&path).unwrap_err().to_string();
    assert!(error.contains("identity/.."), "{error}");
}

#[tokio::test]
async fn a_newer_form_is_named() {
    let made = made(Manifest {
        format: FORMAT + 1,
        ..manifest()
    })
    .await;
    let error = read_back(&made.path).unwrap_err();
    assert!(
        matches!(error, Error::Newer { found, .. } if found == FORMAT + 1),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_there_is_not_replaced_and_a_lost_blob_is_named() {
    let made = made(manifest()).await;
    let before = fs::read(&made.path).unwrap();
    let reader = Reader::new(made.folder.path().join("blobs"));
    let again = write(
        &made.path,
        manifest(),
        &made.records,
        &BTreeMap::new(),
        (&reader, &[]),
    );
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    assert_eq!(fs::read(&made.path).unwrap(), before);
    let gone = Blob::new("object", "gone").unwrap();
    let other = made.folder.path().join("other");
    let ids = [gone.id().clone()];
    let error = write(
        &other,
        manifest(),
        &made.records,
        &BTreeMap::new(),
        (&reader, &ids),
    );
    assert!(matches!(error, Err(Error::Gone { .. })), "{error:?}");
    assert!(!other.exists(), "half a backup");
}
