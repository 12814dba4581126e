//! `--watch`: the table, then what changes, through restarts of the hub and to the very end.

use std::time::Duration;

use tidegate_proto::v1 as wire;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout},
    time::timeout,
};

use crate::{data, world::World};

/// The longest that a line may take to come.
const LIMIT: Duration = Duration::from_secs(30);

/// A command under way whose lines are read as they come.
pub(crate) struct Watched {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
}

impl Watched {
    pub(crate) fn start(world: &World, line: &str) -> Self {
        let mut child = world.start(&line.split(' ').collect::<Vec<_>>());
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self {
            child,
            notes: BufReader::new(err).lines(),
            lines: BufReader::new(out).lines(),
        }
    }

    pub(crate) async fn next(&mut self) -> String {
        let line = timeout(LIMIT, self.lines.next_line()).await;
        line.expect("no line comes").unwrap().expect("it ended")
    }

    /// The next line beside the results.
    pub(crate) async fn told(&mut self) -> String {
        let line = timeout(LIMIT, self.notes.next_line()).await;
        line.expect("nothing is told").unwrap().expect("it ended")
    }

    /// Ends it as Ctrl-C does. Gives the code and what standard error holds.
    pub(crate) async fn interrupt(self) -> (i32, String) {
        let pid = self.child.id().unwrap().to_string();
        let mut kill = tokio::process::Command::new("kill");
        let killed = kill.args(["-INT", &pid]).status().await.unwrap();
        assert!(killed.success());
        self.end().await
    }

    async fn end(mut self) -> (i32, String) {
        let ended = timeout(LIMIT, self.child.wait()).await;
        let code = ended.expect("it does not end").unwrap().code().unwrap();
        let mut told = String::new();
        while let Some(line) = self.notes.next_line().await.unwrap() {
            told += &(line + "\n");
        }
        (code, told)
    }
}

fn app(name: &str, health: wire::Health) -> wire::Application {
    wire::Application {
        name: name.to_owned(),
        health: health.into(),
        ..data::apps().remove(0)
    }
}

#[tokio::test]
async fn the_table_comes_first_and_then_only_what_changes() {
    let world = World::new();
    let (one, two) = (
        app("one", wire::Health::Healthy),
        app("two", wire::Health::Healthy),
    );
    world.hub.now_has(vec![one.clone(), two.clone()]);
    let mut watched = Watched::start(&world, "get apps --set web -w");
    assert!(watched.next().await.starts_with("NAME  SET  CLUSTER"));
    assert!(watched.next().await.starts_with("one "));
    assert!(watched.next().await.starts_with("two "));
    // Being heard of again is no change of a row; one that is ill, one that is gone, one that is new.
    let heard = wire::Application {
        report_at_ms: one.report_at_ms + 1,
        ..one
    };
    world
        .hub
        .now_has(vec![heard.clone(), app("two", wire::Health::Degraded)]);
    let line = watched.next().await;
    assert!(
        line.starts_with("two ") && line.contains("Degraded"),
        "{line}"
    );
    world.hub.now_has(vec![heard.clone()]);
    assert_eq!(watched.next().await, "application/two deleted");
    world
        .hub
        .now_has(vec![heard, app("three", wire::Health::Progressing)]);
    let line = watched.next().await;
    assert!(line.starts_with("three "), "{line}");
    let (code, told) = watched.interrupt().await;
    assert_eq!((code, told.as_str()), (130, "error: interrupted\n"));
}

#[tokio::test]
async fn what_happened_while_the_hub_was_away_is_told_when_it_is_back() {
    let mut world = World::new();
    world
        .hub
        .now_has(vec![app("one", wire::Health::Progressing)]);
    let mut watched = Watched::start(&world, "get apps -w -o name");
    assert_eq!(watched.next().await, "application/one");
    world.stop().await;
    world.hub.now_has(vec![
        app("one", wire::Health::Healthy),
        app("two", wire::Health::Healthy),
    ]);
    let told = watched.told().await;
    assert!(
        told.starts_with("trying again: failed to reach the hub at"),
        "{told}"
    );
    world.start_again();
    assert_eq!(watched.next().await, "application/one");
    assert_eq!(watched.next().await, "application/two");
    let (code, told) = watched.interrupt().await;
    assert_eq!(code, 130, "{told}");
    assert_eq!(told, "error: interrupted\n", "told more than once");
}

