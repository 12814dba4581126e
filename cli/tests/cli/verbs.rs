//! What each command asks the hub, and what it leaves on disk.

use std::os::unix::fs::PermissionsExt as _;

use tokio::io::AsyncWriteExt as _;

use crate::world::{World, ran};

/// Command lines, and what the one request of each must say.
const REQUESTS: &[(&str, &[&str])] = &[
    (
        "run approve --set web -p shop --wave prod --reason seen --content sha256:b",
        &[
            "set: \"web\"",
            "project: \"shop\"",
            "wave: \"prod\"",
            "reason: \"seen\"",
            "content: \"sha256:b\"",
        ],
    ),
    (
        "run approve run/abc",
        &["run_id: \"abc\"", "wave: \"\"", "rejects: false"],
    ),
    (
        "run reject abc --wave prod --reason no",
        &["wave: \"prod\"", "reason: \"no\"", "rejects: true"],
    ),
    (
        "run pause abc --reason why",
        &["run_id: \"abc\"", "verb: Pause", "reason: \"why\""],
    ),
    ("run resume abc", &["verb: Resume"]),
    ("run cancel abc", &["verb: Cancel"]),
    (
        "run break-glass run/abc --reason fire",
        &["run_id: \"abc\"", "reason: \"fire\""],
    ),
    (
        "run retry abc --reason why",
        &["run_id: \"abc\"", "verb: Retry", "reason: \"why\""],
    ),
    (
        "run skip --set web --cluster cluster/dev-1 --reason why",
        &["set: \"web\"", "verb: Skip", "cluster: \"dev-1\""],
    ),
    (
        "rollback web -p shop --reason bad",
        &["set: \"web\"", "project: \"shop\"", "reason: \"bad\""],
    ),
    (
        "rollback web --to 7 --wave canary --clusters a,cluster/b --release manual --reason bad",
        &[
            "to_release: 7",
            "wave: \"canary\"",
            "clusters: [\"a\", \"b\"]",
            "selector: \"\"",
            "pin_release: \"manual\"",
            "dry_run: false",
        ],
    ),
    (
        "rollback web --clusters region=eu --dry-run --reason bad",
        &[
            "to_release: 0",
            "clusters: []",
            "selector: \"region=eu\"",
            "pin_release: \"converged\"",
            "dry_run: true",
        ],
    ),
    (
        "unpin set/web --app web-eu --reason ok",
        &["set: \"web\"", "app: \"web-eu\"", "reason: \"ok\""],
    ),
    (
        "delete set web --reason gone",
        &["name: \"web\"", "reason: \"gone\""],
    ),
    (
        "diff set/web -p shop --commit abc --source https://a --cluster dev-1 --app web-1",
        &[
            "project: \"shop\"",
            "set: \"web\"",
            "revision: \"abc\"",
            "source: \"https://a\"",
            "cluster: \"dev-1\"",
            "app: \"web-1\"",
        ],
    ),
    (
        "diff --set web --revision main",
        &["set: \"web\"", "revision: \"main\""],
    ),
    ("diff", &["PreviewRequest", "set: \"\"", "revision: \"\""]),
    (
        "release diff set/web 7 8 -p shop --app a",
        &[
            "set: \"web\"",
            "from: 7",
            "to: 8",
            "project: \"shop\"",
            "app: \"a\"",
        ],
    ),
    (
        "trace deployments.apps/web -n shop -c dev-1 -p p",
        &[
            "kind: \"deployments.apps\"",
            "name: \"web\"",
            "namespace: \"shop\"",
            "cluster: \"dev-1\"",
            "project: \"p\"",
        ],
    ),
    (
        "why application/web-1 -p shop",
        &["name: \"web-1\"", "project: \"shop\""],
    ),
    (
        "tree application/offline --limit 2 -p shop",
        &["name: \"offline\"", "project: \"shop\"", "page_token: \"\""],
    ),
    ("refresh web", &["set: \"web\""]),
    (
        "sync application/web-dev-1",
        &["name: \"web-dev-1\"", "set: \"\""],
    ),
    (
        "sync --cluster dev-1",
        &["cluster: \"dev-1\"", "name: \"\""],
    ),
    (
        "hold approve hold/1 --reason ok",
        &["id: \"1\"", "reason: \"ok\""],
    ),
    (
        "cluster join-token eu --label env=prod --label rank=2 --ttl 15m --destination-server https://eu:6443",
        &[
            "cluster: \"eu\"",
            "\"env\": \"prod\"",
            "\"rank\": \"2\"",
            "ttl_ms: 900000",
            "[\"https://eu:6443\"]",
        ],
    ),
    (
        "cluster label cluster/eu a=1 b-",
        &["cluster: \"eu\"", "{\"a\": \"1\"}", "[\"b\"]"],
    ),
    (
        "cluster rotate cluster/eu --reason old",
        &["cluster: \"eu\"", "reason: \"old\""],
    ),
    (
        "cluster remove cluster/eu --reason old",
        &["cluster: \"eu\"", "reason: \"old\""],
    ),
    (
        "events --set set/web --cluster cluster/eu",
        &["set: \"web\"", "cluster: \"eu\"", "follow: false"],
    ),
    (
        "get apps -p shop --set web --cluster eu --limit 2",
        &[
            "project: \"shop\"",
            "set: \"web\"",
            "cluster: \"eu\"",
            "limit: 2",
        ],
    ),
    ("get sets --set web", &["name: \"web\""]),
    ("get release web/7", &["set: \"web\"", "name: \"7\""]),
];

