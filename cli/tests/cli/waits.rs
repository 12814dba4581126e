//! `wait`: what is so already, what comes, what does not come, and what never can.

use crate::{data, world::World};

#[tokio::test]
async fn what_is_so_already_ends_the_wait_at_the_first_look() {
    for line in [
        "wait set web --for held --timeout 0",
        "wait set web --for state=WaitingGate --timeout 0",
        "wait set gone --for deleted --timeout 0",
        "wait run good --for succeeded --timeout 0",
        "wait run bad --for terminal --timeout 0",
        "wait app web-dev-eu-central-1 --for healthy --timeout 0",
        "wait app web-prod-us-east-2 --for pinned --timeout 0",
        "wait app web-prod-eu-central-1 --for health=Degraded --timeout 0",
        "wait cluster dev-eu-central-1 --for connected --timeout 0",
        "wait cluster prod-eu-central-1 --for disconnected --timeout 0",
    ] {
        let world = World::new();
        let ran = world.line(line).await;
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{line}: {ran:?}");
        assert_eq!(world.hub.requests(), 1, "{line}");
    }
}

#[tokio::test]
async fn what_comes_is_waited_for() {
    for line in [
        "wait set slow --for succeeded --timeout 1m",
        "wait run slow --for succeeded --timeout 1m",
        "wait app slow --for healthy --timeout 1m",
    ] {
        let world = World::new();
        world.line(line).await.ok();
        assert_eq!(world.hub.requests(), 3, "{line}");
    }
    let world = World::new();
    assert_eq!(
        world.line("wait app slow --for healthy -o name").await.ok(),
        "application/slow\n"
    );
}

#[tokio::test]
async fn what_does_not_come_is_6_and_says_what_is_instead() {
    let world = World::new();
    let told = world
        .line("wait app web-prod-eu-central-1 --for healthy --timeout 600ms")
        .await
        .failed(6);
    assert_eq!(
        told,
        "error: application/web-prod-eu-central-1 is not healthy after 600ms: not synced and Degraded: \
         Deployment web: ImagePullBackOff\n"
    );
    let told = world
        .line("wait set web --for healthy --timeout 0")
        .await
        .failed(6);
    assert!(
        told.contains("2 of 4 applications are not healthy"),
        "{told}"
    );
    let told = world
        .line("wait set gone --for succeeded --timeout 0")
        .await
        .failed(6);
    assert!(told.contains("there is no such set"), "{told}");
}

#[tokio::test]
async fn a_run_that_can_no_longer_get_there_ends_the_wait_with_7() {
    let world = World::new();
    let told = world.line("wait run bad --for succeeded").await.failed(7);
    assert!(told.contains("Failed: the failure budget"), "{told}");
}

#[tokio::test]
async fn a_commit_binds_the_wait_to_its_run() {
    let commit = &data::run().sources[0].commit;
    let world = World::new();
    let line = format!("wait set web --for state=WaitingGate --commit {commit} --timeout 0");
    world.line(&line).await.ok();
    world
        .line("wait set web --for state=WaitingGate --commit 8f14e45 --timeout 0")
        .await
        .ok();
    let told = world
        .line("wait set web --for state=WaitingGate --commit 123 --timeout 0")
        .await
        .failed(6);
    assert!(told.contains("no run of commit 123 yet"), "{told}");
}

#[tokio::test]
async fn a_name_of_another_kind_is_not_taken_for_one_of_this() {
    let world = World::new();
    world
        .line("wait set set/web --for state=WaitingGate --timeout 0")
        .await
        .ok();
    let line = "wait set application/web --for state=WaitingGate --timeout 0";
    let told = world.line(line).await.failed(6);
    assert!(told.contains("there is no such set"), "{told}");
}
