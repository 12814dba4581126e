//! How sources and the headers of releases are stored.
//!
//! Never holds credentials, and never the entries of a release: those are a blob.

use prost::Message as _;
use serde_json::json;
use tidegate_model::{digest::Digest, source::RepoRevision};
use tidegate_proto::storage::v1;

use super::{
    Error, FLEET, Record, ReleaseRecord, SourceRecord,
    wire::{Reader, millis, read_commit, store_commit},
};

impl Record for SourceRecord {
    const KIND: &'static str = "sources";

    fn path(&self) -> String {
        // Addresses hold slashes and can be long: the key holds their digest.
        let RepoRevision { repo_url, revision } = &self.source;
        let digest = Digest::of("source", &json!([repo_url, revision]));
        format!("{FLEET}/{}", hex::encode(digest.as_bytes()))
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            source,
            commit,
            checked_at,
            error,
        } = self.clone();
        let RepoRevision { repo_url, revision } = source;
        v1::SourceState {
            repo_url,
            revision,
            commit,
            checked_at: millis(checked_at),
            error,
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::SourceState {
            repo_url,
            revision,
            commit,
            checked_at,
            error,
        } = reader.message(bytes)?;
        reader.finish(Self {
            source: RepoRevision { repo_url, revision },
            commit,
            checked_at: reader.time("checked_at", checked_at)?,
            error,
        })
    }
}

impl Record for ReleaseRecord {
    const KIND: &'static str = "releases";

    fn path(&self) -> String {
        format!("{}/{}/{:020}", self.project, self.set, self.number)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project: _,
            id,
            set,
            number,
            content,
            entries,
            sources,
            set_version,
            cause,
            authors,
            created_at,
        } = self;
        v1::Release {
            id: id.to_string(),
            set_uid: set.to_string(),
            number: *number,
            content: content.to_string(),
            entries: entries.to_string(),
            sources: sources.iter().map(store_commit).collect(),
            set_version: *set_version,
            cause: cause.clone(),
            created_at: millis(*created_at),
            authors: authors.clone(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, _, _] = reader.path()?;
        let v1::Release {
            id,
            set_uid,
            number,
            content,
            entries,
            sources,
            set_version,
            cause,
            created_at,
            authors,
        } = reader.message(bytes)?;
        reader.finish(Self {
            project: project.to_owned(),
            id: reader.parse("id", &id)?,
            set: reader.parse("set_uid", &set_uid)?,
            number,
            content: reader.parse("content", &content)?,
            entries: reader.parse("entries", &entries)?,
            sources: sources.into_iter().map(read_commit).collect(),
            set_version,
            cause,
            authors,
            created_at: reader.time("created_at", created_at)?,
        })
    }
}
