//! `audit log`, `audit verify`, `audit export` and `audit replay`: everything is read, and every way to tamper is found.

use crate::{data::RUN, ledger, world::World};

#[tokio::test]
async fn a_log_is_read_to_its_end_and_filtered() {
    let world = World::new();
    for (line, kept) in [
        ("audit log", "audit/1 audit/2 audit/3 audit/4"),
        ("audit log --action run.*", "audit/2 audit/3"),
        ("audit log --action run.* --limit 1", "audit/3"),
        ("audit log --actor lee", ""),
        ("audit log --since 1d", ""),
        ("audit log --since 31h --limit 1", "audit/4"),
        ("audit log -p _ --actor cluster/*", "audit/1"),
    ] {
        let told = world.line(&format!("{line} -o name")).await.ok();
        let told: Vec<_> = told.lines().collect();
        assert_eq!(told.join(" "), kept, "{line}");
    }
}

#[tokio::test]
async fn chains_that_hold_are_told_with_their_ends() {
    let world = World::new();
    let told = world.line("audit verify").await.ok();
    let end = |project: &str| ledger::audit(project).pop().unwrap().hash;
    assert_eq!(
        told,
        format!(
            "project _: 1 records fit, the chain holds; what fits ends with\n  1={}\n\
             project default: 4 records fit, the chain holds; what fits ends with\n  4={}\n",
            end("_"),
            end("default")
        )
    );
    let told = world.line("audit verify -p empty -o json").await.ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        told["items"][0],
        serde_json::json!({"project": "empty", "records": 0, "end": ""})
    );
}

#[tokio::test]
async fn a_changed_a_removed_and_a_moved_record_are_each_found_where_they_are() {
    let world = World::new();
    for (project, at, fitting, word) in [
        ("changed", 2, 1, "changed after it was written"),
        ("removed", 3, 1, "expected record 2, found 3"),
        ("reordered", 3, 1, "expected record 2, found 3"),
    ] {
        let ran = world.line(&format!("audit verify -p {project}")).await;
        assert!(
            ran.out.contains(&format!("broken at record {at}")),
            "{ran:?}"
        );
        let told = ran.failed(1);
        assert!(
            told.contains(&format!("project {project} at record {at}")) && told.contains(word),
            "{told}"
        );
        assert!(told.contains("backup of the hub's store"), "{told}");
        let line = format!("audit verify -p {project} -o json");
        let ran = world.line(&line).await;
        assert_eq!(ran.code, 1, "{ran:?}");
        let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(
            (&json["items"][0]["brokenAt"], &json["items"][0]["records"]),
            (&serde_json::json!(at), &serde_json::json!(fitting))
        );
    }
}

#[tokio::test]
async fn what_was_noted_down_shows_a_cut_and_a_rewritten_chain() {
    let world = World::new();
    for project in ["cut", "rewritten"] {
        let line = format!("audit verify -p {project}");
        world.line(&line).await.ok();
    }
    let last = ledger::audit("default").pop().unwrap();
    let noted = format!("--noted {}={}", last.sequence, last.hash);
    let line = |project: &str| format!("audit verify {project} {noted}");
    world.line(&line("-p default")).await.ok();
    // The same number of records, of another history.
    let told = world.line(&line("-p rewritten")).await.failed(1);
    assert!(told.contains("written anew"), "{told}");
    let told = world.line(&line("-p cut")).await.failed(1);
    assert!(
        told.contains("record 4 of project cut was noted down and is gone"),
        "{told}"
    );
    let told = world.line(&format!("audit verify {noted}")).await.failed(2);
    assert!(told.contains("--project"), "{told}");
}

