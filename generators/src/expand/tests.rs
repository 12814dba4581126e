//! Expansions as a whole: what comes out, what is refused, and what each failure protects.

mod generators;
mod laws;

use serde_json::json;
use tidegate_model::{
    cluster::Cluster,
    ids::ClusterUid,
    manifest::{self, Limits},
    policy::Drift,
    source::RepoRevision,
};

use super::*;
use crate::{GitInput, needs};

/// A set with these generators (a YAML list, two spaces deep) and this template's `metadata` and
/// `spec` (flow style).
fn set(generators: &str, metadata: &str, spec: &str) -> ApplicationSet {
    let text = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: shop}}\nspec:\n  \
         maxApplications: 10\n  generators:\n{generators}\n  template:\n    metadata: {metadata}\n    \
         spec: {spec}\n"
    );
    let documents = manifest::read(&text, "set.yaml", &Limits::default()).unwrap();
    ApplicationSet::from_document(&documents[0], "set.yaml").unwrap()
}

const SOURCE: &str = "source: {repoURL: 'https://git.example/shop', path: deploy}";

fn to(destination: &str) -> String {
    format!("{{{SOURCE}, destination: {destination}}}")
}

fn cluster(id: u128, name: &str, env: &str) -> Cluster {
    Cluster {
        uid: ClusterUid(uuid(id)),
        name: name.to_owned(),
        labels: BTreeMap::from([("env".to_owned(), env.to_owned())]),
        annotations: BTreeMap::new(),
        servers: vec![format!("https://{name}.example:6443")],
    }
}

/// Through text, so that this crate needs no UUID library.
fn uuid<T: serde::de::DeserializeOwned>(id: u128) -> T {
    let hex = format!("{id:032x}");
    serde_json::from_value(json!(hex)).unwrap()
}

fn fleet() -> Vec<Cluster> {
    vec![
        cluster(1, "prod-1", "prod"),
        cluster(2, "dev-1", "dev"),
        cluster(3, "dev_2/West", "dev"),
    ]
}

fn names(expansion: &Expansion) -> Vec<&str> {
    expansion
        .applications
        .iter()
        .map(|it| it.name.as_str())
        .collect()
}

fn messages(expansion: &Expansion) -> Vec<String> {
    expansion.problems.iter().map(ToString::to_string).collect()
}

const REPO: &str = "https://git.example/fleet";

fn git(
    directories: &[&str],
    files: &[(&str, &str)],
) -> BTreeMap<RepoRevision, Result<GitInput, String>> {
    let input = GitInput {
        commit: "c0ffee".to_owned(),
        directories: directories.iter().map(ToString::to_string).collect(),
        files: files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect(),
    };
    BTreeMap::from([(repo("main"), Ok(input))])
}

fn repo(revision: &str) -> RepoRevision {
    RepoRevision {
        repo_url: REPO.to_owned(),
        revision: revision.to_owned(),
    }
}

fn clusters_only(set: &ApplicationSet, clusters: &[Cluster]) -> Expansion {
    let git = BTreeMap::new();
    expand(set, &Inputs { clusters, git })
}

#[test]
fn a_bad_row_costs_itself_only_and_protects_its_name() {
    let set = set(
        "  - list:\n      elements:\n      - {name: ok, to: dev-1, ns: x}\n      - {name: lost, to: nowhere, ns: X}\n      \
         - {to: dev-1, ns: x}\n      - {name: Bad_Name, to: dev-1, ns: x}\n      - {name: 'null', to: , ns: x}",
        "{name: '{{.name}}'}",
        &to("{name: '{{.to}}', namespace: '{{.ns}}'}"),
    );
    let expansion = clusters_only(&set, &fleet());
    assert_eq!(names(&expansion), ["ok"]);
    assert_eq!(expansion.rows, 5);
    // Two rows have no usable name, so any application of the set could be theirs.
    assert!(expansion.incomplete);
    assert_eq!(
        expansion.failed_names.iter().collect::<Vec<_>>(),
        ["lost", "null"]
    );
    let at = "spec.generators[0].list, row";
    let field = "spec.template";
    assert_eq!(
        messages(&expansion),
        [
            format!(
                "{at} 1, element 1, {field}.spec.destination.name: no cluster named \"nowhere\" is registered; register it, or correct the name"
            ),
            format!(
                "{at} 1, element 1, {field}.spec.destination.namespace: \"X\" is no name of a namespace; use at most 63 of a-z, 0-9 and -, with a letter or digit at both ends"
            ),
            format!(
                "{at} 2, element 2, {field}.metadata.name: failed to render \"{{{{.name}}}}\": there is no key \"name\"; at the top the row has: ns, to. Correct the key, or ask first with hasKey"
            ),
            format!(
                "{at} 3, element 3, {field}.metadata.name: \"Bad_Name\" is no name for an application; use at most 253 of a-z, 0-9, - and ., with a letter or digit at both ends of every part, for example with normalize"
            ),
            format!(
                "{at} 4, element 4, {field}.spec.destination.name: failed to render \"{{{{.to}}}}\": the value is null; give it in the row, or write a default for it"
            ),
        ]
    );
}