#[tokio::test]
async fn requests_carry_what_the_user_said() {
    for (line, expected) in REQUESTS {
        let world = World::new();
        world.line(line).await.ok();
        let request = world.hub.only_request();
        for part in *expected {
            assert!(request.contains(part), "{line}: no {part} in {request}");
        }
    }
}

#[tokio::test]
async fn the_project_may_come_from_the_environment() {
    let world = World::new();
    let mut command = world.command(&["refresh", "web"]);
    command
        .env("TIDEGATE_CONFIG", &world.config)
        .env("TIDEGATE_PROJECT", "shop");
    ran(&mut command).await.ok();
    assert!(world.hub.only_request().contains("project: \"shop\""));
}

#[tokio::test]
async fn apply_takes_files_directories_and_standard_input() {
    let world = World::new();
    std::fs::create_dir(world.directory.path().join("sets")).unwrap();
    world.file("sets/a.yaml", "alpha");
    world.file("sets/b.json", "beta");
    world.file("c.yaml", "gamma");
    let out = world.line("apply -f sets -f c.yaml").await.ok();
    assert_eq!(
        out,
        "set/alpha created\nset/beta configured\nset/gamma unchanged\n"
    );
    let out = world.line("apply -f c.yaml --dry-run").await.ok();
    assert_eq!(out, "set/gamma created (dry run)\n");
    assert_eq!(
        world.line("apply -f c.yaml -o name").await.ok(),
        "set/gamma\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&world.line("apply -f c.yaml -o json").await.ok()).unwrap();
    assert_eq!(json["items"][0]["outcome"], "APPLY_OUTCOME_CREATED");

    let mut command = world.command(&["apply", "-f", "-"]);
    command
        .env("TIDEGATE_CONFIG", &world.config)
        .stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"delta")
        .await
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "set/delta created\n"
    );
}

#[tokio::test]
async fn a_wrong_document_is_told_with_its_place_and_has_its_own_code() {
    let world = World::new();
    world.file("web.yaml", "wrong");
    let told = world.line("apply -f web.yaml").await.failed(8);
    assert_eq!(
        told,
        "error: nothing was written:\nweb.yaml:1: kind: required\n"
    );
}

