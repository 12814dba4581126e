//! The chain of audit records: who decided what, when and why, one chain a project.
//!
//! Pure. Owns the hash that ties each record to the one before it, so that none can be changed,
//! removed or slipped in without every later one saying so: the hub makes chains by it and whoever
//! reads them checks them by the same. The end of a chain is kept beside it, so that cutting the end
//! off shows as well. Never stores or fetches a record.

mod context;
mod replay;

use jiff::Timestamp;
use serde_json::json;

pub use self::{
    context::{Context, Invoker, MemberOutcome, Outcome, Standing},
    replay::{Decided, MemberDecided, Replay},
};
use crate::digest::Digest;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The chain.
    pub project: String,
    /// Rises by one from 1.
    pub sequence: u64,
    /// When, by the hub's clock.
    pub at: Timestamp,
    /// Who: a user's name, `cluster/<name>` or `system`.
    pub actor: String,
    /// What was done, for example `run.approve`.
    pub action: String,
    /// To what, for example `set/default/web`.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Digest before, if any.
    pub before: String,
    /// Digest after, if any.
    pub after: String,
    /// On what it rests and what it led to.
    pub context: Context,
    /// Digest over this record and `previous`.
    pub hash: Digest,
    /// The hash of the record before; zeros for the first.
    pub previous: Digest,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub project: String,
    /// Sequence of its last record.
    pub sequence: u64,
    /// Hash of its last record.
    pub hash: Digest,
}

/// The type tag of a record's hash.
const TAG: &str = "audit";

/// Where a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to verify the audit chain of project {project} at record {sequence}: {problem}")]
pub struct Broken {
    /// The chain.
    pub project: String,
    /// Number of the first record that does not fit; of the last where only the end does not.
    pub sequence: u64,
    /// What does not fit.
    pub problem: String,
}

/// The end of a chain without records.
pub fn genesis(project: &str) -> Head {
    Head {
        project: project.to_owned(),
        sequence: 0,
        hash: Digest::from_bytes([0; 32]),
    }
}

/// Checks that `records` follow `from` without a gap or a change and end at `head`.
///
/// `from` is [`genesis`] for a whole chain, or the end of a part that was checked before.
pub fn verify<'a>(
    from: &Head,
    records: impl IntoIterator<Item = &'a Record>,
    head: &Head,
) -> Result<(), Broken> {
    let mut end = from.clone();
    for record in records {
        end = follow(&end, record)?;
    }
    if end == *head {
        return Ok(());
    }
    let problem = format!(
        "the chain should end with record {} and {}, but its records end with {} and {}",
        head.sequence, head.hash, end.sequence, end.hash
    );
    Err(Broken {
        project: head.project.clone(),
        sequence: head.sequence,
        problem,
    })
}

/// The end of the chain that ends at `end` and goes on with `record`, if it fits there.
pub fn follow(end: &Head, record: &Record) -> Result<Head, Broken> {
    let broken = |problem: String| Broken {
        project: end.project.clone(),
        sequence: record.sequence,
        problem,
    };
    if record.project != end.project {
        return Err(broken(format!(
            "it belongs to the chain of {}",
            record.project
        )));
    }
    if record.sequence != end.sequence + 1 {
        let expected = end.sequence + 1;
        return Err(broken(format!(
            "expected record {expected}, found {}",
            record.sequence
        )));
    }
    if record.previous != end.hash {
        return Err(broken("it does not follow the record before it".to_owned()));
    }
    if record.hash != record.clone().seal(record.previous).hash {
        return Err(broken(
            "its content was changed after it was written".to_owned(),
        ));
    }
    Ok(end_after(record))
}

/// The end of a chain whose last record this is.
pub fn end_after(record: &Record) -> Head {
    Head {
        project: record.project.clone(),
        sequence: record.sequence,
        hash: record.hash,
    }
}

