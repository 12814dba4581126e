//! How is stored what a restore leaves to be settled, and where a store's files are.
//!
//! Never decides when it is settled.

use prost::Message as _;
use tidegate_model::ids::Epoch;
use tidegate_proto::storage::v1;

use super::{Error, FLEET, HomeRecord, Record, ReissueRecord, RestoredRecord, wire::Reader};

impl Record for RestoredRecord {
    const KIND: &'static str = "restored";

    fn path(&self) -> String {
        format!("{}/{}/{}", self.project, self.set, self.app)
    }

    fn encode(&self) -> Vec<u8> {
        v1::Restored {
            term: self.term.0,
            astray: self.astray,
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, set, app] = reader.path()?;
        let v1::Restored { term, astray } = reader.message(bytes)?;
        reader.finish(Self {
            project: project.to_owned(),
            set: reader.parse("key", set)?,
            app: reader.parse("key", app)?,
            term: Epoch(term),
            astray,
        })
    }
}

impl Record for ReissueRecord {
    const KIND: &'static str = "reissues";

    fn path(&self) -> String {
        format!("{}/{}", self.project, self.set)
    }

    fn encode(&self) -> Vec<u8> {
        v1::Reissue {
            reason: self.reason.clone(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, set] = reader.path()?;
        let v1::Reissue { reason } = reader.message(bytes)?;
        reader.finish(Self {
            project: project.to_owned(),
            set: reader.parse("key", set)?,
            reason,
        })
    }
}

impl Record for HomeRecord {
    const KIND: &'static str = "homes";

    fn path(&self) -> String {
        FLEET.to_owned()
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            directory,
            authority,
        } = self.clone();
        v1::Home {
            directory,
            authority,
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::Home {
            directory,
            authority,
        } = reader.message(bytes)?;
        reader.finish(Self {
            directory,
            authority,
        })
    }
}
