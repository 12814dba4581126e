//! A new certificate for a cluster's agent, and the end of the former.
//!
//! Pure. The order is state, not an event: it stands in the cluster's record, every session that is
//! opened with an older certificate is told of it, and it is done when an agent is seen with a newer
//! one: from then on the older are refused. Until then they are good, because the agent needs one to
//! get the next, and an agent that dies in between comes back with it.

use jiff::Timestamp;

use crate::{
    changes::{Changes, Decision},
    identity::Authority,
    records::{ClusterRecord, FLEET},
    state::Row,
};

/// Orders it. Ordered already, it stays as it is.
pub(crate) fn order(
    row: &Row<ClusterRecord>,
    actor: &str,
    reason: &str,
    now: Timestamp,
) -> (ClusterRecord, Changes) {
    let mut record = ClusterRecord::clone(&row.record);
    let mut changes = Changes::default();
    if record.renew_before.is_none() {
        record.renew_before = Some(Authority::after(now));
        changes.update(row, &record);
        changes.decide(Decision::by(
            actor,
            FLEET,
            "cluster.rotate",
            format!("cluster/{}", record.cluster.name),
            reason.to_owned(),
        ));
    }
    (record, changes)
}

/// The agent is seen with a certificate whose life begins at `since`.
pub(crate) fn seen(record: &mut ClusterRecord, since: Option<Timestamp>) -> Option<Decision> {
    let least = record.renew_before?;
    if since? < least {
        return None;
    }
    record.refused_before = Some(least);
    record.renew_before = None;
    let subject = format!("cluster/{}", record.cluster.name);
    Some(Decision::by(
        &subject,
        FLEET,
        "cluster.rotated",
        subject.clone(),
        "its new certificate is in use: the former is refused from now on".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::testing::cluster;

    fn row(record: ClusterRecord) -> Row<ClusterRecord> {
        Row {
            revision: 1,
            record: record.into(),
        }
    }

    fn at(milli: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + milli).unwrap()
    }

    #[test]
    fn an_order_stands_until_a_later_certificate_is_seen() {
        let (mut record, changes) = order(&row(cluster(1)), "ada", "laptop", at(500));
        assert_eq!(changes.audit[0].action, "cluster.rotate");
        assert_eq!(changes.audit[0].reason, "laptop");
        let least = record.renew_before.unwrap();
        let (again, changes) = order(&row(record.clone()), "ada", "", at(90_000));
        assert!(changes.is_empty(), "ordered twice");
        assert_eq!(again.renew_before, Some(least));

        let second = SignedDuration::from_secs(1);
        assert_eq!(seen(&mut record, None), None);
        assert_eq!(seen(&mut record, Some(least - second)), None);
        assert_eq!(
            record.refused_before, None,
            "the former is needed for the next"
        );
        let decision = seen(&mut record, Some(least)).unwrap();
        assert_eq!(decision.action, "cluster.rotated");
        assert_eq!(
            (record.renew_before, record.refused_before),
            (None, Some(least))
        );
        assert_eq!(seen(&mut record, Some(least)), None, "done is done");

        // Once more: those that were refused stay refused meanwhile.
        let (record, _) = order(&row(record), "ada", "", at(120_000));
        assert_eq!(record.refused_before, Some(least));
        assert!(record.renew_before > Some(least));
    }
}
