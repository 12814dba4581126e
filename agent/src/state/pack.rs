//! Bytes in Secrets: compressed, cut into pieces that fit, believed only with their digest.

use std::{collections::BTreeMap, fmt::Display};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_model::digest::Digest;

use super::{Error, NAME_PREFIX, Store};
use crate::cluster::{self, meta};

/// Largest piece in one Secret, in bytes: a Secret holds 1 MiB, a request to etcd 1.5 MiB with the
/// base64 on top.
const PIECE: usize = 512 * 1024;
/// Largest size that is unpacked, in bytes: content is at most this large before compression.
const MOST: usize = 256 << 20;
/// zstd's default: it is fast enough not to be felt.
const LEVEL: i32 = 3;

/// Where packed bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PackRef {
    /// The pieces are named `<name>-<number>`, from 0.
    pub(crate) name: String,
    pub(crate) pieces: usize,
    /// Digest of the compressed bytes.
    pub(crate) digest: Digest,
}

impl PackRef {
    fn piece(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    pub(crate) fn names(&self, secret: &str) -> bool {
        (0..self.pieces).any(|number| self.piece(number) == secret)
    }
}

pub(super) fn compress(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(bytes, LEVEL).map_err(Error::Compress)
}

pub(super) fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::decompress(bytes, MOST).ok()
}

/// Secret `data` of these fields.
pub(super) fn encoded(fields: BTreeMap<&str, Vec<u8>>) -> Value {
    let fields = fields.into_iter();
    let encoded = fields.map(|(name, bytes)| (name.to_owned(), STANDARD.encode(bytes).into()));
    Value::Object(encoded.collect::<Map<_, _>>())
}

/// One field of a Secret's `data`.
pub(super) fn decoded(secret: &Value, field: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(secret.get("data")?.get(field)?.as_str()?)
        .ok()
}

impl Store {
    /// Writes compressed bytes under a name of their own; a repeat writes nothing.
    pub(super) async fn put_pack(
        &self,
        owner: impl Display,
        bytes: &[u8],
    ) -> Result<PackRef, Error> {
        let digest = Digest::of_bytes("pack", bytes);
        let pack = PackRef {
            name: format!("{NAME_PREFIX}pack-{owner}-{}", digest.short()),
            pieces: bytes.chunks(PIECE).count(),
            digest,
        };
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            let name = pack.piece(number);
            let data = encoded(BTreeMap::from([("piece", piece.to_vec())]));
            // Content is new nearly always: what is there is looked at only if something is.
            let mut written = self.write(&name, "pack", data.clone(), None).await;
            if written.as_ref().is_err_and(cluster::Error::is_conflict)
                && let Some(there) = self.read(&name).await?
            {
                if there.get("data") == Some(&data) {
                    continue;
                }
                let version = meta(&there, "resourceVersion");
                written = self.write(&name, "pack", data, Some(version)).await;
            }
            written.map_err(|error| self.failed(&name, error))?;
        }
        Ok(pack)
    }

    pub(super) async fn get_pack(&self, pack: &PackRef) -> Result<Vec<u8>, Error> {
        let damaged = |what: String| Error::Damaged {
            name: pack.name.clone(),
            what,
        };
        let mut bytes = Vec::new();
        for number in 0..pack.pieces {
            let secret = self.read(&pack.piece(number)).await?;
            let piece = secret.as_ref().and_then(|secret| decoded(secret, "piece"));
            bytes.extend(piece.ok_or_else(|| damaged(format!("piece {number} is missing")))?);
        }
        if Digest::of_bytes("pack", &bytes) != pack.digest {
            return Err(damaged("its digest is wrong".to_owned()));
        }
        decompress(&bytes).ok_or_else(|| damaged("it cannot be decompressed".to_owned()))
    }

    pub(super) async fn remove_pack(&self, pack: &PackRef) -> Result<(), Error> {
        for number in 0..pack.pieces {
            let name = pack.piece(number);
            let secret = self.secret(&name);
            let gone = self.cluster.delete_named(&self.secrets, &secret);
            match gone.await {
                Err(error) if !error.is_not_found() => return Err(self.failed(&name, error)),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_secret_read_back() {
        let secret = serde_json::json!({"data": encoded(BTreeMap::from([("a", vec![0, 255])]))});
        assert_eq!(decoded(&secret, "a"), Some(vec![0, 255]));
        assert_eq!(decoded(&secret, "b"), None);
    }

    #[test]
    fn compressed_bytes_read_back_and_noise_does_not() {
        let bytes = b"tidegate ".repeat(100_000);
        let packed = compress(&bytes).unwrap();
        assert!(packed.len() < bytes.len() / 100);
        assert_eq!(decompress(&packed), Some(bytes));
        assert_eq!(decompress(b"noise"), None);
    }
}
