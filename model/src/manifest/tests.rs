//! The reader against tables: what `kubectl` makes of each text, and what is refused.

use std::{fmt::Write as _, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn one(text: &str) -> Value {
    let mut documents = read(text, "f.yaml", &Limits::default()).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).value
}

fn refused(text: &str) -> String {
    match read(text, "f.yaml", &Limits::default()) {
        Err(error) => error.to_string(),
        Ok(documents) => panic!("{text:?} was read as {documents:?}"),
    }
}

/// Text of a value, and the JSON that `kubectl` makes of it.
const SCALARS: &[(&str, &str)] = &[
    ("0644", "420"),
    ("0o644", "420"),
    ("-0644", "-420"),
    ("0x1F", "31"),
    ("0b11", "3"),
    ("-0b11", "-3"),
    ("0X1f", "31"),
    ("yes", "true"),
    ("on", "true"),
    ("y", "true"),
    ("NO", "false"),
    ("Off", "false"),
    ("tRue", r#""tRue""#),
    ("~", "null"),
    ("NULL", "null"),
    ("nUll", r#""nUll""#),
    ("''", r#""""#),
    ("1_000", "1000"),
    ("_1", r#""_1""#),
    ("0x_1", "1"),
    ("1e3", "1000"),
    ("12e03", "12000"),
    ("1_e3", "1000"),
    ("08", "8"),
    ("09.5", "9.5"),
    ("+1", "1"),
    (".5", "0.5"),
    (".1_0", "0.1"),
    ("1.", "1"),
    ("1.e3", "1000"),
    ("-.5e3", "-500"),
    ("-0", "0"),
    ("-0.0", "0"),
    ("3.00", "3"),
    ("0x", r#""0x""#),
    ("0b2", r#""0b2""#),
    ("1e", r#""1e""#),
    ("1.2.3", r#""1.2.3""#),
    ("1,000", r#""1,000""#),
    ("22:30", r#""22:30""#),
    ("2026-11-23", r#""2026-11-23""#),
    ("2001-01-01 00:00:00", r#""2001-01-01 00:00:00""#),
    ("9223372036854775807", "9223372036854775807"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("1e18", "1000000000000000000"),
    ("1e21", "1e21"),
    ("1e400", r#""1e400""#),
    ("1e-400", "0"),
    ("0.30000000000000004", "0.30000000000000004"),
    (
        "0xffffffffffffffffffffffffffffffffffffffff",
        r#""0xffffffffffffffffffffffffffffffffffffffff""#,
    ),
    ("'0644'", r#""0644""#),
    ("!!str 12", r#""12""#),
    ("! 12", r#""12""#),
    ("!<tag:yaml.org,2002:str> 12", r#""12""#),
    ("!!int '12'", "12"),
    ("!!float 3", "3"),
    ("!!bool 'yes'", "true"),
    ("!!null ''", "null"),
    ("!!binary aGk=", r#""hi""#),
    ("!!seq [1]", "[1]"),
    ("=", r#""=""#),
    ("<<", r#""<<""#),
    ("http://x.y/z#frag", r#""http://x.y/z#frag""#),
];

#[test]
fn scalars_are_what_kubectl_makes_of_them() {
    for (text, want) in SCALARS {
        let want: Value = serde_json::from_str(want).unwrap();
        assert_eq!(one(&format!("a: {text}\n")), json!({"a": want}), "{text}");
    }
}

#[test]
fn keys_are_what_kubectl_makes_of_them() {
    for (text, want) in [
        ("1: x", "1"),
        ("0x10: x", "16"),
        ("0644: x", "420"),
        ("1.5: x", "1.5"),
        ("y: x", "true"),
        ("no: x", "false"),
        ("'y': x", "y"),
        ("2026-01-01: x", "2026-01-01"),
        ("\"<<\": x", "<<"),
        ("{b:1}: x", ""),
    ] {
        match want {
            "" => assert!(refused(text).contains("cannot be a key"), "{text}"),
            want => assert_eq!(one(text), json!({want: "x"}), "{text}"),
        }
    }
}

/// Text, where it is refused, and words of the reason.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "a: 1\nb: 2\na: 3\n",
        "f.yaml:3:1",
        "key \"a\" is already set on line 1",
    ),
    (
        "a:\n  1: x\n  '1': y\n",
        "f.yaml:3:3",
        "key \"1\" is already set on line 2",
    ),
    (
        "a: 9223372036854775808",
        "f.yaml:1:4",
        "does not fit 64 bits",
    ),
    (
        "a: 123456789012345678901234567890",
        "f.yaml:1:4",
        "does not fit 64 bits",
    ),
    (
        "a: -9223372036854775809",
        "f.yaml:1:4",
        "does not fit 64 bits",
    ),
    (
        "a: 0xffffffffffffffff",
        "f.yaml:1:4",
        "does not fit 64 bits",
    ),
    ("a: .inf", "f.yaml:1:4", "cannot be written in JSON"),
    ("a: [1, -.INF]", "f.yaml:1:8", "cannot be written in JSON"),
    ("a: .nan", "f.yaml:1:4", "cannot be written in JSON"),
    ("a: !foo x", "f.yaml:1:", "tag !foo has no meaning"),
    ("a: !foo {b: 1}", "f.yaml:1:", "tag !foo has no meaning"),
    ("a: !!set {b}", "f.yaml:1:", "tag !!set has no meaning"),
    ("a: !!int 1e3", "f.yaml:1:", "\"1e3\" is not a !!int"),
    ("a: !!null x", "f.yaml:1:", "\"x\" is not a !!null"),
    ("a: !!binary '%'", "f.yaml:1:", "needs base64"),
    (
        "a: !!binary gIGC",
        "f.yaml:1:",
        "needs base64 of UTF-8 text",
    ),
    ("1.10: x", "f.yaml:1:1", "quote it"),
    ("~: x", "f.yaml:1:1", "null cannot be a key"),
    ("? [a]\n: b", "f.yaml:1:3", "a list cannot be a key"),
    ("a: &a [*a]", "f.yaml:1:8", "inside the value it names"),
    ("a: *nope", "f.yaml:1:4", "anchor"),
    ("<<: 5", "f.yaml:1:5", "<< takes a map"),
    (
        "x: &x [{a: 1}]\nz: {<<: *x}",
        "f.yaml:2:9",
        "<< takes a map",
    ),
    ("a: b: c", "f.yaml:1:", "correct the syntax"),
    ("a:\n    - b\n   - c", "f.yaml:", "correct the syntax"),
    ("a:\n\tb: 1", "f.yaml:2:", "correct the syntax"),
    ("a: [1,2\nb: 3", "f.yaml:", "correct the syntax"),
];

#[test]
fn what_would_be_changed_without_a_word_is_refused() {
    for (text, place, what) in REFUSED {
        let error = refused(text);
        assert!(
            error.starts_with(&format!("failed to read {place}")),
            "{error}"
        );
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn merge_keys_follow_kubectl() {
    let base = "x: &x {a: 1, b: 2}\nw: &w {a: 9, c: 3}\n";
    for (text, want) in [
        ("{<<: *x, b: 3}", json!({"a": 1, "b": 3})),
        // A later merge replaces: not YAML's rule, but what the server gets from kubectl.
        ("{b: 3, <<: *x}", json!({"a": 1, "b": 2})),
        ("{<<: [*x, *w]}", json!({"a": 1, "b": 2, "c": 3})),
        ("{<<: {k: v}}", json!({"k": "v"})),
        ("{<<: *x, <<: *w}", json!({"a": 9, "b": 2, "c": 3})),
        ("{\"<<\": 1}", json!({"<<": 1})),
    ] {
        let value = one(&format!("{base}z: {text}\n"));
        assert_eq!(value["z"], want, "{text}");
    }
    assert!(refused(&format!("{base}z: {{b: 3, <<: *x, b: 4}}")).contains("already set"));
}

#[test]
fn an_alias_of_a_key_is_its_value() {
    assert_eq!(one("{&k 1: x, b: *k}"), json!({"1": "x", "b": 1}));
    assert_eq!(one("{a: &k c, *k : 2}"), json!({"a": "c", "c": 2}));
    assert!(refused("{a: &k [1], *k : 2}").contains("a list cannot be a key"));
}

#[test]
fn streams_lose_their_empty_documents_and_lists_their_wrapper() {
    let text = "# c\n---\n\n---\n# only a comment\n---\nkind: A\n--- # x\n---\nkind: B\n...\n---\nnull\n---\n\
                apiVersion: v1\nkind: List\nitems:\n- kind: C\n- apiVersion: v1\n  kind: List\n  items:\n  - kind: D\n    x: 1\n";
    let documents = read(text, "f.yaml", &Limits::default()).unwrap();
    let seen: Vec<_> = documents
        .iter()
        .map(|it| (it.index, it.line, it.value["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [(0, 7, "A"), (1, 10, "B"), (2, 18, "C"), (3, 22, "D")]
    );
    assert_eq!(documents[3].line_of("/x"), 23);
    assert_eq!(
        read_documents(text, "f.yaml", &Limits::default())
            .unwrap()
            .len(),
        3
    );
    for bad in ["items: 5", "other: 1", "items: [1]"] {
        let error = refused(&format!("apiVersion: v1\nkind: List\n{bad}\n"));
        assert!(
            error.starts_with("failed to read f.yaml:") && error.contains("v1 List"),
            "{error}"
        );
    }
}

#[test]
fn every_value_knows_its_line() {
    let text = "a: 1\nb:\n  c/d:\n  - x\n  -\n    e~f: 2\n  g: |\n    text\n\nh: 3\n";
    let documents = read(text, "f.yaml", &Limits::default()).unwrap();
    for (pointer, line) in [
        ("", 1),
        ("/a", 1),
        ("/b", 2),
        ("/b/c~1d", 3),
        ("/b/c~1d/0", 4),
        ("/b/c~1d/1", 6),
        ("/b/c~1d/1/e~0f", 6),
        ("/b/g", 7),
        ("/h", 10),
        ("/b/missing/deeper", 2),
    ] {
        assert_eq!(documents[0].line_of(pointer), line, "{pointer}");
    }
}

#[test]
fn json_is_read_as_json() {
    let text = "{\n\t\"a\": \"\\ud83d\\ude00\\/\",\n\t\"b\": [1e3, 1.0, -0.0,\n\t\t-7, 1e30]\n}\n{\"c\": true}\n";
    let documents = read(text, "f.json", &Limits::default()).unwrap();
    let want = json!({"a": "😀/", "b": [1000, 1, 0, -7, 1e30]});
    assert_eq!(documents[0].value, want);
    assert_eq!(documents[1].value, json!({"c": true}));
    assert_eq!(documents[0].line_of("/b"), 3);
    assert_eq!(documents[0].line_of("/b/3"), 4);
    assert_eq!(documents[1].line, 6);
    for (text, start) in [
        (
            "{\n\"a\": 1,\n\"a\": 2}",
            "failed to read f.json:3: key \"a\" is already set on line 2",
        ),
        (
            "{\"a\":\n 18446744073709551615}",
            "failed to read f.json:2: integer 18446744073709551615 ",
        ),
        (
            "{\"a\": 18446744073709551616}",
            "failed to read f.json:1: integer 18446744073709551616 ",
        ),
        (
            "{\"a\": 1,\n \"b\" 2}",
            "failed to read f.json:2:6: expected `:`",
        ),
    ] {
        let error = read(text, "f.json", &Limits::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(start), "{error}");
    }
    // A brace also begins YAML's flow style.
    assert_eq!(one("{a: yes}\n---\n# nothing\n"), json!({"a": true}));
    assert_eq!(one("{b:1}\n"), json!({"b:1": null}));
}

#[test]
fn odd_files() {
    assert_eq!(
        one("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n"),
        json!({"a": 1, "b": "x\ny\n"})
    );
    assert_eq!(one("a: |\n  x"), json!({"a": "x\n"}));
    assert!(read("", "f", &Limits::default()).unwrap().is_empty());
    assert!(read("# c\n", "f", &Limits::default()).unwrap().is_empty());
    let error = read(b"a: 1\nbc\xff", "f", &Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read f:2:3: the text is not UTF-8; save the file as UTF-8"
    );
}

/// A bomb that goes off takes minutes or all memory: the limit only has to tell that from
/// milliseconds on a busy machine.
fn within(limit: Duration, work: impl FnOnce() -> String + Send + 'static) -> String {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(limit).expect("took too long")
}

#[test]
fn bombs_are_refused_before_they_cost_anything() {
    let limits = Limits::default();
    let refuse = move |text: String| {
        within(Duration::from_secs(5), move || {
            read(text, "f.yaml", &limits).unwrap_err().to_string()
        })
    };
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..=9 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 9].join(", ");
        writeln!(laughs, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert!(refuse(laughs).contains("aliases copy more than 100000 values"));

    let mut merges = String::from("m0: &m0 {a: x, b: x}\n");
    for level in 1..=30 {
        let below = level - 1;
        writeln!(merges, "m{level}: &m{level} {{p: *m{below}, q: *m{below}}}").unwrap();
    }
    assert!(refuse(merges).contains("aliases copy more than"));

    let long = "x".repeat(1 << 20);
    let copies = vec!["*x"; 100].join(", ");
    let text = format!("x: &x {long}\ny: [{copies}]\n");
    assert!(refuse(text).contains("aliases copy more than 10485760 bytes"));

    assert!(refuse("[".repeat(100_000)).contains("nested more than 100 levels"));
    assert!(refuse("{\"a\":".repeat(100_000)).contains("nested more than 100 levels"));
    assert!(refuse("- ".repeat(100_000)).contains("nested more than 100 levels"));
    let big = "a".repeat(50_000_000);
    assert!(refuse(big).contains("50000000 bytes, more than the 10485760 allowed"));
}

#[test]
fn limits_count_what_they_say() {
    let limits = Limits {
        nodes: 4,
        depth: 2,
        ..Limits::default()
    };
    assert!(read("[1, 2, 3]", "f", &limits).is_ok());
    assert!(read("- [1, 2]", "f", &limits).is_ok());
    assert!(read("a: 1\nb: 2\nc: 3\n", "f", &limits).is_ok());
    assert!(read("{\"a\": 1, \"b\": 2, \"c\": 3}", "f", &limits).is_ok());
    for text in ["[1, 2, 3, 4]", "- 1\n- 2\n- 3\n- 4\n"] {
        let error = read(text, "f", &limits).unwrap_err();
        assert_eq!(error.problem, Problem::TooManyNodes { limit: 4 }, "{text}");
    }
    for text in ["[[[1]]]", "- - - 1", "a: &a [1]\nb: {c: *a}"] {
        let limits = Limits {
            depth: 2,
            ..Limits::default()
        };
        let error = read(text, "f", &limits).unwrap_err();
        assert_eq!(error.problem, Problem::TooDeep { limit: 2 }, "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in "[-a-c0-9&*!<>|'\"%@{}\\[\\],:?#~.\n\t _e]{0,80}") {
        let _ = read(&text, "f.yaml", &Limits::default());
        let _ = read(format!("{{{text}"), "f.json", &Limits::default());
    }

    #[test]
    fn json_means_the_same_through_both_grammars(
        entries in proptest::collection::btree_map("[a-z]{1,4}", any::<i64>(), 0..5),
        text in "[ -~]{0,20}",
    ) {
        let value = json!({"entries": entries, "text": text});
        let json = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(&one(&json), &value);
        let yaml = format!("# YAML\n{json}");
        prop_assert_eq!(&one(&yaml), &value);
    }
}
