//! Applications end when their agent has removed them, and sets when nothing of them is left.

use tidegate_model::{
    assignment::{Assignment, Desired},
    health::Health,
    ids::Generation,
    report::Report,
};

use super::*;
use crate::{
    records::{AppRecord, Record as _, ReportRecord},
    testing::{Hub, app, assigned, bundle, cluster, cluster_uid, report, set},
};

/// Applications 1 to `count` of a set in cluster 1, all with a tombstone.
async fn hub(count: u128) -> Hub {
    let hub = Hub::new().await;
    let web = set(1, "web", &serde_json::json!({}));
    hub.create([cluster(1)]).await;
    hub.create([web.clone()]).await;
    let buried = |n| {
        let mut app = assigned(app(&web, n, 1), 4, bundle("a"));
        let assignment = app.assignment.take().unwrap();
        app.vanished = true;
        app.assignment = Some(Assignment {
            desired: Desired::Tombstone { cascade: true },
            ..assignment
        });
        app
    };
    hub.create((1..=count).map(buried)).await;
    hub
}

fn apps(hub: &Hub) -> Vec<AppRecord> {
    let state = hub.db.read();
    state.apps.iter().map(|app| AppRecord::clone(app)).collect()
}

async fn say(hub: &Hub, report: Report) {
    let app = apps(hub)
        .into_iter()
        .find(|app| app.uid == report.app)
        .unwrap();
    let record = ReportRecord {
        project: app.app.project.clone(),
        set: app.set,
        received_at: hub.clock.now(),
        first_healthy_at: None,
        report,
    };
    let known = hub.db.read().report_of(&app).cloned();
    hub.write(|changes| changes.upsert(known.as_ref(), &record))
        .await;
}

fn removed(app: &AppRecord) -> Report {
    Report {
        phase: Phase::Removed,
        ..report(app, Health::Missing)
    }
}

/// One pass as the controller makes it.
async fn retire(hub: &Hub) -> bool {
    let changes = {
        let state = hub.db.read();
        state
            .set("default", "web")
            .map(|row| pass(&state, row))
            .unwrap_or_default()
    };
    let some = !changes.is_empty();
    hub.db.commit(changes).await.unwrap();
    some
}

async fn delete_set(hub: &Hub) {
    let row = hub.db.read().set("default", "web").unwrap().clone();
    let record = SetRecord {
        deleting: true,
        ..SetRecord::clone(&row.record)
    };
    hub.write(|changes| changes.update(&row, &record)).await;
}

#[tokio::test]
async fn only_a_word_on_the_tombstone_itself_ends_an_application() {
    let hub = hub(1).await;
    let app = apps(&hub).remove(0);
    let gone = removed(&app);
    for other in [
        Report {
            phase: Phase::Applied,
            ..gone.clone()
        },
        Report {
            generation: Generation(3),
            ..gone.clone()
        },
        Report {
            digest: bundle("x"),
            ..gone.clone()
        },
    ] {
        say(&hub, other.clone()).await;
        assert!(!retire(&hub).await, "{other:?}");
    }
    say(&hub, gone).await;
    assert!(retire(&hub).await);
    let state = hub.db.read().clone();
    assert!(state.apps.is_empty() && state.reports.is_empty());
    let told = hub.last_decision("default").await;
    assert_eq!(
        told,
        (
            "system".into(),
            "application.removed".into(),
            "application/web-1".into()
        )
    );
    assert!(
        hub.db.read().set("default", "web").is_some(),
        "the set stays"
    );
    assert!(!retire(&hub).await);
}

#[tokio::test]
async fn one_that_is_wanted_stays_whatever_its_agent_says() {
    let hub = hub(1).await;
    let app = apps(&hub).remove(0);
    let row = hub.db.read().apps.get(&app.key()).unwrap().clone();
    hub.write(|changes| {
        changes.update(
            &row,
            &AppRecord {
                vanished: false,
                ..app.clone()
            },
        );
    })
    .await;
    say(&hub, removed(&app)).await;
    assert!(!retire(&hub).await);
}

#[tokio::test]
async fn what_ran_in_a_removed_cluster_is_forgotten() {
    let hub = hub(1).await;
    let row = hub.db.read().cluster(cluster_uid(1)).unwrap().clone();
    hub.write(|changes| changes.delete(&row)).await;
    assert!(retire(&hub).await);
    let last = hub.audit("default").await.pop().unwrap();
    assert!(
        last.reason.contains("what runs there stays"),
        "{}",
        last.reason
    );
}

#[tokio::test]
async fn a_set_goes_with_its_last_application_and_its_history_stays() {
    let hub = hub(40).await;
    delete_set(&hub).await;
    let all = apps(&hub);
    for app in &all[1..] {
        say(&hub, removed(app)).await;
    }
    while retire(&hub).await {}
    assert_eq!(apps(&hub).len(), 1, "one agent has not spoken");
    assert!(hub.db.read().set("default", "web").is_some());
    say(&hub, removed(&all[0])).await;
    while retire(&hub).await {}
    let state = hub.db.read().clone();
    assert!(state.apps.is_empty() && state.reports.is_empty() && state.sets.is_empty());
    let actions: Vec<_> = hub
        .audit("default")
        .await
        .into_iter()
        .map(|record| record.action)
        .collect();
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "application.removed")
            .count(),
        40
    );
    assert_eq!(actions.last().map(String::as_str), Some("set.removed"));
}

#[tokio::test]
async fn a_set_whose_run_is_open_waits_for_it() {
    use crate::testing::world::World;
    let mut world = World::new(&serde_json::json!({}), 1, 1).await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    let row = world
        .hub
        .db
        .read()
        .apps
        .get(&world.apps()[0].key())
        .unwrap()
        .clone();
    world.hub.write(|changes| changes.delete(&row)).await;
    delete_set(&world.hub).await;
    assert!(!retire(&world.hub).await);
    world.recover().await;
    assert!(world.run().state.is_terminal());
    assert!(retire(&world.hub).await);
    assert!(world.hub.db.read().sets.is_empty());
    assert_eq!(world.hub.db.read().runs.len(), 1, "runs are history");
}
