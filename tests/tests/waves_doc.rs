//! The examples of `docs/waves.md`, run by the shipped command.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use tidegate_tests::story::product;

const SET: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: ApplicationSet
metadata: {name: web}
spec:
  generators: [{clusters: {}}]
  template:
    metadata: {name: 'web-{{.name}}'}
    spec:
      source: {repoURL: 'https://git.example.com/web.git', targetRevision: main, path: web}
      destination: {name: '{{.name}}', namespace: default}
";

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/waves.md");
    fs::read_to_string(path).unwrap()
}

/// The YAML blocks of the page, each with its line.
fn examples(page: &str) -> Vec<(usize, String)> {
    let mut examples: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (n, line) in page.lines().enumerate() {
        match line {
            "```yaml" => {
                inside = true;
                examples.push((n + 2, String::new()));
            }
            "```" => inside = false,
            line if inside => {
                let (_, text) = examples.last_mut().unwrap();
                text.extend(["  ", line, "\n"]);
            }
            _ => {}
        }
    }
    examples
}

/// What `tidegate expand` says of a set with this strategy: its status and what it printed.
fn expand(strategy: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("set.yaml", &format!("{SET}{strategy}"));
    write(
        "clusters.yaml",
        "- {name: a, labels: {env: dev}}\n- {name: b, labels: {env: prod}}\n",
    );
    let output = Command::new(product("tidegate").unwrap())
        .args([
            "expand",
            "-f",
            "set.yaml",
            "--clusters",
            "clusters.yaml",
            "-o",
            "name",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

#[test]
fn every_example_is_taken_as_it_is_written() {
    let page = page();
    let examples = examples(&page);
    assert!(examples.len() >= 8, "{}", examples.len());
    for (line, strategy) in examples {
        let (taken, told) = expand(&strategy);
        assert!(taken, "docs/waves.md:{line}: {told}");
        assert_eq!(told.lines().count(), 2, "docs/waves.md:{line}: {told}");
    }
}

#[test]
fn what_the_page_says_is_refused_is_refused() {
    for (strategy, why) in [
        ("  strategy: {type: RollingSync}\n", "RollingSync"),
        (
            "  strategy: {type: Waves, waves: [{name: a, maxConcurrency: 0}]}\n",
            "maxConcurrency",
        ),
        (
            "  strategy: {type: Waves, waves: [{name: a, minHealthy: 0}]}\n",
            "minHealthy",
        ),
    ] {
        let (taken, told) = expand(strategy);
        assert!(!taken && told.contains(why), "{strategy}: {told}");
    }
}

/// A field that the page does not name is one that nobody finds.
#[test]
fn every_field_of_a_wave_is_on_the_page() {
    let page = page();
    let wave = serde_json::to_value(tidegate_model::strategy::Wave::named("x")).unwrap();
    let optional = ["limit", "maxConcurrency", "maxUnavailable", "byLabel"];
    let named = wave.as_object().unwrap().keys().map(String::as_str);
    for field in named.chain(optional) {
        assert!(page.contains(field), "docs/waves.md does not name {field}");
    }
    for field in [
        "minApprovals",
        "approvers",
        "required",
        "separationOfDuties",
        "expires",
    ] {
        assert!(page.contains(field), "docs/waves.md does not name {field}");
    }
}
