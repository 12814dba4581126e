//! Gathering from real repositories.

use std::{fs, path::Path, process::Command};

use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tidegate_model::{
    cluster::Cluster,
    ids::{ClusterUid, SetUid},
    source::RepoRevision,
};
use tidegate_store::blob::MemoryBlobs;
use uuid::Uuid;

use super::*;
use crate::{
    changes::Changes,
    git,
    publish::warn,
    records::{ClusterRecord, SetRecord, SourceRecord},
    state::State,
};

/// One repository, one set of it for two clusters, and what reads them.
struct World {
    state: State,
    gatherer: Arc<Gatherer>,
    blobs: Arc<MemoryBlobs>,
    repo: TempDir,
    mirrors: TempDir,
}

fn run_git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.env_clear().current_dir(dir).env("HOME", dir);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
    command.args(["-c", "init.defaultBranch=main"]).args(args);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn set_record(url: &str) -> SetRecord {
    let document = json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "ApplicationSet",
        "metadata": {"name": "web"},
        "spec": {"goTemplate": true, "generators": [{"clusters": {}}],
            "template": {"metadata": {"name": "web-{{.name}}"}, "spec": {
                "source": {"repoURL": url, "targetRevision": "main", "path": "app",
                    "directory": {"recurse": true}},
                "destination": {"name": "{{.name}}", "namespace": "web"}}}}});
    SetRecord {
        uid: SetUid(Uuid::from_u128(1)),
        project: "default".to_owned(),
        name: "web".to_owned(),
        version: 1,
        document: serde_json::from_value(document).unwrap(),
        last_release: 0,
        deleting: false,
        problems: Vec::new(),
        managed_by: "api".to_owned(),
        latest_run: None,
        last_succeeded: None,
        warnings: Vec::new(),
        applied_by: "ada".to_owned(),
        void_through: 0,
    }
}

fn cluster(n: u128) -> ClusterRecord {
    ClusterRecord {
        cluster: Cluster {
            uid: ClusterUid(Uuid::from_u128(n)),
            name: format!("c{n}"),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            servers: Vec::new(),
        },
        kubernetes_uid: None,
        agent_version: String::new(),
        joined: true,
        created_at: Timestamp::UNIX_EPOCH,
        refused_before: None,
        renew_before: None,
    }
}

impl World {
    async fn new(files: &[(&str, &str)], links: &[&str]) -> Self {
        let repo = TempDir::new().unwrap();
        run_git(repo.path(), &["init", "--quiet"]);
        for (path, content) in files {
            let path = repo.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        for link in links {
            std::os::unix::fs::symlink("elsewhere", repo.path().join(link)).unwrap();
        }
        run_git(repo.path(), &["add", "--all"]);
        run_git(repo.path(), &["commit", "--quiet", "--message", "one"]);

        let mirrors = TempDir::new().unwrap();
        let git = Git::new(git::Options {
            allow_file: true,
            ..git::Options::new(mirrors.path().join("mirrors"))
        })
        .unwrap();
        let source = RepoRevision {
            repo_url: format!("file://{}", repo.path().display()),
            revision: "main".to_owned(),
        };
        let commit = git.fetch(&source).await.unwrap().commit;
        let mut changes = Changes::default();
        changes.create(&set_record(&source.repo_url));
        changes.create(&cluster(1));
        changes.create(&cluster(2));
        changes.create(&SourceRecord {
            source,
            commit: Some(commit),
            checked_at: Timestamp::UNIX_EPOCH,
            error: None,
        });
        let mut state = State::default();
        for (key, value) in changes.writes {
            state
                .apply(&key, value.as_deref().map(|bytes| (bytes, 1)))
                .unwrap();
        }
        let blobs = Arc::new(MemoryBlobs::new());
        Self {
            state,
            gatherer: Arc::new(Gatherer::new(git, Arc::clone(&blobs) as _)),
            blobs,
            repo,
            mirrors,
        }
    }

    async fn gather(&self) -> Candidate {
        let inputs = Inputs::of(&self.state, self.state.set("default", "web").unwrap());
        let candidate = self.gatherer.gather(inputs).await.unwrap();
        assert_eq!(candidate.problems, Vec::<String>::new());
        candidate
    }
}

const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";

#[tokio::test]
async fn what_renders_but_should_be_looked_at_is_told_once_with_its_place() {
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {a: hunter2}}";
    let files = [("app/a.yaml", MAP), ("app/secret.yaml", secret)];
    let world = World::new(&files, &["app/latest"]).await;
    let candidate = world.gather().await;
    assert_eq!(candidate.apps.len(), 2);
    let told = warn::told(&candidate);
    let [link, secret] = &told[..] else {
        panic!("{told:?}")
    };
    let from = format!("file://{} at main: ", world.repo.path().display());
    assert!(
        link.starts_with(&format!("{from}app/latest: symbolic links")),
        "{link}"
    );
    assert!(
        secret.starts_with(&format!("{from}app/secret.yaml")) && secret.contains("plain text"),
        "{secret}"
    );
    assert!(!secret.contains("hunter2"), "{secret}");
}

#[tokio::test]
async fn content_that_was_swept_while_it_waited_is_there_again_when_it_is_used() {
    let world = World::new(&[("app/a.yaml", MAP)], &[]).await;
    let put = |world: &World| {
        let blobs = Arc::clone(&world.blobs);
        async move { blobs.list().await.unwrap() }
    };
    let first = world.gather().await;
    let all = put(&world).await;
    assert_eq!(all.len(), 2, "a bundle and its object");
    // It is held, say: no record names it, and sweeps come.
    for _ in 0..2 {
        let keep = world.gatherer.between_passes(BTreeSet::new).await;
        world.blobs.sweep(keep).await.unwrap();
    }
    assert_eq!(put(&world).await, []);

    let _pass = world.gatherer.pass().await;
    let second = world.gather().await;
    assert_eq!(
        first.apps["web-c1"].bundle(),
        second.apps["web-c1"].bundle()
    );
    assert_eq!(put(&world).await, all);
}

#[tokio::test]
async fn who_wrote_a_commit_is_read_once() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let world = World::new(&[("app/a.yaml", map)], &[]).await;
    let author = BTreeSet::from(["a@example.com".to_owned()]);
    assert_eq!(world.gather().await.authors, author);
    // A pass after every step of a run must not open the repository every time.
    fs::remove_dir_all(world.mirrors.path()).unwrap();
    assert_eq!(world.gather().await.authors, author);
}

#[tokio::test]
async fn nothing_is_released_whose_author_is_not_known_where_duties_are_separate() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let world = World::new(&[("app/a.yaml", map)], &[]).await;
    world.gather().await;
    world.gatherer.known_authors().clear();
    fs::remove_dir_all(world.mirrors.path()).unwrap();
    for separate in [false, true] {
        let wave = json!({"name": "all",
            "gates": {"before": [{"approval": {"separationOfDuties": separate}}]}});
        let strategy = json!({"type": "Waves", "waves": [wave]});
        let mut set = world.state.set("default", "web").unwrap().clone();
        let record = Arc::make_mut(&mut set.record);
        record.document.spec.strategy = serde_json::from_value(strategy).unwrap();
        let inputs = Inputs::of(&world.state, &set);
        let candidate = world.gatherer.gather(inputs.clone()).await.unwrap();
        assert_eq!(candidate.incomplete, separate);
        let told = candidate
            .problems
            .iter()
            .any(|it| it.contains("the author of commit"));
        assert_eq!(told, separate, "{:?}", candidate.problems);
    }
}
