//! The examples of `docs/waves.md`, run by the shipped command.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use tidegate_model::{
    duration::Span,
    strategy::{
        Amount, Analysis, ApprovalGate, Approver, Condition, HttpCheck, Invoker, Limit,
        PrometheusQuery, Wave, Window, WindowAction, WindowKind,
    },
};
use tidegate_tests::story::product;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

fn page() -> String {
    read("docs/waves.md")
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
    // The example's set, with another strategy.
    let example = read("examples/waves/applicationset.yaml");
    let (set, _) = example.split_once("  strategy:\n").unwrap();
    write("set.yaml", &format!("{set}{strategy}"));
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
        (
            "  strategy: {type: RollingSync, rollingSync: {steps: [{maxUpdate: abc}]}}\n",
            "maxUpdate",
        ),
        (
            "  strategy: {type: RollingSync, rollingSync: {steps: [{maxUpdate: 150%}]}}\n",
            "maxUpdate",
        ),
        (
            "  strategy: {type: RollingSync, deletionOrder: Reverse, rollingSync: {steps: [{}]}}\n",
            "Reverse",
        ),
        (
            "  strategy: {type: Waves, waves: [{name: a, maxConcurrency: 0}]}\n",
            "maxConcurrency",
        ),
        (
            "  strategy: {type: Waves, waves: [{name: a, minHealthy: 0}]}\n",
            "minHealthy",
        ),
        (
            "  strategy: {type: Waves, waves: [{name: a, gates: {before: [{window: {kind: deny, tz: UTC, cron: 0 0 * * *, duration: 24h}}]}}]}\n",
            "never open",
        ),
        (
            "  strategy: {type: Waves, waves: [{name: a, gates: {after: [{window: {kind: deny, tz: UTC, cron: 0 0 * * *, duration: 1h}}]}}]}\n",
            "gates.after",
        ),
        (
            "  strategy: {type: Waves, waves: [{name: a, analysis: [{name: errors, http: {url: 'http://me:pw@h/'}, pass: '< 1'}]}]}\n",
            "credentials for providers are not supported yet",
        ),
    ] {
        let (taken, told) = expand(strategy);
        assert!(!taken && told.contains(why), "{strategy}: {told}");
    }
}

#[test]
fn a_mistake_in_a_window_is_told_with_its_place_and_what_to_do() {
    for (window, place, told) in [
        ("tz: UTC", ":", "missing field `kind`; add it"),
        ("kind: forbid", ".kind:", "expected `allow` or `deny`"),
        (
            "kind: deny, tz: UTC, hours: 2",
            ".hours:",
            "correct its name or remove it",
        ),
        (
            "kind: deny, tz: UTC, duration: 2 hours",
            ".duration:",
            "write it as 90s, 15m or 1h30m",
        ),
        (
            "kind: deny, tz: UTC, invokers: [robot]",
            ".invokers[0]:",
            "expected `automation` or `human`",
        ),
        (
            "kind: deny, tz: UTC, start: 2026-01-01",
            ".end (wave \"a\"):",
            "has a start and an end",
        ),
        (
            "kind: deny, tz: UTC, cron: 0 25 * * *, duration: 1h",
            ".cron (wave \"a\"):",
            "write minute, hour",
        ),
    ] {
        let gate = format!("{{window: {{{window}}}}}");
        let wave = format!("{{name: a, gates: {{before: [{gate}]}}}}");
        let refused = expand(&format!("  strategy: {{type: Waves, waves: [{wave}]}}\n"));
        let place = format!("strategy.waves[0].gates.before[0].window{place}");
        let named = refused.1.contains(&place) && refused.1.contains(told);
        assert!(!refused.0 && named, "{window}: {}", refused.1);
    }
}

/// What stands below this heading, up to the next.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let (_, below) = page.split_once(&format!("### {title}\n")).unwrap();
    below.split("\n#").next().unwrap()
}

/// The fields that the tables of a section have a row for, each without what is below it.
fn rows(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let code = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    code.filter_map(|field| field.split('.').next()).collect()
}

fn keys(it: &impl serde::Serialize) -> Vec<String> {
    let it = serde_json::to_value(it).unwrap();
    it.as_object().unwrap().keys().cloned().collect()
}

/// A window with all that one can have, though none has all of it.
fn window() -> Window {
    let text = |text: &str| Some(text.to_owned());
    Window {
        name: "n".to_owned(),
        kind: WindowKind::Deny,
        tz: "UTC".to_owned(),
        cron: text("0 0 * * *"),
        duration: Some(Span::secs(60)),
        start: text("2026-01-01"),
        end: text("2026-01-02"),
        actions: vec![WindowAction::Assign],
        invokers: vec![Invoker::Human],
    }
}

/// An analysis with all that one can have, though none has all of it.
fn analysis() -> Analysis {
    Analysis {
        name: "n".to_owned(),
        prometheus: Some(PrometheusQuery {
            server: "http://p".to_owned(),
            query: "up".to_owned(),
        }),
        http: Some(HttpCheck {
            url: "http://h".to_owned(),
            value: String::new(),
        }),
        pass: Condition::parse("< 1").ok(),
        fail: Condition::parse("> 1").ok(),
        interval: Span::secs(1),
        count: 1,
        inconclusive_limit: 0,
    }
}

/// A field that the page does not name is one that nobody finds.
#[test]
fn every_field_of_a_wave_is_on_the_page() {
    let page = page();
    let wave = Wave {
        limit: Some(Limit::default()),
        max_concurrency: Some(Amount::Count(1)),
        max_unavailable: Some(Amount::Count(1)),
        analysis: vec![analysis()],
        ..Wave::named("x")
    };
    let approver = Approver {
        group: "g".to_owned(),
        user: "u".to_owned(),
        required: true,
    };
    let gate = ApprovalGate {
        min_approvals: 1,
        approvers: vec![approver.clone()],
        separation_of_duties: true,
        expires: Some(Span::secs(1)),
    };
    for (title, fields) in [
        ("Fields of a wave", keys(&wave)),
        ("Fields of `analysis`", keys(&analysis())),
        ("Fields of `approval`", keys(&gate)),
        ("Fields of `window`", keys(&window())),
    ] {
        let rows = rows(section(&page, title));
        for field in fields {
            let named = rows.contains(&&*field);
            assert!(named, "{title} in docs/waves.md has no row for {field}");
        }
    }
    // An approver has no table: its fields are code in the row of `approvers`.
    let row = page.lines().find(|line| line.starts_with("| `approvers`"));
    for field in keys(&approver) {
        let forms = [format!("`{field}: "), format!("{{{field}: ")];
        let named = forms.iter().any(|form| row.unwrap().contains(form));
        assert!(named, "the row of approvers does not name {field}");
    }
}
