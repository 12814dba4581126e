//! What changes of the configuration file keep, and what they refuse.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn context(name: &str) -> Context {
    Context {
        name: name.to_owned(),
        server: format!("https://{name}.example:8443"),
        ca_data: "ca".to_owned(),
        certificate_data: "certificate".to_owned(),
        key_data: format!("key of {name}"),
    }
}

fn names(config: &Config) -> Vec<&str> {
    config.contexts.iter().map(|it| it.name.as_str()).collect()
}

#[tokio::test]
async fn a_file_is_made_where_there_is_none_and_for_its_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b/config.yaml");
    edit(&path, |config| {
        config.add(vec![context("prod")], false, &path)
    })
    .await
    .unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config, Config::single(context("prod")));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    // A file that others could read is theirs no longer once it was changed.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    edit(&path, |config| {
        config.add(vec![context("dev")], false, &path)
    })
    .await
    .unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_at_once_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.yaml");
    let writers: Vec<_> = (0..20)
        .map(|number| {
            let path = path.clone();
            tokio::spawn(async move {
                let context = context(&format!("c{number}"));
                edit(&path, |config| config.add(vec![context], false, &path)).await
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    let config = Config::load(&path).unwrap();
    assert_eq!(config.contexts.len(), 20, "{:?}", names(&config));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_never_written() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.yaml");
    for broken in [
        "contexts: {",
        "apiVersion: v1\nkind: Config\ncontexts: []\n",
    ] {
        fs::write(&path, broken).unwrap();
        let error = edit(&path, |config| config.add(vec![context("x")], true, &path))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), broken);
    }
}

#[tokio::test]
async fn what_a_dead_writer_left_is_in_nobodys_way() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.yaml");
    fs::write(beside(&path, "new"), "half a fi").unwrap();
    fs::write(beside(&path, "lock"), "").unwrap();
    edit(&path, |config| config.add(vec![context("x")], false, &path))
        .await
        .unwrap();
    assert_eq!(names(&Config::load(&path).unwrap()), ["x"]);
    assert!(!beside(&path, "new").exists());
}

#[tokio::test]
async fn a_link_stays_a_link() {
    let home = tempfile::tempdir().unwrap();
    let (real, link) = (home.path().join("real.yaml"), home.path().join("link.yaml"));
    fs::write(&real, Config::single(context("a")).to_yaml(&real).unwrap()).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    edit(&link, |config| config.add(vec![context("b")], false, &link))
        .await
        .unwrap();
    assert!(link.is_symlink());
    assert_eq!(names(&Config::load(&real).unwrap()), ["a", "b"]);
}

#[test]
fn a_name_that_is_taken_is_refused_and_all_of_a_file_or_none_is_added() {
    let path = Path::new("config.yaml");
    let mut config = Config::single(context("a"));
    let mut other = context("a");
    other.server = "https://new:1".to_owned();
    let new = vec![context("b"), other.clone()];
    let error = config
        .add(new.clone(), false, path)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a context a already") && error.contains("--overwrite"),
        "{error}"
    );
    assert_eq!(config, Config::single(context("a")));
    config.add(new, true, path).unwrap();
    assert_eq!(config.contexts, [other, context("b")]);
    assert!(config.add(vec![context("a b")], false, path).is_err());
}

#[test]
fn the_current_context_follows_its_name_and_goes_with_it() {
    let path = Path::new("config.yaml");
    let mut config = Config::single(context("a"));
    config.add(vec![context("b")], false, path).unwrap();
    config.rename("a", "c", path).unwrap();
    assert_eq!(
        (config.current_context.as_str(), names(&config)),
        ("c", vec!["c", "b"])
    );
    assert!(config.rename("c", "b", path).is_err());
    config.use_context("b", path).unwrap();
    assert!(config.use_context("nobody", path).is_err());
    assert_eq!(config.current_context, "b");
    config.delete("b", path).unwrap();
    let error = config.context(None, path).unwrap_err().to_string();
    assert!(
        error.contains("use-context") && error.contains("there are c"),
        "{error}"
    );
}

#[test]
fn of_two_contexts_of_one_name_none_is_lost() {
    let path = Path::new("config.yaml");
    let mut config = Config::single(context("a"));
    config.contexts.push(context("a"));
    let before = config.clone();
    assert!(config.delete("a", path).is_err());
    assert!(config.rename("a", "b", path).is_err());
    assert!(config.add(vec![context("a")], true, path).is_err());
    assert_eq!(config, before);
}
