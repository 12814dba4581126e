//! How people are stored.
//!
//! Never holds a credential: a person proves who they are with a certificate.

use prost::Message as _;
use tidegate_proto::storage::v1;

use super::{
    Error, FLEET, Record, UserRecord,
    wire::{Named as _, Reader, millis},
};

impl Record for UserRecord {
    const KIND: &'static str = "users";

    fn path(&self) -> String {
        format!("{FLEET}/{}", self.name)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            name,
            role,
            created_at,
            created_by,
            groups,
        } = self;
        v1::User {
            name: name.clone(),
            role: role.stored().to_owned(),
            created_at: millis(*created_at),
            created_by: created_by.clone(),
            groups: groups.clone(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::User {
            name,
            role,
            created_at,
            created_by,
            groups,
        } = reader.message(bytes)?;
        reader.finish(Self {
            name,
            role: reader.name("role", &role)?,
            created_at: reader.time("created_at", created_at)?,
            created_by,
            groups,
        })
    }
}
