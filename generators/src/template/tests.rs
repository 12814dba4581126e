//! Templates against tables: what is rendered, what is refused, and what does not run away.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn data() -> Data {
    let row = json!({
        "name": "Prod_01/West",
        "n": 3,
        "big": 12_345_678,
        "f": 2.5,
        "huge": 1e30,
        "t": true,
        "empty": "",
        "nul": null,
        "braces": "{{.name}}",
        "list": ["b", "a", 7],
        "holes": ["b", null],
        "m": {"k": "v", "dash-key": "d", "deep": {"x": 1}},
        "labels": {"kubernetes.io/os": "linux"},
        "csv": "a,b,c",
    });
    Data::new(row.as_object().unwrap())
}

fn render(text: &str) -> Result<String, String> {
    let mut template = Template::new(text).map_err(|error| error.to_string())?;
    template.render(&data()).map_err(|error| error.to_string())
}

const RENDERED: &[(&str, &str)] = &[
    ("plain", "plain"),
    ("a}}b", "a}}b"),
    ("{{.name}}", "Prod_01/West"),
    (
        "{{.n}} {{.big}} {{.f}} {{.huge}} {{.t}}",
        "3 12345678 2.5 1e+30 true",
    ),
    ("{{if eq .n 3}}three{{end}}", "three"),
    ("{{printf \"%03d-%s\" .n .name}}", "003-Prod_01/West"),
    ("{{.n | printf \"%d\"}}", "3"),
    ("{{.braces}}", "{{.name}}"),
    ("{{index .labels \"kubernetes.io/os\"}}", "linux"),
    ("{{index .list 1}}{{index .m \"deep\" \"x\"}}", "a1"),
    ("{{.m.deep.x}}", "1"),
    ("{{range $i, $v := .list}}{{$i}}{{$v}} {{end}}", "0b 1a 27 "),
    ("{{range $k, $v := .m}}{{$k}} {{end}}", "dash-key deep k "),
    ("{{with .m}}{{.k}}{{end}}", "v"),
    ("{{$x := .n}}{{$x}}", "3"),
    (
        "{{define \"x\"}}<{{.}}>{{end}}{{template \"x\" .n}}{{template \"x\" 4}}",
        "<3><4>",
    ),
    ("a {{- /* c */ -}} b", "ab"),
    ("{{if .nul}}x{{else}}none{{end}}", "none"),
    ("{{and .t .n}}{{or .empty \"z\"}}{{not .t}}", "3zfalse"),
    ("{{len .list}}{{slice .csv 0 1}}", "3a"),
    (
        "{{default \"d\" .empty}}{{default \"d\" .csv}}{{.nul | default \"n\"}}",
        "da,b,cn",
    ),
    ("{{lower .name}} {{upper .csv}}", "prod_01/west A,B,C"),
    (
        "{{trim \" a \"}}{{trimPrefix \"Prod_\" .name}}{{trimSuffix \"c\" .csv}}",
        "a01/Westa,b,",
    ),
    ("{{replace \",\" \"-\" .csv}}", "a-b-c"),
    ("{{.csv | replace \",\" \"\" | quote}}", "\"abc\""),
    ("{{quote \"a\\\"\\n\" .n}}", "\"a\\\"\\n\" \"3\""),
    (
        "{{contains \"b\" .csv}}{{hasPrefix \"a\" .csv}}{{hasSuffix \"a\" .csv}}",
        "truetruefalse",
    ),
    (
        "{{splitList \",\" .csv | join \"+\"}}{{join \"/\" .list}}",
        "a+b+cb/a/7",
    ),
    (
        "{{normalize .name}} {{slugify .name}} {{slugify 4 false .name}}",
        "prod-01-west prod-01-west prod",
    ),
    (
        "{{if hasKey .m \"nope\"}}{{.m.nope}}{{else}}no{{end}}",
        "no",
    ),
    (
        "{{dig \"deep\" \"x\" \"d\" .m}}{{dig \"deep\" \"y\" \"d\" .m}}",
        "1d",
    ),
    ("{{print .n .f}} {{html \"<\"}}", "3 2.5 &lt;"),
];

#[test]
fn what_is_rendered() {
    for (text, want) in RENDERED {
        assert_eq!(render(text).as_deref(), Ok(*want), "{text}");
    }
}

