//! How sets are stored: the document as the canonical JSON that was accepted.
//!
//! Never checks a document: what is here was accepted before.

use prost::Message as _;
use tidegate_proto::storage::v1;

use super::{
    Error, Record, SetRecord,
    wire::{self, Reader},
};

impl Record for SetRecord {
    const KIND: &'static str = "sets";

    fn path(&self) -> String {
        format!("{}/{}", self.project, self.name)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            uid,
            project,
            name,
            version,
            document,
            last_release,
            deleting,
            problems,
            managed_by,
            latest_run,
            last_succeeded,
            warnings,
            applied_by,
            void_through,
        } = self;
        v1::ApplicationSet {
            uid: uid.to_string(),
            project: project.clone(),
            name: name.clone(),
            version: *version,
            document: wire::document(document),
            last_release: *last_release,
            deleting: *deleting,
            problems: problems.clone(),
            managed_by: managed_by.clone(),
            latest_run: latest_run.map(|run| run.to_string()),
            last_succeeded_release: *last_succeeded,
            warnings: warnings.clone(),
            applied_by: applied_by.clone(),
            void_through: *void_through,
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::ApplicationSet {
            uid,
            project,
            name,
            version,
            document,
            last_release,
            deleting,
            problems,
            managed_by,
            latest_run,
            last_succeeded_release,
            warnings,
            applied_by,
            void_through,
        } = reader.message(bytes)?;
        reader.finish(Self {
            uid: reader.parse("uid", &uid)?,
            project,
            name,
            version,
            document: reader.document("document", &document)?,
            last_release,
            deleting,
            problems,
            managed_by,
            latest_run: reader.parse_opt("latest_run", latest_run.as_deref())?,
            last_succeeded: last_succeeded_release,
            warnings,
            applied_by,
            void_through,
        })
    }
}
