//! How pins, denies and holds are stored: what keeps a rollback and a brake in force.
//!
//! Never decides when one of them opens.

use prost::Message as _;
use serde_json::json;
use tidegate_model::{
    deny::{Deny, Pin},
    digest::Digest,
};
use tidegate_proto::storage::v1;

use super::{
    DenyRecord, Error, HoldRecord, PinRecord, Record,
    wire::{Named as _, Reader, millis, read_object, store_object},
};

impl Record for PinRecord {
    const KIND: &'static str = "pins";

    fn path(&self) -> String {
        format!("{}/{}/{}", self.project, self.set, self.pin.app)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project: _,
            set: _,
            pin,
        } = self;
        let Pin {
            app,
            bundle,
            bad,
            release,
            reason,
            actor,
            run,
            created_at,
        } = pin;
        v1::Pin {
            app: app.to_string(),
            bundle: bundle.to_string(),
            bad: bad.to_string(),
            release: release.stored().to_owned(),
            reason: reason.clone(),
            actor: actor.clone(),
            run: run.to_string(),
            created_at: millis(*created_at),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, set, _] = reader.path()?;
        let v1::Pin {
            app,
            bundle,
            bad,
            release,
            reason,
            actor,
            run,
            created_at,
        } = reader.message(bytes)?;
        let pin = Pin {
            app: reader.parse("app", &app)?,
            bundle: reader.parse("bundle", &bundle)?,
            bad: reader.parse("bad", &bad)?,
            release: reader.name("release", &release)?,
            reason,
            actor,
            run: reader.parse("run", &run)?,
            created_at: reader.time("created_at", created_at)?,
        };
        reader.finish(Self {
            project: project.to_owned(),
            set: reader.parse("key", set)?,
            pin,
        })
    }
}

impl Record for DenyRecord {
    const KIND: &'static str = "denies";

    fn path(&self) -> String {
        // Object names are not made for keys, and an object can have several denied contents: the
        // key holds the digest of both.
        let Deny { object, content } = &self.deny;
        let name = json!([
            object.group,
            object.kind,
            object.namespace,
            object.name,
            content.to_string()
        ]);
        let digest = Digest::of("deny-record", &name);
        format!(
            "{}/{}/{}",
            self.project,
            self.set,
            hex::encode(digest.as_bytes())
        )
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project: _,
            set: _,
            deny: Deny { object, content },
        } = self;
        v1::Deny {
            object: Some(store_object(object)),
            content: content.to_string(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, set, _] = reader.path()?;
        let v1::Deny { object, content } = reader.message(bytes)?;
        let deny = Deny {
            object: read_object(reader.present("object", object)?),
            content: reader.parse("content", &content)?,
        };
        reader.finish(Self {
            project: project.to_owned(),
            set: reader.parse("key", set)?,
            deny,
        })
    }
}

impl Record for HoldRecord {
    const KIND: &'static str = "holds";

    fn path(&self) -> String {
        format!("{}/{}/{}", self.project, self.set, self.id)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            id,
            project: _,
            set,
            kind,
            message,
            content,
            since,
            approvable,
            approved_by,
        } = self;
        v1::Hold {
            id: id.clone(),
            set_uid: set.to_string(),
            kind: kind.stored().to_owned(),
            message: message.clone(),
            content: content.to_string(),
            since: millis(*since),
            approvable: *approvable,
            approved_by: approved_by.clone(),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, _, _] = reader.path()?;
        let v1::Hold {
            id,
            set_uid,
            kind,
            message,
            content,
            since,
            approvable,
            approved_by,
        } = reader.message(bytes)?;
        reader.finish(Self {
            id,
            project: project.to_owned(),
            set: reader.parse("set_uid", &set_uid)?,
            kind: reader.name("kind", &kind)?,
            message,
            content: reader.parse("content", &content)?,
            since: reader.time("since", since)?,
            approvable,
            approved_by,
        })
    }
}
