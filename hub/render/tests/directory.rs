//! A tree on the local disk.

#[cfg(test)]
mod directory {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use tempfile::TempDir;
    use tidegate_render::{
        EntryKind, SourceTree as _,
        tree::{DirectoryTree, Error},
    };

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn tree() -> (TempDir, DirectoryTree) {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        write(root, "outside/secret.yaml", "no");
        write(root, "repo/app/b.yaml", "b");
        write(root, "repo/app/a.yaml", "aa");
        write(root, "repo/app/sub/c.yaml", "c");
        write(root, "repo/.git/config", "no");
        symlink(root.join("outside"), root.join("repo/out")).unwrap();
        symlink("../../outside/secret.yaml", root.join("repo/app/link.yaml")).unwrap();
        symlink("app", root.join("repo/in")).unwrap();
        let tree = DirectoryTree::open(root.join("repo")).unwrap();
        (directory, tree)
    }

    #[test]
    fn files_are_listed_in_order_with_sizes_and_without_git() {
        let (_directory, tree) = tree();
        let list = |dir: &str, recurse| {
            let entries = tree.files(dir, recurse).unwrap().into_iter();
            entries
                .map(|e| (e.path, e.size, e.kind))
                .collect::<Vec<_>>()
        };
        let file = |path: &str, size| (path.to_owned(), size, EntryKind::File);
        let link = |path: &str| (path.to_owned(), 0, EntryKind::Symlink);
        let flat = [
            file("app/a.yaml", 2),
            file("app/b.yaml", 1),
            link("app/link.yaml"),
        ];
        assert_eq!(list("app", false), flat);
        let mut deep = flat.to_vec();
        deep.push(file("app/sub/c.yaml", 1));
        assert_eq!(list("app/", true), deep);
        assert_eq!(list("", false), [link("in"), link("out")]);
        assert_eq!(list(".", true).len(), 6);
        assert_eq!(tree.read("./app/sub/c.yaml").unwrap(), b"c");
    }

    #[test]
    fn no_link_is_followed_and_no_path_leaves() {
        let (_directory, tree) = tree();
        for path in ["out", "in", "app/link.yaml", "out/secret.yaml", "in/a.yaml"] {
            assert!(matches!(tree.read(path), Err(Error::Link { .. })), "{path}");
            assert!(
                matches!(tree.files(path, true), Err(Error::Link { .. })),
                "{path}"
            );
        }
        for path in [
            "..",
            "../outside/secret.yaml",
            "app/../../outside",
            "/etc/passwd",
        ] {
            assert!(
                matches!(tree.read(path), Err(Error::Escapes { .. })),
                "{path}"
            );
            assert!(
                matches!(tree.files(path, true), Err(Error::Escapes { .. })),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_not_there_or_something_else_is_told() {
        let (directory, tree) = tree();
        assert!(matches!(
            tree.files("no", true),
            Err(Error::NotFound { .. })
        ));
        assert!(matches!(
            tree.read("app/no.yaml"),
            Err(Error::NotFound { .. })
        ));
        assert!(matches!(tree.read("app"), Err(Error::NotAFile { .. })));
        assert!(matches!(
            tree.files("app/a.yaml", true),
            Err(Error::NotADirectory { .. })
        ));
        assert!(matches!(
            tree.read("app/a.yaml/x"),
            Err(Error::NotADirectory { .. })
        ));
        let missing = DirectoryTree::open(directory.path().join("no"));
        assert!(matches!(missing, Err(Error::NotFound { .. })));
    }
}
