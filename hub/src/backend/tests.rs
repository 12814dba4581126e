//! What agents say, as it is stored.

use tidegate_model::{
    duration::Span,
    health::Health,
    ids::{AppUid, Generation},
    report::Phase,
};
use uuid::Uuid;

use super::*;
use crate::testing::{Hub, app, assigned, bundle, cluster, cluster_uid, report, set};

/// Clusters 1 and 2 with one application each.
async fn hub() -> (Hub, Backend, [AppRecord; 2]) {
    let hub = Hub::new().await;
    let set = set(1, "web", &serde_json::json!({}));
    let apps = [1, 2].map(|n| assigned(app(&set, n, n), 3, bundle("a")));
    hub.create([cluster(1), cluster(2)]).await;
    hub.create([set]).await;
    hub.create(apps.clone()).await;
    let backend = Backend::new(hub.db.clone());
    (hub, backend, apps)
}

fn one() -> ClusterUid {
    cluster_uid(1)
}

fn healthy_since(hub: &Hub, app: &AppRecord) -> Option<jiff::Timestamp> {
    hub.db
        .read()
        .report_of(app)
        .unwrap()
        .record
        .first_healthy_at
}

fn after(mut report: Report, seconds: u64) -> Report {
    report.healthy_for = Span::secs(seconds);
    report
}