#[test]
fn a_failed_row_with_a_name_leaves_the_set_complete() {
    let set = set(
        "  - list: {elements: [{name: a, to: dev-1}, {name: b, to: nowhere}]}",
        "{name: '{{.name}}'}",
        &to("{name: '{{.to}}'}"),
    );
    let expansion = clusters_only(&set, &fleet());
    assert_eq!(names(&expansion), ["a"]);
    assert!(!expansion.incomplete);
    assert!(expansion.failed_names.contains("b"));
}

#[test]
fn a_name_made_twice_is_made_not_at_all() {
    let set = set(
        "  - list: {elements: [{name: a}, {name: b}, {name: a}]}\n  - clusters: {selector: {matchLabels: {env: prod}}}",
        "{name: '{{if eq .name \"prod-1\"}}b{{else}}{{.name}}{{end}}'}",
        &to("{name: '{{if eq .name \"b\"}}nowhere{{else}}dev-1{{end}}'}"),
    );
    let expansion = clusters_only(&set, &fleet());
    assert_eq!(names(&expansion), [""; 0]);
    assert!(!expansion.incomplete);
    assert_eq!(
        expansion.failed_names.iter().collect::<Vec<_>>(),
        ["a", "b"]
    );
    let end = "; make the name depend on what tells the rows apart";
    let list = "spec.generators[0].list";
    let name = "spec.template.metadata.name: the name";
    assert_eq!(
        messages(&expansion)[1..],
        [
            format!(
                "{list}, row 0, element 0, {name} \"a\" is also made by {list} row 2 (element 2){end}"
            ),
            format!(
                "{list}, row 2, element 2, {name} \"a\" is also made by {list} row 0 (element 0){end}"
            ),
            format!(
                "{list}, row 1, element 1, {name} \"b\" is also made by spec.generators[1].clusters row 0 (cluster prod-1){end}"
            ),
            format!(
                "spec.generators[1].clusters, row 0, cluster prod-1, {name} \"b\" is also made by {list} row 1 (element 1){end}"
            ),
        ]
    );
}

#[test]
fn too_many_rows_are_one_error_and_no_application() {
    let elements: Vec<_> = (0..10_000).map(|n| format!("{{name: a{n}}}")).collect();
    let elements = elements.join(", ");
    let set = set(
        &format!("  - clusters: {{}}\n  - list: {{elements: [{elements}]}}"),
        "{name: '{{.name}}'}",
        &to("{name: nowhere}"),
    );
    let expansion = clusters_only(&set, &fleet());
    assert!(expansion.applications.is_empty() && expansion.incomplete);
    assert_eq!(expansion.rows, 10_003);
    assert_eq!(
        messages(&expansion),
        [
            "spec.generators[1].list, spec.maxApplications: it makes 10000 rows, all generators together 10003, more than the 10 of spec.maxApplications; nothing was expanded. Narrow its selector or patterns, or raise spec.maxApplications if so many are meant",
        ]
    );
}

#[test]
fn selectors_see_flattened_parameters_and_come_before_the_count() {
    let elements: Vec<_> = (0..50)
        .map(|n| format!("{{name: a{n}, x: {{num: {n}, l: [{n}]}}}}"))
        .collect();
    let elements = elements.join(", ");
    let set = set(
        &format!(
            "  - list: {{elements: [{elements}]}}\n    selector: {{matchLabels: {{x.l.0: '7'}}, matchExpressions: [{{key: x.num, operator: Lt, values: ['9']}}]}}"
        ),
        "{name: '{{.name}}'}",
        &to("{name: dev-1}"),
    );
    let expansion = clusters_only(&set, &fleet());
    assert_eq!(names(&expansion), ["a7"]);
    assert_eq!(expansion.applications[0].provenance.row, 0);
}

