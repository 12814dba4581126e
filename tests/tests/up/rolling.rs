//! What goes well: a first run, each example, what is printed to be tried next.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tidegate_tests::harness::{Signal, eventually, require_real};

use super::demo::{Demo, PATIENCE, end, hear, told};

/// Names and sizes of a summary's waves.
fn waves(summary: &Value) -> Vec<(String, u64)> {
    let waves = summary["run"]["waves"].as_array().unwrap();
    let read = |wave: &Value| {
        assert!(wave["seconds"].as_f64().unwrap() > 0.0, "{summary}");
        let name = wave["name"].as_str().unwrap().to_owned();
        (name, wave["members"].as_u64().unwrap())
    };
    waves.iter().map(read).collect()
}

#[test]
fn one_command_rolls_a_fleet_and_another_goes_on_with_it_and_the_last_removes_it() {
    let demo = Demo::new();
    let summary = demo.once(&[]);
    assert_eq!(
        (&summary["clusters"], &summary["applications"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(summary["run"]["state"], "Succeeded", "{summary}");
    let expected = ["dev", "staging", "prod"].map(|name| (name.to_owned(), 2));
    assert_eq!(waves(&summary), expected);

    let again = demo.once(&["--clusters", "6"]);
    assert_eq!(again["run"]["id"], summary["run"]["id"], "{again}");

    let other = demo.run(&["up", "--clusters", "3"]);
    assert_eq!(other.status.code(), Some(2), "{}", told(&other));
    assert!(
        told(&other).contains("6 simulated clusters"),
        "{}",
        told(&other)
    );

    let down = demo.run(&["down"]);
    assert!(down.status.success(), "{}", told(&down));
    assert!(!demo.fleet().exists());
    assert_eq!(demo.run(&["down"]).status.code(), Some(3));
}

/// A fleet of each example reaches its end; the waves are those of its set.
fn rolls(example: &str, clusters: u64, applications: u64, expected: &[(&str, u64)]) {
    let demo = Demo::new();
    let summary = demo.once(&["--example", example]);
    assert_eq!(summary["clusters"], clusters, "{summary}");
    assert_eq!(summary["applications"], applications, "{summary}");
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, members)| ((*name).to_owned(), *members))
        .collect();
    assert_eq!(waves(&summary), expected);
}

/// At the same time: they wait more than they work.
#[test]
fn each_example_rolls_in_the_waves_of_its_set() {
    std::thread::scope(|scope| {
        scope.spawn(|| rolls("addon", 6, 6, &[("first", 1), ("rest", 5)]));
        scope.spawn(|| rolls("directories", 6, 7, &[("dev", 1), ("rest", 2)]));
        let shares = [("canary", 1), ("tenth", 1), ("half", 2), ("rest", 2)];
        scope.spawn(move || rolls("canary", 6, 6, &shares));
    });
}

#[tokio::test]
async fn an_environment_that_asks_for_it_waits_for_an_approval() {
    let demo = Demo::new();
    let up = demo.start(&["up", "--once", "--example", "environments"]);
    hear(&up, "wave/prod WaitingGate").await;
    // Without the word of a person nothing comes, however long one waits for it.
    let explained = eventually("the approval is asked for", PATIENCE, || async {
        let said = told(&demo.ask(&["run", "explain", "--set", "shop"]));
        if said.contains("approv") {
            Ok(())
        } else {
            Err(said)
        }
    });
    explained.await.unwrap();
    let arguments = [
        "run",
        "approve",
        "--set",
        "shop",
        "--reason",
        "looked at staging",
    ];
    let approved = demo.ask(&arguments);
    assert!(approved.status.success(), "{}", told(&approved));
    let ended = eventually("the end of up", PATIENCE, || async {
        up.status().unwrap().ok_or_else(|| up.log_tail())
    });
    assert_eq!(ended.await.unwrap().code(), Some(0), "{}", up.log_tail());
    assert!(
        up.log_tail()
            .contains("6 applications in 6 clusters: Succeeded")
    );
}

/// What is to be seen after the commands under a heading: a shell command that must succeed.
fn sights() -> Vec<(&'static str, String)> {
    let image = "test \"$(kubectl --context prod-1 get deployment guestbook \
                 -o jsonpath='{.spec.template.spec.containers[0].image}')\" =";
    let rolled = "tidegate wait set guestbook --for succeeded --commit \"$(git rev-parse HEAD)\" \
                  --timeout 60s";
    let pins = "tidegate get pins -o name | grep guestbook-dev";
    let back = format!("for i in $(seq 100); do {image} nginx:1.30 && break; sleep 0.3; done");
    let whole = "tidegate wait cluster prod-2 --for connected --timeout 60s";
    vec![
        (
            "# Change something",
            format!("{rolled}; {image} nginx:1.30"),
        ),
        ("# Break an image", format!("{pins}; {image} nginx:1.30")),
        ("# Mend it", format!("{rolled}; {image} nginx:1.31")),
        ("# Roll back", format!("{back}; {image} nginx:1.30")),
        ("# Cut a cluster", whole.to_owned()),
    ]
}

#[tokio::test]
async fn what_is_printed_to_be_tried_works_as_printed() {
    let Some(binaries) = require_real("what_is_printed_to_be_tried_works_as_printed") else {
        return;
    };
    let demo = Demo::new();
    let up = demo.start(&["up"]);
    let told = hear(&up, "Ctrl-C stops the fleet").await;
    let (_, next) = told.split_once("# What to try next").unwrap();
    let mut script = "set -eux\n# What to try next".to_owned();
    let mut sights = sights();
    for block in next.split("\n\n").filter(|block| !block.contains("Ctrl-C")) {
        script.push_str(block);
        script.push('\n');
        let here = sights.extract_if(.., |(heading, _)| block.starts_with(*heading));
        for (_, sight) in here {
            script.push_str(&sight);
            script.push('\n');
        }
    }
    assert!(sights.is_empty(), "not printed any more: {sights:?}");
    let kubectl = binaries.kubectl.unwrap();
    let path = std::env::var("PATH").unwrap();
    let bin = demo.folder().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(kubectl, bin.join("kubectl")).unwrap();
    let tried = Command::new("bash")
        .args(["-c", &script])
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", demo.folder())
        .output()
        .unwrap();
    assert!(tried.status.success(), "{}", super::demo::told(&tried));
    let seen = String::from_utf8_lossy(&tried.stdout);
    assert!(seen.contains("Disconnected"), "{seen}");

    assert_eq!(end(&up, Signal::Terminate).await, Some(0));
    let told = fs::read_to_string(up.log()).unwrap();
    for words in [
        "cluster prod-2 is cut off",
        "cluster prod-2 reaches the hub again",
        "RolledBack",
        "`tidegate down",
    ] {
        assert!(told.contains(words), "not told: {words}\n{told}");
    }
    // What was rolled back is still so for who goes on.
    let again = demo.run(&["up", "--once", "-o", "json"]);
    assert_eq!(
        again.status.code(),
        Some(7),
        "{}",
        super::demo::told(&again)
    );
    let summary: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(summary["run"]["state"], "RolledBack", "{summary}");
}
