//! Plain sources: what becomes of good ones, and what is said about bad ones.

#[cfg(test)]
mod plain {
    use serde_json::{Value, json};
    use tidegate_model::{
        bundle::OBJECT_TAG,
        digest::Digest,
        source::{Directory, Source},
    };
    use tidegate_render::{Error, Limits, Rendered, Warning, render, tree::MemoryTree};

    const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n";

    fn source(path: &str) -> Source {
        Source {
            repo_url: "https://git.example.com/shop.git".to_owned(),
            target_revision: "main".to_owned(),
            path: path.to_owned(),
            directory: Directory::default(),
        }
    }

    fn recursive(path: &str) -> Source {
        Source {
            directory: Directory {
                recurse: true,
                ..Directory::default()
            },
            ..source(path)
        }
    }

    fn of(tree: &MemoryTree, source: &Source) -> Result<Rendered, Error> {
        render(tree, source, &Limits::default())
    }

    fn one(text: &str) -> Result<Rendered, Error> {
        of(&MemoryTree::new().file("app/a.yaml", text), &source("app"))
    }

    fn problem(text: &str) -> String {
        one(text).unwrap_err().to_string()
    }

    fn names(rendered: &Rendered) -> Vec<&str> {
        let objects = rendered.bundle.objects().iter();
        objects.map(|entry| entry.key.id.name.as_str()).collect()
    }

    fn config_map(name: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
    }

