//! An application that comes back under a new uid: a hub that lost its store was given the sets again.

use serde_json::json;
use tidegate_agent::port::Rejected;
use tidegate_model::report::Phase;

use super::support::{App, LABEL, World, config, configs, uid};

#[tokio::test(flavor = "multi_thread")]
async fn the_later_life_of_an_application_takes_over() {
    let Some(world) = World::start("the_later_life_of_an_application_takes_over").await else {
        return;
    };
    it_takes_over_without_touching_what_is_there(&world).await;
    what_it_no_longer_declares_waits_for_a_second_word(&world).await;
    a_crash_between_leaves_one_life(&world).await;
    a_tombstone_is_not_inherited(&world).await;
}

/// The same application as a hub names it that does not know the first one.
async fn reborn(world: &World, app: &App) -> App {
    App {
        name: app.name.clone(),
        namespace: app.namespace.clone(),
        ..App::new(world, "unused").await
    }
}

async fn it_takes_over_without_touching_what_is_there(world: &World) {
    let agent = world.agent().await;
    let mut first = App::new(world, "reborn").await;
    agent.run(&mut first, &configs(3)).await;
    let before = world.get("configmap", &first.namespace, "c001").await;

    let mut second = reborn(world, &first).await;
    let report = agent.run(&mut second, &configs(3)).await;
    assert!(report.problems.is_empty(), "{report:?}");
    let after = world.get("configmap", &first.namespace, "c001").await;
    assert_eq!(uid(&after), uid(&before));
    assert_eq!(after["metadata"]["labels"][LABEL], second.uid.to_string());
    // Only the later one is held, here and after a restart on another node.
    let only_the_second = |held: Vec<tidegate_model::assignment::StateRow>| {
        held.iter().any(|row| row.app == second.uid) && held.iter().all(|row| row.app != first.uid)
    };
    assert!(only_the_second(agent.handle.held()));
    assert!(agent.report(&first).is_none());
    drop(agent.stop().await);
    let agent = world.agent().await;
    assert!(only_the_second(agent.handle.held()));
    agent.until_healthy(&second).await;

    // The earlier life never comes back.
    let refused = agent.accept(&first.order(&configs(1))).await;
    assert!(
        matches!(&refused, Err(error @ Rejected::Succeeded { .. }) if !error.is_retryable()),
        "{refused:?}"
    );
    // An engineer's edit is healed by one owner, once.
    let edit = r#"{"data":{"n":"by hand"}}"#;
    world
        .kubectl(&[
            "patch",
            "configmap",
            "c001",
            "-n",
            &first.namespace,
            "-p",
            edit,
        ])
        .await;
    agent
        .until(&second, "healed", |report| {
            report.drift.iter().any(|drift| drift.healed)
        })
        .await;
    agent.stop().await;
}

async fn what_it_no_longer_declares_waits_for_a_second_word(world: &World) {
    let agent = world.agent().await;
    let mut first = App::new(world, "shrunk").await;
    agent.run(&mut first, &configs(3)).await;
    let mut second = reborn(world, &first).await;
    let report = agent.run(&mut second, &configs(2)).await;
    assert_eq!(report.held_prune.map(|held| held.count), Some(1));
    assert!(world.exists("configmap", &first.namespace, "c002").await);
    agent.run(&mut second, &configs(2)).await;
    world
        .until_gone("configmap", &first.namespace, "c002")
        .await;
    agent.stop().await;
}

/// Both lives are kept, as when the agent died after the later one was.
async fn a_crash_between_leaves_one_life(world: &World) {
    let agent = world.agent().await;
    let mut first = App::new(world, "crashed").await;
    agent.run(&mut first, &configs(3)).await;
    let secret = format!("tidegate-agent-app-{}", first.uid);
    let mut kept = world.get("secret", "tidegate-system", &secret).await;
    let mut second = reborn(world, &first).await;
    agent.run(&mut second, &configs(2)).await;
    drop(agent.stop().await);
    assert!(!world.exists("secret", "tidegate-system", &secret).await);
    for field in ["uid", "resourceVersion"] {
        kept["metadata"].as_object_mut().unwrap().remove(field);
    }
    let again = ["create", "-f", "-"];
    world.kubectl_with(&again, &kept.to_string()).await;

    let agent = world.agent().await;
    let held = agent.handle.held();
    assert!(held.iter().all(|row| row.app != first.uid), "{held:?}");
    assert!(!world.exists("secret", "tidegate-system", &secret).await);
    agent.until_healthy(&second).await;
    agent.run(&mut second, &configs(2)).await;
    world
        .until_gone("configmap", &first.namespace, "c002")
        .await;
    agent.stop().await;
}

async fn a_tombstone_is_not_inherited(world: &World) {
    let agent = world.agent().await;
    let mut first = App::new(world, "ended").await;
    let content = [config("a", &json!({"x": "1"}))];
    agent.run(&mut first, &content).await;
    agent.accept(&first.tombstone(true)).await.unwrap();
    let mut second = reborn(world, &first).await;
    agent.run(&mut second, &content).await;
    agent
        .until(&first, "removed", |report| report.phase == Phase::Removed)
        .await;
    agent.pass_again(&second).await;
    let live = world.get("configmap", &first.namespace, "a").await;
    assert_eq!(live["metadata"]["labels"][LABEL], second.uid.to_string());
    assert!(
        agent
            .handle
            .forget(first.uid, first.generation)
            .await
            .unwrap()
    );
    agent.stop().await;
}
