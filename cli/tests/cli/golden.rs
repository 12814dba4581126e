//! What each command prints, in every form, held as golden files.

use crate::{data, world::World};

/// Every command that shows or does something, with its happy path.
const COMMANDS: &[&str] = &[
    "diff web",
    "plan web",
    "release diff web 7 8",
    "trace deployment/web -n shop --cluster prod-eu-1",
    "trace cm/old --cluster prod-eu-1",
    "why web-prod-eu-central-1",
    "why fine",
    "tree web-dev-eu-central-1",
    "tree offline",
    "get sets",
    "get set web",
    "get set ingress-controllers",
    "get waveplans",
    "get waveplan standard",
    "get apps --set web",
    "get app web-prod-eu-central-1",
    "get app web-prod-us-east-2",
    "get clusters",
    "get releases",
    "get runs",
    "get sources",
    "get holds",
    "get pins",
    "get audit",
    "run explain --set web",
    "run explain good",
    "run pause --set web --reason incident",
    "run resume --set web",
    "run cancel --set web",
    "run retry --set web --reason quota",
    "run skip --set web --cluster dev-1 --reason closed",
    "delete set web --reason moved",
    "delete waveplan unused --reason old",
    "rollback web --reason bad",
    "rollback web --to 5 --dry-run --reason bad",
    "unpin web --reason fixed",
    "refresh web",
    "sync web-dev-1",
    "hold approve 3f9a1c0b77de --reason wanted",
    "cluster rotate dev-eu-central-1 --reason laptop",
    "cluster rotate new",
    "cluster rotate dev-eu-central-1 --wait",
    "cluster remove new",
    "whoami",
    "version",
];

/// Every kind that can be described.
pub(crate) const DESCRIBE: &[&str] = &[
    "describe set web",
    "describe set/ingress-controllers",
    "describe waveplan standard",
    "describe app web-prod-eu-central-1",
    "describe app web-prod-us-east-2",
    "describe application/web-new",
    "describe cluster dev-eu-central-1",
    "describe cluster new",
    "describe release web/7",
    "describe release --set web",
    "describe run --set web",
    "describe run 0197e0aa-1b20-7d11-8a44-10c2f3a4b5c6",
    "describe source https://git.example/platform/web.git",
    "describe hold 3f9a1c0b77de",
    "describe pin web-prod-us-east-2",
];

/// Lists and logs under the names that belong to their kind.
pub(crate) const LISTS: &[&str] = &[
    "cluster list",
    "release list --set web --limit 3",
    "release show web/7",
    "release show --set web",
    "audit log",
    "audit log -p _",
    "audit verify",
    "audit replay -p replayed",
    "events --set web",
];

/// What concerns the file of contexts.
const CONFIG: &[&str] = &[
    "config get-contexts",
    "config current-context",
    "config use-context test",
    "config view",
    "config add second.yaml --as second",
    "config add second.yaml --as second --overwrite",
    "config rename-context second third",
    "config delete-context third",
];

/// Replaces what differs from one test to the next: ports, certificates, times.
pub(crate) fn steady(text: &str, world: &World) -> String {
    let pem = &world.authority.pem;
    let indented: String = pem
        .lines()
        .flat_map(|line| {
            [
                "  ", line, "
",
            ]
        })
        .collect();
    let text = text
        .replace(
            &format!("localhost:{}", world.address.port()),
            "localhost:PORT",
        )
        .replace(&world.directory.path().display().to_string(), "DIRECTORY")
        .replace(&indented, "  CA\n")
        .replace(&pem.replace('\n', "\\n"), "CA");
    let mut steady = String::new();
    for piece in text.split_inclusive(|character: char| !character.is_ascii_digit()) {
        let digits = piece.trim_end_matches(|character: char| !character.is_ascii_digit());
        // Unix milliseconds have 13 digits until the year 2286; so may a part of a digest.
        let hex = |character: char| character.is_ascii_hexdigit();
        let within = steady.ends_with(hex) || piece[digits.len()..].starts_with(hex);
        steady.push_str(if digits.len() == 13 && !within {
            "MILLISECONDS"
        } else {
            digits
        });
        steady.push_str(&piece[digits.len()..]);
    }
    hashes(&moments(&steady))
}

/// Digests that hold a time; canned ones are of one digit.
fn hashes(text: &str) -> String {
    let mut pieces = text.split("sha256:");
    let mut steady = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        steady.push_str("sha256:");
        let digits = piece.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (digest, rest) = piece.split_at(digits);
        let canned = digest
            .bytes()
            .all(|digit| Some(&digit) == digest.as_bytes().first());
        steady.push_str(if digits == 64 && !canned {
            "HASH"
        } else {
            digest
        });
        steady.push_str(rest);
    }
    steady
}

