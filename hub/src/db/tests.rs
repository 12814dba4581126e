//! Terms, conflicts, the view and the chain, over the store in memory.
//!
//! The runtime has one thread, so nothing follows the store unless `Db` waits for it.

use super::*;
use crate::{
    records::{AuditRecord, ClusterRecord},
    testing::{Hub, cluster, open, soon},
};

fn named(name: &str) -> ClusterRecord {
    let mut record = cluster(1);
    record.cluster.name = name.to_owned();
    record
}

fn note(project: &str) -> Changes {
    let mut changes = Changes::default();
    changes.decide(Decision::by(
        "ada",
        project,
        "test",
        "x".to_owned(),
        String::new(),
    ));
    changes
}

async fn chain_holds(hub: &Hub, project: &str) -> usize {
    let records: Vec<AuditRecord> = hub.audit(project).await;
    let state = hub.db.read();
    let head = state
        .audit_heads
        .iter()
        .find(|head| head.project == project);
    audit::verify(&audit::genesis(project), &records, head.unwrap()).unwrap();
    records.len()
}

#[tokio::test]
async fn a_hub_that_lost_its_term_writes_nothing() {
    let hub = Hub::new().await;
    let cancel = CancellationToken::new();
    let newer = open(&hub.store, &hub.blobs, &hub.clock, &cancel)
        .await
        .unwrap();
    let before = hub.revision().await;
    let mut changes = note("default");
    changes.create(&cluster(1));
    let error = hub.db.commit(changes.clone()).await.unwrap_err();
    assert!(
        matches!(error, Error::Fenced { epoch } if epoch == hub.db.epoch()),
        "{error}"
    );
    assert!(!error.is_retryable() && error.to_string().contains("this hub must stop"));
    assert_eq!(hub.revision().await, before);
    newer.commit(changes).await.unwrap();
    assert!(newer.read().cluster_named("c1").is_some());
}

#[tokio::test]
async fn the_term_rises_with_every_process_and_a_later_hub_begins_above_an_earlier_one() {
    let mut hub = Hub::new().await;
    let first = hub.db.epoch().0;
    let made = u64::try_from(hub.clock.now().as_second()).unwrap();
    assert!(made - first < 60, "{first} is not about {made}");
    for term in first..first + 3 {
        assert_eq!(hub.db.epoch(), Epoch(term));
        hub = hub.restart().await;
    }
}

#[tokio::test]
async fn a_commit_on_what_has_changed_names_the_key_and_writes_nothing() {
    let hub = Hub::new().await;
    hub.create([cluster(1)]).await;
    let row = hub.db.read().clusters.find(|_| true).unwrap().clone();
    let rename = |name: &str| {
        let mut changes = note("_");
        changes.update(&row, &named(name));
        changes
    };
    hub.db.commit(rename("first")).await.unwrap();
    let error = hub.db.commit(rename("second")).await.unwrap_err();
    let key = cluster(1).key();
    assert!(
        matches!(&error, Error::Conflict { key: named } if *named == key),
        "{error}"
    );
    assert!(error.is_retryable());
    assert!(hub.db.read().cluster_named("first").is_some());
    assert_eq!(
        hub.audit("_").await.len(),
        1,
        "the loser's audit record stayed"
    );

    // What must not be there yet, and what was only required, count as well.
    let mut again = Changes::default();
    again.create(&cluster(1));
    assert!(matches!(
        hub.db.commit(again).await,
        Err(Error::Conflict { .. })
    ));
    let mut required = note("_");
    required.require(&row);
    assert!(matches!(
        hub.db.commit(required).await,
        Err(Error::Conflict { .. })
    ));
}

#[tokio::test]
async fn the_view_shows_a_commit_on_return() {
    let hub = Hub::new().await;
    let mut changes = Changes::default();
    changes.create(&cluster(1));
    hub.db.commit(changes).await.unwrap();
    assert!(hub.db.read().cluster_named("c1").is_some());
    let seen = hub.db.read().revision;
    assert_eq!(seen, hub.revision().await);
}

