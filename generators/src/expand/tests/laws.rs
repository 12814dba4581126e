//! What holds for every set, fleet and repository.

use proptest::{prelude::*, sample::subsequence};

use super::*;

/// Fragments of templates: right, wrong and absurd ones.
fn any_text() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "a",
        "-",
        ".",
        "B",
        "/",
        "{{.name}}",
        "{{.path.basename}}",
        "{{.n}}",
        "{{.nope}}",
        "{{",
        "}}",
        "{{.nul}}",
        "{{nope}}",
        "{{if .t}}x{{end}}",
        "{{range .l}}{{.}}{{end}}",
        "{{end}}",
        "{{normalize .name}}",
        "{{.values.v}}",
        "é",
    ]);
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn any_cluster() -> impl Strategy<Value = Cluster> {
    let env = proptest::sample::select(vec!["dev", "prod"]);
    (0..6_u128, "[a-c]{1,2}", env).prop_map(|(id, name, env)| cluster(id, &name, env))
}

fn any_set() -> impl Strategy<Value = ApplicationSet> {
    let texts = proptest::collection::vec(any_text(), 6);
    let entries = proptest::collection::vec(0..5_usize, 0..4);
    (texts, entries, 0..12_u32).prop_map(|(texts, entries, max)| {
        let mut set = set("  - clusters: {}", "{name: a}", &to("{name: x}"));
        let generators = entries.into_iter().map(|kind| match kind {
            0 => json!({"clusters": {"values": {"v": texts[0]}}}),
            1 => json!({"list": {"elements": [{"name": "a"}, {"name": "b", "n": 1, "nul": null, "l": [1]}]}}),
            2 => json!({"git": {"repoURL": REPO, "revision": "main", "directories": [{"path": "**"}]}}),
            3 => json!({"git": {"repoURL": REPO, "revision": "main", "files": [{"path": "*"}]}, "selector": {"matchLabels": {"name": "f"}}}),
            _ => json!({"git": {"repoURL": REPO, "revision": "gone", "files": [{"path": "["}]}}),
        });
        set.spec.generators = generators.map(|it| serde_json::from_value(it).unwrap()).collect();
        set.spec.max_applications = max;
        let template = &mut set.spec.template;
        template.metadata.name.clone_from(&texts[1]);
        template.metadata.labels.insert(texts[2].clone(), texts[3].clone());
        template.spec.destination.name.clone_from(&texts[4]);
        template.spec.source.path.clone_from(&texts[5]);
        set
    })
}

fn any_directories() -> impl Strategy<Value = Vec<String>> {
    subsequence(vec!["a", "a/b", ".x", "b/", "a", "/c"], 0..6)
        .prop_map(|all| all.into_iter().map(str::to_owned).collect())
}

fn any_files() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let text = proptest::sample::select(vec![
        "name: f\n",
        "- {name: f}\n- {name: g}\n",
        "- 1\n",
        "a: 1\na: 2\n",
        "",
        "{",
        "\u{0}",
    ]);
    proptest::collection::btree_map(
        "[a-c]",
        text.prop_map(|text| text.as_bytes().to_vec()),
        0..4,
    )
}

proptest! {
    #[test]
    fn the_order_of_inputs_does_not_matter_and_nothing_panics(
        set in any_set(),
        (clusters, shuffled) in proptest::collection::vec(any_cluster(), 0..6)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        (directories, others) in any_directories()
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        files in any_files(),
    ) {
        let run = |clusters: &[Cluster], directories: Vec<String>| {
            let commit = "c".to_owned();
            let input = GitInput { commit, directories, files: files.clone() };
            let git = BTreeMap::from([(repo("main"), Ok(input))]);
            expand(&set, &Inputs { clusters, git })
        };
        let one = run(&clusters, directories);
        let other = run(&shuffled, others);
        prop_assert_eq!(serde_json::to_vec(&one).unwrap(), serde_json::to_vec(&other).unwrap());

        // Names are sorted, unique, valid, and apart from those that failed.
        let names = names(&one);
        prop_assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", names);
        for name in names {
            prop_assert!(tidegate_model::dns::is_subdomain(name));
            prop_assert!(!one.failed_names.contains(name));
        }
        // What is missing is missing for a reason that is said.
        prop_assert!(one.applications.len() <= one.rows);
        if one.applications.len() < one.rows {
            prop_assert!(!one.problems.is_empty());
            prop_assert!(one.incomplete || !one.failed_names.is_empty());
        }
        if one.problems.is_empty() {
            prop_assert!(!one.incomplete && one.failed_names.is_empty());
        }
    }
}
