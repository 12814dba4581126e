//! `config …`: several hubs in one file, changed by several commands at once.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tidegate::config::{Config, Reserved};

use crate::world::{World, ran};

/// A file with one context, as `user create --out` writes it.
fn handed_over(world: &World, name: &str) -> String {
    let mut config = Config::load(&world.config).unwrap();
    name.clone_into(&mut config.contexts[0].name);
    name.clone_into(&mut config.current_context);
    let file = format!("{name}.yaml");
    Reserved::make(&world.directory.path().join(&file))
        .unwrap()
        .fill(&config)
        .unwrap();
    file
}

#[tokio::test]
async fn the_first_file_that_is_added_is_all_that_is_needed() {
    let world = World::new();
    let file = handed_over(&world, "default");
    let told = ran(&mut world.command(&["config", "add", &file, "--as", "prod"]))
        .await
        .ok();
    assert!(
        told.contains("Context \"prod\" added") && told.contains("it is the current one"),
        "{told}"
    );
    let path = world.directory.path().join(".config/tidegate/config.yaml");
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    ran(&mut world.command(&["whoami"])).await.ok();
}

#[tokio::test]
async fn hubs_are_added_chosen_renamed_and_forgotten() {
    let world = World::new();
    let file = handed_over(&world, "default");
    let told = world
        .run(&["config", "add", &file, "--as", "prod"])
        .await
        .ok();
    assert!(told.contains("config use-context prod"), "{told}");
    assert_eq!(world.line("config current-context").await.ok(), "test\n");
    assert_eq!(
        world.line("config use-context context/prod").await.ok(),
        "Switched to context \"prod\".\n"
    );
    assert_eq!(world.line("config current-context").await.ok(), "prod\n");
    assert_eq!(
        world
            .line("config current-context --context test")
            .await
            .ok(),
        "test\n"
    );
    assert_eq!(
        world.line("config rename-context prod eu").await.ok(),
        "Context \"prod\" renamed to \"eu\".\n"
    );
    assert_eq!(
        world.line("config get-contexts -o name").await.ok(),
        "context/test\ncontext/eu\n"
    );
    world.line("whoami").await.ok();
    let ran = world.line("config delete-context eu").await;
    assert!(ran.err.contains("removed your current context"), "{ran:?}");
    assert!(ran.ok().starts_with("deleted context eu from /"));
    let told = world.line("whoami").await.failed(2);
    assert!(
        told.contains("config use-context") && told.contains("there are test"),
        "{told}"
    );
    world.line("whoami --context test").await.ok();
}

#[tokio::test]
async fn what_is_there_is_never_lost() {
    let world = World::new();
    let before = fs::read_to_string(&world.config).unwrap();
    let taken = handed_over(&world, "test");
    for (line, code, words) in [
        (
            format!("config add {taken}"),
            2,
            ["context test already", "--overwrite"],
        ),
        (
            "config add none.yaml".to_owned(),
            2,
            ["none.yaml", "failed to find"],
        ),
        (
            "config use-context nobody".to_owned(),
            2,
            ["\"nobody\"", "it has test"],
        ),
        (
            "config delete-context nobody".to_owned(),
            2,
            ["\"nobody\"", "it has test"],
        ),
        (
            "config rename-context nobody x".to_owned(),
            2,
            ["\"nobody\"", "it has test"],
        ),
    ] {
        let told = world.line(&line).await.failed(code);
        for word in words {
            assert!(told.contains(word), "{line}: {told}");
        }
        assert_eq!(fs::read_to_string(&world.config).unwrap(), before, "{line}");
    }
    world.file("broken.yaml", "contexts: {");
    world.line("config add broken.yaml").await.failed(2);
    assert_eq!(fs::read_to_string(&world.config).unwrap(), before);
    fs::write(&world.config, "contexts: {").unwrap();
    let told = world.line(&format!("config add {taken}")).await.failed(2);
    assert!(
        told.contains("config.yaml") && told.contains("line"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(&world.config).unwrap(), "contexts: {");
}

#[tokio::test]
async fn commands_that_change_the_file_at_once_lose_nothing() {
    let world = World::new();
    let file = handed_over(&world, "default");
    let names: Vec<_> = (0..12).map(|number| format!("hub-{number}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| world.start(&["config", "add", &file, "--as", name]))
        .collect();
    for child in children {
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let config = Config::load(&world.config).unwrap();
    let mut known: Vec<_> = config.contexts.iter().map(|it| it.name.clone()).collect();
    known.sort();
    let mut expected = names;
    expected.push("test".to_owned());
    expected.sort();
    assert_eq!(known, expected);
}

#[tokio::test]
async fn no_key_is_ever_printed() {
    let world = World::new();
    let config = Config::load(&world.config).unwrap();
    let key = config.contexts[0]
        .key_data
        .lines()
        .nth(1)
        .unwrap()
        .to_owned();
    for line in [
        "config view",
        "config get-contexts",
        "config use-context test",
    ] {
        for form in ["table", "json", "yaml", "name"] {
            let ran = world.line(&format!("{line} -o {form}")).await;
            assert!(
                !ran.out.contains(&key) && !ran.err.contains(&key),
                "{ran:?}"
            );
            assert_eq!(ran.code, 0, "{ran:?}");
        }
    }
    let told = world.line("config view").await.ok();
    assert!(told.contains("keyData: REDACTED"), "{told}");
    assert_eq!(world.hub.requests(), 0);
}