#[tokio::test]
async fn after_a_conflict_the_view_shows_what_was_in_the_way() {
    let hub = Hub::new().await;
    hub.create([cluster(1)]).await;
    let row = hub.db.read().clusters.find(|_| true).unwrap().clone();
    // Behind the view's back: nobody has waited for it to follow.
    let put = Txn::new().put(cluster(1).key(), named("other").encode());
    let outcome = hub.store.transact(put).await.unwrap();
    assert!(outcome.committed().is_some());
    let mut changes = Changes::default();
    changes.update(&row, &named("mine"));
    let error = hub.db.commit(changes).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert!(
        hub.db.read().cluster_named("other").is_some(),
        "whoever decides again would decide on the same old state"
    );
}

#[tokio::test]
async fn the_audit_chain_goes_on_over_commits_and_restarts() {
    let hub = Hub::new().await;
    for _ in 0..3 {
        hub.db.commit(note("default")).await.unwrap();
    }
    let mut two = note("default");
    two.audit.extend(note("default").audit);
    two.audit.extend(note("other").audit);
    hub.db.commit(two).await.unwrap();
    assert_eq!(chain_holds(&hub, "default").await, 5);
    let hub = hub.restart().await;
    hub.db.commit(note("default")).await.unwrap();
    assert_eq!(chain_holds(&hub, "default").await, 6);
    assert_eq!(chain_holds(&hub, "other").await, 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_with_its_key() {
    let hub = Hub::new().await;
    let key = cluster(1).key();
    let garbage = Txn::new().put(&key, vec![0xff; 9]);
    // A hub that runs stops: it would go on deciding without that record.
    let outcome = hub.store.transact(garbage).await.unwrap();
    assert!(outcome.committed().is_some());
    let mut failed = hub.db.failed();
    let why = soon(failed.wait_for(Option::is_some))
        .await
        .unwrap()
        .clone();
    assert!(why.is_some_and(|why| why.contains(&key)));
    let error = hub.db.commit(note("default")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Following(why) if why.contains(&key)),
        "{error}"
    );

    // And one that starts does not start.
    let cancel = CancellationToken::new();
    let error = open(&hub.store, &hub.blobs, &hub.clock, &cancel)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Record(error) if error.key == key),
        "{error}"
    );
    assert!(error.to_string().contains(&key));
}

#[tokio::test]
async fn a_transaction_beyond_the_limits_is_an_error_and_the_hub_goes_on() {
    let hub = Hub::new().await;
    let before = hub.revision().await;
    let mut many = Changes::default();
    (1..=101).for_each(|n| many.create(&cluster(n)));
    let error = hub.db.commit(many).await.unwrap_err();
    assert!(error.to_string().contains("at most 100"), "{error}");
    let mut large = cluster(1);
    large.cluster.labels = [("a".to_owned(), "x".repeat(2 << 20))].into();
    let mut changes = Changes::default();
    changes.create(&large);
    let error = hub.db.commit(changes).await.unwrap_err();
    assert!(
        error.to_string().contains("bytes in one transaction"),
        "{error}"
    );
    assert!(!error.is_retryable());
    assert_eq!(hub.revision().await, before);
    hub.create([cluster(1)]).await;
}

#[tokio::test]
async fn nothing_to_write_is_no_transaction() {
    let hub = Hub::new().await;
    let before = hub.revision().await;
    hub.db.commit(Changes::default()).await.unwrap();
    assert_eq!(hub.revision().await, before);
}

#[test]
fn the_size_of_a_transaction_is_told_beforehand() {
    let mut changes = note("a");
    changes.audit.extend(note("a").audit);
    changes.audit.extend(note("b").audit);
    changes.create(&cluster(1));
    let (mut expected, mut writes) = (changes.expected.clone(), changes.writes.clone());
    let state = State::default();
    let now = Timestamp::UNIX_EPOCH;
    seal(
        &state,
        changes.audit.clone(),
        now,
        &mut expected,
        &mut writes,
    );
    assert_eq!(changes.operations(), writes.len());
}
