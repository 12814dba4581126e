//! Previews over real repositories: what is told, and that nothing is left behind.

use tidegate_store::BlobStore as _;

use super::*;
use crate::{
    records::SetRecord,
    testing::fleet::{Fleet, MANIFEST, following},
};

impl Fleet {
    async fn ask(&self, request: wire::PreviewRequest) -> Result<wire::SetPreview, Status> {
        let before = (
            self.hub.revision().await,
            self.hub.blobs.list().await.unwrap(),
        );
        let answer = self.api.preview(ada(request)).await;
        let after = (
            self.hub.revision().await,
            self.hub.blobs.list().await.unwrap(),
        );
        assert_eq!(before, after, "a preview left something behind");
        answer.map(|answer| answer.into_inner().sets.remove(0))
    }

    async fn newest(&self) -> wire::SetPreview {
        self.ask(web()).await.unwrap()
    }
}

fn web() -> wire::PreviewRequest {
    wire::PreviewRequest {
        set: "web".to_owned(),
        ..Default::default()
    }
}

fn at(revision: &str, source: &str) -> wire::PreviewRequest {
    wire::PreviewRequest {
        revision: revision.to_owned(),
        source: source.to_owned(),
        ..web()
    }
}

fn only(cluster: &str, app: &str) -> wire::PreviewRequest {
    wire::PreviewRequest {
        filter: Some(wire::DiffFilter {
            cluster: cluster.to_owned(),
            app: app.to_owned(),
        }),
        ..web()
    }
}

fn groups(preview: &wire::SetPreview) -> &[wire::DiffGroup] {
    &preview.differences.as_ref().unwrap().groups
}

fn names(places: &[wire::ApplicationPlace]) -> Vec<(&str, &str)> {
    let places = places.iter();
    places
        .map(|place| (place.name.as_str(), place.cluster.as_str()))
        .collect()
}

#[tokio::test]
async fn the_newest_commit_is_fetched_and_the_same_change_told_once() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    let same = fleet.newest().await;
    assert_eq!(groups(&same), []);
    assert_eq!((same.differences.unwrap().unchanged, same.release), (2, 0));

    let new = MANIFEST.replace("one", "two");
    let more = MANIFEST.replace("name: a", "name: b");
    let commit = fleet
        .repository
        .commit(&[("a.yaml", &new), ("b.yaml", &more)]);
    let preview = fleet.newest().await;
    let [group] = groups(&preview) else {
        panic!("{preview:#?}");
    };
    assert_eq!(
        names(&group.applications),
        [("web-c1", "c1"), ("web-c2", "c2")]
    );
    assert_eq!(group.kind(), wire::DiffKind::Changed);
    let [changed, added] = &group.objects[..] else {
        panic!("{group:#?}");
    };
    assert!(
        changed.diff.contains("\n-  a: one\n+  a: two\n"),
        "{}",
        changed.diff
    );
    assert_eq!(
        (changed.kind(), changed.cut),
        (wire::DiffKind::Changed, false)
    );
    assert_eq!(
        (added.kind(), added.diff.as_str()),
        (wire::DiffKind::Added, "")
    );
    assert_eq!(preview.sources[0].commit, commit);
    assert_eq!(
        (preview.release, preview.holds.len(), preview.problems.len()),
        (2, 0, 0)
    );

    fleet.publish().await;
    assert_eq!(fleet.newest().await.release, 0, "it is made already");
}

