//! Fetches the content of an assignment and hands it to the reconciler.
//!
//! Owns the check that every blob is what its name says, before anything is done with it, and the
//! limits on its size. Never keeps anything.

use std::{collections::BTreeMap, io::Read as _, time::Duration};

use serde_json::Value;
use tidegate_model::{assignment::Assignment, bundle::Bundle, digest::Digest, ids::Epoch};
use tidegate_proto::v1::{self as wire, agent_link_client::AgentLinkClient};
use tidegate_telemetry::describe;
use tonic::{Code, Status, Streaming, transport::Channel};
use tracing::Instrument as _;

use super::{metrics::Metrics, port::Reconcile, session::Outcome, wire::BlobKind};

/// Objects asked for in one request; the hub takes twice as many.
const OBJECTS_A_REQUEST: usize = 500;
/// Largest blob, uncompressed. Kubernetes takes no object above 1.5 MiB.
const BLOB_BYTES: usize = 32 << 20;
/// Most content of one application that is fetched at once, uncompressed: it is in memory until it
/// is on disk.
const APPLICATION_BYTES: usize = 64 << 20;
/// How long the hub may take for the next piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why content could not be fetched.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to fetch {what}: {}", .status.message())]
    Hub { what: String, status: Status },
    #[error("failed to fetch {what}: nothing came for {} seconds", PIECE_TIMEOUT.as_secs())]
    Stuck { what: String },
    #[error("failed to fetch {what}: the hub sent {got} instead")]
    Other { what: String, got: String },
    #[error("failed to fetch {what}: the stream ended before it was complete")]
    Incomplete { what: String },
    #[error(
        "failed to use {expected}: its content is {actual}; it was damaged on the way or in the hub"
    )]
    WrongDigest { expected: String, actual: Digest },
    #[error("failed to use {what}: {problem}")]
    Unreadable { what: String, problem: String },
    #[error("failed to fetch {what}: it is larger than {limit} bytes; split the application")]
    TooLarge { what: String, limit: usize },
    #[error("failed to use {what}: the agent stops")]
    Stopped { what: String },
}

impl Error {
    /// Whether the same may succeed later without anybody changing the application.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Hub { status, .. } => !matches!(
                status.code(),
                Code::PermissionDenied | Code::InvalidArgument | Code::FailedPrecondition
            ),
            Self::TooLarge { .. } | Self::Unreadable { .. } => false,
            _ => true,
        }
    }
}

/// A client for blobs.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: AgentLinkClient<Channel>,
    metrics: Metrics,
}

impl Fetcher {
    pub(super) fn new(client: AgentLinkClient<Channel>, metrics: Metrics) -> Self {
        Self { client, metrics }
    }

    /// Fetches what is missing of an assignment and has it accepted.
    pub(super) async fn take<R: Reconcile>(
        self,
        reconciler: R,
        epoch: Epoch,
        assignment: Assignment,
    ) -> Outcome {
        let span = reconciler.traces().accepting(&assignment);
        let work = async {
            match self.content(&reconciler, &assignment).await {
                Ok((bundle, objects)) => {
                    reconciler.accept(epoch, assignment, bundle, objects).await
                }
                Err(error) => Outcome::Rejected {
                    reason: describe(&error),
                    retryable: error.is_retryable(),
                },
            }
        };
        let outcome = work.instrument(span.clone()).await;
        if let Outcome::Rejected { reason, .. } = &outcome {
            span.record("otel.status_description", reason);
        }
        outcome
    }

    async fn content<R: Reconcile>(
        &self,
        reconciler: &R,
        assignment: &Assignment,
    ) -> Result<(Bundle, BTreeMap<Digest, Value>), Error> {
        let Some(digest) = assignment.bundle() else {
            return Ok((Bundle::default(), BTreeMap::new()));
        };
        let mut room = APPLICATION_BYTES;
        let mut blobs = self.fetch(BlobKind::Bundle, &[digest], &mut room).await?;
        let what = format!("bundle {digest}");
        let value = blobs
            .remove(&digest)
            .ok_or_else(|| Error::Incomplete { what: what.clone() })?;
        let bundle = Bundle::from_value(&value).ok_or_else(|| Error::Unreadable {
            what: what.clone(),
            problem: "it is not a list of objects; upgrade the agent".to_owned(),
        })?;
        let digests: Vec<_> = bundle.objects().iter().map(|entry| entry.digest).collect();
        let cache = reconciler.clone();
        // Reads and hashes files.
        let missing = tokio::task::spawn_blocking(move || cache.missing(&digests))
            .await
            .map_err(|_| Error::Stopped { what })?;
        let mut objects = BTreeMap::new();
        for batch in missing.chunks(OBJECTS_A_REQUEST) {
            objects.extend(self.fetch(BlobKind::Object, batch, &mut room).await?);
        }
        Ok((bundle, objects))
    }

