//! Whose an object is: adoption, hand-over between applications, removal of an application.

use std::time::Duration;

use serde_json::json;
use tidegate_model::{health::Health, report::Phase};

use super::{
    kinds,
    support::{Agent, App, LABEL, World, config, configs, ours, said, uid, version},
};

#[tokio::test(flavor = "multi_thread")]
async fn objects_change_hands_and_are_let_go() {
    let Some(world) = World::start("objects_change_hands_and_are_let_go").await else {
        return;
    };
    let agent = world.agent().await;
    t50_a_moved_object_is_never_deleted(&world, &agent).await;
    t50_not_even_if_its_new_owner_cannot_apply_it(&world, &agent).await;
    what_another_tool_owns_is_left_alone(&world, &agent).await;
    t48_children_with_our_labels_are_not_ours(&world, &agent).await;
    t53_a_tombstone_without_cascade_lets_go(&world, &agent).await;
    t52_a_tombstone_with_cascade_deletes_users_first(&world, &agent).await;
    t51_a_namespace_goes_with_its_last_user(&world, &agent).await;
    agent.stop().await;
}

async fn t50_a_moved_object_is_never_deleted(world: &World, agent: &Agent) {
    let (mut a, mut b) = (App::new(world, "from").await, App::new(world, "to").await);
    let mut moved = config("moved", &json!({"x": "1"}));
    moved["metadata"]["namespace"] = json!(a.namespace.clone());
    let [stays_a, stays_b] = [config("stays-a", &json!({})), config("stays-b", &json!({}))];
    agent.run(&mut a, &[stays_a.clone(), moved.clone()]).await;
    agent.run(&mut b, std::slice::from_ref(&stays_b)).await;
    let before = world.get("configmap", &a.namespace, "moved").await;

    // It arrives at its new owner first, long before the old one drops it.
    agent
        .accept(&b.order(&[stays_b.clone(), moved.clone()]))
        .await
        .unwrap();
    let report = agent
        .until(&b, "a conflict", |report| report.phase == Phase::Failed)
        .await;
    assert!(
        report.health == Health::Degraded && said(&report).contains("declares it too"),
        "{report:?}"
    );
    agent.run(&mut a, std::slice::from_ref(&stays_a)).await;
    agent
        .until_within(&b, "it took over", Duration::from_secs(10), |report| {
            report.phase == Phase::Applied
        })
        .await;
    let after = world.get("configmap", &a.namespace, "moved").await;
    assert_eq!(uid(&after), uid(&before));
    assert_eq!(after["metadata"]["labels"][LABEL], b.uid.to_string());

    // Back again; the old owner drops it first, the new one is told right after.
    agent
        .accept(&b.order(std::slice::from_ref(&stays_b)))
        .await
        .unwrap();
    agent.accept(&a.order(&[stays_a, moved])).await.unwrap();
    agent.until_healthy(&a).await;
    agent.until_healthy(&b).await;
    let back = world.get("configmap", &a.namespace, "moved").await;
    assert_eq!(uid(&back), uid(&before));
    assert_eq!(back["metadata"]["labels"][LABEL], a.uid.to_string());
    assert_eq!(ours(&back).len(), 1);
}

async fn t50_not_even_if_its_new_owner_cannot_apply_it(world: &World, agent: &Agent) {
    let (mut a, mut b) = (
        App::new(world, "giver").await,
        App::new(world, "taker").await,
    );
    let mut moved = config("moved", &json!({"x": "1"}));
    moved["metadata"]["namespace"] = json!(a.namespace.clone());
    let stays = config("stays", &json!({}));
    agent.run(&mut a, &[stays.clone(), moved.clone()]).await;
    let before = world.get("configmap", &a.namespace, "moved").await;
    moved["data"] = json!({"not allowed!": "x"});
    agent.accept(&b.order(&[moved])).await.unwrap();
    agent
        .until(&b, "a conflict", |report| {
            said(report).contains("declares it too")
        })
        .await;
    agent.run(&mut a, &[stays]).await;
    agent
        .until(&b, "it may not", |report| {
            said(report).contains("not allowed!")
        })
        .await;
    let after = world.get("configmap", &a.namespace, "moved").await;
    assert_eq!(
        uid(&after),
        uid(&before),
        "it was deleted though it is declared"
    );
}

