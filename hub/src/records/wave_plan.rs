//! How wave plans are stored: the document as the canonical JSON that was accepted.
//!
//! Never checks a document: what is here was accepted before.

use prost::Message as _;
use tidegate_proto::storage::v1;

use super::{
    Error, Record, WavePlanRecord,
    wire::{self, Reader},
};

impl Record for WavePlanRecord {
    const KIND: &'static str = "waveplans";

    fn path(&self) -> String {
        format!("{}/{}", self.project, self.name)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project,
            name,
            version,
            document,
            applied_by,
        } = self;
        v1::WavePlan {
            project: project.clone(),
            name: name.clone(),
            version: *version,
            document: wire::document(document),
            applied_by: applied_by.clone(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::WavePlan {
            project,
            name,
            version,
            document,
            applied_by,
        } = reader.message(bytes)?;
        reader.finish(Self {
            project,
            name,
            version,
            document: reader.document("document", &document)?,
            applied_by,
        })
    }
}
