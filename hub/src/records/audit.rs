//! How audit records and the ends of their chains are stored.
//!
//! Never makes or checks a chain: `crate::audit` does.

use prost::Message as _;
use tidegate_proto::storage::v1;

use super::{
    AuditHead, AuditRecord, Error, Record,
    wire::{Reader, millis},
};

impl Record for AuditRecord {
    const KIND: &'static str = "audit";

    fn path(&self) -> String {
        format!("{}/{:020}", self.project, self.sequence)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project: _,
            sequence,
            at,
            actor,
            action,
            subject,
            reason,
            before,
            after,
            hash,
            previous,
        } = self;
        v1::AuditRecord {
            sequence: *sequence,
            at: millis(*at),
            actor: actor.clone(),
            action: action.clone(),
            subject: subject.clone(),
            reason: reason.clone(),
            before: before.clone(),
            after: after.clone(),
            hash: hash.to_string(),
            previous: previous.to_string(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, _] = reader.path()?;
        let v1::AuditRecord {
            sequence,
            at,
            actor,
            action,
            subject,
            reason,
            before,
            after,
            hash,
            previous,
        } = reader.message(bytes)?;
        reader.finish(Self {
            project: project.to_owned(),
            sequence,
            at: reader.time("at", at)?,
            actor,
            action,
            subject,
            reason,
            before,
            after,
            hash: reader.parse("hash", &hash)?,
            previous: reader.parse("previous", &previous)?,
        })
    }
}

impl Record for AuditHead {
    const KIND: &'static str = "audit-heads";

    fn path(&self) -> String {
        format!("{}/head", self.project)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project: _,
            sequence,
            hash,
        } = self;
        v1::AuditHead {
            sequence: *sequence,
            hash: hash.to_string(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, _] = reader.path()?;
        let v1::AuditHead { sequence, hash } = reader.message(bytes)?;
        reader.finish(Self {
            project: project.to_owned(),
            sequence,
            hash: reader.parse("hash", &hash)?,
        })
    }
}
