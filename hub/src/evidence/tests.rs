//! What the hub may believe, over real sessions and a clock that a test winds.

use tidegate_model::{
    ids::Generation,
    report::{Phase, Report},
};

use super::*;
use crate::{
    link::testing::Agent,
    records::ReportRecord,
    testing::{HEARTBEAT, Hub, app, assigned, bundle, cluster, cluster_uid, report, set},
};

/// A hub whose cluster 1 runs one application.
async fn hub() -> (Hub, AppRecord) {
    let hub = Hub::new().await;
    let set = set(1, "web", &serde_json::json!({}));
    let app = assigned(app(&set, 1, 1), 3, bundle("a"));
    hub.create([cluster(1), cluster(2)]).await;
    hub.create([set]).await;
    hub.create([app.clone()]).await;
    (hub, app)
}

async fn store(hub: &Hub, app: &AppRecord, report: Report) {
    let record = ReportRecord {
        project: app.app.project.clone(),
        set: app.set,
        received_at: hub.clock.now(),
        first_healthy_at: None,
        report,
    };
    let known = hub.db.read().report_of(app).cloned();
    hub.write(|changes| changes.upsert(known.as_ref(), &record))
        .await;
}

fn verdict(hub: &Hub, app: &AppRecord) -> Verdict {
    hub.evidence.of(&hub.db.read(), app)
}

fn heartbeats(n: u32) -> SignedDuration {
    SignedDuration::try_from(HEARTBEAT * n).unwrap()
}

#[tokio::test]
async fn fresh_is_a_live_session_with_a_recent_confirmation() {
    let (hub, _) = hub().await;
    let one = cluster_uid(1);
    assert!(!hub.evidence.is_fresh(one), "nobody has spoken");
    let mut agent = Agent::connect(&hub.sessions, one);
    assert!(
        !hub.evidence.is_fresh(one),
        "a session alone confirms nothing"
    );
    agent.confirm();
    assert!(hub.evidence.is_fresh(one));
    assert!(
        !hub.evidence.is_fresh(cluster_uid(2)),
        "another cluster's word"
    );

    hub.clock.wind(heartbeats(3));
    assert!(
        hub.evidence.is_fresh(one),
        "two lost heartbeats close no gate"
    );
    hub.clock.wind(SignedDuration::from_millis(1));
    assert!(!hub.evidence.is_fresh(one), "three do");
    agent.confirm();
    assert!(hub.evidence.is_fresh(one));
    agent.differ();
    assert!(!hub.evidence.is_fresh(one), "the agent sees something else");
    agent.confirm();
    drop(agent);
    assert!(!hub.evidence.is_fresh(one), "the session is over");
    let again = Agent::connect(&hub.sessions, one);
    assert!(
        !hub.evidence.is_fresh(one),
        "an earlier session's word is no word of this one"
    );
    drop(again);
}

#[tokio::test]
async fn only_a_word_on_the_last_order_counts() {
    let (hub, app) = hub().await;
    let mut agent = Agent::connect(&hub.sessions, cluster_uid(1));
    agent.confirm();
    let judge = |synced, health| Verdict {
        synced,
        fresh: true,
        health,
    };
    assert_eq!(
        verdict(&hub, &app),
        judge(false, Health::Progressing),
        "no report yet"
    );

    let good = report(&app, Health::Healthy);
    store(&hub, &app, good.clone()).await;
    assert_eq!(verdict(&hub, &app), judge(true, Health::Healthy));
    for stale in [
        Report {
            generation: Generation(2),
            ..good.clone()
        },
        Report {
            digest: bundle("other"),
            ..good.clone()
        },
    ] {
        store(&hub, &app, stale.clone()).await;
        assert_eq!(
            verdict(&hub, &app),
            judge(false, Health::Progressing),
            "{stale:?}"
        );
    }
    store(
        &hub,
        &app,
        Report {
            phase: Phase::Applying,
            ..good
        },
    )
    .await;
    assert!(!verdict(&hub, &app).synced);

    let unassigned = AppRecord {
        assignment: None,
        ..app
    };
    assert_eq!(verdict(&hub, &unassigned), judge(false, Health::Missing));
}

#[tokio::test]
async fn unknown_is_never_healthy() {
    let (hub, app) = hub().await;
    let mut agent = Agent::connect(&hub.sessions, cluster_uid(1));
    for health in [Health::Healthy, Health::Degraded] {
        store(&hub, &app, report(&app, health)).await;
        agent.differ();
        let stale = verdict(&hub, &app);
        assert_eq!((stale.fresh, stale.health), (false, Health::Unknown));
        agent.confirm();
        assert_eq!(verdict(&hub, &app).health, health);
    }
    // A word on an older order, gone stale, is not even progress.
    store(
        &hub,
        &app,
        Report {
            generation: Generation(2),
            ..report(&app, Health::Healthy)
        },
    )
    .await;
    hub.clock.wind(heartbeats(4));
    assert_eq!(verdict(&hub, &app).health, Health::Unknown);
}

#[tokio::test]
async fn after_a_restart_nothing_is_fresh() {
    let (hub, app) = hub().await;
    let mut agent = Agent::connect(&hub.sessions, cluster_uid(1));
    store(&hub, &app, report(&app, Health::Healthy)).await;
    agent.confirm();
    assert_eq!(verdict(&hub, &app).health, Health::Healthy);
    drop(agent);
    let hub = hub.restart().await;
    assert_eq!(hub.evidence.session(cluster_uid(1)), Live::default());
    let after = verdict(&hub, &app);
    assert_eq!((after.fresh, after.health), (false, Health::Unknown));
    let mut agent = Agent::connect(&hub.sessions, cluster_uid(1));
    agent.confirm();
    assert_eq!(verdict(&hub, &app).health, Health::Healthy);
}

#[tokio::test]
async fn closing_tells_the_session_of_that_cluster_alone() {
    let (hub, _) = hub().await;
    let one = Agent::connect(&hub.sessions, cluster_uid(1));
    let two = Agent::connect(&hub.sessions, cluster_uid(2));
    hub.evidence.close(cluster_uid(1), "removed");
    assert_eq!(one.revoked().as_deref(), Some("removed"));
    assert_eq!(two.revoked(), None);
}