#[tokio::test]
async fn any_commit_can_be_asked_about_and_what_is_not_there_is_said() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    let two = fleet
        .repository
        .commit(&[("a.yaml", &MANIFEST.replace("one", "two"))]);
    fleet
        .repository
        .commit(&[("a.yaml", &MANIFEST.replace("one", "three"))]);
    for request in [at(&two, ""), at(&two, &fleet.repository.url())] {
        let preview = fleet.ask(request).await.unwrap();
        assert!(groups(&preview)[0].objects[0].diff.contains("+  a: two"));
    }
    let nowhere = fleet.ask(at("no-such-branch", "")).await;
    refused(
        nowhere,
        Code::InvalidArgument,
        &["set web", "no-such-branch"],
    );
    let other = fleet.ask(at(&two, "https://git.example.org/b")).await;
    let url = fleet.repository.url();
    refused(
        other,
        Code::InvalidArgument,
        &["no source", &format!("{url}@main")],
    );
    let idle = fleet.ask(at("", &url)).await;
    refused(idle, Code::InvalidArgument, &["no revision"]);
    let missing = wire::PreviewRequest {
        set: "nope".to_owned(),
        ..Default::default()
    };
    refused(fleet.ask(missing).await, Code::NotFound, &["no set nope"]);
}

#[tokio::test]
async fn what_would_be_held_is_said_with_the_reason() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    fleet.repository.commit(&[("a.yaml", "")]);
    let preview = fleet.newest().await;
    assert_eq!(
        preview.release, 0,
        "nothing is released while something waits"
    );
    let holds: Vec<_> = preview
        .holds
        .iter()
        .map(|hold| hold.message.as_str())
        .collect();
    assert!(
        holds[0].contains("web-c1 renders to no objects"),
        "{holds:?}"
    );
    let first = &preview.holds[0];
    assert_eq!(
        (first.kind.as_str(), first.set.as_str()),
        ("EmptyBundle", "web")
    );
    assert_eq!(
        (first.id.as_str(), first.since_ms),
        ("", 0),
        "there is no such hold yet"
    );
    let removed = &groups(&preview)[0].objects[0];
    assert_eq!(removed.kind(), wire::DiffKind::Removed);

    fleet.publish().await;
    let preview = fleet.newest().await;
    assert!(!preview.holds[0].id.is_empty() && preview.holds[0].since_ms > 0);
}

#[tokio::test]
async fn applications_come_and_go_with_their_clusters() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    fleet.hub.create([cluster(3)]).await;
    let gone = fleet.hub.db.read().cluster(cluster_uid(1)).unwrap().clone();
    fleet.hub.write(|changes| changes.delete(&gone)).await;
    let preview = fleet.newest().await;
    let told: Vec<_> = groups(&preview)
        .iter()
        .map(|group| {
            (
                group.kind(),
                group.applications[0].name.as_str(),
                group.objects.len(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (wire::DiffKind::Removed, "web-c1", 1),
            (wire::DiffKind::Added, "web-c3", 1)
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_rendered_is_told_once_with_its_place_and_stays_as_it_is() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    fleet
        .repository
        .commit(&[("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: [\n")]);
    let preview = fleet.newest().await;
    let [unrendered] = &preview.unrendered[..] else {
        panic!("{preview:#?}");
    };
    assert!(
        unrendered.message.contains("a.yaml:"),
        "{}",
        unrendered.message
    );
    assert_eq!(
        names(&unrendered.applications),
        [("web-c1", "c1"), ("web-c2", "c2")]
    );
    assert_eq!(preview.problems, Vec::<String>::new(), "told once");
    let differences = preview.differences.unwrap();
    assert_eq!((differences.groups, differences.unchanged), (Vec::new(), 2));
}

#[tokio::test]
async fn a_source_that_cannot_be_fetched_is_a_problem_and_no_difference() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    fleet.repository.hide(true);
    let preview = fleet.newest().await;
    assert!(
        preview.problems[0].contains("stays at"),
        "{:?}",
        preview.problems
    );
    assert_eq!(groups(&preview), []);
}

#[tokio::test]
async fn only_what_is_asked_for_is_told_and_a_misspelt_name_is_an_error() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    fleet
        .repository
        .commit(&[("a.yaml", &MANIFEST.replace("one", "two"))]);
    for request in [only("c2", ""), only("", "web-c2")] {
        let preview = fleet.ask(request).await.unwrap();
        assert_eq!(names(&groups(&preview)[0].applications), [("web-c2", "c2")]);
    }
    let misspelt = fleet.ask(only("", "wbe-c2")).await;
    refused(misspelt, Code::NotFound, &["no application wbe-c2"]);
    let misspelt = fleet.ask(only("c9", "")).await;
    refused(misspelt, Code::NotFound, &["no cluster c9"]);
}

#[tokio::test]
async fn values_of_secrets_are_never_told() {
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{p: {value}}}\n")
    };
    let fleet = Fleet::new(&[("s.yaml", &secret("hunter2"))]).await;
    fleet
        .repository
        .commit(&[("s.yaml", &secret("correct-horse"))]);
    let preview = fleet.newest().await;
    let told = format!("{preview:?}");
    assert!(
        !told.contains("hunter2") && !told.contains("correct-horse"),
        "{told}"
    );
    assert_eq!(told.matches("masked:").count(), 2, "{told}");
}

