//! Windows: what holds a run is shown with its hours, and an administrator may break the glass.

use super::*;

/// Two waves that are closed for a millennium, and the first release waits for the first.
async fn frozen() -> World {
    let window = json!({"name": "freeze", "kind": "deny", "tz": "UTC", "start": "2000-01-01", "end": "2999-01-01"});
    let closed = waves(
        &["dev", "prod"],
        &json!({"gates": {"before": [{"window": window}]}}),
    );
    let mut world = World::new(&closed, 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    assert_eq!(world.run().state, RunState::WaitingGate);
    world
}

fn glass(reason: &str) -> Request<wire::BreakGlassRequest> {
    ada(wire::BreakGlassRequest {
        run: Some(latest()),
        reason: reason.to_owned(),
    })
}

#[tokio::test]
async fn a_closed_window_is_shown_with_its_hours() {
    let world = frozen().await;
    let api = world.hub.api();
    let said = api.explain_run(ada(latest())).await.unwrap().into_inner();
    let codes: Vec<_> = said.blocking.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["Window"]);
    assert!(
        said.blocking[0]
            .message
            .contains("it opens at 2999-01-01 00:00 UTC"),
        "{said:?}"
    );
    let windows: Vec<_> = said
        .windows
        .iter()
        .map(|it| (it.wave.as_str(), it.open, it.next_open_ms, it.next_close_ms))
        .collect();
    let opens = "2999-01-01T00:00:00Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond();
    assert_eq!(
        windows,
        [("dev", false, opens, 0), ("prod", false, opens, 0)]
    );
}

#[tokio::test]
async fn a_broken_glass_opens_one_wave_and_is_never_forgotten() {
    let mut world = frozen().await;
    let api = world.hub.api();
    refused(
        api.break_glass(glass(" ")).await,
        Code::InvalidArgument,
        &["reason"],
    );
    api.break_glass(glass("outage")).await.unwrap();
    world.settle().await;
    assert_eq!(world.run().state, RunState::Rolling);
    let before = world.hub.revision().await;
    let run = api.break_glass(glass("again")).await.unwrap().into_inner();
    assert_eq!(world.hub.revision().await, before, "twice is once");
    let broken: Vec<_> = run
        .broken_glass
        .iter()
        .map(|it| (it.wave.as_str(), it.actor.as_str(), it.reason.as_str()))
        .collect();
    assert_eq!(broken, [("dev", "ada", "outage")]);
    let said = api.explain_run(ada(latest())).await.unwrap().into_inner();
    let open: Vec<_> = said.windows.iter().map(|it| it.open).collect();
    assert_eq!(open, [true, false]);
    let audit = world.hub.audit("default").await;
    let glass: Vec<_> = audit
        .iter()
        .filter(|record| record.action.contains("glass"))
        .map(|record| {
            (
                record.action.as_str(),
                record.actor.as_str(),
                record.reason.as_str(),
            )
        })
        .collect();
    assert_eq!(
        glass,
        [
            ("run.break-glass", "ada", "outage"),
            ("run.glass-broken", "ada", "outage")
        ]
    );
}

#[tokio::test]
async fn there_is_no_glass_to_break_without_a_window() {
    let mut world = World::new(&json!({}), 1, 1).await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    refused(
        world.hub.api().break_glass(glass("outage")).await,
        Code::FailedPrecondition,
        &["no window", "run explain"],
    );
}
