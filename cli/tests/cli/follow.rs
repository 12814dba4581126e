//! `run watch`: changes as lines, outcomes as exit codes, through a hub that goes away.

use crate::{data, world::World};

#[tokio::test]
async fn each_change_is_a_line_and_a_good_end_is_0() {
    let world = World::new();
    let out = world.line("run watch good").await.ok();
    let run = format!("run/{}", data::RUN);
    assert_eq!(
        out.lines().collect::<Vec<_>>(),
        [
            format!("{run} of set web, release 7 Rolling"),
            "wave/canary Rolling".to_owned(),
            "wave/canary cluster/dev-1 Applying".to_owned(),
            format!("{run} Soaking"),
            "wave/canary Soaking".to_owned(),
            "wave/canary cluster/dev-1 Healthy".to_owned(),
            format!("{run} Succeeded"),
            "wave/canary Succeeded".to_owned(),
            "wave/canary cluster/dev-1 Soaked".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_run_that_ends_badly_is_7_and_says_why() {
    let world = World::new();
    let ran = world.line("run watch --set bad").await;
    assert!(
        ran.out.contains("RolledBack: the budget is used up"),
        "{ran:?}"
    );
    let told = ran.failed(7);
    assert!(
        told.contains("ended RolledBack: the budget is used up"),
        "{told}"
    );
    assert!(told.contains("tidegate run explain"), "{told}");
}

#[tokio::test]
async fn json_is_one_state_a_line() {
    let world = World::new();
    let out = world.line("run watch good -o json").await.ok();
    let states: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["Rolling", "Rolling", "Soaking", "Succeeded"]);
    let name = world.line("run watch good -o name").await.ok();
    assert_eq!(name, format!("run/{}\n", data::RUN));
}

#[tokio::test]
async fn a_hub_that_goes_away_is_followed_to_the_end() {
    let world = World::new();
    let ran = world.line("run watch --set cut").await;
    assert!(ran.err.contains("trying again: the hub drains"), "{ran:?}");
    let rolling = ran
        .out
        .lines()
        .filter(|line| line.ends_with("release 7 Rolling"))
        .count();
    assert_eq!(rolling, 1, "what did not change was told again: {ran:?}");
    assert!(ran.ok().contains("Succeeded"));
    assert_eq!(world.hub.requests(), 3);
}

#[tokio::test]
async fn a_watch_may_have_a_limit() {
    let world = World::new();
    let told = world.line("run watch forever --timeout 1s").await.failed(6);
    assert!(told.contains("is still Rolling after 1s"), "{told}");
}