#[tokio::test]
async fn time_ends_it_with_6_and_the_last_state_is_not_missed() {
    let world = World::new();
    world
        .hub
        .now_has(vec![app("one", wire::Health::Progressing)]);
    // Shorter than the time between two looks.
    world.hub.then_has(vec![app("one", wire::Health::Healthy)]);
    let mut watched = Watched::start(&world, "get app one -w --timeout 700ms");
    watched.next().await;
    assert!(watched.next().await.contains("Progressing"));
    assert!(watched.next().await.contains("Healthy"));
    let (code, told) = watched.end().await;
    assert_eq!(
        (code, told.as_str()),
        (6, "error: stopped watching after 700ms\n")
    );
    let told = world.line("get apps --timeout 1s").await.failed(2);
    assert!(told.contains("--watch"), "{told}");
}

#[tokio::test]
async fn a_hub_that_is_away_at_the_end_is_told() {
    let mut world = World::new();
    let mut watched = Watched::start(&world, "cluster list -w --timeout 3s");
    watched.next().await;
    world.stop().await;
    let (code, told) = watched.end().await;
    assert_eq!(code, 6, "{told}");
    assert!(
        told.contains("after 3s; at the end: failed to reach"),
        "{told}"
    );
}

#[tokio::test]
async fn json_is_one_document_a_line_and_yaml_one_after_a_mark() {
    let world = World::new();
    world
        .hub
        .now_has(vec![app("one", wire::Health::Progressing)]);
    let mut json = Watched::start(&world, "get apps -w -o json");
    let mut yaml = Watched::start(&world, "get apps -w -o yaml");
    let read = |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap();
    assert_eq!(read(json.next().await)["health"], "HEALTH_PROGRESSING");
    assert_eq!(yaml.next().await, "---");
    world.hub.now_has(vec![app("one", wire::Health::Healthy)]);
    assert_eq!(read(json.next().await)["health"], "HEALTH_HEALTHY");
    while yaml.next().await != "---" {}
    world.hub.now_has(Vec::new());
    assert_eq!(
        read(json.next().await),
        serde_json::json!({"deleted": "application/one", "project": "default"})
    );
    while yaml.next().await != "deleted: application/one" {}
    json.interrupt().await;
    yaml.interrupt().await;
}

#[tokio::test]
async fn a_limit_is_for_the_first_list_only() {
    let world = World::new();
    let apps = |names: &[&str]| -> Vec<_> {
        let names = names.iter();
        names.map(|name| app(name, wire::Health::Healthy)).collect()
    };
    world.hub.now_has(apps(&["one", "two", "three"]));
    let mut watched = Watched::start(&world, "get apps --limit 1 -w -o name");
    assert_eq!(watched.next().await, "application/one");
    world.hub.now_has(apps(&["one", "two", "three", "four"]));
    assert_eq!(watched.next().await, "application/four");
    watched.interrupt().await;
}

#[tokio::test]
async fn a_log_goes_on_with_what_is_new_and_fits() {
    let world = World::new();
    let mut watched = Watched::start(&world, "audit log -w --limit 1 --action run.* -o name");
    assert_eq!(watched.next().await, "audit/3");
    world.hub.decides("set.create");
    world.hub.decides("run.pause");
    world.hub.decides("run.cancel");
    assert_eq!(watched.next().await, "audit/6");
    assert_eq!(watched.next().await, "audit/7");
    watched.interrupt().await;
    let mut watched = Watched::start(&world, "get audit -w --limit 1 -o name");
    assert_eq!(watched.next().await, "audit/7");
    world.hub.decides("run.resume");
    assert_eq!(watched.next().await, "audit/8");
    watched.interrupt().await;
}

#[tokio::test]
async fn what_is_not_there_is_waited_for_only_as_a_list() {
    let world = World::new();
    world.hub.now_has(Vec::new());
    world.line("get app none -w").await.failed(3);
    let mut watched = Watched::start(&world, "get apps -w");
    // The list is empty until the first look has been.
    while world.hub.requests() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.hub.now_has(vec![app("one", wire::Health::Healthy)]);
    assert!(watched.next().await.starts_with("NAME "));
    assert!(watched.next().await.starts_with("one "));
    let (_, told) = watched.interrupt().await;
    assert!(told.starts_with("no applications\n"), "{told}");
}