    #[test]
    fn every_object_of_every_manifest_is_in_the_bundle_with_its_bytes() {
        let tree = MemoryTree::new()
            .file("app/a.yaml", format!("{WEB}---\n{}", config_map("one")))
            .file("app/b.yml", config_map("two"))
            .file(
                "app/c.json",
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "three"}})
                    .to_string(),
            )
            .file("app/README.md", "not: [a manifest")
            .file("app/sub/d.yaml", config_map("four"));
        let rendered = of(&tree, &source("app")).unwrap();
        assert_eq!(names(&rendered), ["one", "three", "two", "web"]);
        assert_eq!(rendered.objects.len(), 4);
        for entry in rendered.bundle.objects() {
            let bytes = &rendered.objects[&entry.digest];
            assert_eq!(Digest::of_bytes(OBJECT_TAG, bytes), entry.digest);
            let value: Value = serde_json::from_slice(bytes).unwrap();
            assert_eq!(value["metadata"]["name"], entry.key.id.name);
        }
        let all = of(&tree, &recursive("./app/")).unwrap();
        assert_eq!(names(&all), ["four", "one", "three", "two", "web"]);
    }

    #[test]
    fn the_order_and_layout_of_files_do_not_change_the_bundle() {
        let one_file = MemoryTree::new().file("a.yaml", format!("{WEB}---\n{}", config_map("x")));
        let two_files = MemoryTree::new()
            .file("1.yaml", config_map("x"))
            .file("2.yaml", WEB);
        let digest = |tree| of(tree, &source(".")).unwrap().bundle.digest();
        assert_eq!(digest(&one_file), digest(&two_files));
    }

    #[test]
    fn include_and_exclude_are_relative_to_the_directory() {
        let tree = MemoryTree::new()
            .file("app/dev/a.yaml", config_map("dev"))
            .file("app/prod/a.yaml", config_map("prod"))
            .file("app/values.yaml", "just: values");
        let mut source = recursive("app");
        source.directory.include = "{dev,prod}/*".to_owned();
        source.directory.exclude = "prod/*".to_owned();
        assert_eq!(names(&of(&tree, &source).unwrap()), ["dev"]);
    }

    #[test]
    fn what_only_a_server_writes_is_taken_out_and_the_namespace_stays() {
        let rendered = one(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: shop\n  uid: x\n  \
             resourceVersion: '7'\n  creationTimestamp: null\n  managedFields: []\n  labels: {a: b}\n\
             spec: {status: kept}\nstatus: {loadBalancer: {}}\n",
        )
        .unwrap();
        let bytes = rendered.objects.values().next().unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(bytes).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "a", "namespace": "shop", "labels": {"a": "b"}},
                "spec": {"status": "kept"},
            })
        );
    }

    #[test]
    fn an_object_needs_a_kind_and_a_name_and_the_line_is_told() {
        check_problems(&[
            (
                "kind: A\nmetadata: {name: a}\n",
                "app/a.yaml:6: apiVersion is missing; add it",
            ),
            (
                "apiVersion: v1\nmetadata: {name: a}\n",
                "app/a.yaml:6: kind is missing; add it",
            ),
            (
                "apiVersion: v1\nkind: A\n",
                "app/a.yaml:6: metadata is missing",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata: []\n",
                "app/a.yaml:8: metadata is not a map",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata:\n  labels: {}\n",
                "metadata.name is missing",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata:\n  name: 7\n",
                "app/a.yaml:9: metadata.name is not text; quote it",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata:\n  name: ''\n",
                "app/a.yaml:9: metadata.name is empty",
            ),
            (
                "apiVersion: 1\nkind: A\nmetadata: {name: a}\n",
                "app/a.yaml:6: apiVersion is not text",
            ),
            (
                "apiVersion: apps/\nkind: A\nmetadata: {name: a}\n",
                "app/a.yaml:6: apiVersion has no version",
            ),
        ]);
    }

    #[test]
    fn metadata_that_a_server_would_refuse_is_refused_here() {
        check_problems(&[
            (
                "apiVersion: v1\nkind: A\nmetadata:\n  generateName: a-\n",
                "app/a.yaml:9: metadata.generateName makes a new object",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  namespace: 1\n",
                "app/a.yaml:10: metadata.namespace is not text",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  labels:\n    a/b: true\n",
                "app/a.yaml:11: metadata.labels[\"a/b\"] is not text; quote it",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations: x\n",
                "app/a.yaml:10: metadata.annotations is not a map",
            ),
            (
                "- 1\n",
                "app/a.yaml:6: the document is not a Kubernetes object",
            ),
        ]);
    }

    fn check_problems(rows: &[(&str, &str)]) {
        for (text, expected) in rows {
            let problem = problem(&format!("{WEB}---\n{text}"));
            assert!(
                problem.contains(expected),
                "{text:?}\n{problem}\n{expected}"
            );
        }
    }

    #[test]
    fn a_duplicate_names_both_places() {
        let tree = MemoryTree::new()
            .file("app/a.yaml", format!("{WEB}---\n{}", config_map("x")))
            .file(
                "app/b.yaml",
                format!("# again\n{}", WEB.replace("apps/v1", "apps/v1beta1")),
            );
        let error = of(&tree, &source("app")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to render app/b.yaml:2: Deployment.apps web is already defined at \
             app/a.yaml:1; remove one of the two"
        );
        // Another namespace is another object.
        let both = format!("{WEB}---\n{WEB}  namespace: shop\n");
        assert_eq!(one(&both).unwrap().bundle.objects().len(), 2);
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let problem = problem("apiVersion: v1\nkind: {\n");
        assert!(problem.contains("app/a.yaml:"), "{problem}");
    }

    #[test]
    fn a_missing_path_names_repository_path_and_revision() {
        let tree = MemoryTree::new().file("app/a.yaml", WEB);
        let missing = of(&tree, &source("apps")).unwrap_err();
        let text = missing.to_string();
        for part in [
            "\"apps\"",
            "https://git.example.com/shop.git",
            "main",
            "correct",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let file = of(&tree, &source("app/a.yaml")).unwrap_err();
        assert!(matches!(file, Error::PathIsFile { .. }), "{file:?}");
    }

    #[test]
    fn no_path_leaves_the_tree() {
        let tree = MemoryTree::new()
            .file("a.yaml", WEB)
            .symlink("link")
            .submodule("vendor");
        for path in ["..", "a/../..", "/etc", "link", "link/x", "vendor/x"] {
            let error = of(&tree, &source(path)).unwrap_err();
            assert!(matches!(error, Error::Tree(_)), "{path}: {error:?}");
        }
    }

    #[test]
    fn links_are_refused_as_manifests_and_told_otherwise() {
        let linked = MemoryTree::new().file("a.yaml", WEB).symlink("b.yaml");
        let error = of(&linked, &source("")).unwrap_err();
        assert!(
            matches!(&error, Error::LinkedFile { file } if file == "b.yaml"),
            "{error:?}"
        );
        let beside = MemoryTree::new()
            .file("a.yaml", WEB)
            .symlink("sub/common")
            .submodule("vendor");
        let rendered = of(&beside, &recursive("")).unwrap();
        let expected = [
            Warning::LinkSkipped {
                path: "sub/common".to_owned(),
            },
            Warning::SubmoduleSkipped {
                path: "vendor".to_owned(),
            },
        ];
        assert_eq!(rendered.warnings, expected);
    }

    #[test]
    fn a_plain_secret_is_a_warning() {
        let rendered = one("apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n").unwrap();
        let [warning @ Warning::PlainSecret { place, .. }] = &rendered.warnings[..] else {
            panic!("{:?}", rendered.warnings)
        };
        assert_eq!(place.to_string(), "app/a.yaml:1");
        assert!(warning.to_string().contains("Secret db"), "{warning}");
        let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db}\n";
        assert!(one(sealed).unwrap().warnings.is_empty());
    }

    #[test]
    fn a_directory_without_manifests_is_an_empty_bundle() {
        let tree = MemoryTree::new().file("app/.gitkeep", "");
        let rendered = of(&tree, &source("app")).unwrap();
        assert!(rendered.bundle.is_empty() && rendered.objects.is_empty());
        assert!(one("# nothing\n---\n").unwrap().bundle.is_empty());
    }

    #[test]
    fn limits_hold_to_the_byte_and_are_checked_before_reading() {
        let tree = MemoryTree::new()
            .file("a.yaml", config_map("a"))
            .file("b.yaml", config_map("b"))
            .file("notes.txt", vec![b'x'; 10_000]);
        let size = config_map("a").len() as u64;
        let exact = Limits {
            files: 2,
            file_bytes: size,
            total_bytes: 2 * size,
            objects: 2,
            ..Limits::default()
        };
        let with = |limits: Limits| render(&tree, &source(""), &limits);
        assert!(with(exact).is_ok());
        let error = with(Limits { files: 1, ..exact }).unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooManyFiles {
                    files: 2,
                    limit: 1,
                    ..
                }
            ),
            "{error:?}"
        );
        let error = with(Limits {
            file_bytes: size - 1,
            ..exact
        })
        .unwrap_err();
        assert!(matches!(error, Error::FileTooLarge { .. }), "{error:?}");
        let error = with(Limits {
            total_bytes: 2 * size - 1,
            ..exact
        })
        .unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
        let error = with(Limits {
            objects: 1,
            ..exact
        })
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("b.yaml:1") && text.contains("at most 1"),
            "{text}"
        );
    }

    #[test]
    fn a_50_megabyte_file_is_refused_by_its_size() {
        use tidegate_render::{EntryKind, FileEntry, SourceTree, tree};
        struct Huge;
        impl SourceTree for Huge {
            fn files(&self, _: &str, _: bool) -> Result<Vec<FileEntry>, tree::Error> {
                Ok(vec![FileEntry {
                    path: "app/dump.json".to_owned(),
                    size: 50 << 20,
                    kind: EntryKind::File,
                }])
            }
            fn read(&self, path: &str) -> Result<Vec<u8>, tree::Error> {
                panic!("{path} was read")
            }
        }
        let error = render(&Huge, &source("app"), &Limits::default()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("app/dump.json") && text.contains("52428800 bytes"),
            "{text}"
        );
    }
}