const REFUSED: &[(&str, &str)] = &[
    (
        "{{.nope}}",
        "there is no key \"nope\"; at the top the row has: ",
    ),
    ("{{.m.nope}}", "there is no key \"nope\""),
    ("{{index .m \"nope\"}}", "there is no key \"nope\""),
    ("{{index .list 9}}", "out of range"),
    ("{{.nul}}", "the value is null"),
    ("{{.nul.deeper}}", "the value is null"),
    ("{{index .nul \"x\"}}", "index of null"),
    ("{{.holes}}", "the value is null"),
    ("{{printf \"%s\" .nul}}", "the value is null"),
    ("{{.nul | print}}", "the value is null"),
    ("{{html .nul}}", "the value is null"),
    ("{{quote .nul}}", "the value is null"),
    ("{{join \",\" .holes}}", "the value is null"),
    ("{{printf \"%d\" .name}}", "a verb of printf does not fit"),
    (
        "{{printf .csv .n}}",
        "the format of printf must be a literal",
    ),
    ("{{.name.x}}", "can't evaluate field x"),
    ("{{lower .n}}", "lower takes texts, not int"),
    ("{{replace \"a\" .csv}}", "replace takes 3 arguments, not 2"),
    (
        "{{slugify -1 .name}}",
        "slugify takes a length of at least 0",
    ),
    (
        "{{if .t}}{{else}}{{now}}{{end}}",
        "there is no function \"now\"; these are known: and, call, contains,",
    ),
    (
        "{{printf \"%s\" (env \"HOME\")}}",
        "there is no function \"env\"",
    ),
    ("{{.name", "failed to read the template \"{{.name\": "),
    ("{{if .t}}x", "a block is not closed by {{end}}"),
    ("{{define \"x\"}}x", "a block is not closed by {{end}}"),
    ("{{if .t}}x{{else}}y", "a block is not closed by {{end}}"),
    (
        "a{{.n}}{{end}}b",
        "a block is not closed by {{end}}, or an {{end}}",
    ),
    (
        "a{{.n}}{{else}}b",
        "a block is not closed by {{end}}, or an {{end}}",
    ),
    ("a{{.n}}\u{0}", "NUL"),
    ("{{template \"nope\"}}", "nope"),
    ("{{eq .n .f}}", "incompatible types"),
    ("{{break}}", "break"),
];

#[test]
fn what_is_refused() {
    for (text, want) in REFUSED {
        let error = render(text).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn nothing_runs_away() {
    let twice = "{{define \"x\"}}{{if .}}{{template \"x\" (slice . 1)}}{{template \"x\" (slice . 1)}}{{end}}{{end}}";
    let sixty = "y".repeat(60);
    let double = "{{$x := \"abcdefgh\"}}{{range 100}}{{$x = print $x $x}}{{end}}{{$x}}";
    for (text, want) in [
        (format!("{twice}{{{{template \"x\" \"{sixty}\"}}}}"), "more than 50000 steps"),
        ("{{define \"x\"}}{{template \"x\" .}}{{end}}{{template \"x\" .}}".to_owned(), "too deeply"),
        ("{{range 1000000000}}{{end}}".to_owned(), "range takes more than 10000 turns"),
        ("{{range 9999}}{{$.name}}{{end}}".to_owned(), "the result has more than 65536 bytes"),
        (double.to_owned(), "more than 65536 bytes"),
        ("{{printf \"%0999999d\" 1 | printf \"%s%s%s\" \"a\" \"b\" }}".to_owned(), "more than 65536 bytes"),
        (format!("{{{{printf \"{}\" .n}}}}", "%d".repeat(51)), "more than 50 verbs"),
        ("x{{.n}}".repeat(4_000), "more than 16384 bytes"),
        ("{{if .t}}".repeat(300) + &"{{end}}".repeat(300), "depth"),
        ("{{replace \"\" \"aaaaaaaaaaaaaaaaaaaaaaaa\" (replace \"\" \"aaaaaaaaaaaaaaaaaaaaaa\" (replace \"\" \"aaaaaaaaaaaaaaaaaaaaaaaaaaa\" .name))}}".to_owned(), "65536"),
    ] {
        let error = render(&text).unwrap_err();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn the_budget_is_of_one_rendering() {
    let mut template = Template::new("{{range 5000}}{{print 1 | len}}{{end}}").unwrap();
    for _ in 0..20 {
        assert_eq!(template.render(&data()).unwrap().len(), 5000);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é{}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    ".",
    ".a",
    ".b",
    ".a.b",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    "\"q\"",
    "`r`",
    "'c'",
    "1",
    "-2",
    "0x",
    "1e9",
    "nil",
    "true",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "continue",
    "printf",
    "\"%v %d\"",
    "index",
    "slice",
    "len",
    "call",
    "and",
    "or",
    "not",
    "eq",
    "lt",
    "default",
    "join",
    "quote",
    "splitList",
    "replace",
    "slugify",
    "normalize",
    "hasKey",
    "dig",
    "/*",
    "*/",
    ",",
    " ",
    "é",
];

/// Text out of the pieces that templates are made of, in any order.
fn any_template() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| {
        let inner = pieces.join(" ");
        format!("{{{{{inner}}}}}")
    })
}

proptest! {
    #[test]
    fn no_template_and_no_row_panics(
        text in prop_oneof![any_template(), "[ -~é]{0,40}"],
        row in proptest::collection::btree_map("[abx]", any_value(), 0..4),
    ) {
        let row = row.into_iter().collect();
        if let Ok(mut template) = Template::new(&text) {
            let first = template.render(&Data::new(&row)).map_err(|error| error.to_string());
            let again = template.render(&Data::new(&row)).map_err(|error| error.to_string());
            prop_assert_eq!(&first, &again);
            if let Ok(out) = first {
                prop_assert!(!out.contains("<no value>"), "{}", out);
            }
        }
    }

    #[test]
    fn text_without_braces_is_itself(text in "[^{]{0,60}") {
        let rendered = Template::new(&text).unwrap().render(&data()).unwrap();
        prop_assert_eq!(rendered, text);
    }

    #[test]
    fn a_value_is_never_rendered_again(value in "[ -~]{0,30}") {
        let row = json!({"v": value});
        let data = Data::new(row.as_object().unwrap());
        let rendered = Template::new("{{.v}}").unwrap().render(&data).unwrap();
        prop_assert_eq!(rendered, value);
    }
}