impl Record {
    /// The same record behind the one whose hash is `previous`: sets `previous` and `hash`, which
    /// is over everything else in canonical JSON.
    #[must_use]
    pub fn seal(mut self, previous: Digest) -> Self {
        let Self {
            project,
            sequence,
            at,
            actor,
            action,
            subject,
            reason,
            before,
            after,
            context,
            hash: _,
            previous: _,
        } = &self;
        let mut fields = json!({
            "project": project,
            "sequence": sequence,
            "at": at.as_millisecond(),
            "actor": actor,
            "action": action,
            "subject": subject,
            "reason": reason,
            "before": before,
            "after": after,
            "previous": previous.to_string(),
        });
        if let Some(fields) = fields.as_object_mut() {
            context.enter(fields);
        }
        let hash = Digest::of(TAG, &fields);
        self.hash = hash;
        self.previous = previous;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{MemberId, RunState};

    pub(super) fn chain(length: u64) -> (Vec<Record>, Head) {
        let mut head = genesis("shop");
        let records = (0..length)
            .map(|i| {
                let seconds = 1_700_000_000 + i64::try_from(i).unwrap();
                let record = Record {
                    project: "shop".to_owned(),
                    sequence: i + 1,
                    at: Timestamp::from_second(seconds).unwrap(),
                    actor: "ada".to_owned(),
                    action: "run.approve".to_owned(),
                    subject: format!("run/{i}"),
                    reason: "looks good".to_owned(),
                    before: "before".to_owned(),
                    after: "after".to_owned(),
                    context: Context::default(),
                    hash: head.hash,
                    previous: head.hash,
                }
                .seal(head.hash);
                head = end_after(&record);
                record
            })
            .collect();
        (records, head)
    }

    #[test]
    fn a_chain_holds_whole_and_in_parts() {
        let (records, head) = chain(5);
        assert_eq!(
            records.iter().map(|r| r.sequence).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5]
        );
        assert_eq!(verify(&genesis("shop"), &records, &head), Ok(()));
        let middle = end_after(&records[2]);
        assert_eq!(verify(&genesis("shop"), &records[..3], &middle), Ok(()));
        assert_eq!(verify(&middle, &records[3..], &head), Ok(()));
        assert_eq!(verify(&genesis("shop"), [], &genesis("shop")), Ok(()));
    }

    #[test]
    fn the_hash_of_a_known_record_never_changes() {
        // Every chain that exists would count as forged.
        let (_, head) = chain(1);
        assert_eq!(
            head.hash.to_string(),
            "sha256:0d3c5d8b80b487de089fe77deaf89745f79b99eaecd46b275de5939b896c5880"
        );
    }

    #[test]
    fn the_hash_of_a_known_context_never_changes() {
        let (mut records, _) = chain(1);
        records[0].context = context();
        let sealed = records.remove(0).seal(genesis("shop").hash);
        assert_eq!(
            sealed.hash.to_string(),
            "sha256:ffab6aac4276beee09a2ca6461fc0b8ff3d19cc53ea946b63e1524dcfff29c60"
        );
    }

    fn context() -> Context {
        let id = "01890000-0000-7000-8000-000000000001";
        Context {
            invoker: Invoker::Person,
            evidence: vec!["approved by ada".to_owned()],
            outcome: Some(Outcome {
                run: id.parse().unwrap(),
                state: RunState::Rolling,
                wave: 1,
                gate: None,
                attempt: 1,
                member: Some(MemberOutcome {
                    id: MemberId {
                        wave: 1,
                        cluster: id.parse().unwrap(),
                    },
                    cluster_name: "prod-1".to_owned(),
                    standing: Standing::Forward,
                    wrote: Some(id.parse().unwrap()),
                }),
            }),
        }
    }

    #[test]
    fn every_change_of_a_field_is_seen() {
        let changes: [fn(&mut Record); 12] = [
            |r| r.project.push('x'),
            |r| r.sequence += 1,
            |r| r.at = Timestamp::UNIX_EPOCH,
            |r| r.actor.push('x'),
            |r| r.action.push('x'),
            |r| r.subject.push('x'),
            |r| r.reason.push('x'),
            |r| r.before.push('x'),
            |r| r.after.push('x'),
            |r| r.context.invoker = Invoker::Person,
            |r| r.context.evidence.push("seen".to_owned()),
            |r| r.context.outcome = context().outcome,
        ];
        for (i, change) in changes.iter().enumerate() {
            let (mut records, head) = chain(3);
            change(&mut records[1]);
            let error = verify(&genesis("shop"), &records, &head).unwrap_err();
            assert_eq!(error.sequence, records[1].sequence, "change {i}: {error}");

            // Sealing it anew only moves the break to the record behind it.
            let previous = records[1].previous;
            records[1] = records[1].clone().seal(previous);
            assert!(
                verify(&genesis("shop"), &records, &head).is_err(),
                "resealed change {i}"
            );
        }
    }

    #[test]
    fn removing_swapping_and_cutting_off_are_seen() {
        let (records, head) = chain(4);
        let from = genesis("shop");
        let without = |i: usize| {
            let mut rest = records.clone();
            rest.remove(i);
            rest
        };
        for i in 0..4 {
            assert!(verify(&from, &without(i), &head).is_err(), "without {i}");
        }
        let mut swapped = records.clone();
        swapped.swap(1, 2);
        assert!(verify(&from, &swapped, &head).is_err());
        let error = verify(&from, &records[..3], &head).unwrap_err();
        assert_eq!(error.sequence, 4);
        assert!(verify(&genesis("other"), &records, &head).is_err());
    }
}
