//! Whoever writes is on record under the name of the certificate, and nobody writes without one.

use std::{future::Future, pin::Pin};

use super::*;

type Write =
    for<'a> fn(&'a FleetApi, bool) -> Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>>;

/// With the caller that the identity layer put there, or without.
fn from<T>(known: bool, message: T) -> Request<T> {
    if known {
        ada(message)
    } else {
        Request::new(message)
    }
}

macro_rules! write {
    ($call:ident, $message:expr) => {
        |api, known| Box::pin(async move { api.$call(from(known, $message)).await.map(drop) })
    };
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// The chain, the action, and the call.
type Calls = Vec<(&'static str, &'static str, Write)>;

/// Every call that writes for a person, in an order in which none is in another's way.
fn calls() -> Calls {
    let mut calls = run_calls();
    calls.extend(set_calls());
    calls.extend(plan_calls());
    calls.extend(fleet_calls());
    calls
}

/// Those that change runs.
fn run_calls() -> Calls {
    vec![
        (
            "default",
            "run.approve",
            write!(
                approve_run,
                wire::ApproveRunRequest {
                    run: Some(latest()),
                    ..Default::default()
                }
            ),
        ),
        (
            "default",
            "run.pause",
            write!(
                control_run,
                wire::ControlRunRequest {
                    run: Some(latest()),
                    verb: wire::RunVerb::Pause.into(),
                    reason: text("why"),
                    cluster: String::new(),
                }
            ),
        ),
        (
            "default",
            "run.rollback",
            write!(
                rollback,
                wire::RollbackRequest {
                    set: text("two"),
                    reason: text("why"),
                    ..Default::default()
                }
            ),
        ),
    ]
}

/// Those that change sets.
fn set_calls() -> Calls {
    const SET: &str = "apiVersion: tidegate.dev/v1alpha1\nkind: ApplicationSet\nmetadata: {name: new}\nspec:\n  \
        generators: [{clusters: {}}]\n  template:\n    metadata: {name: \"n-{{.name}}\"}\n    spec:\n      \
        source: {repoURL: \"https://git.example.org/a.git\", path: a}\n      destination: {name: \"{{.name}}\"}\n";
    vec![
        (
            "default",
            "set.create",
            write!(
                apply,
                wire::ApplyRequest {
                    files: vec![wire::SourceFile {
                        name: text("a.yaml"),
                        content: text(SET).into()
                    }],
                    dry_run: false,
                }
            ),
        ),
        (
            "default",
            "set.unpin",
            write!(
                unpin,
                wire::UnpinRequest {
                    set: text("web"),
                    reason: text("why"),
                    ..Default::default()
                }
            ),
        ),
        (
            "default",
            "hold.approve",
            write!(
                approve_hold,
                wire::ApproveHoldRequest {
                    id: text("h1"),
                    reason: text("why")
                }
            ),
        ),
        (
            "default",
            "set.delete",
            write!(
                delete_application_set,
                wire::DeleteApplicationSetRequest {
                    name: text("web"),
                    reason: text("why"),
                    ..Default::default()
                }
            ),
        ),
    ]
}

/// Those that change wave plans; they are applied as sets are.
fn plan_calls() -> Calls {
    vec![(
        "default",
        "waveplan.delete",
        write!(
            delete_wave_plan,
            wire::DeleteWavePlanRequest {
                name: text("unused"),
                reason: text("why"),
                ..Default::default()
            }
        ),
    )]
}

/// Those that change clusters and people.
fn fleet_calls() -> Calls {
    vec![
        (
            FLEET,
            "cluster.join-token",
            write!(
                create_join_token,
                wire::CreateJoinTokenRequest {
                    cluster: text("new"),
                    ..Default::default()
                }
            ),
        ),
        (
            FLEET,
            "cluster.label",
            write!(
                label_cluster,
                wire::LabelClusterRequest {
                    cluster: text("c1"),
                    remove: vec![text("rank")],
                    ..Default::default()
                }
            ),
        ),
        (
            FLEET,
            "cluster.remove",
            write!(
                remove_cluster,
                wire::RemoveClusterRequest {
                    cluster: text("c2"),
                    reason: text("why")
                }
            ),
        ),
        (
            FLEET,
            "user.sign",
            write!(
                create_user,
                wire::CreateUserRequest {
                    name: text("bob"),
                    role: wire::Role::Viewer.into(),
                    csr: csr(),
                    groups: Vec::new(),
                    no_groups: false,
                }
            ),
        ),
    ]
}

async fn world() -> World {
    let gated = waves(&["dev"], &json!({"gates": {"before": [{"approval": {}}]}}));
    let mut world = World::new(&gated, 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "dev").await;
    world.publish("a").await;
    world.settle().await;
    let web = world.set().record;
    let hub = &world.hub;
    hub.create([pinned(hub, &web, 1)]).await;
    hub.create([held(hub, &web, "h1", true)]).await;
    hub.create([wave_plan("unused", &json!({}))]).await;
    // A second set with a run of its own, so that two requests do not meet.
    let run = world.run();
    let mut two = set(2, "two", &json!({}));
    two.latest_run = Some(tidegate_model::ids::RunId(hub.clock.id()));
    let other = tidegate_model::run::Run {
        set: two.uid,
        id: two.latest_run.unwrap(),
        ..run
    };
    hub.create([two.clone()]).await;
    hub.create([crate::records::RunRecord {
        project: two.project,
        run: other,
    }])
    .await;
    world
}

#[tokio::test]
async fn every_write_is_on_record_with_its_actor() {
    let world = world().await;
    let api = world.hub.api();
    for (chain, action, call) in calls() {
        let before = world.hub.audit(chain).await.len();
        call(&api, true)
            .await
            .unwrap_or_else(|status| panic!("{action}: {}", status.message()));
        let audit = world.hub.audit(chain).await;
        assert_eq!(audit.len(), before + 1, "{action}");
        let last = audit.last().unwrap();
        assert_eq!((last.actor.as_str(), last.action.as_str()), ("ada", action));
        let state = world.hub.db.read();
        let head = state
            .audit_heads
            .iter()
            .find(|head| head.project == chain)
            .unwrap()
            .clone();
        crate::audit::verify(&crate::audit::genesis(chain), &audit, &head).unwrap();
    }
}

#[tokio::test]
async fn nobody_writes_without_an_identity() {
    let world = world().await;
    let api = world.hub.api();
    let before = world.hub.revision().await;
    for (_, action, call) in calls() {
        let status = call(&api, false).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{action}");
    }
    assert_eq!(world.hub.revision().await, before);
}

#[tokio::test]
async fn a_hub_that_lost_its_term_says_so_and_writes_nothing() {
    let world = world().await;
    let api = world.hub.api();
    let cancel = tokio_util::sync::CancellationToken::new();
    let (store, blobs, clock) = (&world.hub.store, &world.hub.blobs, &world.hub.clock);
    let _newer = crate::testing::open(store, blobs, clock, &cancel)
        .await
        .unwrap();
    let before = world.hub.revision().await;
    for (_, action, call) in calls() {
        let status = call(&api, true).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{action}");
        assert!(
            status.message().contains("another hub took the term"),
            "{action}"
        );
    }
    assert_eq!(world.hub.revision().await, before);
}
