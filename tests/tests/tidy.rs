//! The house rules that a machine can hold: sizes, heads, names, dependency arrows, licences.
//!
//! Each check says which file breaks which rule; the rules themselves are in ARCHITECTURE.md.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// No file is longer, its tests included.
const LONGEST_FILE: usize = 600;
/// `main.rs` only parses, installs what is process-wide and runs.
const LONGEST_MAIN: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Files of the project as Git sees them, generated code left out.
fn files(ending: &str) -> Vec<(String, String)> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "git ls-files failed");
    let names = String::from_utf8(output.stdout).unwrap();
    names
        .lines()
        .filter(|name| name.ends_with(ending) && !name.contains("/gen/"))
        .filter_map(|name| Some((name.to_owned(), fs::read_to_string(root().join(name)).ok()?)))
        .collect()
}

#[test]
fn files_are_short_and_open_with_what_they_own() {
    let mut wrong = Vec::new();
    for (name, text) in files(".rs") {
        let lines = text.lines().count();
        let most = if name.ends_with("src/main.rs") {
            LONGEST_MAIN
        } else {
            LONGEST_FILE
        };
        if lines > most {
            wrong.push(format!("{name}: {lines} lines, at most {most}"));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{name}: does not open with //! and what it owns"));
        }
        if name.ends_with("/mod.rs") {
            wrong.push(format!(
                "{name}: no mod.rs; use a file of the module's name"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_unfinished_or_allowed_without_a_reason() {
    // Written so that this file does not contain them.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
    ];
    let mut wrong = Vec::new();
    for (name, text) in files(".rs") {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of every platform: on a fresh machine Cargo has fetched those of this one only, and fetches the
/// others now.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--all-features",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Who may use whom outside tests (ARCHITECTURE.md, "Map").
fn arrows() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let arrows: [(&str, &[&str]); 13] = [
        ("tidegate-proto", &[]),
        ("tidegate-protoc", &[]),
        ("tidegate-model", &[]),
        ("tidegate-generators", &["tidegate-model"]),
        ("tidegate-waves", &["tidegate-model"]),
        ("tidegate-render", &["tidegate-model"]),
        ("tidegate-store", &["tidegate-model"]),
        (
            "tidegate-hub",
            &[
                "tidegate-proto",
                "tidegate-model",
                "tidegate-generators",
                "tidegate-waves",
                "tidegate-render",
                "tidegate-store",
                "tidegate-telemetry",
            ],
        ),
        ("tidegate-telemetry", &[]),
        (
            "tidegate-agent",
            &["tidegate-proto", "tidegate-model", "tidegate-telemetry"],
        ),
        ("tidegate-sandbox", &[]),
        (
            "tidegate",
            &[
                "tidegate-proto",
                "tidegate-model",
                "tidegate-generators",
                "tidegate-waves",
                "tidegate-render",
                // Only for `tidegate up`, see `only_up_uses_the_fleet`.
                "tidegate-hub",
                "tidegate-agent",
                "tidegate-sandbox",
                "tidegate-telemetry",
            ],
        ),
        ("tidegate-tests", &[]),
    ];
    arrows
        .into_iter()
        .map(|(name, uses)| (name, uses.iter().copied().collect()))
        .collect()
}

#[test]
fn crates_use_only_what_their_arrows_say() {
    let metadata = metadata();
    let arrows = arrows();
    let ours: BTreeSet<&str> = arrows.keys().copied().collect();
    let mut wrong = Vec::new();
    for package in packages(&metadata).filter(|package| package["source"].is_null()) {
        let name = text(package, "name");
        let Some(allowed) = arrows.get(name) else {
            wrong.push(format!("{name} is not in the map of this test"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let used: BTreeSet<&str> = dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(dependency, "name"))
            .filter(|used| ours.contains(used))
            .collect();
        if name == "tidegate-tests" {
            continue;
        }
        let more = used.difference(allowed);
        wrong.extend(more.map(|used| format!("{name} may not use {used}")));
        let less = allowed.difference(&used);
        wrong.extend(less.map(|used| format!("{name} does not use {used}: take the arrow away")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_up_uses_the_fleet() {
    let uses = |text: &str| {
        [
            "tidegate_hub",
            "tidegate_agent",
            "tidegate_sandbox",
            "tidegate_telemetry",
        ]
        .iter()
        .any(|name| text.contains(name))
    };
    let mut wrong: Vec<_> = files(".rs")
        .into_iter()
        .filter(|(path, text)| path.starts_with("cli/src/") && uses(text))
        .map(|(path, _)| path)
        .collect();
    assert!(
        wrong.iter().any(|path| path.starts_with("cli/src/up/")),
        "the check finds nothing any more"
    );
    wrong.retain(|path| !path.starts_with("cli/src/up/"));
    assert!(
        wrong.is_empty(),
        "hub, agent, sandbox and telemetry are for `up` alone, not for {wrong:?}"
    );
}

/// What makes a crate impure: it must not even be reachable from the pure ones.
const IMPURE: [&str; 7] = [
    "tokio",
    "kube",
    "k8s-openapi",
    "tonic",
    "hyper",
    "rustls",
    "reqwest",
];

#[test]
fn the_pure_crates_reach_no_runtime_network_or_cluster() {
    let metadata = metadata();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    let names: BTreeMap<&str, &str> = packages(&metadata)
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let mut wrong = Vec::new();
    for pure in [
        "tidegate-model",
        "tidegate-generators",
        "tidegate-waves",
        "tidegate-render",
    ] {
        let start = names.iter().find(|(_, name)| **name == pure).unwrap().0;
        let mut open = vec![*start];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if IMPURE.contains(&names[id]) {
                wrong.push(format!("{pure} reaches {}", names[id]));
            }
            for dependency in nodes[id]["deps"].as_array().unwrap() {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                if kinds.iter().any(|kind| kind["kind"].is_null()) {
                    open.push(text(dependency, "pkg"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Licences that may be shipped with an Apache-2.0 program; the list of deny.toml.
const LICENCES: [&str; 15] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "CC0-1.0",
    "0BSD",
    "Unlicense",
    "CDLA-Permissive-2.0",
    "BSL-1.0",
    "OpenSSL",
];

/// Whether one of the alternatives of an SPDX expression is made of allowed licences only.
fn permitted(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" OR ").any(|choice| {
        choice.split(" AND ").all(|licence| {
            let licence = licence.trim().split(" WITH ").next().unwrap_or_default();
            LICENCES.contains(&licence)
        })
    })
}

#[test]
fn licences_are_permissive() {
    let metadata = metadata();
    let wrong: Vec<_> = packages(&metadata)
        .filter(|package| !permitted(text(package, "license")))
        .map(|package| {
            format!(
                "{} {}: {}",
                text(package, "name"),
                text(package, "version"),
                text(package, "license")
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        !permitted("GPL-3.0-only") && !permitted("MIT AND GPL-2.0") && permitted("GPL-2.0 OR MIT")
    );
}

#[test]
fn versions_stand_in_the_workspace_table_only() {
    let mut wrong = Vec::new();
    for (name, text) in files("Cargo.toml")
        .iter()
        .filter(|(name, _)| name != "Cargo.toml")
    {
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section.contains("dependencies") && line.contains('=') {
                let shared = line.contains("workspace = true");
                let versioned = line.contains("version") || line.contains("path =");
                if !shared || versioned {
                    wrong.push(format!("{name}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
