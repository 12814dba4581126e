//! An analysis that says nothing: a person goes on, for this soak only.

use tidegate_model::run::GatePosition;
use tidegate_waves::due;

use super::*;

/// The run's first wave soaks, and a provider of which nothing comes answered what was due.
async fn silent() -> World {
    let one =
        json!({"name": "errors", "http": {"url": "http://m/"}, "pass": "< 1", "interval": "1s"});
    let mut world = World::new(&waves(&["dev"], &json!({"analysis": [one]})), 1, 1).await;
    world.label(1, "dev").await;
    world.publish("a").await;
    world.settle().await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::Soaking);
    answer(&mut world).await;
    world
}

async fn answer(world: &mut World) {
    world.hub.clock.wind(jiff::SignedDuration::from_secs(1));
    let run = world.run();
    for measure in due(&run, world.hub.clock.now()) {
        let nothing = Err("it is down".to_owned());
        let measured = world.hub.evidence.measured();
        measured.put((run.id, measure.id), nothing);
    }
    world.report(tidegate_model::health::Health::Healthy).await;
}

#[tokio::test]
async fn a_person_goes_on_with_what_an_analysis_could_not_say() {
    let mut world = silent().await;
    let run = world.run();
    assert_eq!(
        (run.state, run.gate),
        (RunState::WaitingGate, Some(GatePosition::Analysis))
    );
    let api = world.hub.api();
    let asked = || {
        ada(wire::GetRunRequest {
            project: "default".to_owned(),
            set: "web".to_owned(),
            ..wire::GetRunRequest::default()
        })
    };
    let told = api.explain_run(asked()).await.unwrap().into_inner();
    assert_eq!(told.blocking.len(), 1);
    let blocking = &told.blocking[0];
    assert_eq!(blocking.code, "Approval");
    assert!(blocking.message.contains("it is down"), "{blocking:?}");
    let word = || {
        ada(wire::ApproveRunRequest {
            run: Some(asked().into_inner()),
            ..wire::ApproveRunRequest::default()
        })
    };
    let run = api.approve_run(word()).await.unwrap().into_inner();
    assert_eq!(run.approvals[0].position, "Analysis");
    assert_eq!(world.run().approvals[0].soak, 1);
    let revision = world.hub.revision().await;
    api.approve_run(word()).await.unwrap();
    assert_eq!(world.hub.revision().await, revision, "once is enough");
    world.settle().await;
    assert_eq!(world.run().state, RunState::Succeeded);
}