fn facts(kubernetes: &str, labels: &[(&str, &str)]) -> AgentFacts {
    AgentFacts {
        kubernetes_uid: kubernetes.to_owned(),
        version: "1.2.3".to_owned(),
        agent_uid: "a".to_owned(),
        boot_id: "b".to_owned(),
        capabilities: Vec::new(),
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

fn record_of(hub: &Hub, cluster: ClusterUid) -> ClusterRecord {
    ClusterRecord::clone(&hub.db.read().cluster(cluster).unwrap().record)
}

#[tokio::test]
async fn a_cluster_gets_its_own_assignments_and_rows_alone() {
    let (hub, backend, [first, second]) = hub().await;
    let names = |cluster| {
        let assignments = backend.assignments(cluster).into_iter();
        assignments
            .map(|assignment| assignment.app)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (names(one()), names(cluster_uid(2))),
        (vec![first.uid], vec![second.uid])
    );
    assert_eq!(backend.status_rows(one()), []);
    let said = report(&first, Health::Healthy);
    backend.report(one(), said.clone()).await.unwrap();
    assert_eq!(backend.status_rows(one()), [StatusRow::from(&said)]);
    assert_eq!(backend.status_rows(cluster_uid(2)), []);
    assert_eq!(backend.epoch(), hub.db.epoch());
}

#[tokio::test]
async fn a_report_on_somebody_elses_application_is_not_kept() {
    let (hub, backend, [first, second]) = hub().await;
    let before = hub.revision().await;
    let unknown = Report {
        app: AppUid(Uuid::from_u128(99)),
        ..report(&first, Health::Healthy)
    };
    for foreign in [report(&second, Health::Degraded), unknown] {
        assert_eq!(backend.report(one(), foreign).await.unwrap(), Kept::NotOurs);
    }
    assert_eq!(hub.revision().await, before);
    assert!(hub.db.read().reports.is_empty());
    let own = report(&first, Health::Healthy);
    assert_eq!(backend.report(one(), own).await.unwrap(), Kept::Stored);
}

#[tokio::test]
async fn a_report_on_what_was_never_assigned_is_not_kept() {
    let (hub, backend, [first, _]) = hub().await;
    let row = hub.db.read().apps.get(&first.key()).unwrap().clone();
    let said = report(&first, Health::Healthy);
    hub.write(|changes| {
        changes.update(
            &row,
            &AppRecord {
                assignment: None,
                ..first
            },
        );
    })
    .await;
    assert_eq!(backend.report(one(), said).await.unwrap(), Kept::NotOurs);
}

#[tokio::test]
async fn a_quiet_agent_costs_no_writes() {
    let (hub, backend, [first, _]) = hub().await;
    let said = report(&first, Health::Healthy);
    backend.report(one(), after(said.clone(), 5)).await.unwrap();
    let (revision, since) = (hub.revision().await, healthy_since(&hub, &first));
    assert_eq!(since, Some(hub.clock.now()));
    hub.clock.wind(jiff::SignedDuration::from_secs(60));
    assert_eq!(
        backend
            .report(one(), after(said.clone(), 65))
            .await
            .unwrap(),
        Kept::Stored
    );
    assert_eq!(
        (hub.revision().await, healthy_since(&hub, &first)),
        (revision, since)
    );
    // A change is a write.
    backend
        .report(
            one(),
            Report {
                phase: Phase::Failed,
                ..after(said, 66)
            },
        )
        .await
        .unwrap();
    assert!(hub.revision().await > revision);
}

#[tokio::test]
async fn a_break_in_health_begins_a_new_stretch() {
    let (hub, backend, [first, _]) = hub().await;
    let said = report(&first, Health::Healthy);
    let minute = jiff::SignedDuration::from_secs(60);
    backend
        .report(one(), after(said.clone(), 30))
        .await
        .unwrap();
    let begin = healthy_since(&hub, &first);

    // Shorter than before: it broke in between and nobody told us.
    hub.clock.wind(minute);
    backend
        .report(one(), after(said.clone(), 10))
        .await
        .unwrap();
    let second = healthy_since(&hub, &first);
    assert_eq!(second, Some(hub.clock.now()));
    assert!(second > begin);

    hub.clock.wind(minute);
    backend
        .report(one(), report(&first, Health::Degraded))
        .await
        .unwrap();
    assert_eq!(healthy_since(&hub, &first), None);
    hub.clock.wind(minute);
    backend.report(one(), after(said, 600)).await.unwrap();
    assert_eq!(
        healthy_since(&hub, &first),
        Some(hub.clock.now()),
        "a long word after a break"
    );
}

#[tokio::test]
async fn health_of_another_order_is_no_part_of_the_stretch() {
    let (hub, backend, [first, _]) = hub().await;
    let minute = jiff::SignedDuration::from_secs(60);
    let said = after(report(&first, Health::Healthy), 30);
    backend.report(one(), said.clone()).await.unwrap();
    hub.clock.wind(minute);
    let next = Report {
        generation: Generation(4),
        ..after(said.clone(), 90)
    };
    backend.report(one(), next.clone()).await.unwrap();
    assert_eq!(healthy_since(&hub, &first), Some(hub.clock.now()));
    hub.clock.wind(minute);
    backend
        .report(
            one(),
            Report {
                digest: bundle("x"),
                ..after(next, 150)
            },
        )
        .await
        .unwrap();
    assert_eq!(healthy_since(&hub, &first), Some(hub.clock.now()));
}

#[tokio::test]
async fn hello_replaces_facts_and_touches_no_other_label() {
    let (hub, backend, _) = hub().await;
    let region = ("fact.tidegate.dev/region", "eu");
    let nodes = ("fact.tidegate.dev/nodes", "3");
    backend
        .hello(
            one(),
            None,
            facts("k1", &[region, nodes, ("env", "prod"), ("rank", "0")]),
        )
        .await
        .unwrap();
    let labels = |hub: &Hub| record_of(hub, one()).cluster.labels;
    let expect = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    assert_eq!(labels(&hub), expect(&[region, nodes, ("rank", "1")]));
    backend
        .hello(
            one(),
            None,
            facts("k1", &[("fact.tidegate.dev/region", "us")]),
        )
        .await
        .unwrap();
    assert_eq!(
        labels(&hub),
        expect(&[("fact.tidegate.dev/region", "us"), ("rank", "1")])
    );
    let record = record_of(&hub, one());
    assert_eq!(
        (record.agent_version.as_str(), record.joined),
        ("1.2.3", true)
    );
    assert_eq!(
        record_of(&hub, cluster_uid(2)),
        cluster(2),
        "another cluster's record"
    );

    let revision = hub.revision().await;
    backend
        .hello(
            one(),
            None,
            facts("k1", &[("fact.tidegate.dev/region", "us")]),
        )
        .await
        .unwrap();
    assert_eq!(
        hub.revision().await,
        revision,
        "the same hello again is no write"
    );
}

#[tokio::test]
async fn an_identity_is_bound_to_one_kubernetes_cluster() {
    let (_hub, backend, _) = hub().await;
    assert_eq!(backend.kubernetes_uid(one()), None);
    backend.hello(one(), None, facts("k1", &[])).await.unwrap();
    backend.hello(one(), None, facts("k2", &[])).await.unwrap();
    assert_eq!(backend.kubernetes_uid(one()).as_deref(), Some("k1"));
    assert_eq!(backend.kubernetes_uid(cluster_uid(2)), None);
}

#[tokio::test]
async fn a_removed_cluster_is_told_to_join_anew() {
    let (hub, backend, _) = hub().await;
    let row = hub.db.read().cluster(one()).unwrap().clone();
    hub.write(|changes| changes.delete(&row)).await;
    let refusal = backend
        .hello(one(), None, facts("k1", &[]))
        .await
        .unwrap_err();
    assert!(
        refusal.reason.contains("removed from the fleet"),
        "{}",
        refusal.reason
    );
    assert!(refusal.retry_after >= std::time::Duration::from_secs(60));
    assert!(
        hub.db.read().cluster(one()).is_none(),
        "hello made it again"
    );
}

#[tokio::test]
async fn an_alarm_is_on_record_under_the_clusters_name() {
    let (hub, backend, _) = hub().await;
    let alarm = Alarm::SecondCluster {
        bound: "k1".to_owned(),
        given: "k2".to_owned(),
    };
    backend.alarm(one(), alarm.clone()).await;
    let audit = hub.audit(FLEET).await;
    let last = audit.last().unwrap();
    assert_eq!(
        (last.actor.as_str(), last.action.as_str()),
        ("cluster/c1", "link.alarm")
    );
    assert_eq!(last.reason, alarm.to_string());
}

#[tokio::test]
async fn blobs_are_found_by_kind_and_digest() {
    let (hub, backend, _) = hub().await;
    let blob = tidegate_store::Blob::new(OBJECT_TAG, b"{}".to_vec()).unwrap();
    let digest = blob.id().digest();
    tidegate_store::BlobStore::put(hub.blobs.as_ref(), vec![blob])
        .await
        .unwrap();
    let get = |kind| backend.blob(BlobRef { kind, digest });
    assert_eq!(
        get(BlobKind::Object).await.unwrap().as_deref(),
        Some(&b"{}"[..])
    );
    assert_eq!(get(BlobKind::Bundle).await.unwrap(), None);
}

#[tokio::test]
async fn the_link_is_nudged_by_a_new_assignment() {
    let (hub, backend, [first, second]) = hub().await;
    let mut changes = backend.changes(one());
    changes.borrow_and_update();
    let row = hub.db.read().apps.get(&first.key()).unwrap().clone();
    hub.write(|changes| changes.update(&row, &assigned(first, 4, bundle("b"))))
        .await;
    assert!(changes.has_changed().unwrap());
    assert_eq!(backend.assignments(one())[0].generation, Generation(4));
    // Of what is another cluster's no session hears.
    changes.borrow_and_update();
    let row = hub.db.read().apps.get(&second.key()).unwrap().clone();
    hub.write(|changes| changes.update(&row, &assigned(second, 9, bundle("b"))))
        .await;
    assert!(!changes.has_changed().unwrap());
}
