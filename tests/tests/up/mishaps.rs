//! What a newcomer breaks first.

use std::{fs, net::TcpListener, process::Command, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use tidegate_tests::harness::Signal;

use super::demo::{Demo, end, hear, told};

#[test]
fn a_port_that_is_taken_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let demo = Demo::new();
    let output = demo.run(&["up", "--once", "--port", &port]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("--port"), "{}", told(&output));
    // Nothing is lost by it: without the port it comes up.
    assert_eq!(demo.once(&[])["run"]["state"], "Succeeded");
}

#[test]
fn without_git_it_is_said_what_is_missing() {
    let demo = Demo::new();
    let output = Command::new(demo.program())
        .args(["up", "--once"])
        .current_dir(demo.folder())
        .env("PATH", demo.folder())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("git") && told(&output).contains("install it"));
}

#[test]
fn a_folder_of_a_newer_version_or_of_somebody_else_is_left_alone() {
    let demo = Demo::new();
    fs::create_dir(demo.fleet()).unwrap();
    fs::write(demo.fleet().join("thesis.tex"), "x").unwrap();
    let output = demo.run(&["up", "--once"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert_eq!(demo.run(&["down"]).status.code(), Some(3));
    assert!(demo.fleet().join("thesis.tex").exists());

    fs::remove_file(demo.fleet().join("thesis.tex")).unwrap();
    let newer = r#"{"version": 99, "clusters": "otherwise"}"#;
    fs::write(demo.fleet().join("up.json"), newer).unwrap();
    let output = demo.run(&["up", "--once"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(
        told(&output).contains("newer tidegate"),
        "{}",
        told(&output)
    );
    let kept = fs::read_to_string(demo.fleet().join("up.json")).unwrap();
    assert_eq!(kept, newer);
    assert!(demo.run(&["down"]).status.success());
}

#[tokio::test]
async fn a_fleet_that_is_stopped_in_the_middle_is_gone_on_with() {
    let demo = Demo::new();
    let up = demo.start(&["up", "--once"]);
    hear(&up, "wave/dev Rolling").await;
    let second = demo.run(&["up"]);
    assert_eq!(second.status.code(), Some(1), "{}", told(&second));
    assert!(told(&second).contains("another `tidegate up` runs"));
    assert_eq!(demo.run(&["down"]).status.code(), Some(1));
    let ask =
        |what: &str| String::from_utf8(demo.ask(&["get", what, "-o", "name"]).stdout).unwrap();
    let before = ask("runs");
    let named = |name: &str| ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };
    let mine = demo.config_maps("prod-2").await;
    let made = mine
        .create(&PostParams::default(), &named("mine"))
        .await
        .unwrap();
    assert!(before.starts_with("run/"), "{before}");
    assert_eq!(end(&up, Signal::Terminate).await, Some(130));
    let summary = demo.once(&[]);
    assert_eq!(summary["run"]["state"], "Succeeded", "{summary}");
    let id = summary["run"]["id"].as_str().unwrap();
    assert_eq!(before.trim(), format!("run/{id}"), "another run was begun");

    // What somebody put into a cluster is still there.
    let up = demo.start(&["up"]);
    hear(&up, "up in").await;
    let kept = demo.config_maps("prod-2").await.get("mine").await.unwrap();
    assert_eq!(kept.metadata.uid, made.metadata.uid);
    end(&up, Signal::Terminate).await;
}

/// Whatever moment it is killed in, the next one goes on: nothing half made stands in its way.
#[tokio::test]
async fn a_fleet_that_is_killed_at_any_moment_comes_up_again() {
    let demo = Demo::new();
    for millis in [0, 5, 10, 20, 30, 50, 80, 120, 200, 400, 1_000, 3_000] {
        let up = demo.start(&["up", "--once"]);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        end(&up, Signal::Kill).await;
    }
    let summary = demo.once(&[]);
    assert_eq!(summary["run"]["state"], "Succeeded", "{summary}");
    let clusters = demo.run(&["up", "--clusters", "5"]);
    assert!(told(&clusters).contains("6 simulated clusters"));
}

#[test]
fn a_narrow_terminal_is_enough() {
    let demo = Demo::new();
    let command = demo.command(&["up", "--once"]);
    let words: Vec<_> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    // `script` of util-linux gives it a terminal.
    let mut terminal = Command::new("script");
    let line = format!("stty cols 40 rows 12; {}", words.join(" "));
    terminal.args(["-qec", &line, "/dev/null"]);
    terminal.current_dir(demo.folder()).env("TERM", "xterm");
    let output = terminal.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let drawn: Vec<_> = text.split("\u{1b}[J").skip(1).collect();
    assert!(drawn.len() > 5, "the waves did not move:\n{text}");
    for view in drawn {
        let lines: Vec<_> = view
            .lines()
            .take_while(|line| !line.contains('\u{1b}'))
            .collect();
        assert!(
            lines.iter().all(|line| line.chars().count() <= 40),
            "{view}"
        );
    }
}
