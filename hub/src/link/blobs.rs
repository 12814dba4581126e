//! Serves blobs: only what the caller's own assignments name, checked, compressed, in pieces.
//!
//! Owns the check of ownership. Never trusts the store's bytes: what is damaged is not sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use tidegate_model::{
    bundle::{BUNDLE_TAG, Bundle, OBJECT_TAG},
    digest::Digest,
    ids::ClusterUid,
};
use tidegate_proto::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::Status;

use super::{
    limits,
    port::{Alarm, BlobKind, BlobRef, LinkBackend},
    wire as convert,
};

/// Compression: fast, and Kubernetes manifests shrink to a tenth.
const ZSTD_LEVEL: i32 = 3;
/// Bundles whose objects are remembered; one is a few kilobytes.
const REMEMBERED: usize = 1024;

type Chunks = mpsc::Receiver<Result<wire::BlobChunk, Status>>;

pub(super) struct Blobs<B> {
    backend: Arc<B>,
    permits: Arc<Semaphore>,
    /// Objects of a bundle. A bundle is named by its content, so this is never wrong.
    objects: Mutex<BTreeMap<Digest, Arc<BTreeSet<Digest>>>>,
}

impl<B: LinkBackend> Blobs<B> {
    pub(super) fn new(backend: Arc<B>) -> Self {
        Self {
            backend,
            permits: Arc::new(Semaphore::new(limits::BLOB_REQUESTS_AT_ONCE)),
            objects: Mutex::default(),
        }
    }

    /// Begins to serve a request.
    pub(super) async fn serve(
        &self,
        cluster: ClusterUid,
        request: &wire::FetchBlobsRequest,
    ) -> Result<Chunks, Status> {
        if request.blobs.len() > limits::BLOBS_A_REQUEST {
            return Err(Status::invalid_argument(format!(
                "{} blobs in one request, at most {} are served",
                request.blobs.len(),
                limits::BLOBS_A_REQUEST
            )));
        }
        let blobs: BTreeSet<_> = request
            .blobs
            .iter()
            .map(convert::blob_ref)
            .collect::<Result<_, _>>()
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Status::unavailable("the hub stops"))?;
        if let Some(blob) = self.foreign(cluster, &blobs).await? {
            let alarm = Alarm::ForeignBlob { blob };
            tracing::warn!(%cluster, %alarm, "blobs refused");
            self.backend.alarm(cluster, alarm).await;
            return Err(Status::permission_denied(format!(
                "{blob} belongs to no assignment of this cluster"
            )));
        }
        let (out, chunks) = mpsc::channel(limits::MESSAGES_AHEAD);
        tokio::spawn(send(Arc::clone(&self.backend), blobs, out, permit));
        Ok(chunks)
    }

    /// The first blob that no assignment of the cluster names.
    async fn foreign(
        &self,
        cluster: ClusterUid,
        blobs: &BTreeSet<BlobRef>,
    ) -> Result<Option<BlobRef>, Status> {
        let assignments = self.backend.assignments(cluster);
        let bundles: BTreeSet<_> = assignments
            .iter()
            .filter_map(tidegate_model::assignment::Assignment::bundle)
            .collect();
        let own = |blob: &BlobRef| blob.kind == BlobKind::Bundle && bundles.contains(&blob.digest);
        let mut left: BTreeSet<_> = blobs.iter().filter(|blob| !own(blob)).copied().collect();
        for bundle in &bundles {
            if !left.iter().any(|blob| blob.kind == BlobKind::Object) {
                break;
            }
            let objects = self.objects_of(*bundle).await?;
            left.retain(|blob| blob.kind == BlobKind::Bundle || !objects.contains(&blob.digest));
        }
        Ok(left.pop_first())
    }

    async fn objects_of(&self, bundle: Digest) -> Result<Arc<BTreeSet<Digest>>, Status> {
        let remembered = || self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(objects) = remembered().get(&bundle) {
            return Ok(Arc::clone(objects));
        }
        let blob = BlobRef {
            kind: BlobKind::Bundle,
            digest: bundle,
        };
        let bytes = sound(self.backend.as_ref(), blob).await?;
        let read = serde_json::from_slice(&bytes)
            .ok()
            .and_then(|value| Bundle::from_value(&value));
        let read = read.ok_or_else(|| Status::data_loss(format!("{blob} is not a bundle")))?;
        let objects = Arc::new(read.objects().iter().map(|entry| entry.digest).collect());
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED {
            // Any will do: it is read again when it is needed.
            remembered.pop_first();
        }
        remembered.insert(bundle, Arc::clone(&objects));
        Ok(objects)
    }
}

/// The bytes of a blob, if they are what its name says.
async fn sound<B: LinkBackend>(backend: &B, blob: BlobRef) -> Result<Vec<u8>, Status> {
    let bytes = backend
        .blob(blob)
        .await
        .map_err(|error| {
            tracing::error!(%blob, %error, source = ?error.source, "failed to read a blob");
            Status::unavailable(format!("the hub failed to read {blob}: {error}"))
        })?
        .ok_or_else(|| Status::not_found(format!("the hub does not have {blob}")))?;
    let tag = match blob.kind {
        BlobKind::Bundle => BUNDLE_TAG,
        BlobKind::Object => OBJECT_TAG,
    };
    let actual = Digest::of_bytes(tag, &bytes);
    if actual != blob.digest {
        tracing::error!(%blob, %actual, "a stored blob is damaged");
        return Err(Status::data_loss(format!(
            "the hub's copy of {blob} is damaged: it is {actual}"
        )));
    }
    if bytes.len() > limits::BLOB_BYTES {
        return Err(Status::failed_precondition(format!(
            "{blob} is {} bytes, at most {} are sent",
            bytes.len(),
            limits::BLOB_BYTES
        )));
    }
    Ok(bytes)
}

async fn send<B: LinkBackend>(
    backend: Arc<B>,
    blobs: BTreeSet<BlobRef>,
    out: mpsc::Sender<Result<wire::BlobChunk, Status>>,
    _permit: OwnedSemaphorePermit,
) {
    for blob in blobs {
        let pieces = match pieces(backend.as_ref(), blob).await {
            Ok(pieces) => pieces,
            Err(status) => {
                out.send(Err(status)).await.ok();
                return;
            }
        };
        for piece in pieces {
            if out.send(Ok(piece)).await.is_err() {
                // The agent left.
                return;
            }
        }
    }
}

async fn pieces<B: LinkBackend>(
    backend: &B,
    blob: BlobRef,
) -> Result<Vec<wire::BlobChunk>, Status> {
    let bytes = sound(backend, blob).await?;
    let compressed =
        tokio::task::spawn_blocking(move || zstd::encode_all(bytes.as_slice(), ZSTD_LEVEL))
            .await
            .map_err(|error| Status::internal(format!("failed to compress {blob}: {error}")))?
            .map_err(|error| Status::internal(format!("failed to compress {blob}: {error}")))?;
    let name = convert::named(blob);
    // A zstd frame is never empty.
    let count = compressed.len().div_ceil(limits::CHUNK_BYTES);
    let piece = |(i, data): (usize, &[u8])| wire::BlobChunk {
        blob: Some(name.clone()),
        data: data.to_vec(),
        last: i + 1 == count,
    };
    Ok(compressed
        .chunks(limits::CHUNK_BYTES)
        .enumerate()
        .map(piece)
        .collect())
}
