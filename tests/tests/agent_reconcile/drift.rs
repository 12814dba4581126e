//! Drift: healed, reported, or left alone, by policy; and health of exactly what was applied.

use std::time::Duration;

use serde_json::json;
use tidegate_model::{
    health::Health,
    policy::Drift,
    report::{Phase, Report},
};
use tidegate_tests::harness::eventually;
use tokio::time::Instant;

use super::{
    kinds,
    support::{Agent, App, World, config, said, uid, version},
};

/// What the issue asks of a heal, with the test's own kubectl in it.
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_treated_as_the_policy_says() {
    let Some(world) = World::start("drift_is_treated_as_the_policy_says").await else {
        return;
    };
    let agent = world.agent().await;
    t61_an_edit_is_healed_within_a_second(&world, &agent).await;
    t61_or_only_reported(&world, &agent).await;
    t61_or_left_alone(&world, &agent).await;
    t62_a_deleted_object_is_made_again_once(&world, &agent).await;
    t71_a_removed_label_is_put_back(&world, &agent).await;
    t63_what_others_add_stays(&world, &agent).await;
    t69_a_fight_is_slowed_down(&world, &agent).await;
    t77_the_drift_of_a_secret_shows_no_value(&world, &agent).await;
    agent.stop().await;
}

async fn edit(world: &World, app: &App, name: &str, value: &str) {
    let patch = json!({"data": {"x": value}}).to_string();
    world
        .kubectl(&[
            "patch",
            "configmap",
            name,
            "-n",
            &app.namespace,
            "--type=merge",
            "-p",
            &patch,
        ])
        .await;
}