#[tokio::test]
async fn documents_are_previewed_before_they_are_applied() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    let mut other = following(9, "other", &fleet.repository).document;
    let mut web = following(1, "web", &fleet.repository).document;
    web.spec.template.spec.destination.namespace = "shop".to_owned();
    let file = |document: &tidegate_model::application_set::ApplicationSet| wire::SourceFile {
        name: format!("{}.json", document.metadata.name),
        content: serde_json::to_vec(document).unwrap(),
    };
    let preview = |files| {
        let request = wire::PreviewApplyRequest {
            files,
            filter: None,
        };
        fleet.api.preview_apply(ada(request))
    };
    let before = (
        fleet.hub.revision().await,
        fleet.hub.blobs.list().await.unwrap(),
    );
    let answer = preview(vec![file(&web), file(&other)])
        .await
        .unwrap()
        .into_inner();
    let [changed, new] = &answer.sets[..] else {
        panic!("{answer:#?}");
    };
    assert_eq!(groups(changed)[0].settings, ["namespace: none -> shop"]);
    assert_eq!(
        (groups(new)[0].kind(), new.release),
        (wire::DiffKind::Added, 1)
    );
    assert_eq!(
        names(&groups(new)[0].applications),
        [("other-c1", "c1"), ("other-c2", "c2")]
    );
    other.spec.template.spec.source.repo_url = "nonsense".to_owned();
    let wrong = preview(vec![file(&other)]).await;
    refused(wrong, Code::InvalidArgument, &["other.json"]);
    let after = (
        fleet.hub.revision().await,
        fleet.hub.blobs.list().await.unwrap(),
    );
    assert_eq!(before, after, "a preview left something behind");
}

#[tokio::test]
async fn two_releases_are_compared_while_what_they_held_is_kept() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    fleet
        .repository
        .commit(&[("a.yaml", &MANIFEST.replace("one", "two"))]);
    fleet.publish().await;
    let diff = |from, to| {
        let request = wire::DiffReleasesRequest {
            set: "web".to_owned(),
            from,
            to,
            ..Default::default()
        };
        fleet.api.diff_releases(ada(request))
    };
    let told = |answer: wire::DiffReleasesResponse| {
        let group = answer.differences.unwrap().groups.remove(0);
        (group.applications.len(), group.objects[0].diff.clone())
    };
    let (count, text) = told(diff(1, 2).await.unwrap().into_inner());
    assert!(text.contains("-  a: one\n+  a: two"), "{text}");
    assert_eq!(count, 2);
    let (_, back) = told(diff(2, 1).await.unwrap().into_inner());
    assert!(back.contains("-  a: two\n+  a: one"), "{back}");
    refused(diff(1, 7).await, Code::NotFound, &["no release 7"]);

    let row = fleet.hub.db.read().set("default", "web").unwrap().clone();
    let mut record = SetRecord::clone(&row.record);
    record.last_release = 40;
    record.latest_run = None;
    let runs: Vec<_> = fleet.hub.db.read().runs_of(&record).cloned().collect();
    fleet
        .hub
        .write(|changes| {
            changes.update(&row, &record);
            for run in &runs {
                changes.delete(run);
            }
        })
        .await;
    refused(
        diff(1, 2).await,
        Code::FailedPrecondition,
        &["no longer kept", "last 10"],
    );
}
