//! What survives: the node, the cluster's copy, both.

use serde_json::json;
use tempfile::TempDir;
use tidegate_agent::port::Rejected;
use tidegate_model::{ids::Epoch, report::Phase};

use super::support::{App, World, config, configs, said, uid};

#[tokio::test(flavor = "multi_thread")]
async fn accepted_state_survives_what_it_can() {
    let Some(world) = World::start("accepted_state_survives_what_it_can").await else {
        return;
    };
    t54_a_lost_disk_changes_nothing(&world).await;
    a_lost_cluster_copy_is_made_again_from_disk(&world).await;
    t54_with_both_lost_nothing_is_deleted_until_told_anew(&world).await;
    content_above_the_cap_is_on_disk_only(&world).await;
    the_epoch_outlives_the_agent(&world).await;
}

async fn t54_a_lost_disk_changes_nothing(world: &World) {
    let agent = world.agent().await;
    let mut app = App::new(world, "disk").await;
    agent.run(&mut app, &configs(3)).await;
    let held = agent.handle.held();
    let before = world.get("configmap", &app.namespace, "c001").await;
    drop(agent.stop().await);
    world
        .kubectl(&["delete", "configmap", "c000", "-n", &app.namespace])
        .await;

    let agent = world.agent().await;
    assert_eq!(agent.handle.held(), held);
    agent.until_healthy(&app).await;
    assert!(
        world.exists("configmap", &app.namespace, "c000").await,
        "it heals without a hub"
    );
    assert_eq!(
        uid(&world.get("configmap", &app.namespace, "c001").await),
        uid(&before)
    );
    // The inventory came along: a leftover is known.
    agent.run(&mut app, &configs(2)).await;
    assert!(!world.exists("configmap", &app.namespace, "c002").await);
    agent.stop().await;
}

async fn a_lost_cluster_copy_is_made_again_from_disk(world: &World) {
    let agent = world.agent().await;
    let mut app = App::new(world, "copy").await;
    agent.run(&mut app, &configs(3)).await;
    let held = agent.handle.held();
    let folder = agent.stop().await;
    world.lose_cluster_state().await;
    let agent = world.agent_with(folder, |_| {}).await;
    assert_eq!(agent.handle.held(), held);
    agent.until_healthy(&app).await;
    let secrets = world
        .kubectl(&["get", "secrets", "-n", "tidegate-system", "-o", "name"])
        .await;
    assert!(secrets.contains(&app.uid.to_string()), "{secrets}");
    agent.stop().await;
}

async fn t54_with_both_lost_nothing_is_deleted_until_told_anew(world: &World) {
    let agent = world.agent().await;
    let mut app = App::new(world, "both").await;
    let objects = configs(3);
    agent.run(&mut app, &objects).await;
    let before = world.get("configmap", &app.namespace, "c000").await;
    drop(agent.stop().await);
    world.lose_cluster_state().await;

    let agent = world.agent().await;
    assert!(agent.handle.held().is_empty());
    // The hub sends what it has now, which is less than what is in the cluster.
    let report = agent.run(&mut app, &objects[..2]).await;
    let held = report.held_prune.expect("a held prune");
    assert!(
        held.count == 1 && held.reason.contains("state was lost"),
        "{held:?}"
    );
    agent.pass_again(&app).await;
    assert!(world.exists("configmap", &app.namespace, "c002").await);
    assert_eq!(
        uid(&world.get("configmap", &app.namespace, "c000").await),
        uid(&before)
    );
    // Told anew.
    let report = agent.run(&mut app, &objects[..2]).await;
    assert!(report.held_prune.is_none(), "{report:?}");
    assert!(!world.exists("configmap", &app.namespace, "c002").await);
    agent.stop().await;
}

async fn content_above_the_cap_is_on_disk_only(world: &World) {
    let small = |options: &mut tidegate_agent::port::Options| options.content_cap = 200;
    let agent = world.agent_with(TempDir::new().unwrap(), small).await;
    let mut app = App::new(world, "cap").await;
    let order = app.order(&[
        config(
            "a",
            &json!({"x": uid(&world.get("namespace", "", "default").await)}),
        ),
        config("b", &json!({})),
    ]);
    let accepted = agent.accept(&order).await.unwrap();
    assert!(accepted.disk_only);
    let report = agent.until_healthy(&app).await;
    assert!(
        said(&report).contains("on the disk of its node only"),
        "{report:?}"
    );
    assert!(agent.accept(&order).await.unwrap().repeated);

    let folder = agent.stop().await;
    let agent = world.agent_with(folder, small).await;
    agent.until_healthy(&app).await;
    drop(agent.stop().await);

    // With its disk gone, the row leaves the state root, and the same assignment is welcome again.
    let agent = world.agent_with(TempDir::new().unwrap(), small).await;
    assert!(!agent.handle.held().iter().any(|row| row.app == app.uid));
    let accepted = agent.accept(&order).await.unwrap();
    assert!(!accepted.repeated);
    agent
        .until(&app, "applied", |report| report.phase == Phase::Applied)
        .await;
    agent.stop().await;
}

async fn the_epoch_outlives_the_agent(world: &World) {
    let agent = world.agent().await;
    agent.handle.raise_epoch(Epoch(7)).await.unwrap();
    agent.handle.raise_epoch(Epoch(7)).await.unwrap();
    drop(agent.stop().await);
    let agent = world.agent().await;
    assert_eq!(agent.handle.epoch(), Epoch(7));
    let lower = agent.handle.raise_epoch(Epoch(6)).await;
    assert!(matches!(lower, Err(Rejected::StaleEpoch { .. })));
    // An old hub cannot say anything, not even something newer.
    let mut app = App::new(world, "deposed").await;
    let refused = agent.accept(&app.order(&configs(1))).await;
    assert!(
        matches!(refused, Err(Rejected::StaleEpoch { .. })),
        "{refused:?}"
    );
    assert!(!world.exists("configmap", &app.namespace, "c000").await);
    agent.stop().await;
}