/// `2026-11-27T16:44:44Z` differs from one second to the next.
fn moments(text: &str) -> String {
    let is_moment = |piece: &str| {
        let form = "dddd-dd-ddTdd:dd:ddZ";
        piece.len() == form.len()
            && piece.bytes().zip(form.bytes()).all(|(byte, form)| {
                if form == b'd' {
                    byte.is_ascii_digit()
                } else {
                    byte == form
                }
            })
    };
    text.split_inclusive([' ', '\n'])
        .map(|piece| {
            let word = piece.trim_end_matches([' ', '\n']);
            if is_moment(word) {
                piece.replace(word, "YYYY-MM-DDThh:mm:ssZ")
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

/// One golden file a form, with every command of the group in it.
async fn golden(group: &str, form: &str, commands: &[&str]) {
    let world = World::new();
    std::fs::copy(&world.config, world.directory.path().join("second.yaml")).unwrap();
    let mut transcript = Vec::new();
    for line in commands {
        let shown = world.line(&format!("{line} -o {form}")).await.ok();
        transcript.push(format!(
            "$ tidegate {line} -o {form}\n{}",
            steady(&shown, &world)
        ));
    }
    let transcript = transcript.join("\n");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("{group}{form}"), transcript);
    });
}

#[tokio::test]
async fn tables_are_as_agreed() {
    golden("", "table", COMMANDS).await;
    golden("lists-", "table", LISTS).await;
    golden("config-", "table", CONFIG).await;
    golden("describe-", "table", DESCRIBE).await;
}

#[tokio::test]
async fn json_is_as_agreed() {
    golden("", "json", COMMANDS).await;
    golden("lists-", "json", LISTS).await;
    golden("config-", "json", CONFIG).await;
    golden("describe-", "json", DESCRIBE).await;
}

#[tokio::test]
async fn yaml_is_as_agreed() {
    golden("", "yaml", COMMANDS).await;
    golden("lists-", "yaml", LISTS).await;
    golden("config-", "yaml", CONFIG).await;
    golden("describe-", "yaml", DESCRIBE).await;
}

#[tokio::test]
async fn names_are_as_agreed() {
    golden("", "name", COMMANDS).await;
    golden("lists-", "name", LISTS).await;
    golden("config-", "name", CONFIG).await;
    golden("describe-", "name", DESCRIBE).await;
}

#[tokio::test]
async fn tables_fit_80_columns_and_never_colour_or_steer_what_is_no_terminal() {
    let world = World::new();
    let verbs = ["get", "diff", "release", "trace", "why", "tree"];
    let shows =
        |line: &&&str| verbs.iter().any(|verb| line.starts_with(verb)) || line.contains("explain");
    for line in COMMANDS.iter().filter(shows).chain(DESCRIBE).chain(LISTS) {
        let shown = world.line(line).await.ok();
        for shown in shown.lines() {
            let columns = shown.chars().count();
            assert!(columns <= 80, "{line}: {columns} columns: {shown}");
            assert!(!shown.contains('\u{1b}'), "{line}: {shown:?}");
        }
    }
}

#[tokio::test]
async fn json_says_the_same_as_yaml_and_reads_back() {
    let world = World::new();
    for line in COMMANDS.iter().chain(DESCRIBE).chain(LISTS) {
        let json = world.line(&format!("{line} -o json")).await.ok();
        let yaml = world.line(&format!("{line} -o yaml")).await.ok();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut yaml: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
        let mut json = json;
        forget_times(&mut json);
        forget_times(&mut yaml);
        assert_eq!(json, yaml, "{line}");
    }
}

/// The canned hub computes its times when it is asked.
fn forget_times(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|key, _| !key.ends_with("Ms"));
            fields.values_mut().for_each(forget_times);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(forget_times),
        _ => {}
    }
}

#[tokio::test]
async fn every_page_of_a_list_is_shown() {
    let world = World::new();
    let names = world.line("get apps -o name").await.ok();
    let expected: Vec<_> = data::apps()
        .iter()
        .map(|app| format!("application/{}", app.name))
        .collect();
    assert_eq!(names.lines().collect::<Vec<_>>(), expected);
    let audit = world.line("get audit -o name").await.ok();
    assert_eq!(
        audit.lines().collect::<Vec<_>>(),
        ["audit/1", "audit/2", "audit/3", "audit/4"]
    );
    let limited = world.line("get apps --limit 3 -o name").await.ok();
    assert_eq!(limited.lines().count(), 3);
    let newest = world.line("get audit --limit 1 -o name").await.ok();
    assert_eq!(newest, "audit/4\n");
}

#[tokio::test]
async fn an_empty_list_is_no_failure_and_says_so_beside_the_results() {
    let world = World::new();
    let ran = world.line("get sets -p nothing").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert_eq!(ran.err, "no sets in project nothing\n");
    let json = world.line("get sets -p nothing -o json").await.ok();
    assert_eq!(
        json.split_whitespace().collect::<String>(),
        r#"{"items":[]}"#
    );
}
