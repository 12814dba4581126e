//! Apply: ownership, no-op, order, and what is refused.

use serde_json::{Value, json};
use tidegate_model::{health::Health, object::ObjectKey, report::Phase};

use super::{
    kinds,
    support::{Agent, App, LABEL, World, config, ours, said, version},
};

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_applied_with_one_manager_and_nothing_is_written_twice() {
    let Some(world) =
        World::start("objects_are_applied_with_one_manager_and_nothing_is_written_twice").await
    else {
        return;
    };
    let agent = world.agent().await;
    t1_many_kinds_have_one_manager_each(&world, &agent).await;
    t2_to_t4_only_changes_are_written(&world, &agent).await;
    t2_a_restart_writes_nothing(&world, agent).await;
    let agent = world.agent().await;
    t22_fields_of_the_server_are_not_sent(&world, &agent).await;
    t6_fields_of_kubectl_go_with_the_manifest(&world, &agent).await;
    agent.stop().await;
}

async fn t1_many_kinds_have_one_manager_each(world: &World, agent: &Agent) {
    let mut app = App::new(world, "mixed").await;
    let objects = kinds::mixed(&app.namespace);
    assert!(objects.len() >= 30);
    agent.run(&mut app, &objects).await;
    for object in &objects {
        let key = ObjectKey::of(object).unwrap();
        let kind = format!("{}.{}.{}", key.id.kind, key.version, key.id.group);
        let live = world.get(&kind, &app.namespace, &key.id.name).await;
        let entries = ours(&live);
        assert_eq!(entries.len(), 1, "{kind}: {entries:?}");
        assert_eq!(entries[0]["operation"], "Apply", "{kind}");
        assert_eq!(
            live["metadata"]["labels"][LABEL],
            app.uid.to_string(),
            "{kind}"
        );
        assert_eq!(
            live["metadata"]["annotations"]["tidegate.dev/app"], app.name,
            "{kind}"
        );
    }
    let before = writes(world).await;
    agent.pass_again(&app).await;
    assert_eq!(writes(world).await, before, "a second pass wrote");
}

/// Writes of kinds that nothing but the agent writes here.
async fn writes(world: &World) -> [u64; 4] {
    [
        world.writes("configmaps").await,
        world.writes("services").await,
        world.writes("roles").await,
        world.writes("limitranges").await,
    ]
}

async fn t2_to_t4_only_changes_are_written(world: &World, agent: &Agent) {
    let mut app = App::new(world, "changes").await;
    let mut objects = vec![
        config("a", &json!({"x": "1", "y": "2"})),
        config("b", &json!({"x": "1"})),
        config("c", &json!({"x": "1"})),
    ];
    agent.run(&mut app, &objects).await;
    let before = versions(world, &app).await;
    let writes = world.writes("configmaps").await;

    // A new generation with the same content: another policy, for example.
    agent.run(&mut app, &objects).await;
    assert_eq!(versions(world, &app).await, before);
    assert_eq!(
        world.writes("configmaps").await,
        writes,
        "T2: the same plan was written"
    );

    objects[1]["metadata"]["labels"] = json!({"tier": "front"});
    agent.run(&mut app, &objects).await;
    let after = versions(world, &app).await;
    assert_eq!(
        (&after[0], &after[2]),
        (&before[0], &before[2]),
        "T3: others were touched"
    );
    assert_ne!(after[1], before[1]);
    assert_eq!(
        world.writes("configmaps").await,
        writes + 1,
        "T3: one label is one write"
    );

    objects[0]["data"] = json!({"x": "1"});
    agent.run(&mut app, &objects).await;
    let live = world.get("configmap", &app.namespace, "a").await;
    assert_eq!(
        live["data"],
        json!({"x": "1"}),
        "T4: a dropped field stayed"
    );
}

async fn versions(world: &World, app: &App) -> Vec<String> {
    let mut versions = Vec::new();
    for name in ["a", "b", "c"] {
        versions.push(version(&world.get("configmap", &app.namespace, name).await).to_owned());
    }
    versions
}

async fn t2_a_restart_writes_nothing(world: &World, agent: Agent) {
    let mut app = App::new(world, "restart").await;
    let objects = kinds::mixed(&app.namespace);
    agent.run(&mut app, &objects).await;
    let folder = agent.stop().await;
    let secrets = world.writes("secrets").await;
    let before = writes(world).await;
    let agent = world.agent_with(folder, |_| {}).await;
    agent
        .until(&app, "applied after a restart", |report| {
            report.phase == Phase::Applied
        })
        .await;
    assert_eq!(writes(world).await, before, "a restart wrote objects");
    assert_eq!(
        world.writes("secrets").await,
        secrets,
        "a restart wrote state"
    );
    agent.stop().await;
}

