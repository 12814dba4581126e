//! How clusters, the hub's term and join tokens are stored.
//!
//! Never holds a secret: of a join token only the hash of its secret half is stored.

use prost::Message as _;
use tidegate_model::{cluster::Cluster, ids::Epoch};
use tidegate_proto::storage::v1;

use super::{
    ClusterRecord, EpochRecord, Error, FLEET, Record, TokenRecord,
    wire::{Reader, millis},
};

impl Record for EpochRecord {
    const KIND: &'static str = "epoch";

    fn path(&self) -> String {
        format!("{FLEET}/hub")
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            epoch,
            holder,
            taken_at,
        } = self;
        v1::Epoch {
            epoch: epoch.0,
            holder: holder.clone(),
            taken_at: millis(*taken_at),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::Epoch {
            epoch,
            holder,
            taken_at,
        } = reader.message(bytes)?;
        reader.finish(Self {
            epoch: Epoch(epoch),
            holder,
            taken_at: reader.time("taken_at", taken_at)?,
        })
    }
}

impl Record for ClusterRecord {
    const KIND: &'static str = "clusters";

    fn path(&self) -> String {
        format!("{FLEET}/{}", self.cluster.uid)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            cluster,
            kubernetes_uid,
            agent_version,
            joined,
            created_at,
            refused_before,
            renew_before,
        } = self.clone();
        let Cluster {
            uid,
            name,
            labels,
            annotations,
            servers,
        } = cluster;
        v1::Cluster {
            uid: uid.to_string(),
            name,
            labels,
            annotations,
            servers,
            kubernetes_uid,
            agent_version,
            created_at: millis(created_at),
            joined,
            refused_before: refused_before.map(millis),
            renew_before: renew_before.map(millis),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::Cluster {
            uid,
            name,
            labels,
            annotations,
            servers,
            kubernetes_uid,
            agent_version,
            created_at,
            joined,
            refused_before,
            renew_before,
        } = reader.message(bytes)?;
        let uid = reader.parse("uid", &uid)?;
        reader.finish(Self {
            cluster: Cluster {
                uid,
                name,
                labels,
                annotations,
                servers,
            },
            kubernetes_uid,
            agent_version,
            joined,
            created_at: reader.time("created_at", created_at)?,
            refused_before: reader.time_opt("refused_before", refused_before)?,
            renew_before: reader.time_opt("renew_before", renew_before)?,
        })
    }
}

impl Record for TokenRecord {
    const KIND: &'static str = "tokens";

    fn path(&self) -> String {
        format!("{FLEET}/{}", self.id)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            id,
            secret_hash,
            cluster,
            expires_at,
            used_at,
            created_by,
        } = self;
        v1::JoinToken {
            secret_hash: secret_hash.to_vec(),
            cluster_uid: cluster.to_string(),
            expires_at: millis(*expires_at),
            used_at: used_at.map(millis),
            created_by: created_by.clone(),
            id: id.clone(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::JoinToken {
            secret_hash,
            cluster_uid,
            expires_at,
            used_at,
            created_by,
            id,
        } = reader.message(bytes)?;
        let secret_hash = <[u8; 32]>::try_from(secret_hash).map_err(|wrong| {
            reader.error(
                "secret_hash",
                format!("expected 32 bytes, found {}", wrong.len()),
            )
        })?;
        reader.finish(Self {
            id,
            secret_hash,
            cluster: reader.parse("cluster_uid", &cluster_uid)?,
            expires_at: reader.time("expires_at", expires_at)?,
            used_at: reader.time_opt("used_at", used_at)?,
            created_by,
        })
    }
}
