//! Each generator: its rows, their versions, and what a bad input costs.

use super::*;

#[test]
fn clusters_become_applications_in_order_of_name() {
    let set = set(
        "  - clusters:\n      selector: {matchLabels: {env: dev}}\n      values: {tier: '{{.metadata.labels.env}}-{{.nameNormalized}}'}",
        "{name: '{{.nameNormalized}}-shop', labels: {'{{.values.tier}}': '{{.name}}'}}",
        "{source: {repoURL: 'https://git.example/shop', targetRevision: '{{.metadata.labels.env}}', path: 'deploy/{{.nameNormalized}}'}, \
         destination: {server: '{{.server}}', namespace: shop}, syncPolicy: {drift: '{{if eq .metadata.labels.env \"dev\"}}warn{{else}}heal{{end}}'}}",
    );
    let expansion = clusters_only(&set, &fleet());
    assert_eq!(messages(&expansion), [""; 0]);
    assert!(!expansion.incomplete && expansion.failed_names.is_empty());
    assert_eq!(names(&expansion), ["dev-1-shop", "dev-2-west-shop"]);
    let it = &expansion.applications[1];
    assert_eq!((it.project.as_str(), it.set.as_str()), ("default", "shop"));
    assert_eq!(it.cluster, fleet()[2].uid);
    assert_eq!(it.cluster_name, "dev_2/West");
    assert_eq!(it.labels["dev-dev-2-west"], "dev_2/West");
    assert_eq!(it.source.target_revision, "dev");
    assert_eq!(it.source.path, "deploy/dev-2-west");
    assert_eq!(it.policy.drift, Drift::Warn);
    assert_eq!(it.provenance.generator, "spec.generators[0].clusters");
    assert_eq!(it.provenance.row, 1);
    let input = &it.provenance.inputs[0];
    assert_eq!(input.input, "cluster/dev_2/West");
    assert!(input.version.starts_with("sha256:"), "{}", input.version);
}

#[test]
fn every_change_of_a_cluster_changes_its_version() {
    let set = set(
        "  - clusters: {}",
        "{name: '{{.nameNormalized}}'}",
        &to("{name: '{{.name}}'}"),
    );
    let version = |cluster: &Cluster| {
        let expansion = clusters_only(&set, std::slice::from_ref(cluster));
        expansion.applications[0].provenance.inputs[0]
            .version
            .clone()
    };
    let old = cluster(1, "a", "dev");
    let mut new = old.clone();
    assert_eq!(version(&old), version(&new));
    new.annotations.insert("x".to_owned(), "y".to_owned());
    assert_ne!(version(&old), version(&new));
}

#[test]
fn directories_are_matched_by_element_and_hidden_ones_left_out() {
    let set = set(
        &format!(
            "  - git:\n      repoURL: {REPO}\n      revision: main\n      directories: [{{path: 'apps/*'}}, {{path: 'deep/**'}}, {{path: '**/x'}}, {{path: apps/no, exclude: true}}]\n      values: {{v: '{{{{.path.basename}}}}!'}}"
        ),
        "{name: '{{.path.basenameNormalized}}', annotations: {p: '{{.path.path}} {{index .path.segments 0}} {{.values.v}}'}}",
        &to("{name: dev-1}"),
    );
    let directories = [
        "apps", "apps/no", "apps/b_1", "apps/a", "apps/a/b", "deep", "deep/c/d", ".git/x",
        "apps/.x", "y/x/",
    ];
    let git = git(&directories, &[]);
    let clusters = fleet();
    let expansion = expand(
        &set,
        &Inputs {
            clusters: &clusters,
            git,
        },
    );
    assert_eq!(messages(&expansion), [""; 0]);
    assert_eq!(names(&expansion), ["a", "b-1", "d", "x"]);
    assert_eq!(
        expansion.applications[1].annotations["p"],
        "apps/b_1 apps b_1!"
    );
    let input = &expansion.applications[1].provenance.inputs[0];
    assert_eq!(input.input, "git/https://git.example/fleet@main:apps/b_1");
    assert_eq!(input.version, "c0ffee");
}

#[test]
fn files_give_a_row_per_object() {
    let set = set(
        &format!(
            "  - git:\n      repoURL: {REPO}\n      revision: main\n      files: [{{path: 'clusters/**/*.yaml'}}, {{path: '*.json'}}, {{path: '**/skip.yaml', exclude: true}}]"
        ),
        "{name: '{{.name}}-{{.path.filenameNormalized}}', annotations: {a: '{{.size}} {{.path.path}} {{.path.basename}} {{.path.filename}}'}}",
        &to("{name: dev-1}"),
    );
    let git = git(
        &[],
        &[
            (
                "clusters/eu/a_b.yaml",
                "name: one\nsize: 0644\npath: mine\n",
            ),
            (
                "clusters/two.yaml",
                "- {name: l1, size: 1}\n- {name: l2, size: 1.5}\n",
            ),
            ("root.json", "{\"name\": \"r\", \"size\": 12345678}"),
            ("clusters/skip.yaml", "- 1\n"),
            ("other.yaml", "- 1\n"),
        ],
    );
    let clusters = fleet();
    let expansion = expand(
        &set,
        &Inputs {
            clusters: &clusters,
            git,
        },
    );
    assert_eq!(messages(&expansion), [""; 0]);
    let annotations: Vec<_> = expansion
        .applications
        .iter()
        .map(|it| format!("{} = {}", it.name, it.annotations["a"]))
        .collect();
    assert_eq!(
        annotations,
        [
            "l1-two.yaml = 1 clusters clusters two.yaml",
            "l2-two.yaml = 1.5 clusters clusters two.yaml",
            "one-a-b.yaml = 420 clusters/eu eu a_b.yaml",
            "r-root.json = 12345678 . . root.json",
        ]
    );
}