async fn t22_fields_of_the_server_are_not_sent(world: &World, agent: &Agent) {
    let mut app = App::new(world, "exported").await;
    let mut exported = kinds::deployment("web", 1);
    exported["metadata"]["creationTimestamp"] = Value::Null;
    exported["metadata"]["resourceVersion"] = json!("12345");
    exported["metadata"]["uid"] = json!("4f1c4a2e-0000-0000-0000-000000000000");
    exported["metadata"]["managedFields"] = json!([]);
    exported["status"] = json!({"replicas": 77});
    agent.run(&mut app, &[exported]).await;
    agent.until_healthy(&app).await;
    let before = world.get("deployment", &app.namespace, "web").await;
    for _ in 0..2 {
        agent.pass_again(&app).await;
    }
    let after = world.get("deployment", &app.namespace, "web").await;
    assert_eq!(version(&after), version(&before), "the object churns");
    assert_ne!(after["status"]["replicas"], 77);
}

async fn t6_fields_of_kubectl_go_with_the_manifest(world: &World, agent: &Agent) {
    let mut app = App::new(world, "adopted").await;
    let by_hand = config("mine", &json!({"kept": "1", "dropped": "1"}));
    world
        .kubectl_with(
            &["apply", "-n", &app.namespace, "-f", "-"],
            &by_hand.to_string(),
        )
        .await;
    agent.run(&mut app, std::slice::from_ref(&by_hand)).await;
    agent
        .run(&mut app, &[config("mine", &json!({"kept": "1"}))])
        .await;
    let live = world.get("configmap", &app.namespace, "mine").await;
    assert_eq!(live["data"], json!({"kept": "1"}));
    let annotations = live["metadata"]["annotations"].as_object().unwrap();
    assert_eq!(annotations.len(), 1, "{annotations:?}");
    let managers = live["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers
            .iter()
            .all(|entry| entry["manager"] == "tidegate-agent"),
        "{managers:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_found_and_one_bad_object_fails_alone() {
    let Some(world) = World::start("order_is_found_and_one_bad_object_fails_alone").await else {
        return;
    };
    let agent = world.agent().await;
    t27_reverse_order_needs_one_run(&world, &agent).await;
    t10_sizes(&world, &agent).await;
    t11_secrets(&world, &agent).await;
    t14_unknown_fields_are_refused_with_their_path(&world, &agent).await;
    t30_an_object_waits_for_a_kind_that_comes_later(&world, &agent).await;
    agent.stop().await;
}

async fn t27_reverse_order_needs_one_run(world: &World, agent: &Agent) {
    let mut app = App::new(world, "reverse").await;
    let mut custom = json!({"apiVersion": "test.tidegate.dev/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "brought-along"}, "spec": {"color": "blue"}});
    let mut workload = kinds::deployment("web", 1);
    workload["metadata"]["namespace"] = json!("brought-along");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "brought-along"}});
    let objects = [
        workload.clone(),
        custom.clone(),
        kinds::definition("Widget"),
        namespace.clone(),
    ];
    let mut reports = agent.handle.reports();
    let uid = app.uid;
    let seen = tokio::spawn(async move {
        loop {
            let mut ours = reports.changed().await.unwrap();
            ours.retain(|report| report.app == uid);
            if ours.iter().any(|report| report.phase == Phase::Failed) {
                return ours;
            }
        }
    });
    agent.accept(&app.order(&objects)).await.unwrap();
    agent.until_healthy(&app).await;
    assert!(
        !seen.is_finished(),
        "one run was not enough: {:?}",
        seen.await
    );
    seen.abort();
    let live = world.get("widget", "brought-along", "w").await;
    assert_eq!(live["spec"], json!({"color": "blue", "size": 3}));
    // T15: what the definition defaults is no drift.
    agent.pass_again(&app).await;
    assert_eq!(
        version(&world.get("widget", "brought-along", "w").await),
        version(&live)
    );
    assert!(agent.report(&app).unwrap().drift.is_empty());
    // A change of a custom resource arrives.
    custom["spec"]["color"] = json!("red");
    agent
        .run(
            &mut app,
            &[workload, custom, kinds::definition("Widget"), namespace],
        )
        .await;
    assert_eq!(
        world.get("widget", "brought-along", "w").await["spec"]["color"],
        "red"
    );
}

