//! The manifest reader against the real `kubectl`: what both read they read as the same value, and
//! what `kubectl` refuses here Tidegate refuses. Tidegate may refuse more: it does not let pass
//! what `kubectl` changes without a word.
//!
//! Needs no cluster: `kubectl patch --local` reads a file and prints it. `TIDEGATE_KUBECTL` names
//! the binary, otherwise the one on PATH is taken. Without any the tests say that they are
//! skipped; with `TIDEGATE_REQUIRE_REAL=1` that is a failure.

#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests panic, but not the helpers of an integration test"
)]

use std::{
    env,
    fmt::Write as _,
    fs,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tidegate_model::manifest::{self, Limits};

const HEAD: &str = "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: x}\n";

/// The real thing.
struct Kubectl {
    program: String,
    directory: tempfile::TempDir,
}

impl Kubectl {
    /// `None` when there is none and none is required.
    fn find(test: &str) -> Option<Self> {
        let program = env::var("TIDEGATE_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        let works = Command::new(&program)
            .args(["version", "--client"])
            .output()
            .is_ok_and(|output| output.status.success());
        if works {
            let directory = tempfile::tempdir().unwrap();
            return Some(Self { program, directory });
        }
        let required = env::var("TIDEGATE_REQUIRE_REAL").is_ok_and(|it| it == "1");
        assert!(
            !required,
            "{test}: {program} does not run, and TIDEGATE_REQUIRE_REAL=1"
        );
        eprintln!("skipped {test}: {program} does not run");
        None
    }

    /// The documents that `kubectl` reads from `text`, or what it says against it.
    fn read(&self, text: &str) -> Result<Vec<Value>, String> {
        let file = self.directory.path().join("manifest.yaml");
        fs::write(&file, text).unwrap();
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(&self.program)
            .args([
                "patch",
                "--local",
                "--type=merge",
                "--patch={}",
                "--output=json",
                "-f",
            ])
            .arg(&file)
            // No configuration of this machine may play a part.
            .env("KUBECONFIG", self.directory.path().join("none"))
            .output()
            .unwrap();
        if !status.success() {
            return Err(String::from_utf8_lossy(&stderr).into_owned());
        }
        let values = serde_json::Deserializer::from_slice(&stdout).into_iter::<Value>();
        Ok(values.map(|it| one_spelling(it.unwrap())).collect())
    }
}

/// Go prints a float without fraction as an integer, and larger ones than Rust does.
fn one_spelling(value: Value) -> Value {
    match value {
        Value::Number(it) if it.is_i64() => Value::Number(it),
        Value::Number(it) => {
            let float = it.as_f64().unwrap();
            let whole = float.fract() == 0.0 && float.abs() < 9.2e18;
            if whole {
                json!(format!("{float:.0}").parse::<i64>().unwrap())
            } else {
                json!(float)
            }
        }
        Value::Array(items) => items.into_iter().map(one_spelling).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, it)| (key, one_spelling(it)))
            .collect(),
        other => other,
    }
}

fn ours(text: &str) -> Result<Vec<Value>, String> {
    manifest::read(text, "manifest.yaml", &Limits::default())
        .map(|documents| documents.into_iter().map(|it| it.value).collect())
        .map_err(|error| error.to_string())
}

/// Every text of at most `length` characters that can look like a number.
fn number_like(length: u32) -> Vec<String> {
    let alphabet = ['0', '1', '9', '_', '.', 'e', '+', '-', 'x', 'o', 'b'];
    let mut all = vec![String::new()];
    let mut longest = all.clone();
    for _ in 0..length {
        longest = longest
            .iter()
            .flat_map(|text| alphabet.iter().map(move |c| format!("{text}{c}")))
            .collect();
        all.extend(longest.iter().cloned());
    }
    all
}

#[test]
fn every_short_number_is_read_as_kubectl_reads_it() {
    let Some(kubectl) = Kubectl::find("every_short_number_is_read_as_kubectl_reads_it") else {
        return;
    };
    let mut text = format!("{HEAD}spec:\n");
    // A minus alone is the start of a list, three of them of a document.
    let scalars: Vec<_> = number_like(4)
        .into_iter()
        .filter(|it| it != "-" && it != "---" && !it.starts_with("---"))
        .collect();
    for scalar in &scalars {
        writeln!(text, "- {scalar}").unwrap();
    }
    let (ours, theirs) = (ours(&text).unwrap(), kubectl.read(&text).unwrap());
    for (at, scalar) in scalars.iter().enumerate() {
        assert_eq!(ours[0]["spec"][at], theirs[0]["spec"][at], "{scalar:?}");
    }
    assert_eq!(ours, theirs);
}

