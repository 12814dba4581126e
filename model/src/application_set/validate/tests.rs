//! Each rule against a good set with one thing made wrong.

use super::*;
use crate::manifest::{Limits, read};

const GOOD: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: ApplicationSet
metadata: {name: shop}
spec:
  generators:
  - clusters: {selector: {matchLabels: {env: prod}}}
  - git:
      repoURL: https://git.example/x
      files: [{path: 'clusters/**/*.yaml'}]
  template:
    metadata: {name: '{{.name}}-shop'}
    spec:
      source: {repoURL: https://git.example/shop, path: deploy}
      destination: {name: '{{.name}}'}
";

fn problems(text: &str) -> Vec<String> {
    let documents = read(text, "set.yaml", &Limits::default()).unwrap();
    let result = ApplicationSet::from_document(&documents[0], "set.yaml");
    let errors = result.err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_set_is_read_with_its_defaults() {
    let documents = read(GOOD, "set.yaml", &Limits::default()).unwrap();
    let set = ApplicationSet::from_document(&documents[0], "set.yaml").unwrap();
    assert_eq!(set.spec.template.spec.project, "default");
    assert_eq!(set.spec.max_applications, 1_000);
}

/// What to replace in [`GOOD`], with what, and the error that follows.
const BROKEN: &[(&str, &str, &str)] = &[
    (
        "name: shop",
        "name: Shop",
        "set.yaml:3: metadata.name: name \"Shop\" is no DNS label",
    ),
    (
        "kind: App",
        "kind: Ipp",
        "set.yaml:2: kind: \"IpplicationSet\" is not known here",
    ),
    (
        "/v1alpha1",
        "/v1",
        "set.yaml:1: apiVersion: \"tidegate.dev/v1\" is not known here",
    ),
    (
        "spec:\n  gen",
        "spec:\n  goTemplate: false\n  gen",
        "set.yaml:5: spec.goTemplate: only Go templates",
    ),
    (
        "spec:\n  gen",
        "spec:\n  maxApplications: 0\n  gen",
        "set.yaml:5: spec.maxApplications: 0 allows",
    ),
    (
        "spec:\n  gen",
        "spec:\n  nope: 0\n  gen",
        "set.yaml:5: spec.nope: unknown field `nope`, expected one of `goTemplate`",
    ),
    (
        "clusters: {",
        "selector: {",
        "set.yaml:6: spec.generators[0].selector.selector: unknown field",
    ),
    (
        "- clusters: {sel",
        "- list: {elements: []}\n    clusters: {sel",
        "set.yaml:6: spec.generators[0]: the entry names list and clusters",
    ),
    (
        "clusters: {selector: {matchLabels: {env: prod}}}",
        "selector: {}",
        "set.yaml:6: spec.generators[0]: the entry names no generator",
    ),
    (
        "matchLabels: {env: prod}",
        "matchExpressions: [{key: a, operator: In}]",
        "set.yaml:6: spec.generators[0].clusters.selector: failed to use the requirement on label \"a\"",
    ),
    (
        "repoURL: https://git.example/x",
        "repoURL: ''",
        "set.yaml:8: spec.generators[1].git.repoURL: the address is empty",
    ),
    (
        "files:",
        "directories: [{path: a}]\n      files:",
        "set.yaml:7: spec.generators[1].git: directories and files are both there",
    ),
    (
        "files: [{path: 'clusters/**/*.yaml'}]",
        "revision: main",
        "set.yaml:7: spec.generators[1].git: neither directories nor files",
    ),
    (
        "clusters/**/*.yaml",
        "../x",
        "set.yaml:9: spec.generators[1].git.files[0].path: pattern \"../x\" leaves",
    ),
    (
        "'clusters/**/*.yaml'",
        "a, exclude: true",
        "set.yaml:9: spec.generators[1].git.files: every pattern excludes",
    ),
    (
        "files:",
        "pathParamPrefix: a-b\n      files:",
        "set.yaml:9: spec.generators[1].git.pathParamPrefix: \"a-b\"",
    ),
    (
        "      source:",
        "      project: '{{.p}}'\n      source:",
        "set.yaml:13: spec.template.spec.project: the project must be literal",
    ),
    (
        "destination: {",
        "destination: {server: x, ",
        "set.yaml:14: spec.template.spec.destination: it has name and server",
    ),
    (
        "{name: '{{.name}}'}",
        "{}",
        "set.yaml:14: spec.template.spec.destination: it names no cluster",
    ),
    (
        "      source:",
        "      syncPolicy: {drift: fix}\n      source:",
        "set.yaml:13: spec.template.spec.syncPolicy.drift: \"fix\" is not known",
    ),
    (
        "  template:",
        "  strategy: {type: Waves}\n  template:",
        "set.yaml:10: spec.strategy.waves: type Waves has no waves",
    ),
    (
        "  template:",
        "  strategy: {type: Waves, waves: [{name: a}, {name: a}]}\n  template:",
        "set.yaml:10: spec.strategy.waves[1].name: wave \"a\" is there twice",
    ),
];

#[test]
fn each_problem_has_its_line_and_a_way_out() {
    for (from, to, want) in BROKEN {
        assert!(GOOD.contains(from), "{from}");
        let found = problems(&GOOD.replacen(from, to, 1));
        assert_eq!(found.len(), 1, "{to}: {found:?}");
        assert!(
            found[0].starts_with(&format!("failed to use {want}")),
            "{}",
            found[0]
        );
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let text = GOOD
        .replace("name: shop", "name: S")
        .replace("https://git.example/x", "''")
        .replace("{name: '{{.name}}'}", "{}");
    assert_eq!(problems(&text).len(), 3);
}