#[tokio::test]
async fn an_export_is_checked_without_a_hub_as_the_hub_would_be() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let ran = world
        .line(&format!("audit export --out {}", at("default")))
        .await;
    let last = ledger::audit("default").pop().unwrap();
    assert!(
        ran.err.contains(&format!(
            "project default: 4 records fit and end with 4={}",
            last.hash
        )),
        "{ran:?}"
    );
    ran.ok();
    let text = std::fs::read_to_string(at("default")).unwrap();
    assert_eq!(world.line("audit export").await.ok(), text);
    let verify = |name: &str| format!("audit verify --file {}", at(name));
    let told = world.line(&verify("default")).await.ok();
    assert!(told.contains("4 records fit, the chain holds"), "{told}");

    let lines: Vec<_> = text.lines().collect();
    let write = |name: &str, lines: &[&str]| std::fs::write(at(name), lines.join("\n")).unwrap();
    write("removed", &[lines[0], lines[2], lines[3]]);
    write("swapped", &[lines[0], lines[2], lines[1], lines[3]]);
    let other = lines[1].replace("run.", "set.");
    assert_ne!(other, lines[1]);
    write("changed", &[lines[0], &other, lines[2], lines[3]]);
    write("cut", &lines[..3]);
    for (name, word) in [
        ("removed", "at record 3: expected record 2, found 3"),
        ("swapped", "at record 3: expected record 2, found 3"),
        ("changed", "at record 2: its content was changed"),
    ] {
        let told = world.line(&verify(name)).await.failed(1);
        assert!(told.contains(word), "{name}: {told}");
    }
    // Nothing but a note of its end shows a cut.
    world.line(&verify("cut")).await.ok();
    let noted = format!("{} --noted {}={}", verify("cut"), last.sequence, last.hash);
    let told = world.line(&noted).await.failed(1);
    assert!(told.contains("record 4 of project default"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_no_export_is_told_with_its_line_and_none_is_overwritten() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export");
    let line = format!("audit export --out {}", path.display());
    world.line(&line).await.ok();
    let told = world.line(&line).await.failed(1);
    assert!(told.contains("exists"), "{told}");
    let text = std::fs::read_to_string(&path).unwrap();
    let first = text.lines().next().unwrap();
    let verify = format!("audit verify --file {}", path.display());
    let more = first.replacen('{', "{\"note\": \"unsealed\", ", 1);
    let project = first.replacen("default", "other", 1);
    for (text, word) in [
        ("", ":1: it holds no record"),
        ("{}\n", ":1: it is no line of an export: it has no project"),
        (
            &format!("{first}\n{more}\n"),
            ":2: it is no line of an export: unrecognized field",
        ),
        (
            &format!("{first}\n{project}\n"),
            ":2: it is of project other, and the chain is of default",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let told = world.line(&verify).await.failed(1);
        assert!(told.contains(word), "{told}");
    }
    // Of a chain that does not hold a copy is kept all the same.
    let kept = folder.path().join("changed");
    let line = format!("audit export -p changed --out {}", kept.display());
    let told = world.line(&line).await.failed(1);
    assert!(told.contains("at record 2"), "{told}");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!(kept.lines().count(), ledger::audit("changed").len());
}

#[tokio::test]
async fn runs_are_read_out_of_the_chain_and_compared_with_those_of_the_hub() {
    let world = World::new();
    let ran = world.line("audit replay -p replayed").await;
    assert!(ran.err.contains("of 1 more runs"), "{ran:?}");
    let told = ran.ok();
    let words = "WaitingGate, attempt 1, 1 written; the hub holds the same";
    assert_eq!(told, format!("run/{RUN}\n  {words}\n"));
    let told = world.line("audit replay -p partial").await.ok();
    assert!(told.contains("begun by a hub that recorded less"), "{told}");
    let ran = world.line("audit replay -p elsewhere").await;
    assert!(ran.out.contains("the hub holds something else"), "{ran:?}");
    let told = ran.failed(1);
    let word = "its state is WaitingGate, and was decided to be Soaking";
    assert!(told.contains(word), "{told}");

    // A record that says something else of where the run stands does not fit its chain any more.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replayed");
    let line = format!("audit export -p replayed --out {}", path.display());
    world.line(&line).await.ok();
    let replay = format!("audit replay --file {}", path.display());
    let told = world.line(&replay).await.ok();
    assert_eq!(
        told,
        format!("run/{RUN}\n  WaitingGate, attempt 1, 1 written\n")
    );
    let text = std::fs::read_to_string(&path).unwrap();
    for (what, other) in [
        ("\"state\":\"Rolling\"", "\"state\":\"Soaking\""),
        ("1 healthy of 1", "2 healthy of 2"),
        ("\"invoker\":\"Automation\"", "\"invoker\":\"Person\""),
        ("\"standing\":\"Forward\"", "\"standing\":\"Failed\""),
    ] {
        let forged = text.replacen(what, other, 1);
        assert_ne!(forged, text, "{what}");
        std::fs::write(&path, forged).unwrap();
        let told = world.line(&replay).await.failed(1);
        assert!(told.contains("its content was changed"), "{what}: {told}");
    }
}

#[tokio::test]
async fn a_run_that_no_record_tells_of_is_no_answer() {
    let world = World::new();
    let told = world.line(&format!("audit replay {RUN}")).await.failed(1);
    assert!(
        told.contains("no record of project default tells of run"),
        "{told}"
    );
    let ran = world.line("audit replay -p empty").await;
    assert!(ran.err.contains("tells of a run"), "{ran:?}");
    ran.ok();
    world.line("audit replay web").await.failed(2);
    let one = world
        .line(&format!("audit replay -p replayed {RUN} -o name"))
        .await
        .ok();
    assert_eq!(one, format!("run/{RUN}\n"));
}