    /// Fetches these blobs: all of them, in any order, each checked.
    async fn fetch(
        &self,
        kind: BlobKind,
        digests: &[Digest],
        room: &mut usize,
    ) -> Result<BTreeMap<Digest, Value>, Error> {
        let what = || {
            format!(
                "{} {} and {} more",
                kind.tag(),
                first(digests),
                digests.len().saturating_sub(1)
            )
        };
        let blobs = digests.iter().map(|digest| kind.named(*digest)).collect();
        let request = self.client.clone();
        let pieces = async move {
            { request }
                .fetch_blobs(wire::FetchBlobsRequest { blobs })
                .await
        };
        let mut pieces = tokio::time::timeout(PIECE_TIMEOUT, pieces)
            .await
            .map_err(|_| Error::Stuck { what: what() })?
            .map_err(|status| Error::Hub {
                what: what(),
                status,
            })?
            .into_inner();
        let mut found = BTreeMap::new();
        while found.len() < digests.len() {
            let Some((digest, compressed)) = self.next(&mut pieces, kind, digests, &what).await?
            else {
                return Err(Error::Incomplete { what: what() });
            };
            let (value, size) = open(kind, digest, compressed).await?;
            *room = room.checked_sub(size).ok_or_else(|| Error::TooLarge {
                what: "the content of the application".to_owned(),
                limit: APPLICATION_BYTES,
            })?;
            found.insert(digest, value);
        }
        Ok(found)
    }

    /// The compressed bytes of the next blob; `None` at the end.
    async fn next(
        &self,
        pieces: &mut Streaming<wire::BlobChunk>,
        kind: BlobKind,
        digests: &[Digest],
        what: &impl Fn() -> String,
    ) -> Result<Option<(Digest, Vec<u8>)>, Error> {
        let mut current: Option<(Digest, Vec<u8>)> = None;
        loop {
            let piece = tokio::time::timeout(PIECE_TIMEOUT, pieces.message())
                .await
                .map_err(|_| Error::Stuck { what: what() })?
                .map_err(|status| Error::Hub {
                    what: what(),
                    status,
                })?;
            let Some(piece) = piece else {
                return if current.is_none() {
                    Ok(None)
                } else {
                    Err(Error::Incomplete { what: what() })
                };
            };
            self.metrics.fetched(piece.data.len());
            let name = piece.blob.unwrap_or_default();
            let digest = name
                .digest
                .parse()
                .ok()
                .filter(|digest| digests.contains(digest) && name == kind.named(*digest));
            let other = || Error::Other {
                what: what(),
                got: format!("a piece of {:?}", name.digest),
            };
            let digest = digest.ok_or_else(other)?;
            let (begun, bytes) = current.get_or_insert_with(|| (digest, Vec::new()));
            if *begun != digest {
                return Err(other());
            }
            if bytes.len() + piece.data.len() > BLOB_BYTES {
                return Err(Error::TooLarge {
                    what: format!("{} {digest}", kind.tag()),
                    limit: BLOB_BYTES,
                });
            }
            bytes.extend_from_slice(&piece.data);
            if piece.last {
                return Ok(current);
            }
        }
    }
}

fn first(digests: &[Digest]) -> String {
    digests.first().map(Digest::to_string).unwrap_or_default()
}

/// Unpacks, checks and reads a blob; with its size.
async fn open(
    kind: BlobKind,
    digest: Digest,
    compressed: Vec<u8>,
) -> Result<(Value, usize), Error> {
    // Hashing and unpacking megabytes is not for the threads that answer the hub.
    tokio::task::spawn_blocking(move || read(kind, digest, &compressed))
        .await
        .unwrap_or_else(|_| {
            Err(Error::Stopped {
                what: format!("{} {digest}", kind.tag()),
            })
        })
}

fn read(kind: BlobKind, digest: Digest, compressed: &[u8]) -> Result<(Value, usize), Error> {
    let what = || format!("{} {digest}", kind.tag());
    let unreadable = |problem: String| Error::Unreadable {
        what: what(),
        problem,
    };
    let mut bytes = Vec::new();
    // A small blob may unpack to anything: stop at the limit.
    let limit = u64::try_from(BLOB_BYTES).unwrap_or(u64::MAX);
    zstd::Decoder::new(compressed)
        .and_then(|decoder| decoder.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() > BLOB_BYTES {
        return Err(Error::TooLarge {
            what: what(),
            limit: BLOB_BYTES,
        });
    }
    let actual = Digest::of_bytes(kind.tag(), &bytes);
    if actual != digest {
        return Err(Error::WrongDigest {
            expected: what(),
            actual,
        });
    }
    let value = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    Ok((value, bytes.len()))
}

#[cfg(test)]
mod tests {
    use tidegate_model::bundle::OBJECT_TAG;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    #[test]
    fn a_blob_is_used_only_if_it_is_what_its_name_says() {
        let bytes = br#"{"kind":"ConfigMap"}"#;
        let digest = Digest::of_bytes(OBJECT_TAG, bytes);
        let (value, size) = read(BlobKind::Object, digest, &packed(bytes)).unwrap();
        assert_eq!(
            (value["kind"].as_str(), size),
            (Some("ConfigMap"), bytes.len())
        );

        let altered = read(BlobKind::Object, digest, &packed(br#"{"kind":"Secret"}"#)).unwrap_err();
        assert!(
            matches!(altered, Error::WrongDigest { .. }) && altered.is_retryable(),
            "{altered}"
        );
        // The same bytes under another kind have another name.
        let kind = read(BlobKind::Bundle, digest, &packed(bytes)).unwrap_err();
        assert!(matches!(kind, Error::WrongDigest { .. }), "{kind}");
        let torn = read(BlobKind::Object, digest, &packed(bytes)[..10]).unwrap_err();
        assert!(matches!(torn, Error::Unreadable { .. }), "{torn}");
    }

    #[test]
    fn a_blob_that_unpacks_to_too_much_is_refused() {
        let bomb = packed(&vec![b' '; BLOB_BYTES + 1]);
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        let digest = Digest::of_bytes(OBJECT_TAG, b"x");
        let error = read(BlobKind::Object, digest, &bomb).unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { .. }) && !error.is_retryable(),
            "{error}"
        );
    }
}
