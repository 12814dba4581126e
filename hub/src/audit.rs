//! The chain of audit records: who decided what, when and why, one chain a project.
//!
//! Pure. Owns the hash that ties each record to the one before it, so that none can be changed,
//! removed or slipped in without every later one saying so. Never writes: records are part of the
//! transaction of what they record (design, decision 10), and the end of the chain is a record of
//! its own, so that cutting the end off shows as well.

use jiff::Timestamp;
use serde_json::json;
use tidegate_model::digest::Digest;

use crate::{
    changes::Decision,
    records::{AuditHead, AuditRecord, Record as _},
};

/// The type tag of a record's hash.
const TAG: &str = "audit";

/// Where a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to verify the audit chain of project {project} at {key}: {problem}")]
pub struct Broken {
    /// The chain.
    pub project: String,
    /// Key of the first record that does not fit, or of the chain's end.
    pub key: String,
    /// What does not fit.
    pub problem: String,
}

/// The end of a chain without records.
pub fn genesis(project: &str) -> AuditHead {
    AuditHead {
        project: project.to_owned(),
        sequence: 0,
        hash: Digest::from_bytes([0; 32]),
    }
}

/// The record of `decision` after `head`, and the chain's new end. The decision's project is the
/// head's.
pub fn append(head: &AuditHead, decision: &Decision, now: Timestamp) -> (AuditRecord, AuditHead) {
    let Decision {
        project: _,
        actor,
        action,
        subject,
        reason,
        before,
        after,
    } = decision.clone();
    let record = AuditRecord {
        project: head.project.clone(),
        sequence: head.sequence + 1,
        at: now,
        actor,
        action,
        subject,
        reason,
        before,
        after,
        hash: head.hash,
        previous: head.hash,
    }
    .seal(head.hash);
    let head = end_after(&record);
    (record, head)
}

/// Checks that `records` follow `from` without a gap or a change and end at `head`.
///
/// `from` is [`genesis`] for a whole chain, or the end of a part that was checked before.
pub fn verify<'a>(
    from: &AuditHead,
    records: impl IntoIterator<Item = &'a AuditRecord>,
    head: &AuditHead,
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
        key: head.key(),
        problem,
    })
}

fn follow(end: &AuditHead, record: &AuditRecord) -> Result<AuditHead, Broken> {
    let broken = |problem: String| Broken {
        project: end.project.clone(),
        key: record.key(),
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

fn end_after(record: &AuditRecord) -> AuditHead {
    AuditHead {
        project: record.project.clone(),
        sequence: record.sequence,
        hash: record.hash,
    }
}

impl AuditRecord {
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
            hash: _,
            previous: _,
        } = &self;
        let hash = Digest::of(
            TAG,
            &json!({
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
            }),
        );
        self.hash = hash;
        self.previous = previous;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: u64) -> (Vec<AuditRecord>, AuditHead) {
        let mut head = genesis("shop");
        let records = (0..length)
            .map(|i| {
                let decision = Decision::by(
                    "ada",
                    "shop",
                    "run.approve",
                    format!("run/{i}"),
                    "looks good".to_owned(),
                )
                .from_to("before", "after");
                let now = Timestamp::from_second(1_700_000_000 + i64::try_from(i).unwrap());
                let record;
                (record, head) = append(&head, &decision, now.unwrap());
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
    fn a_stored_chain_still_holds() {
        let (records, head) = chain(3);
        let read: Vec<_> = records
            .iter()
            .map(|record| AuditRecord::decode(&record.key(), &record.encode()).unwrap())
            .collect();
        assert_eq!(verify(&genesis("shop"), &read, &head), Ok(()));
    }

    #[test]
    fn every_change_of_a_field_is_seen() {
        let changes: [fn(&mut AuditRecord); 9] = [
            |r| r.project.push('x'),
            |r| r.sequence += 1,
            |r| r.at = Timestamp::UNIX_EPOCH,
            |r| r.actor.push('x'),
            |r| r.action.push('x'),
            |r| r.subject.push('x'),
            |r| r.reason.push('x'),
            |r| r.before.push('x'),
            |r| r.after.push('x'),
        ];
        for (i, change) in changes.iter().enumerate() {
            let (mut records, head) = chain(3);
            change(&mut records[1]);
            let error = verify(&genesis("shop"), &records, &head).unwrap_err();
            assert_eq!(error.key, records[1].key(), "change {i}: {error}");

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
        assert_eq!(error.key, "/tidegate/v1/audit-heads/shop/head");
        assert!(verify(&genesis("other"), &records, &head).is_err());
    }
}