async fn what_another_tool_owns_is_left_alone(world: &World, agent: &Agent) {
    let mut app = App::new(world, "foreign").await;
    let mut helm = config("helm", &json!({"x": "theirs"}));
    helm["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "chart"});
    world
        .kubectl_with(
            &["create", "-n", &app.namespace, "-f", "-"],
            &helm.to_string(),
        )
        .await;
    let before = world.get("configmap", &app.namespace, "helm").await;
    agent
        .accept(&app.order(&[
            config("helm", &json!({"x": "ours"})),
            config("free", &json!({})),
        ]))
        .await
        .unwrap();
    let report = agent
        .until(&app, "a conflict", |report| report.phase == Phase::Failed)
        .await;
    assert!(said(&report).contains("Helm owns it"), "{report:?}");
    assert_eq!(
        version(&world.get("configmap", &app.namespace, "helm").await),
        version(&before)
    );
    assert!(world.exists("configmap", &app.namespace, "free").await);
}

async fn t48_children_with_our_labels_are_not_ours(world: &World, agent: &Agent) {
    let mut app = App::new(world, "children").await;
    let owner = config("owner", &json!({}));
    agent
        .run(&mut app, &[owner.clone(), config("other", &json!({}))])
        .await;
    let live = world.get("configmap", &app.namespace, "owner").await;
    let mut child = config("child", &json!({}));
    child["metadata"]["labels"] = live["metadata"]["labels"].clone();
    child["metadata"]["annotations"] = live["metadata"]["annotations"].clone();
    child["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap",
        "name": "owner", "uid": uid(&live), "controller": true}]);
    world
        .kubectl_with(
            &["create", "-n", &app.namespace, "-f", "-"],
            &child.to_string(),
        )
        .await;
    let report = agent.run(&mut app, std::slice::from_ref(&owner)).await;
    assert!(
        report.held_prune.is_none(),
        "a child was counted: {report:?}"
    );
    agent.pass_again(&app).await;
    assert!(world.exists("configmap", &app.namespace, "child").await);
}

async fn t53_a_tombstone_without_cascade_lets_go(world: &World, agent: &Agent) {
    let mut app = App::new(world, "orphan").await;
    agent.run(&mut app, &configs(3)).await;
    let before = world.get("configmap", &app.namespace, "c001").await;
    agent.accept(&app.tombstone(false)).await.unwrap();
    let report = agent
        .until(&app, "removed", |report| report.phase == Phase::Removed)
        .await;
    assert!(report.problems.is_empty(), "{report:?}");
    let after = world.get("configmap", &app.namespace, "c001").await;
    assert_eq!(
        (uid(&after), &after["data"]),
        (uid(&before), &before["data"])
    );
    assert!(
        after["metadata"]["labels"].is_null() && after["metadata"]["annotations"].is_null(),
        "{after}"
    );
    assert!(
        after["metadata"]["managedFields"].is_null(),
        "we still own fields: {after}"
    );

    // The tombstone is held until the hub has heard of it; then nothing is left of it.
    assert!(agent.handle.held().iter().any(|row| row.app == app.uid));
    assert!(agent.handle.forget(app.uid, app.generation).await.unwrap());
    assert!(!agent.handle.held().iter().any(|row| row.app == app.uid));
    let kept = world
        .kubectl(&["get", "secrets", "-n", "tidegate-system", "-o", "name"])
        .await;
    assert!(!kept.contains(&app.uid.to_string()), "{kept}");
}

async fn t52_a_tombstone_with_cascade_deletes_users_first(world: &World, agent: &Agent) {
    let mut app = App::new(world, "cascade").await;
    let mut custom = json!({"apiVersion": "test.tidegate.dev/v1", "kind": "Valve", "metadata": {"name": "v"}, "spec": {}});
    custom["metadata"]["finalizers"] = json!(["test.tidegate.dev/drain"]);
    let objects = [
        custom,
        kinds::definition("Valve"),
        kinds::deployment("operator", 1),
    ];
    agent.run(&mut app, &objects).await;
    agent.accept(&app.tombstone(true)).await.unwrap();
    agent
        .until(&app, "it waits for the finalizer", |report| {
            said(report).contains("test.tidegate.dev/drain")
        })
        .await;
    assert!(
        world.exists("deployment", &app.namespace, "operator").await,
        "the operator went before its resources"
    );
    assert!(world.exists("crd", "", "valves.test.tidegate.dev").await);
    world
        .kubectl(&[
            "patch",
            "valve",
            "v",
            "-n",
            &app.namespace,
            "--type=merge",
            "-p",
            r#"{"metadata":{"finalizers":null}}"#,
        ])
        .await;
    agent
        .until(&app, "removed", |report| report.phase == Phase::Removed)
        .await;
    assert!(!world.exists("deployment", &app.namespace, "operator").await);
    assert!(!world.exists("crd", "", "valves.test.tidegate.dev").await);
}

async fn t51_a_namespace_goes_with_its_last_user(world: &World, agent: &Agent) {
    let (mut owner, mut guest) = (
        App::new(world, "owner").await,
        App::new(world, "guest").await,
    );
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shared"}});
    let mut inside = config("inside", &json!({}));
    inside["metadata"]["namespace"] = json!("shared");
    agent.run(&mut owner, &[namespace]).await;
    agent.run(&mut guest, &[inside]).await;
    agent.accept(&owner.tombstone(true)).await.unwrap();
    let held = agent
        .until(&owner, "it waits for the guest", |report| {
            said(report).contains("has objects in it")
        })
        .await;
    assert_ne!(held.phase, Phase::Removed);
    assert!(world.exists("configmap", "shared", "inside").await);
    agent.accept(&guest.tombstone(true)).await.unwrap();
    agent
        .until(&guest, "removed", |report| report.phase == Phase::Removed)
        .await;
    assert!(agent.handle.sync_now(owner.uid));
    agent
        .until(&owner, "removed", |report| report.phase == Phase::Removed)
        .await;
    world.until_gone("namespace", "", "shared").await;
}
