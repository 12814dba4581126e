//! What the hub adds to the chain of audit records.
//!
//! Pure. What a chain is and how it is checked is `tidegate_model::audit`'s. Never writes: records
//! are part of the transaction of what they record (design, decision 10), and the end of the chain
//! is a record of its own, so that cutting the end off shows as well.

use jiff::Timestamp;
pub use tidegate_model::audit::{Broken, end_after, genesis, verify};

use crate::{
    changes::Decision,
    records::{AuditHead, AuditRecord},
};

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
        context,
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
        context,
        hash: head.hash,
        previous: head.hash,
    }
    .seal(head.hash);
    let head = end_after(&record);
    (record, head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Record as _;

    #[test]
    fn what_the_hub_adds_is_a_chain_and_holds_after_it_was_stored() {
        let mut head = genesis("shop");
        let records: Vec<_> = (0..3)
            .map(|i| {
                let run = format!("run/{i}");
                let decision =
                    Decision::by("ada", "shop", "run.approve", run, "looks good".to_owned())
                        .from_to("before", "after");
                let now = Timestamp::from_millisecond(1_700_000_000_123 + i).unwrap();
                let record;
                (record, head) = append(&head, &decision, now);
                record
            })
            .collect();
        assert_eq!(head, end_after(&records[2]));
        let read: Vec<_> = records
            .iter()
            .map(|record| AuditRecord::decode(&record.key(), &record.encode()).unwrap())
            .collect();
        assert_eq!(read, records);
        assert_eq!(verify(&genesis("shop"), &read, &head), Ok(()));
    }
}