#[test]
fn destinations_are_found_by_name_and_by_alias_and_never_guessed() {
    let mut clusters = fleet();
    clusters[0]
        .servers
        .push("https://kubernetes.default.svc".to_owned());
    clusters[1].servers.push("https://shared".to_owned());
    clusters[2].servers.push("https://shared".to_owned());
    for (destination, want) in [
        ("{name: prod-1}", Ok("prod-1")),
        ("{name: in-cluster}", Ok("prod-1")),
        ("{server: 'https://kubernetes.default.svc'}", Ok("prod-1")),
        ("{server: 'https://dev-1.example:6443/'}", Ok("dev-1")),
        (
            "{server: 'https://shared'}",
            Err("clusters dev-1, dev_2/West all have the server alias"),
        ),
        (
            "{server: 'https://nowhere'}",
            Err("no registered cluster has the server alias"),
        ),
        (
            "{name: '{{.empty}}'}",
            Err("name and server are both empty"),
        ),
        (
            "{server: '{{.empty}}'}",
            Err("name and server are both empty"),
        ),
    ] {
        let set = set(
            "  - list: {elements: [{empty: ''}]}",
            "{name: a}",
            &to(destination),
        );
        let expansion = clusters_only(&set, &clusters);
        match want {
            Ok(name) => assert_eq!(expansion.applications[0].cluster_name, name),
            Err(message) => {
                let found = messages(&expansion);
                assert_eq!(found.len(), 1, "{found:?}");
                assert!(found[0].contains(message), "{destination}: {found:?}");
                assert!(expansion.failed_names.contains("a"));
            }
        }
    }
}

#[test]
fn a_row_cannot_leave_the_repository_or_choose_odd_policies() {
    for (spec, want) in [
        (
            "{source: {repoURL: u, path: '{{.up}}'}, destination: {name: dev-1}}",
            "spec.source.path: \"a/../../b\" is no path",
        ),
        (
            "{source: {repoURL: u, path: '{{.root}}'}, destination: {name: dev-1}}",
            "spec.source.path: \"/etc\" is no path",
        ),
        (
            "{source: {repoURL: '{{.empty}}'}, destination: {name: dev-1}}",
            "spec.source.repoURL: it is empty",
        ),
        (
            "{source: {repoURL: u, targetRevision: '{{.empty}}'}, destination: {name: dev-1}}",
            "spec.source.targetRevision: it is empty",
        ),
        (
            "{source: {repoURL: u}, destination: {name: dev-1}, syncPolicy: {drift: '{{.root}}'}}",
            "spec.syncPolicy.drift: \"/etc\" is not known",
        ),
    ] {
        let set = set(
            "  - list: {elements: [{up: a/../../b, root: /etc, empty: ''}]}",
            "{name: a}",
            spec,
        );
        let found = messages(&clusters_only(&set, &fleet()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(want), "{found:?}");
    }
}

#[test]
fn two_keys_that_render_alike_are_a_problem() {
    let set = set(
        "  - list: {elements: [{k: x}]}",
        "{name: a, labels: {'{{.k}}': '1', x: '2'}}",
        &to("{name: dev-1}"),
    );
    let found = messages(&clusters_only(&set, &fleet()));
    assert!(found[0].contains("two keys render to \"x\""), "{found:?}");
}

#[test]
fn a_template_that_cannot_be_read_stops_the_set_and_deletes_nothing() {
    let set = set(
        "  - list: {elements: [{k: x}]}",
        "{name: '{{.k', labels: {a: '{{nope}}'}}",
        &to("{name: dev-1}"),
    );
    let expansion = clusters_only(&set, &fleet());
    assert!(expansion.applications.is_empty() && expansion.incomplete);
    let found = messages(&expansion);
    assert!(
        found[0].starts_with("spec.template.metadata.name: failed to read the template \"{{.k\""),
        "{found:?}"
    );
    assert!(found[1].starts_with("spec.template.metadata.labels.a: failed to read the template \"{{nope}}\": there is no function"), "{found:?}");
}

#[test]
fn the_result_as_the_preview_shows_it() {
    let set = set(
        "  - list: {elements: [{name: a, size: 3}, {name: b}]}",
        "{name: '{{.name}}', labels: {size: '{{.size}}'}}",
        &to("{name: dev-1}"),
    );
    insta::assert_yaml_snapshot!(clusters_only(&set, &fleet()));
}
