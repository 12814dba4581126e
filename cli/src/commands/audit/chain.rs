//! One chain, read to its end and checked on the way.
//!
//! Owns what fits of it so far. Never keeps a record.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use tidegate_model::{
    audit::{self, Context, Head, Invoker, MemberOutcome, Outcome, Record},
    run::MemberId,
};
use tidegate_proto::v1 as wire;

use crate::{args::Noted, connect::Hub, error::Error};

/// What became of a chain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checked {
    /// Whose it is.
    pub(super) project: String,
    /// How many of its records fit, from the first on.
    pub(super) records: u64,
    /// The last of them, as --noted takes it; empty where there is none.
    pub(super) end: String,
    /// The first record that does not fit; 0 when all do.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) broken_at: u64,
    /// What does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Where a chain does not hold.
struct Break {
    at: u64,
    problem: String,
}

/// A chain while it is read; only its end is kept.
pub(super) struct Chain<'a> {
    head: Head,
    broken: Option<Break>,
    noted: &'a [Noted],
}

impl<'a> Chain<'a> {
    pub(super) fn of(project: &str, noted: &'a [Noted]) -> Self {
        Self {
            head: audit::genesis(project),
            broken: None,
            noted,
        }
    }

    /// Goes on with these records and hands over each that fits; what stands behind the first that does
    /// not proves nothing.
    pub(super) fn take(&mut self, records: &[wire::AuditRecord], each: &mut dyn FnMut(&Record)) {
        if self.broken.is_none() {
            self.broken = self.follow(records, each).err();
        }
    }

    /// The end is then behind the last that fits.
    fn follow(
        &mut self,
        page: &[wire::AuditRecord],
        each: &mut dyn FnMut(&Record),
    ) -> Result<(), Break> {
        for told in page {
            let head = &self.head;
            let record = read(&head.project, told).map_err(|problem| Break {
                at: told.sequence,
                problem: format!(
                    "the audit chain of project {} cannot be read at record {}: {problem}",
                    head.project, told.sequence
                ),
            })?;
            let next = audit::follow(head, &record).map_err(|broken| Break {
                at: broken.sequence,
                problem: broken.to_string(),
            })?;
            let forged = self
                .noted
                .iter()
                .find(|it| it.sequence == next.sequence && it.hash != next.hash);
            if let Some(noted) = forged {
                return Err(Break {
                    at: next.sequence,
                    problem: format!(
                        "record {} of project {} is {}, and was noted down as {}: the chain was written \
                         anew",
                        next.sequence, next.project, next.hash, noted.hash
                    ),
                });
            }
            each(&record);
            self.head = next;
        }
        Ok(())
    }

    fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// No more records come.
    pub(super) fn end(self) -> Checked {
        let broken = self.broken.or_else(|| missing(&self.head, self.noted));
        Checked {
            records: self.head.sequence,
            end: match self.head.sequence {
                0 => String::new(),
                sequence => format!("{sequence}={}", self.head.hash),
            },
            broken_at: broken.as_ref().map_or(0, |it| it.at),
            problem: broken.map(|it| it.problem),
            project: self.head.project,
        }
    }
}

/// Reads the hub's chain page by page to its end and hands over every page, until `each` has enough.
pub(super) async fn pages(
    hub: &Hub,
    project: &str,
    mut each: impl FnMut(Vec<wire::AuditRecord>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let request = wire::ListAuditRequest {
            project: project.to_owned(),
            after,
            limit: 0,
        };
        let page = hub
            .call(async |fleet| fleet.list_audit(request).await)
            .await?
            .items;
        // One that does not rise would be asked for for ever.
        let last = page.last().map(|record| record.sequence);
        let Some(last) = last.filter(|last| *last > after) else {
            // Nothing, or what does not belong there: the chain says so.
            each(page)?;
            return Ok(());
        };
        after = last;
        if !each(page)? {
            return Ok(());
        }
    }
}

/// Checks the hub's chain and hands over each record that fits.
pub(super) async fn check(
    hub: &Hub,
    project: &str,
    noted: &[Noted],
    each: &mut dyn FnMut(&Record),
) -> Result<Checked, Error> {
    let mut chain = Chain::of(project, noted);
    pages(hub, project, |page| {
        chain.take(&page, each);
        Ok(!chain.is_broken())
    })
    .await?;
    Ok(chain.end())
}

/// A record that was noted down and is beyond the end.
fn missing(head: &Head, noted: &[Noted]) -> Option<Break> {
    let noted = noted.iter().find(|noted| noted.sequence > head.sequence)?;
    Some(Break {
        at: noted.sequence,
        problem: format!(
            "record {} of project {} was noted down and is gone: the chain ends with record {}",
            noted.sequence, head.project, head.sequence
        ),
    })
}

/// A record of this project as the hub tells it.
fn read(project: &str, told: &wire::AuditRecord) -> Result<Record, String> {
    let hash = |text: &str| text.parse().map_err(|error| format!("{error}"));
    Ok(Record {
        project: project.to_owned(),
        sequence: told.sequence,
        at: Timestamp::from_millisecond(told.at_ms).map_err(|error| error.to_string())?,
        actor: told.actor.clone(),
        action: told.action.clone(),
        subject: told.subject.clone(),
        reason: told.reason.clone(),
        before: told.before.clone(),
        after: told.after.clone(),
        context: context(told)?,
        hash: hash(&told.hash)?,
        previous: hash(&told.previous)?,
    })
}

fn context(told: &wire::AuditRecord) -> Result<Context, String> {
    Ok(Context {
        invoker: match told.invoker.as_str() {
            "" => Invoker::Unknown,
            name => named("invoker", name)?,
        },
        evidence: told.evidence.clone(),
        outcome: told.outcome.as_ref().map(outcome).transpose()?,
    })
}

fn outcome(told: &wire::AuditOutcome) -> Result<Outcome, String> {
    Ok(Outcome {
        run: id("run", &told.run)?,
        state: named("state", &told.state)?,
        wave: told.wave as usize,
        gate: match told.gate.as_str() {
            "" => None,
            gate => Some(named("gate", gate)?),
        },
        attempt: told.attempt,
        member: told.member.as_ref().map(member).transpose()?,
    })
}

fn member(told: &wire::AuditMember) -> Result<MemberOutcome, String> {
    Ok(MemberOutcome {
        id: MemberId {
            wave: told.wave,
            cluster: id("cluster uid", &told.cluster_uid)?,
        },
        cluster_name: told.cluster.clone(),
        standing: named("standing", &told.standing)?,
        wrote: match told.wrote.as_str() {
            "" => None,
            app => Some(id("application", app)?),
        },
    })
}

fn id<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error| format!("{what} {text:?} is none: {error}"))
}

fn named<T: DeserializeOwned>(what: &str, name: &str) -> Result<T, String> {
    serde_json::from_value(name.into()).map_err(|_| {
        format!("{what} {name:?} is not known here; use the release of tidegate that the hub is of")
    })
}
