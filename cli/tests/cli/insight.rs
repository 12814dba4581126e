//! What the canned hub says of what would change and why things are as they are, and the tests of
//! the commands that ask.

use tidegate_proto::v1 as wire;
use tonic::Status;

use crate::{data, world::World};

fn place(name: &str, cluster: &str) -> wire::ApplicationPlace {
    wire::ApplicationPlace {
        name: name.to_owned(),
        cluster: cluster.to_owned(),
    }
}

fn object(group: &str, kind: &str, name: &str) -> wire::ObjectId {
    wire::ObjectId {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn changed(kind: wire::DiffKind, id: wire::ObjectId, diff: &str) -> wire::ObjectDiff {
    wire::ObjectDiff {
        kind: kind.into(),
        object: Some(id),
        diff: diff.to_owned(),
        cut: diff.contains("image"),
    }
}

fn differences() -> wire::Differences {
    let fleet = (1..=15).map(|n| place(&format!("web-prod-eu-{n}"), &format!("prod-eu-{n}")));
    let objects = vec![
        changed(wire::DiffKind::Added, object("", "ConfigMap", "flags"), ""),
        changed(
            wire::DiffKind::Changed,
            object("apps", "Deployment", "web"),
            "@@ -9,3 +9,3 @@\n spec:\n-  image: web:1\n+  image: web:2\u{1b}[2J\n",
        ),
        changed(
            wire::DiffKind::Removed,
            object("", "Service", "web-old"),
            "",
        ),
    ];
    let group = |kind: wire::DiffKind, applications, objects| wire::DiffGroup {
        kind: kind.into(),
        applications,
        objects,
        ..wire::DiffGroup::default()
    };
    wire::Differences {
        groups: vec![
            wire::DiffGroup {
                more_applications: 100,
                more_objects: 4,
                settings: vec!["prune: true -> false".to_owned()],
                ..group(wire::DiffKind::Changed, fleet.collect(), objects)
            },
            group(
                wire::DiffKind::Added,
                vec![place("web-new", "new")],
                vec![changed(
                    wire::DiffKind::Added,
                    object("", "ConfigMap", "flags"),
                    "",
                )],
            ),
        ],
        unchanged: 3,
        more_groups: 0,
    }
}

fn unrendered() -> wire::Unrendered {
    wire::Unrendered {
        message: "apps/web/deploy.yaml:12: mapping values are not allowed here".to_owned(),
        applications: vec![place("web-dev-1", "dev-1")],
        more: 0,
    }
}

/// `same` has no difference, `broken` cannot be rendered.
pub(crate) fn preview(set: &str) -> wire::PreviewResponse {
    let mut holds = data::holds();
    holds.truncate(1);
    let mut answer = wire::SetPreview {
        project: "default".to_owned(),
        set: "web".to_owned(),
        sources: data::releases()[0].sources.clone(),
        differences: Some(differences()),
        holds,
        release: 9,
        ..wire::SetPreview::default()
    };
    match set {
        "same" => {
            answer.differences = Some(wire::Differences {
                unchanged: 7,
                ..wire::Differences::default()
            });
            answer.holds.clear();
            answer.release = 0;
        }
        "broken" => answer.unrendered = vec![unrendered()],
        _ => {}
    }
    wire::PreviewResponse { sets: vec![answer] }
}

pub(crate) fn preview_files(files: &[wire::SourceFile]) -> Result<wire::PreviewResponse, Status> {
    if files[0].content == b"wrong" {
        return Err(Status::invalid_argument(format!(
            "nothing was written:\n{}:1: kind: required",
            files[0].name
        )));
    }
    Ok(preview("web"))
}

pub(crate) fn releases(request: &wire::DiffReleasesRequest) -> wire::DiffReleasesResponse {
    if request.from == request.to {
        return wire::DiffReleasesResponse::default();
    }
    wire::DiffReleasesResponse {
        differences: Some(differences()),
        unrendered: vec![unrendered()],
    }
}

/// `old` was brought by a release of which little is kept.
pub(crate) fn traces(name: &str) -> wire::GetTraceResponse {
    let signature = |name: &str| wire::Signature {
        name: name.to_owned(),
        email: "kim@example.com".to_owned(),
        at_ms: data::ago() - 3_600_000,
    };
    let commit = wire::Commit {
        repo_url: "https://git.example/platform/web.git".to_owned(),
        id: "8f14e45fceea167a5a36dedd4bea2543d3a1b2c3".to_owned(),
        author: Some(signature("Kim Lee")),
        committer: Some(signature("merge-bot")),
        subject: "Bring web 2 to everybody, as agreed with the shop team on Monday".to_owned(),
        error: String::new(),
    };
    let release = wire::TracedRelease {
        number: 7,
        created_at_ms: data::ago(),
        cause: "a source, a cluster or a row changed".to_owned(),
        commit: Some(commit.clone()),
    };
    let mut trace = wire::Trace {
        object: Some(object("apps", "Deployment", name)),
        cluster: "prod-eu-1".to_owned(),
        project: "default".to_owned(),
        set: "web".to_owned(),
        application: "web-prod-eu-1".to_owned(),
        repo_url: commit.repo_url.clone(),
        revision: "main".to_owned(),
        path: "apps/web".to_owned(),
        place: "apps/web/deploy.yaml:12".to_owned(),
        since: Some(wire::TracedRelease {
            number: 5,
            ..release.clone()
        }),
        release: Some(release),
        generation: 9,
        run_id: data::RUN.to_owned(),
        run_state: "Succeeded".to_owned(),
        wave: "prod".to_owned(),
        assigned_at_ms: data::ago(),
        synced: true,
        health: wire::Health::Healthy.into(),
        report_at_ms: data::ago(),
        ..wire::Trace::default()
    };
    let mut more = 0;
    if name == "old" {
        let release = trace.release.as_mut().unwrap();
        "failed to reach repository web".clone_into(&mut release.commit.as_mut().unwrap().error);
        trace.since = None;
        trace.place.clear();
        trace.run_id.clear();
        trace.report_at_ms = 0;
        trace.pinned = true;
        trace.synced = false;
        more = 3;
    }
    wire::GetTraceResponse {
        items: vec![trace],
        more,
    }
}

/// `fine` has nothing in its way.
pub(crate) fn why(name: &str) -> wire::ExplainApplicationResponse {
    let application = data::apps().into_iter().find(|app| app.name == name);
    let fine = wire::Application {
        name: name.to_owned(),
        ..data::apps().remove(0)
    };
    wire::ExplainApplicationResponse {
        latest_release: 8,
        run_id: data::RUN.to_owned(),
        run_state: "WaitingGate".to_owned(),
        wave: "prod".to_owned(),
        member_state: "Queued".to_owned(),
        reasons: if application.is_some() {
            data::blocking()
        } else {
            Vec::new()
        },
        more: u32::from(application.is_some()),
        application: Some(application.unwrap_or(fine)),
    }
}

/// Two objects a page. `offline` has an agent that cannot be asked, `cut` one that goes away.
pub(crate) fn objects(request: &wire::ListObjectsRequest) -> wire::ListObjectsResponse {
    let state =
        |id, standing: wire::Standing, health: wire::Health, message: &str| wire::ObjectState {
            object: Some(id),
            version: "v1".to_owned(),
            standing: standing.into(),
            health: health.into(),
            message: message.to_owned(),
            drifted: Vec::new(),
        };
    let (fine, bad) = (wire::Health::Healthy, wire::Health::Degraded);
    let mut all = vec![
        state(
            object("", "ConfigMap", "flags"),
            wire::Standing::Drifted,
            fine,
            "",
        ),
        state(
            object("apps", "Deployment", "web"),
            wire::Standing::Synced,
            bad,
            "pod web-6d4cf: container web: ImagePullBackOff: no such image, and this is long",
        ),
        state(
            object("", "Service", "web"),
            wire::Standing::Foreign,
            bad,
            "it belongs to helm",
        ),
    ];
    all[0].drifted = vec!["/data/a".to_owned(), "/data/b".to_owned()];
    let offline =
        request.name == "offline" || request.name == "cut" && !request.page_token.is_empty();
    if offline {
        for object in &mut all {
            object.standing = 0;
            object.health = wire::Health::Unknown.into();
        }
    }
    let first = request.page_token.parse().unwrap_or(0);
    wire::ListObjectsResponse {
        application: Some(data::apps().remove(0)),
        generation: 4,
        next_page_token: if first == 0 {
            "2".to_owned()
        } else {
            String::new()
        },
        total: 3,
        items: all.into_iter().skip(first).take(2).collect(),
        not_live: if offline {
            "cluster dev-1 has no session".to_owned()
        } else {
            String::new()
        },
    }
}

#[tokio::test]
async fn objects_are_told_whole_or_it_is_said_that_they_are_not() {
    let world = World::new();
    let names = world.line("tree web -o name").await.ok();
    assert_eq!(names, "configmap/flags\ndeployment.apps/web\nservice/web\n");
    let some = world.line("tree web --limit 1").await;
    assert!(some.err.contains("1 of 3 objects"), "{some:?}");
    let offline = world.line("tree offline").await;
    assert!(
        offline.err.contains("not live") && offline.err.contains("no session"),
        "{offline:?}"
    );
    let cut = world.line("tree cut").await.failed(1);
    assert!(cut.contains("failed to list all 3 objects"), "{cut}");
}

#[tokio::test]
async fn the_exit_code_tells_a_difference_only_where_it_is_wanted() {
    let world = World::new();
    for (line, code) in [
        ("diff web", 0),
        ("diff web --exit-code", 9),
        ("diff same --exit-code", 0),
        ("release diff web 7 8", 0),
        ("release diff web 7 8 --exit-code", 9),
        ("release diff web 7 7 --exit-code", 0),
    ] {
        let ran = world.line(line).await;
        assert_eq!((ran.code, ran.err.as_str()), (code, ""), "{line}: {ran:#?}");
    }
    let told = world.line("diff broken --exit-code").await;
    assert!(told.out.contains("deploy.yaml:12"), "{told:?}");
    assert!(told.failed(1).contains("1 problems"));
}

#[tokio::test]
async fn a_file_is_previewed_and_a_wrong_one_is_a_wrong_document() {
    let world = World::new();
    world.file("web.yaml", "right");
    let shown = world.line("diff -f web.yaml").await.ok();
    assert!(shown.contains("release 9 would be made"), "{shown}");
    assert!(world.hub.only_request().contains("PreviewApplyRequest"));
    world.file("web.yaml", "wrong");
    let told = world.line("diff -f web.yaml").await.failed(8);
    assert!(told.contains("web.yaml:1: kind: required"), "{told}");
    world.line("diff web -f web.yaml").await.failed(2);
}

#[tokio::test]
async fn a_diff_names_its_applications_and_cannot_steer_a_terminal() {
    let world = World::new();
    let shown = world.line("diff web").await.ok();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let ran = world.line("diff web -o name").await;
    assert!(ran.err.contains("left out"), "{ran:?}");
    assert_eq!(ran.out.lines().next(), Some("application/web-prod-eu-1"));
    assert_eq!(ran.out.lines().count(), 16);
}