async fn value(world: &World, app: &App, name: &str) -> String {
    world.get("configmap", &app.namespace, name).await["data"]["x"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn t61_an_edit_is_healed_within_a_second(world: &World, agent: &Agent) {
    let mut app = App::new(world, "heal").await;
    agent
        .run(&mut app, &[config("c", &json!({"x": "1"}))])
        .await;
    agent.until_healthy(&app).await;
    edit(world, &app, "c", "2").await;
    let edited = Instant::now();
    let report = agent
        .until_within(&app, "healed", AT_ONCE, |report| !report.drift.is_empty())
        .await;
    assert!(edited.elapsed() < AT_ONCE);
    assert_eq!(value(world, &app, "c").await, "1");
    let [drift] = &report.drift[..] else {
        panic!("{report:?}")
    };
    assert!(drift.healed && drift.fields == ["/data/x"], "{drift:?}");
    assert_eq!(
        (report.phase, report.health),
        (Phase::Applied, Health::Healthy)
    );
}

async fn t61_or_only_reported(world: &World, agent: &Agent) {
    let mut app = App::new(world, "warn").await.drift(Drift::Warn);
    agent
        .run(&mut app, &[config("c", &json!({"x": "1"}))])
        .await;
    edit(world, &app, "c", "2").await;
    let report = agent
        .until(&app, "reported", |report| !report.drift.is_empty())
        .await;
    assert!(
        !report.drift[0].healed && report.drift[0].fields == ["/data/x"],
        "{report:?}"
    );
    // Not by a full pass, nor by a restart either.
    agent.pass_again(&app).await;
    assert_eq!(value(world, &app, "c").await, "2");
    assert_eq!(agent.report(&app).unwrap().phase, Phase::Applied);
    // Undone by hand, it is no drift any more.
    edit(world, &app, "c", "1").await;
    agent
        .until(&app, "no drift", |report| report.drift.is_empty())
        .await;
    // A new generation is applied over it.
    edit(world, &app, "c", "3").await;
    agent
        .run(&mut app, &[config("c", &json!({"x": "4"}))])
        .await;
    assert_eq!(value(world, &app, "c").await, "4");
}

async fn t61_or_left_alone(world: &World, agent: &Agent) {
    let mut app = App::new(world, "off").await.drift(Drift::Off);
    agent
        .run(&mut app, &[config("c", &json!({"x": "1"}))])
        .await;
    edit(world, &app, "c", "2").await;
    agent.pass_again(&app).await;
    assert_eq!(value(world, &app, "c").await, "2");
    assert!(agent.report(&app).unwrap().drift.is_empty());
    world
        .kubectl(&["delete", "configmap", "c", "-n", &app.namespace])
        .await;
    agent
        .until(&app, "missing", |report| report.health == Health::Missing)
        .await;
    assert!(!world.exists("configmap", &app.namespace, "c").await);
}

async fn t62_a_deleted_object_is_made_again_once(world: &World, agent: &Agent) {
    let mut app = App::new(world, "deleted").await;
    agent.run(&mut app, &[kinds::deployment("web", 1)]).await;
    agent.until_healthy(&app).await;
    let before = world.get("deployment", &app.namespace, "web").await;
    world
        .kubectl(&["delete", "deployment", "web", "-n", &app.namespace])
        .await;
    agent
        .until_within(&app, "healed", AT_ONCE, |report| {
            report.drift.iter().any(|d| d.healed && d.fields.is_empty())
        })
        .await;
    let after = world.get("deployment", &app.namespace, "web").await;
    assert_ne!(uid(&after), uid(&before));
    agent.until_healthy(&app).await;
    agent.pass_again(&app).await;
    let later = world.get("deployment", &app.namespace, "web").await;
    assert_eq!(uid(&later), uid(&after), "it was made more than once");
}

async fn t71_a_removed_label_is_put_back(world: &World, agent: &Agent) {
    let mut app = App::new(world, "label").await;
    agent
        .run(&mut app, &[config("c", &json!({"x": "1"}))])
        .await;
    let before = world.get("configmap", &app.namespace, "c").await;
    world
        .kubectl(&[
            "label",
            "configmap",
            "c",
            "tidegate.dev/app-id-",
            "-n",
            &app.namespace,
        ])
        .await;
    let labels = |report: &Report| {
        let fields = report
            .drift
            .first()
            .map(|drift| (&drift.fields[..], drift.healed));
        fields.is_some_and(|(fields, healed)| healed && fields[0].starts_with("/metadata/labels"))
    };
    agent.until(&app, "healed", labels).await;
    let after = world.get("configmap", &app.namespace, "c").await;
    assert_eq!(uid(&after), uid(&before));
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
}

async fn t63_what_others_add_stays(world: &World, agent: &Agent) {
    let mut app = App::new(world, "added").await;
    agent
        .run(&mut app, &[config("c", &json!({"x": "1"}))])
        .await;
    world
        .kubectl(&[
            "annotate",
            "configmap",
            "c",
            "note=mine",
            "-n",
            &app.namespace,
        ])
        .await;
    let before = world.get("configmap", &app.namespace, "c").await;
    agent.pass_again(&app).await;
    let after = world.get("configmap", &app.namespace, "c").await;
    assert_eq!(version(&after), version(&before));
    assert!(agent.report(&app).unwrap().drift.is_empty());
}

async fn t69_a_fight_is_slowed_down(world: &World, agent: &Agent) {
    let mut app = App::new(world, "fight").await;
    agent
        .run(&mut app, &[config("c", &json!({"x": "1"}))])
        .await;
    edit(world, &app, "c", "2").await;
    let healed = |report: &Report| report.drift.iter().any(|drift| drift.healed);
    agent
        .until_within(&app, "healed at once", AT_ONCE, healed)
        .await;
    let first = Instant::now();
    edit(world, &app, "c", "3").await;
    agent
        .until(&app, "seen", |report| {
            report.drift.iter().any(|drift| !drift.healed)
        })
        .await;
    let probe = || async {
        match value(world, &app, "c").await.as_str() {
            "1" => Ok(()),
            other => Err(other.to_owned()),
        }
    };
    eventually("the second heal", Duration::from_secs(20), probe)
        .await
        .unwrap();
    let waited = first.elapsed();
    assert!(
        (Duration::from_millis(1000)..Duration::from_secs(10)).contains(&waited),
        "{waited:?}"
    );
}

async fn t77_the_drift_of_a_secret_shows_no_value(world: &World, agent: &Agent) {
    let mut app = App::new(world, "masked").await.drift(Drift::Warn);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}});
    agent.run(&mut app, &[secret]).await;
    let patch = json!({"stringData": {"password": "hunter3"}}).to_string();
    world
        .kubectl(&[
            "patch",
            "secret",
            "s",
            "-n",
            &app.namespace,
            "--type=merge",
            "-p",
            &patch,
        ])
        .await;
    let report = agent
        .until(&app, "reported", |report| !report.drift.is_empty())
        .await;
    assert_eq!(report.drift[0].fields, ["/data/password"]);
    let words = ["hunter2", "hunter3", "aHVudGVyMg", "aHVudGVyMw"];
    assert!(
        !words.iter().any(|word| said(&report).contains(word)),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_that_of_what_was_applied() {
    let Some(world) = World::start("health_is_that_of_what_was_applied").await else {
        return;
    };
    let agent = world.agent().await;
    let mut app = App::new(&world, "rollout").await;
    agent.run(&mut app, &[kinds::deployment("web", 2)]).await;
    let report = agent.until_healthy(&app).await;
    let later = agent
        .until(&app, "healthy for a while", |now| {
            now.healthy_for > report.healthy_for
        })
        .await;
    assert!(later.healthy_for.as_millis() > 0);

    // Pods of the next content do not come up: never a moment of the old health.
    world.cluster().kubelet().hold();
    let mut next = kinds::deployment("web", 2);
    next["spec"]["template"]["spec"]["containers"][0]["image"] = json!("good:2");
    let mut reports = agent.handle.reports();
    agent.accept(&app.order(&[next])).await.unwrap();
    agent
        .until(&app, "applied", |report| report.phase == Phase::Applied)
        .await;
    let watching = tokio::time::timeout(Duration::from_secs(3), async {
        loop {
            for report in reports.changed().await.unwrap() {
                let new = report.app == app.uid && report.generation == app.generation;
                assert!(!new || report.health != Health::Healthy, "{report:?}");
            }
        }
    });
    assert!(watching.await.is_err());
    world.cluster().kubelet().release();
    agent.until_healthy(&app).await;

    // An outage of the API server is no evidence about the application.
    world.cluster().stop().await.unwrap();
    assert!(agent.handle.sync_now(app.uid));
    let unknown = |report: &Report| report.health == Health::Unknown;
    agent
        .until_within(&app, "unknown", Duration::from_secs(15), unknown)
        .await;
    world.cluster().start_again().await.unwrap();
    agent.until_healthy(&app).await;
    agent.stop().await;
}