#[tokio::test]
async fn what_cannot_be_a_document_never_reaches_the_hub() {
    let world = World::new();
    let big = std::fs::File::create(world.directory.path().join("big.yaml")).unwrap();
    big.set_len(50_000_000).unwrap();
    assert!(
        world
            .line("apply -f big.yaml")
            .await
            .failed(8)
            .contains("big.yaml is too big")
    );
    std::fs::create_dir(world.directory.path().join("empty")).unwrap();
    assert!(
        world
            .line("apply -f empty")
            .await
            .failed(8)
            .contains("empty holds no")
    );
    assert!(
        world
            .line("apply -f none.yaml")
            .await
            .failed(1)
            .contains("failed to read none.yaml")
    );
    assert_eq!(world.hub.requests(), 0);
}

#[tokio::test]
async fn only_the_token_goes_to_standard_output() {
    let world = World::new();
    let ran = world.line("cluster join-token new --ca-out ca.pem").await;
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "tg-0123456789abcdef\n"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("cluster new may join") && ran.err.contains("59m"),
        "{ran:?}"
    );
    let ca = std::fs::read_to_string(world.directory.path().join("ca.pem")).unwrap();
    assert_eq!(ca, world.authority.pem);
}

#[tokio::test]
async fn a_new_user_can_speak_to_the_hub_with_the_file_alone() {
    let world = World::new();
    let told = world
        .line("user create lee --role viewer --out lee.yaml")
        .await
        .ok();
    assert!(
        told.contains("user/lee created as viewer") && told.contains("lee.yaml"),
        "{told}"
    );
    let request = world.hub.only_request();
    assert!(
        request.contains("name: \"lee\"") && request.contains("role: Viewer"),
        "{request}"
    );
    let path = world.directory.path().join("lee.yaml");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("PRIVATE KEY") && text.contains(&world.server()),
        "{text}"
    );
    let who = ran(&mut world.command(&["whoami", "--config", "lee.yaml"])).await;
    assert_eq!(who.err, "");
    assert!(
        who.ok()
            .starts_with("kim, operator of tidegate.local at https://localhost:")
    );
}

#[tokio::test]
async fn a_refused_user_leaves_no_file_and_an_existing_file_is_never_overwritten() {
    let world = World::new();
    world
        .line("user create forbidden --role admin --out x.yaml")
        .await
        .failed(4);
    assert!(!world.directory.path().join("x.yaml").exists());
    world.file("x.yaml", "precious");
    let told = world
        .line("user create lee --role admin --out x.yaml")
        .await
        .failed(2);
    assert!(told.contains("x.yaml"), "{told}");
    assert_eq!(
        std::fs::read_to_string(world.directory.path().join("x.yaml")).unwrap(),
        "precious"
    );
    assert_eq!(
        world.hub.requests(),
        1,
        "the hub made a user whose key could not be kept"
    );
}

#[tokio::test]
async fn a_source_that_fails_makes_refresh_fail_after_showing_the_others() {
    let world = World::new();
    let ran = world.line("refresh broken").await;
    assert!(ran.out.contains("8f14e45fceea"), "{ran:?}");
    assert!(ran.failed(1).contains("could not resolve host"));
}

#[tokio::test]
async fn completion_scripts_need_no_hub() {
    let world = World::new();
    for (shell, mark) in [
        ("bash", "complete -F _tidegate"),
        ("zsh", "#compdef tidegate"),
        ("fish", "complete -c tidegate"),
    ] {
        let script = ran(&mut world.command(&["completion", shell])).await.ok();
        assert!(script.contains(mark), "{shell}: {script}");
    }
}

#[tokio::test]
async fn an_agent_that_cannot_be_asked_makes_sync_fail_after_showing_the_others() {
    let world = World::new();
    let ran = world.line("sync --set web").await;
    assert!(
        ran.out.contains("web-dev-1   dev-1    reconciling"),
        "{}",
        ran.out
    );
    let told = ran.failed(1);
    assert_eq!(
        told,
        "error: failed to sync: web-prod-1 in prod-1: cluster c-2 has no session\n"
    );
    let told = world.line("sync").await.failed(2);
    assert!(
        told.contains("<APPLICATION|--set <NAME>|--cluster <NAME>>"),
        "{told}"
    );
}
