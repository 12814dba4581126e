//! `expand` and `render`: what people check before they push, with no hub in sight.

use std::fs;

use crate::world::{Ran, World};

const SET: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: ApplicationSet
metadata: {name: web}
spec:
  generators:
  - clusters: {selector: {matchLabels: {env: dev}}}
  - git: {repoURL: https://git.example.com/a.git, revision: main, files: [{path: 'clusters/*.yaml'}]}
  template:
    metadata: {name: 'web-{{.name}}'}
    spec:
      source: {repoURL: https://git.example.com/a.git, targetRevision: main, path: 'apps/{{.name}}'}
      destination: {name: '{{.name}}', namespace: web}
";

/// A repository, a fleet and a set in the world's directory; nobody who could be asked.
struct Desk(World);

impl Desk {
    fn new() -> Self {
        let world = World::new();
        let root = world.directory.path();
        for dir in ["repo/clusters", "repo/apps/dev-1", "repo/apps/lab"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        world.file("set.yaml", SET);
        world.file("repo/clusters/lab.yaml", "name: lab\n");
        world.file(
            "repo/apps/dev-1/config.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {mode: fast}\n",
        );
        world.file(
            "clusters.yaml",
            "items:\n- {name: dev-1, uid: 01890000-0000-7000-8000-000000000001, labels: {env: dev}, joined: true}\n- {name: lab}\n",
        );
        Self(world)
    }

    async fn run(&self, line: &str) -> Ran {
        let arguments: Vec<_> = line.split(' ').collect();
        let ran = crate::world::ran(&mut self.0.command(&arguments)).await;
        assert_eq!(self.0.hub.requests(), 0, "a hub was asked");
        ran
    }
}

const INPUTS: &str = "--clusters clusters.yaml --repo repo";

#[tokio::test]
async fn a_set_expands_over_a_file_of_clusters_and_a_directory() {
    let desk = Desk::new();
    let ran = desk.run(&format!("expand -f set.yaml {INPUTS}")).await;
    let rows: Vec<Vec<&str>> = ran
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["NAME", "CLUSTER", "NAMESPACE", "PATH", "FROM"]);
    assert_eq!(rows[1][..4], ["web-dev-1", "dev-1", "web", "apps/dev-1"]);
    assert_eq!(rows[2][..4], ["web-lab", "lab", "web", "apps/lab"]);
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));

    let ran = desk
        .run(&format!("expand -f set.yaml {INPUTS} -o name"))
        .await;
    assert_eq!(ran.out, "application/web-dev-1\napplication/web-lab\n");
    let ran = desk
        .run(&format!("expand -f set.yaml {INPUTS} -o json"))
        .await;
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let first = &answer["items"][0];
    assert_eq!(first["cluster"], "01890000-0000-7000-8000-000000000001");
    assert_eq!(
        answer["items"][1]["provenance"]["generator"],
        "spec.generators[1].git"
    );
    // A directory for one repository only.
    let named = "--clusters clusters.yaml --repo https://git.example.com/a.git=repo";
    let again = desk
        .run(&format!("expand -f set.yaml {named} -o json"))
        .await;
    assert_eq!(again.out, ran.out);
}

#[tokio::test]
async fn what_cannot_be_made_is_8_and_the_rest_is_shown() {
    let desk = Desk::new();
    desk.0
        .file("clusters.yaml", "- {name: dev-1, labels: {env: dev}}\n");
    let ran = desk
        .run(&format!("expand -f set.yaml {INPUTS} -o name"))
        .await;
    assert_eq!(ran.out, "application/web-dev-1\n");
    let told = ran.failed(8);
    assert!(
        told.contains("spec.generators[1].git, row 0") && told.contains("no cluster named \"lab\""),
        "{told}"
    );
    let told = desk
        .run("expand -f set.yaml --clusters clusters.yaml")
        .await
        .failed(8);
    assert!(
        told.contains("--repo https://git.example.com/a.git=DIR"),
        "{told}"
    );
    let told = desk.run("expand -f set.yaml --repo repo").await.failed(8);
    assert!(told.contains("give --clusters FILE"), "{told}");

    desk.0.file(
        "wrong.yaml",
        &SET.replace("namespace: web", "namspace: web"),
    );
    let told = desk.run("expand -f set.yaml -f wrong.yaml").await.failed(8);
    assert!(
        told.contains("wrong.yaml:12: spec.template.spec.destination.namspace"),
        "{told}"
    );
    desk.0.file("clusters.yaml", "name: dev-1\n");
    let told = desk
        .run(&format!("expand -f set.yaml {INPUTS}"))
        .await
        .failed(8);
    assert!(told.contains("clusters.yaml: "), "{told}");
    let told = desk
        .run("expand -f set.yaml --repo nowhere")
        .await
        .failed(2);
    assert!(told.contains("nowhere is no directory"), "{told}");
}

#[tokio::test]
async fn a_directory_and_an_application_render_to_the_same_objects() {
    let desk = Desk::new();
    let dir = desk.run("render repo/apps/dev-1").await;
    assert_eq!(
        dir.out,
        "---\napiVersion: v1\ndata:\n  mode: fast\nkind: ConfigMap\nmetadata:\n  name: c\n"
    );
    let app = desk
        .run(&format!("render -f set.yaml --app web-dev-1 {INPUTS}"))
        .await;
    assert_eq!((app.code, &app.out), (0, &dir.out));
    let ran = desk.run("render repo/apps/dev-1 -o name").await;
    assert_eq!(ran.out, "configmap/c\n");
    // Text that kubectl would take for a truth value is not left to it.
    desk.0.file(
        "repo/apps/lab/config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {mode: 'on'}\n",
    );
    let ran = desk.run("render repo/apps/lab").await;
    assert!(ran.out.contains(r#""mode": "on""#), "{}", ran.out);
    let told = desk
        .run(&format!("render -f set.yaml --app web-x {INPUTS}"))
        .await
        .failed(3);
    assert!(told.contains("there are web-dev-1, web-lab"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_rendered_is_8_with_its_place_and_a_secret_is_a_warning() {
    let desk = Desk::new();
    let file = "repo/apps/dev-1/secret.yaml";
    desk.0.file(
        file,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n",
    );
    let ran = desk.run("render repo/apps/dev-1 -o name").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "configmap/c\nsecret/s\n"));
    assert!(
        ran.err.starts_with("warning: secret.yaml:1: "),
        "{}",
        ran.err
    );
    desk.0
        .file(file, "apiVersion: v1\nkind: Secret\nmetadata: {}\n");
    let told = desk.run("render repo/apps/dev-1").await.failed(8);
    assert!(
        told.contains("secret.yaml:3: metadata.name is missing"),
        "{told}"
    );
    let told = desk.run("render repo/nowhere").await.failed(8);
    assert!(told.contains("nowhere"), "{told}");
}
