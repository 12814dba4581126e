//! Runs: approved for what was seen, stopped where that makes sense, followed to their end.

use futures::StreamExt as _;
use tidegate_model::health::Health;

use super::*;

/// Two waves, each behind an approval, and the first release waits for the first.
async fn waiting() -> World {
    let gated = waves(
        &["dev", "prod"],
        &json!({"gates": {"before": [{"approval": {}}]}}),
    );
    let mut world = World::new(&gated, 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    assert_eq!(world.run().state, RunState::WaitingGate);
    world
}

fn approval(wave: &str, content: &str) -> Request<wire::ApproveRunRequest> {
    ada(wire::ApproveRunRequest {
        run: Some(latest()),
        wave: wave.to_owned(),
        reason: "looks good".to_owned(),
        content: content.to_owned(),
        rejects: false,
    })
}

fn control(verb: wire::RunVerb) -> Request<wire::ControlRunRequest> {
    let reason = "because".to_owned();
    ada(wire::ControlRunRequest {
        run: Some(latest()),
        verb: verb.into(),
        reason,
        cluster: String::new(),
    })
}

fn rollback(set: &str, reason: &str) -> Request<wire::RollbackRequest> {
    let (set, reason) = (set.to_owned(), reason.to_owned());
    ada(wire::RollbackRequest {
        set,
        reason,
        ..Default::default()
    })
}

#[tokio::test]
async fn an_approval_is_for_the_content_that_was_seen() {
    let mut world = waiting().await;
    let api = world.hub.api();
    let content = world.run().content.to_string();
    let before = world.hub.revision().await;
    let other = bundle("other").to_string();
    let words = [other.as_str(), content.as_str(), "look at it again"];
    refused(
        api.approve_run(approval("", &other)).await,
        Code::FailedPrecondition,
        &words,
    );
    assert_eq!(world.hub.revision().await, before);

    let run = api
        .approve_run(approval("", &content))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(run.content, content);
    let last = world.hub.audit("default").await.pop().unwrap();
    assert_eq!(
        (last.actor.as_str(), last.action.as_str()),
        ("ada", "run.approve")
    );
    assert_eq!((last.reason.as_str(), last.after), ("looks good", content));
    assert!(last.subject.ends_with(" wave/dev"), "{}", last.subject);
    let given = world.run().approvals.remove(0);
    assert_eq!((given.wave, given.actor.as_str()), (0, "ada"));
    let revision = world.hub.revision().await;
    api.approve_run(approval("dev", "")).await.unwrap();
    assert_eq!(
        world.hub.revision().await,
        revision,
        "the same again is no write"
    );
    world.settle().await;
    assert_eq!(world.running()["web-1"], Some(bundle("a")));
    assert_eq!(world.running()["web-2"], None, "the other gate is closed");
}

#[tokio::test]
async fn an_approval_that_opens_nothing_is_refused() {
    let mut world = waiting().await;
    let api = world.hub.api();
    refused(
        api.approve_run(approval("lab", "")).await,
        Code::NotFound,
        &["no wave lab", "dev, prod"],
    );
    api.approve_run(approval("", "")).await.unwrap();
    world.settle().await;
    world.recover().await;
    assert_eq!(world.run().wave, 1);
    refused(
        api.approve_run(approval("dev", "")).await,
        Code::FailedPrecondition,
        &["is done"],
    );
    api.approve_run(approval("", "")).await.unwrap();
    world.settle().await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
    let words = ["Succeeded", "changes no more"];
    refused(
        api.approve_run(approval("", "")).await,
        Code::FailedPrecondition,
        &words,
    );

    let mut open = World::new(&json!({}), 1, 1).await;
    open.publish("a").await;
    open.settle().await;
    let refusal = open.hub.api().approve_run(approval("", "")).await;
    refused(refusal, Code::FailedPrecondition, &["no approval gate"]);
}

#[tokio::test]
async fn verbs_that_do_not_fit_say_what_would() {
    use wire::RunVerb::{Cancel, Pause, Resume, Unspecified};
    let mut world = waiting().await;
    let api = world.hub.api();
    let code = Code::FailedPrecondition;
    refused(
        api.control_run(control(Unspecified)).await,
        Code::InvalidArgument,
        &["pause, resume, cancel, retry or skip"],
    );
    refused(
        api.control_run(control(Resume)).await,
        code,
        &["not paused", "WaitingGate"],
    );
    api.control_run(control(Pause)).await.unwrap();
    refused(
        api.control_run(control(Cancel)).await,
        Code::Aborted,
        &["ada has just asked for Pause"],
    );
    world.settle().await;
    assert_eq!(world.run().state, RunState::Paused);
    refused(
        api.control_run(control(Pause)).await,
        code,
        &["paused already", "resume"],
    );
    api.control_run(control(Resume)).await.unwrap();
    world.settle().await;
    assert_eq!(world.run().state, RunState::WaitingGate);
    api.control_run(control(Cancel)).await.unwrap();
    world.settle().await;
    assert_eq!(world.run().state, RunState::Cancelled);
    for verb in [Pause, Resume, Cancel] {
        refused(
            api.control_run(control(verb)).await,
            code,
            &["Cancelled", "changes no more"],
        );
    }
    let audit = world.hub.audit("default").await;
    let asked: Vec<_> = audit
        .iter()
        .filter(|record| record.actor == "ada")
        .collect();
    for action in [
        "run.pause",
        "run.paused",
        "run.resume",
        "run.resumed",
        "run.cancel",
        "run.finish",
    ] {
        assert!(
            asked.iter().any(|record| record.action == action),
            "{action}: {asked:?}"
        );
    }
}

#[tokio::test]
async fn a_regression_is_not_resumed_by_hand() {
    let mut world = waiting().await;
    let api = world.hub.api();
    api.approve_run(approval("", "")).await.unwrap();
    world.settle().await;
    world.recover().await;
    world.report(Health::Degraded).await;
    assert_eq!(world.run().state, RunState::Paused);
    let words = ["goes on by itself", "cancel it or roll it back"];
    let resume = api.control_run(control(wire::RunVerb::Resume)).await;
    refused(resume, Code::FailedPrecondition, &words);
    api.control_run(control(wire::RunVerb::Pause))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rollback_goes_back_once() {
    let mut world = World::new(&json!({}), 1, 1).await;
    let api = world.hub.api();
    refused(
        api.rollback(rollback("web", "bad")).await,
        Code::NotFound,
        &["web has no run yet"],
    );
    refused(
        api.rollback(rollback("nope", "bad")).await,
        Code::NotFound,
        &["no set nope"],
    );
    refused(
        api.rollback(rollback("web", " ")).await,
        Code::InvalidArgument,
        &["needs a reason"],
    );
    world.roll_out("good").await;
    world.roll_out("bad").await;
    api.rollback(rollback("web", "bad image")).await.unwrap();
    let last = world.hub.audit("default").await.pop().unwrap();
    let told = (
        last.actor.as_str(),
        last.action.as_str(),
        last.reason.as_str(),
    );
    assert_eq!(told, ("ada", "run.rollback", "bad image"));
    world.settle().await;
    assert_eq!(world.run().state, RunState::RollingBack);
    let revision = world.hub.revision().await;
    api.rollback(rollback("web", "again")).await.unwrap();
    assert_eq!(
        world.hub.revision().await,
        revision,
        "it is on its way already"
    );
    let pause = api.control_run(control(wire::RunVerb::Pause)).await;
    refused(
        pause,
        Code::FailedPrecondition,
        &["being rolled back", "let it finish"],
    );
    world.recover().await;
    assert!(world.all_run("good"));
    let words = [
        "which is RolledBack",
        "went back already",
        "tidegate get pins",
    ];
    refused(
        api.rollback(rollback("web", "again")).await,
        Code::FailedPrecondition,
        &words,
    );
}

#[tokio::test]
async fn a_superseded_run_is_not_rolled_back() {
    let mut world = waiting().await;
    world.publish("b").await;
    while world.run().state != RunState::Superseded {
        assert!(world.pass().await);
    }
    let answer = world.hub.api().rollback(rollback("web", "bad")).await;
    refused(
        answer,
        Code::FailedPrecondition,
        &["newer release took over", "roll that one back"],
    );
}

#[tokio::test]
async fn a_run_is_found_by_id_and_explained() {
    let world = waiting().await;
    let api = world.hub.api();
    let named = |id: &str| {
        ada(wire::GetRunRequest {
            run_id: id.to_owned(),
            ..Default::default()
        })
    };
    let id = world.run().id.to_string();
    let run = api.get_run(named(&id)).await.unwrap().into_inner();
    assert_eq!(
        (run.id.as_str(), run.state.as_str(), run.terminal),
        (id.as_str(), "WaitingGate", false)
    );
    let waves: Vec<_> = run
        .waves
        .iter()
        .map(|wave| (wave.name.as_str(), wave.state.as_str()))
        .collect();
    assert_eq!(waves, [("dev", "WaitingGate"), ("prod", "Waiting")]);
    assert_eq!(run.waves[0].members[0].cluster, "c1");
    refused(
        api.get_run(named("x")).await,
        Code::InvalidArgument,
        &["\"x\" is no run id"],
    );
    let unknown = uuid::Uuid::nil().to_string();
    refused(
        api.get_run(named(&unknown)).await,
        Code::NotFound,
        &[&unknown, "tidegate get runs"],
    );
    let explained = api.explain_run(named(&id)).await.unwrap().into_inner();
    assert!(
        explained.blocking.iter().any(|cause| cause.wave == "dev"),
        "{explained:?}"
    );
}

#[tokio::test]
async fn a_watch_of_a_set_without_a_run_waits_for_its_first() {
    let mut world = World::new(&waves(&["dev"], &json!({})), 1, 1).await;
    world.label(1, "dev").await;
    world.connect();
    let api = world.hub.api();
    let mut watch = api.watch_run(ada(latest())).await.unwrap().into_inner();
    assert!(
        futures::poll!(watch.next()).is_pending(),
        "there is nothing to tell"
    );
    world.publish("a").await;
    world.settle().await;
    let first = soon(watch.next()).await.unwrap().unwrap();
    assert_eq!(first.id, world.run().id.to_string());
    let unknown = wire::GetRunRequest {
        set: "wbe".to_owned(),
        ..Default::default()
    };
    let answer = api.watch_run(ada(unknown)).await.map(drop);
    refused(answer, Code::NotFound, &["wbe"]);
}

#[tokio::test]
async fn a_watch_tells_every_change_and_ends_with_the_run() {
    let mut world = waiting().await;
    let api = world.hub.api();
    let mut watch = api.watch_run(ada(latest())).await.unwrap().into_inner();
    let first = soon(watch.next()).await.unwrap().unwrap();
    assert_eq!(first.state, "WaitingGate");
    api.approve_run(approval("", "")).await.unwrap();
    world.settle().await;
    assert_eq!(soon(watch.next()).await.unwrap().unwrap().state, "Rolling");
    // A newer run of the set is not the one that is watched.
    api.control_run(control(wire::RunVerb::Cancel))
        .await
        .unwrap();
    world.settle().await;
    world.publish("b").await;
    world.settle().await;
    assert_ne!(world.run().id.to_string(), first.id);
    let rest: Vec<_> = soon(watch.map(Result::unwrap).collect()).await;
    let last = rest.last().unwrap();
    assert_eq!(
        (last.id.as_str(), last.state.as_str(), last.terminal),
        (first.id.as_str(), "Cancelled", true)
    );
    assert!(rest[..rest.len() - 1].iter().all(|run| !run.terminal));
    // And one that is over is told once.
    let over = wire::GetRunRequest {
        run_id: first.id,
        ..Default::default()
    };
    let told = api.watch_run(ada(over)).await.unwrap().into_inner();
    let told: Vec<_> = soon(told.collect()).await;
    assert_eq!(told.len(), 1);
}