#[test]
fn a_bad_file_costs_its_own_rows_only() {
    let set = set(
        &format!(
            "  - git:\n      repoURL: {REPO}\n      revision: main\n      pathParamPrefix: p\n      files: [{{path: '*.yaml'}}]"
        ),
        "{name: '{{.p.path.filenameNormalized}}'}",
        &to("{name: dev-1}"),
    );
    let git = git(
        &[],
        &[
            ("a.yaml", "a: 1\nb: 2\na: 3\n"),
            ("b.yaml", "a: 1\n---\nb: 1\n"),
            ("c.yaml", "- {a: 1}\n- 2\n"),
            ("d.yaml", "text"),
            ("e.yaml", ""),
            ("f.yaml", "[]"),
            ("g.yaml", "{}"),
        ],
    );
    let clusters = fleet();
    let expansion = expand(
        &set,
        &Inputs {
            clusters: &clusters,
            git,
        },
    );
    assert_eq!(names(&expansion), ["e.yaml", "g.yaml"]);
    // Nobody knows which applications the bad files would have made.
    assert!(expansion.incomplete);
    let at = "spec.generators[0].git, file";
    assert_eq!(
        messages(&expansion),
        [
            format!(
                "{at} a.yaml: failed to read a.yaml:3:1: key \"a\" is already set on line 1; remove one of the two"
            ),
            format!(
                "{at} b.yaml: failed to use b.yaml:3: a second document begins here; write the objects as one list"
            ),
            format!(
                "{at} c.yaml: failed to use c.yaml:2: item 1 of the list is no object; write key: value pairs"
            ),
            format!(
                "{at} d.yaml: failed to use d.yaml:1: the file is no object; write key: value pairs"
            ),
        ]
    );
}

#[test]
fn an_input_that_failed_is_never_an_empty_one() {
    let generator = |revision: &str| {
        format!(
            "  - git: {{repoURL: '{REPO}', revision: {revision}, directories: [{{path: '*'}}]}}\n"
        )
    };
    let generators = generator("gone") + &generator("unread") + &generator("main");
    let set = set(
        &generators,
        "{name: '{{.path.basename}}'}",
        &to("{name: dev-1}"),
    );
    let mut git = git(&["a"], &[]);
    git.insert(repo("gone"), Err("connection refused".to_owned()));
    let clusters = fleet();
    let expansion = expand(
        &set,
        &Inputs {
            clusters: &clusters,
            git,
        },
    );
    assert_eq!(names(&expansion), ["a"]);
    assert!(expansion.incomplete);
    assert_eq!(
        messages(&expansion),
        [
            "spec.generators[0].git: failed to read git repository https://git.example/fleet at gone: connection refused; nothing is changed until it can be read",
            "spec.generators[1].git: git repository https://git.example/fleet at unread was not read; nothing is changed until it is",
        ]
    );
}

#[test]
fn values_that_fail_lose_their_row_and_say_so() {
    let set = set(
        "  - clusters: {values: {zone: '{{index .metadata.labels \"zone\"}}'}}",
        "{name: '{{.nameNormalized}}'}",
        &to("{name: '{{.name}}'}"),
    );
    let mut clusters = fleet();
    clusters[0].labels.insert("zone".to_owned(), "a".to_owned());
    let expansion = clusters_only(&set, &clusters);
    assert_eq!(names(&expansion), ["prod-1"]);
    assert!(expansion.incomplete);
    let found = messages(&expansion);
    assert!(found[0].starts_with("spec.generators[0].clusters, cluster dev-1, spec.generators[0].clusters.values.zone: failed to render"), "{found:?}");
}

#[test]
fn needs_are_merged_by_repository_and_revision() {
    let generators = format!(
        "  - git: {{repoURL: '{REPO}', revision: main, files: [{{path: 'a/*.yaml'}}, {{path: a/no.yaml, exclude: true}}]}}\n  \
         - git: {{repoURL: '{REPO}', revision: main, directories: [{{path: '*'}}]}}\n  \
         - git: {{repoURL: '{REPO}', revision: dev, files: [{{path: '*'}}]}}\n  \
         - git: {{repoURL: '{REPO}', revision: main, files: [{{path: '**/no.yaml'}}]}}\n"
    );
    let set = set(&generators, "{name: a}", &to("{name: dev-1}"));
    let needs = needs(&set);
    let seen: Vec<_> = needs
        .iter()
        .map(|it| (it.repo.revision.as_str(), it.directories, it.files.len()))
        .collect();
    assert_eq!(seen, [("dev", false, 1), ("main", true, 2)]);
    let tree = ["b/no.yaml", "a/x.yaml", "a/b/x.yaml", "a/no.yaml", "README"];
    assert_eq!(
        needs[1].select_files(tree),
        ["a/no.yaml", "a/x.yaml", "b/no.yaml"]
    );
}
