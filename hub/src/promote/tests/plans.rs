//! Runs of a set whose strategy is a wave plan.

use super::*;
use crate::{
    publish::inputs::{Inputs, Rest},
    records::WavePlanRecord,
    testing::wave_plan,
};

fn plan(strategy: &serde_json::Value) -> WavePlanRecord {
    wave_plan("standard", strategy)
}

/// Puts this strategy into the plan.
async fn change(world: &World, strategy: &serde_json::Value) {
    let row = world
        .hub
        .db
        .read()
        .wave_plan("default", "standard")
        .cloned();
    world
        .hub
        .write(|changes| changes.update(&row.unwrap(), &plan(strategy)))
        .await;
}

fn names(run: &Run) -> Vec<&str> {
    run.plan.waves.iter().map(|wave| &*wave.name).collect()
}

#[tokio::test]
async fn a_run_freezes_the_plan_and_the_next_one_takes_what_it_is_then() {
    let mut world = World::new(&json!({"wavePlan": "standard"}), 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    // Without its plan nothing moves: certainly not everybody at once.
    world.publish("a").await;
    world.settle().await;
    assert_eq!(world.set().record.latest_run, None);
    let problems = world.set().record.problems.join("\n");
    assert!(
        problems.contains("there is no WavePlan standard"),
        "{problems}"
    );

    world
        .hub
        .create([plan(&waves(&["dev", "prod"], &json!({})))])
        .await;
    assert!(world.pass().await);
    assert_eq!(names(&world.run()), ["dev", "prod"]);
    assert_eq!(world.set().record.problems, Vec::<String>::new());
    change(&world, &waves(&["prod", "dev"], &json!({}))).await;
    world.connect();
    world.settle().await;
    for _ in 0..2 {
        world.recover().await;
    }
    assert_eq!(names(&world.run()), ["dev", "prod"], "it is frozen");
    assert!(world.all_run("a"));

    world.publish("b").await;
    world.settle().await;
    assert_eq!(names(&world.run()), ["prod", "dev"]);
}

#[tokio::test]
async fn what_a_plan_asks_of_a_publication_counts_for_its_sets() {
    let world = World::new(&json!({"wavePlan": "standard"}), 1, 1).await;
    world.hub.create([plan(&waves(&["dev"], &json!({})))]).await;
    let inputs = || Inputs::of(&world.hub.db.read(), &world.set());
    let rest = Rest::new(inputs(), BTreeMap::new());
    assert!(rest.holds(&inputs()));
    let gates = json!({"gates": {"before": [{"approval": {"separationOfDuties": true}}]}});
    change(&world, &waves(&["dev"], &gates)).await;
    assert!(!rest.holds(&inputs()));
}

#[tokio::test]
async fn releases_queue_where_the_plan_says_so() {
    let mut queue = waves(&["dev"], &json!({}));
    queue["supersede"] = json!({"newer": "queue"});
    let mut world = World::new(&json!({"wavePlan": "standard"}), 1, 1).await;
    world.label(1, "dev").await;
    world.hub.create([plan(&queue)]).await;
    for content in ["a", "b", "c"] {
        world.publish(content).await;
    }
    assert!(world.pass().await);
    assert_eq!(world.run().release_number, 1);
}
