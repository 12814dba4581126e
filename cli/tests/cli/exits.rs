//! Exit codes: the same failure always ends the same way, with words that help.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::world::{World, ran};

#[tokio::test]
async fn what_the_hub_does_not_know_is_3() {
    let world = World::new();
    for line in [
        "run explain --set missing",
        "rollback missing --reason x",
        "unpin missing --reason x",
        "refresh missing",
        "sync --set missing",
        "delete set missing --reason x",
        "delete waveplan missing --reason x",
        "hold approve missing --reason x",
        "run watch missing",
        "get set no-such",
        "get app no-such --set web",
        "get run no-such",
        "get source no-such",
        "get audit 99",
        "release show web/99",
        "describe set no-such",
        "describe app/no-such",
        "describe run no-such",
        "wait run missing --for succeeded",
    ] {
        let told = world.line(line).await.failed(3);
        assert!(told.contains("no "), "{line}: {told}");
    }
    let told = world
        .line("get app no-such --set web -p shop")
        .await
        .failed(3);
    assert_eq!(
        told,
        "error: no application no-such of set web in project shop; `tidegate get applications` lists them\n"
    );
}

#[tokio::test]
async fn what_the_hub_refuses_is_4() {
    let world = World::new();
    for line in [
        "rollback forbidden --reason x",
        "run approve forbidden",
        "run reject forbidden --reason x",
        "run break-glass forbidden --reason x",
        "get sets -p forbidden",
    ] {
        let told = world.line(line).await.failed(4);
        assert!(told.contains("viewer"), "{line}: {told}");
    }
    world.file("x.yaml", "forbidden");
    world.line("apply -f x.yaml").await.failed(4);
}

#[tokio::test]
async fn a_hub_that_cannot_answer_now_is_5() {
    let world = World::new();
    assert!(
        world
            .line("rollback down --reason x")
            .await
            .failed(5)
            .contains("another hub leads")
    );
    let told = world
        .line("rollback stuck --reason x --request-timeout 300ms")
        .await
        .failed(5);
    assert!(
        told.contains("did not answer") && told.contains("--request-timeout"),
        "{told}"
    );
}

#[tokio::test]
async fn what_does_not_fit_the_state_is_1() {
    let world = World::new();
    assert!(
        world
            .line("run pause busy")
            .await
            .failed(1)
            .contains("it changes no more")
    );
}

#[tokio::test]
async fn wrong_usage_is_2_and_needs_no_hub() {
    let world = World::new();
    for (line, word) in [
        ("get", "WHAT"),
        ("get things", "things"),
        ("get clusters --set web", "--set means nothing for clusters"),
        ("get runs --cluster x", "--cluster means nothing for runs"),
        ("run explain", "RUN_ID"),
        ("run explain abc --set web", "--set"),
        ("rollback web", "--reason"),
        ("cluster label eu", "KEY"),
        ("cluster label eu nonsense", "KEY=VALUE"),
        ("cluster join-token eu --ttl soon", "15m"),
        ("user create lee --role king --out x", "king"),
        ("wait set web --for glory", "glory cannot be waited for"),
        ("wait set web --for connected", "it takes succeeded"),
        ("wait run x --for state=Nowhere", "there is no \"Nowhere\""),
        (
            "wait app x --for healthy --commit abc",
            "--commit goes with a set",
        ),
        (
            "describe set",
            "name the set to describe; `tidegate get sets`",
        ),
        ("describe set/", "name the set to describe"),
        ("describe set/web web", "one thing at a time"),
        ("describe things x", "cluster, release, run"),
        ("describe audit/1", "get audit"),
        ("get sets -o xml", "xml"),
        ("nonsense", "nonsense"),
    ] {
        let told = world.line(line).await.failed(2);
        assert!(told.contains(word), "{line}: no {word} in {told}");
    }
    let told = world.line("cluster label eu a=1 a-").await.failed(2);
    assert!(told.contains("both set and removed"), "{told}");
    assert_eq!(world.hub.requests(), 0);
}

#[tokio::test]
async fn of_several_of_one_name_the_user_must_choose() {
    let world = World::new();
    let told = world.line("describe app twin").await.failed(2);
    assert!(
        told.contains("application/twin in project default, application/twin in project shop")
            && told.contains("--project"),
        "{told}"
    );
}

#[tokio::test]
async fn help_and_version_go_to_standard_output() {
    let world = World::new();
    let help = ran(&mut world.command(&["--help"])).await.ok();
    for (code, meaning) in tidegate::exit::TABLE {
        assert!(
            help.contains(&format!("{:>3}  {meaning}", *code as u8)),
            "{help}"
        );
    }
    let version = ran(&mut world.command(&["--version"])).await.ok();
    assert_eq!(version, format!("tidegate {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    let mut child = world.start(&["get", "apps", "-o", "yaml"]);
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[tokio::test]
async fn ctrl_c_ends_a_watch_cleanly() {
    let world = World::new();
    let mut command = world.command(&["run", "watch", "forever"]);
    command
        .env("TIDEGATE_CONFIG", &world.config)
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .contains("Rolling")
    );
    let pid = child.id().unwrap().to_string();
    let kill = tokio::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .await
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: interrupted\n"
    );
}