async fn t10_sizes(world: &World, agent: &Agent) {
    let mut app = App::new(world, "sizes").await;
    let large = config("large", &json!({"x": "x".repeat(900 * 1024)}));
    let too_large = config("too-large", &json!({"x": "x".repeat(1600 * 1024)}));
    let objects = [large, too_large, config("small", &json!({"x": "1"}))];
    agent.accept(&app.order(&objects)).await.unwrap();
    let report = agent
        .until(&app, "failed", |report| report.phase == Phase::Failed)
        .await;
    assert_eq!(report.health, Health::Degraded);
    let about: Vec<_> = report
        .problems
        .iter()
        .map(|p| p.object.as_ref().unwrap().name.as_str())
        .collect();
    assert_eq!(about, ["too-large"], "{report:?}");
    assert!(world.exists("configmap", &app.namespace, "large").await);
    assert!(world.exists("configmap", &app.namespace, "small").await);
}

async fn t11_secrets(world: &World, agent: &Agent) {
    let mut app = App::new(world, "secrets").await;
    let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data});
    agent
        .run(
            &mut app,
            &[secret(json!({"password": "hunter2", "user": "root"}))],
        )
        .await;
    let live = world.get("secret", &app.namespace, "s").await;
    assert_eq!(
        live["data"],
        json!({"password": "aHVudGVyMg==", "user": "cm9vdA=="})
    );
    let report = agent
        .run(&mut app, &[secret(json!({"password": "hunter2"}))])
        .await;
    let live = world.get("secret", &app.namespace, "s").await;
    assert_eq!(
        live["data"],
        json!({"password": "aHVudGVyMg=="}),
        "a removed key stayed"
    );
    assert!(!said(&report).contains("hunter2") && !said(&report).contains("aHVudGVyMg"));

    let mut wrong = secret(json!({}));
    wrong["data"] = json!({"password": "hunter3 is not base64"});
    agent.accept(&app.order(&[wrong])).await.unwrap();
    let report = agent
        .until(&app, "failed", |report| report.phase == Phase::Failed)
        .await;
    assert!(!said(&report).contains("hunter3"), "{report:?}");
    assert!(
        report.problems[0].message.contains("refused the Secret"),
        "{report:?}"
    );
}

async fn t14_unknown_fields_are_refused_with_their_path(world: &World, agent: &Agent) {
    let mut app = App::new(world, "strict").await;
    let mut wrong = kinds::deployment("typo", 1);
    wrong["spec"]["replicass"] = json!(3);
    agent
        .accept(&app.order(&[wrong, config("good", &json!({"x": "1"}))]))
        .await
        .unwrap();
    let report = agent
        .until(&app, "failed", |report| report.phase == Phase::Failed)
        .await;
    assert!(
        report.problems[0].message.contains("spec.replicass"),
        "{report:?}"
    );
    assert!(
        world.exists("configmap", &app.namespace, "good").await,
        "its neighbour was not applied"
    );
    assert!(!world.exists("deployment", &app.namespace, "typo").await);
}

async fn t30_an_object_waits_for_a_kind_that_comes_later(world: &World, agent: &Agent) {
    let mut app = App::new(world, "later").await;
    let gadget = json!({"apiVersion": "test.tidegate.dev/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {}});
    agent
        .accept(&app.order(&[gadget, config("here", &json!({}))]))
        .await
        .unwrap();
    let report = agent
        .until(&app, "failed", |report| report.phase == Phase::Failed)
        .await;
    assert!(
        report.problems[0].message.contains("no kind Gadget"),
        "{report:?}"
    );
    assert!(world.exists("configmap", &app.namespace, "here").await);
    world
        .kubectl_with(
            &["apply", "-f", "-"],
            &kinds::definition("Gadget").to_string(),
        )
        .await;
    world.until_served("gadgets").await;
    // However lately kinds were read, the next pass finds it: the one after may be a minute away.
    agent.pass_again(&app).await;
    let report = agent.report(&app).unwrap();
    assert_eq!(report.phase, Phase::Applied, "{report:?}");
    agent.until_healthy(&app).await;
    assert!(world.exists("gadget", &app.namespace, "g").await);
}
