//! How audit records and the ends of their chains are stored.
//!
//! Never makes or checks a chain: `crate::audit` does.

use prost::Message as _;
use tidegate_model::audit::{Context, Invoker, MemberOutcome, Outcome};
use tidegate_proto::storage::v1;

use super::{
    AuditHead, AuditRecord, Error, Record,
    run::{read_member_id, store_member_id},
    wire::{Named as _, Reader, millis},
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
            context,
            hash,
            previous,
        } = self;
        let Context {
            invoker,
            evidence,
            outcome,
        } = context;
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
            invoker: (*invoker != Invoker::Unknown).then(|| invoker.stored().to_owned()),
            evidence: evidence.clone(),
            outcome: outcome.as_ref().map(store_outcome),
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
            invoker,
            evidence,
            outcome,
        } = reader.message(bytes)?;
        let context = Context {
            invoker: match invoker {
                Some(invoker) => reader.name("invoker", &invoker)?,
                None => Invoker::Unknown,
            },
            evidence,
            outcome: outcome
                .map(|outcome| read_outcome(reader, outcome))
                .transpose()?,
        };
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
            context,
            hash: reader.parse("hash", &hash)?,
            previous: reader.parse("previous", &previous)?,
        })
    }
}

fn store_outcome(outcome: &Outcome) -> v1::AuditOutcome {
    let Outcome {
        run,
        state,
        wave,
        gate,
        attempt,
        member,
    } = outcome;
    v1::AuditOutcome {
        run: run.to_string(),
        state: state.stored().to_owned(),
        wave: *wave as u64,
        gate: gate.map(|gate| gate.stored().to_owned()),
        attempt: *attempt,
        member: member.as_ref().map(|member| {
            let MemberOutcome {
                id,
                cluster_name,
                standing,
                wrote,
            } = member;
            v1::AuditMember {
                id: Some(store_member_id(id)),
                cluster_name: cluster_name.clone(),
                standing: standing.stored().to_owned(),
                wrote: wrote.map(|app| app.to_string()),
            }
        }),
    }
}

fn read_outcome(reader: Reader<'_>, stored: v1::AuditOutcome) -> Result<Outcome, Error> {
    let v1::AuditOutcome {
        run,
        state,
        wave,
        gate,
        attempt,
        member,
    } = stored;
    let gate = gate.map(|gate| reader.name("outcome.gate", &gate));
    let member = member.map(|member| read_member(reader, member));
    Ok(Outcome {
        run: reader.parse("outcome.run", &run)?,
        state: reader.name("outcome.state", &state)?,
        wave: usize::try_from(wave).map_err(|error| reader.error("outcome.wave", error))?,
        gate: gate.transpose()?,
        attempt,
        member: member.transpose()?,
    })
}

fn read_member(reader: Reader<'_>, stored: v1::AuditMember) -> Result<MemberOutcome, Error> {
    let v1::AuditMember {
        id,
        cluster_name,
        standing,
        wrote,
    } = stored;
    Ok(MemberOutcome {
        id: read_member_id(reader, reader.present("outcome.member.id", id)?)?,
        cluster_name,
        standing: reader.name("outcome.member.standing", &standing)?,
        wrote: reader.parse_opt("outcome.member.wrote", wrote.as_deref())?,
    })
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