#[test]
fn words_keys_and_tags_are_read_as_kubectl_reads_them() {
    let Some(kubectl) = Kubectl::find("words_keys_and_tags_are_read_as_kubectl_reads_them") else {
        return;
    };
    let mut checked = 0;
    for fragment in [
        "[yes, Yes, YES, yEs, on, On, y, Y, true, True, tRue, no, NO, off, n, N, false, FALSE]",
        "[~, null, Null, NULL, nUll, '', \"\", 'null', nil, none]",
        "[22:30, 190:20:30, 2026-11-23, 2001-12-14t21:59:43.10-05:00, 12:30:45.5]",
        "[0644, '0644', 0o644, 0x1F, 0b11, -0644, +0644, 1_000, 685.230_15e+03, 1e400, 1e-400]",
        "[9223372036854775807, -9223372036854775808, 1e18, 9.2e18, 9.3e18, 1e20, 1e21, 1.5e300]",
        "[0.1, 0.30000000000000004, 5e-324, 1.7976931348623157e308, 9007199254740993.0, 3.00]",
        "[0xffffffffffffffffffffffff, ._1, .1_0, .1__0, .1_, 1__0, _1, 08, 0_7, -0, -0.0]",
        "[!!str 12, !!int '12', !!float 3, !!bool 'yes', !!null '', !!binary aGk=, ! 12]",
        "[=, <<, a b, http://a.b:80/c#d, \"x\\ty\\u00e9\", 'it''s', a:b, -x]",
        "{1: a, 0x10: b, 0644: c, 1.5: d, y: e, 2026-01-01: f, '2': g, -1: h, x: i}",
        "{&k 1: x, b: *k}",
        "{a: , b: [], c: {}, d: [a: 1, b], {}: x}",
        "{a: {\"b\":1}, c: [\"a\",\"b\"], d: {b:1}, e: {a: b:c}}",
        "{x: &x {a: 1, b: 2}, z: {<<: *x, b: 3}, w: {b: 3, <<: *x}, v: {'<<': *x}}",
        "{x: &x {a: 1}, w: &w {a: 2, b: 5}, z: {<<: [*x, *w]}, r: {<<: {k: v}}}",
        "{x: &x {a: 1}, z: {<<: *x, <<: {b: 2}}, &k k: 1, v: *k, *k : 2}",
        "|\n  a\n\n   b\n  ---\n  c\n",
        ">-\n  a\n  b\n\n  c\n   d\n  e\n\n",
        "|+\n  a\n\n",
        "|2\n   a\n",
        "\n- 1\n- - 2\n  - 3\n-\n- {a: }\n- ? x\n  : y\n",
        "{a: 1\n}\n",
        "\"a\n  b\\\n  c\"\n",
        "a\n  b\n  c\n",
        "&a [*a]",
        "{? [a] : b}",
        "[.inf]",
        "[!!int abc]",
        "*nope",
        "[1,2",
        "a: b",
        "@a",
        "%a",
    ] {
        let text = format!("{HEAD}spec: {fragment}");
        match (ours(&text), kubectl.read(&text)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours, theirs, "{fragment}");
                checked += 1;
            }
            (Ok(ours), Err(theirs)) => panic!("{fragment}: {ours:?}, but kubectl: {theirs}"),
            // Refusing more than kubectl is what the reader is for.
            (Err(_), _) => {}
        }
    }
    assert!(checked >= 20, "only {checked} fragments could be compared");
}

#[test]
fn streams_are_read_as_kubectl_reads_them() {
    let Some(kubectl) = Kubectl::find("streams_are_read_as_kubectl_reads_them") else {
        return;
    };
    let foo =
        |name: &str| format!("apiVersion: example.com/v1\nkind: Foo\nmetadata: {{name: {name}}}\n");
    let json = json!({"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "j", "annotations": {"x": "😀"}}, "n": 1.5});
    for text in [
        format!(
            "# only a comment\n---\n\n---\n{}--- # x\n---\n{}...\n---\nnull\n",
            foo("a"),
            foo("b")
        ),
        format!("\u{feff}{}", foo("bom")),
        foo("crlf").replace('\n', "\r\n"),
        foo("no-newline").trim_end().to_owned(),
        format!("{json}\n{json}"),
        format!("{json:#}").replace("  ", "\t"),
        format!("{}spec: {{a: |\n", foo("broken")),
    ] {
        match (ours(&text), kubectl.read(&text)) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{text}"),
            (Ok(ours), Err(theirs)) => panic!("{text}: {ours:?}, but kubectl: {theirs}"),
            (Err(ours), Ok(theirs)) => panic!("{text}: kubectl reads {theirs:?}, but: {ours}"),
            (Err(_), Err(_)) => {}
        }
    }
}
