//! What failed, tried again; and members that nobody waits for.

use tidegate_model::{health::Health, run::MemberState};

use super::*;

/// Two clusters in dev and one in prod, and nothing goes back by itself.
async fn three() -> World {
    let mut strategy = waves(&["dev", "prod"], &json!({"healthWindow": "1s"}));
    strategy["rollback"] = json!({"on": ["manual"]});
    let mut world = World::new(&strategy, 3, 1).await;
    world.label(1, "dev").await;
    world.label(2, "dev").await;
    world.label(3, "prod").await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    world
}

fn control(verb: wire::RunVerb, cluster: &str) -> Request<wire::ControlRunRequest> {
    ada(wire::ControlRunRequest {
        run: Some(latest()),
        verb: verb.into(),
        reason: "quota raised".to_owned(),
        cluster: cluster.to_owned(),
    })
}

fn member(world: &World, cluster: &str) -> MemberState {
    let members = world.members().into_iter();
    let mut own = members.filter(|record| record.member.cluster_name == cluster);
    own.next().unwrap().member.state
}

#[tokio::test]
async fn what_failed_is_tried_again_under_a_new_generation() {
    let mut world = three().await;
    let api = world.hub.api();
    let retry = || control(wire::RunVerb::Retry, "");
    let code = Code::FailedPrecondition;
    refused(api.control_run(retry()).await, code, &["pause it first"]);
    world.report(Health::Degraded).await;
    assert_eq!(world.run().state, RunState::Failed);
    let before: Vec<_> = world.apps().iter().map(|app| app.generation).collect();

    let run = api.control_run(retry()).await.unwrap().into_inner();
    assert_eq!(run.release, 1);
    let last = world.hub.audit("default").await.pop().unwrap();
    let told = (last.actor.as_str(), last.action.as_str());
    assert_eq!(told, ("ada", "run.retry"));
    world.settle().await;
    let after: Vec<_> = world.apps().iter().map(|app| app.generation).collect();
    assert!(after[0] > before[0] && after[1] > before[1], "{after:?}");
    assert_eq!(after[2], before[2], "its wave has not opened");
    world.recover().await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
    assert!(world.all_run("a"));
    let run = api.get_run(ada(latest())).await.unwrap().into_inner();
    let attempt = run.retry.unwrap();
    assert_eq!((attempt.attempt, attempt.actor.as_str()), (2, "ada"));
    assert_eq!(attempt.reason, "quota raised");
    refused(api.control_run(retry()).await, code, &["nobody failed"]);
}

#[tokio::test]
async fn what_a_newer_release_replaces_is_not_tried_again() {
    let mut world = three().await;
    world.report(Health::Degraded).await;
    world.publish("b").await;
    let answer = world
        .hub
        .api()
        .control_run(control(wire::RunVerb::Retry, ""))
        .await;
    let words = ["release 2 of set web is newer", "a run of its own"];
    refused(answer, Code::FailedPrecondition, &words);
}

#[tokio::test]
async fn who_is_left_out_is_named_and_waited_for() {
    let mut world = three().await;
    let api = world.hub.api();
    let skip = |cluster: &str| control(wire::RunVerb::Skip, cluster);
    let (input, code) = (Code::InvalidArgument, Code::FailedPrecondition);
    refused(
        api.control_run(skip("")).await,
        input,
        &["names no cluster"],
    );
    let words = ["cluster edge is not in run", "tidegate describe run"];
    refused(api.control_run(skip("edge")).await, Code::NotFound, &words);
    let words = ["cluster c3", "nobody else in its wave", "cancel the run"];
    refused(api.control_run(skip("c3")).await, code, &words);

    api.control_run(skip("c2")).await.unwrap();
    world.settle().await;
    assert_eq!(member(&world, "c2"), MemberState::Skipped);
    let revision = world.hub.revision().await;
    api.control_run(skip("c2")).await.unwrap();
    assert_eq!(
        world.hub.revision().await,
        revision,
        "the same again is no write"
    );
    let run = api.get_run(ada(latest())).await.unwrap().into_inner();
    let told = run.waves[0].members.iter().find(|one| one.cluster == "c2");
    let cause = told.and_then(|one| one.cause.clone()).unwrap();
    assert_eq!(cause.message, "skipped by ada: quota raised");
    let audit = world.hub.audit("default").await;
    let own = audit.iter().filter(|record| record.actor == "ada");
    let own: Vec<_> = own.map(|record| record.action.as_str()).collect();
    assert_eq!(own, ["run.skip", "run.skip-member"]);
    let words = ["cluster c1", "nobody else in its wave"];
    refused(api.control_run(skip("c1")).await, code, &words);
}

#[tokio::test]
async fn what_a_run_that_is_over_owes_is_foretold_and_taken_away() {
    let mut world = World::in_debt().await;
    let api = world.hub.api();
    let request = wire::RollbackRequest {
        set: "web".to_owned(),
        reason: "bad".to_owned(),
        dry_run: true,
        ..wire::RollbackRequest::default()
    };
    let told = api.rollback(ada(request)).await.unwrap().into_inner();
    let told: Vec<_> = told.changes.iter().map(|it| it.cluster.as_str()).collect();
    assert_eq!(
        told,
        ["c1"],
        "who has it goes back, and not who never got it"
    );

    let skip = |cluster: &str| control(wire::RunVerb::Skip, cluster);
    let code = Code::FailedPrecondition;
    refused(api.control_run(skip("c1")).await, code, &["cluster c1"]);
    api.control_run(skip("c2")).await.unwrap();
    world.settle().await;
    assert_eq!(member(&world, "c2"), MemberState::Skipped);
    assert!(!world.run().owes);
    refused(
        api.control_run(skip("c2")).await,
        code,
        &["it changes no more"],
    );
    world.connect_only(&[1, 2]);
    world.publish("b").await;
    world.settle().await;
    world.recover().await;
    assert!(world.all_run("b"), "{:?}", world.running());
}
