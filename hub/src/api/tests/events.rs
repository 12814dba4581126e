//! Events: what is known, what comes, from where somebody was, and what only some asked for.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use tidegate_model::health::Health;

use super::*;
use crate::{
    backend::Backend,
    changes::Decision,
    link::{port::LinkBackend as _, testing::Agent},
    testing::{assigned, report},
};

type Messages = Pin<Box<dyn Stream<Item = Result<wire::WatchEventsResponse, Status>> + Send>>;

async fn watch(hub: &Hub, request: wire::WatchEventsRequest) -> Messages {
    hub.api()
        .watch_events(ada(request))
        .await
        .unwrap()
        .into_inner()
}

fn follow() -> wire::WatchEventsRequest {
    wire::WatchEventsRequest {
        follow: true,
        ..Default::default()
    }
}

async fn next(stream: &mut Messages) -> wire::WatchEventsResponse {
    soon(stream.next()).await.unwrap().unwrap()
}

/// Every event of a stream up to the first of this reason.
async fn until(stream: &mut Messages, reason: &str) -> Vec<wire::Event> {
    let mut told: Vec<wire::Event> = Vec::new();
    while told.iter().all(|event| event.reason != reason) {
        told.extend(next(stream).await.events);
    }
    told
}

async fn decide(hub: &Hub, project: &str, action: &str, subject: &str) {
    let decision = Decision::by("ada", project, action, subject.to_owned(), String::new());
    hub.write(|changes| changes.decide(decision)).await;
}

fn reasons(messages: &[wire::WatchEventsResponse]) -> Vec<String> {
    let events = messages.iter().flat_map(|message| &message.events);
    events.map(|event| event.reason.clone()).collect()
}

async fn known(hub: &Hub, request: wire::WatchEventsRequest) -> Vec<wire::WatchEventsResponse> {
    let messages: Vec<_> = watch(hub, request).await.collect().await;
    messages.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn what_is_known_comes_first_then_what_happens_until_the_end() {
    let hub = Hub::new().await;
    decide(&hub, "default", "set.create", "set/web").await;
    let told = known(&hub, wire::WatchEventsRequest::default()).await;
    assert_eq!(reasons(&told), ["SetCreated"]);
    let gap = told[0].gap.as_ref().unwrap();
    assert_eq!(
        (gap.reason.as_str(), gap.decisions_known),
        ("Beginning", true)
    );
    let first = &told[0].events[0];
    assert_eq!(
        (first.object.as_str(), first.r#type.as_str()),
        ("set/web", "Normal")
    );
    assert_eq!(
        (first.actor.as_str(), first.message.as_str()),
        ("ada", "applied (by ada)")
    );

    let mut stream = watch(&hub, follow()).await;
    assert_eq!(next(&mut stream).await.events.len(), 1);
    decide(&hub, "default", "set.delete", "set/web").await;
    let message = next(&mut stream).await;
    assert_eq!(message.gap, None);
    assert_eq!(message.events[0].reason, "SetDeleted");
    assert_eq!(message.events[0].position, message.position);
}

#[tokio::test]
async fn sessions_and_reports_are_events_too() {
    let hub = Hub::new().await;
    let web = set(1, "web", &json!({"type": "AllAtOnce"}));
    let app = assigned(app(&web, 1, 1), 1, bundle("a"));
    hub.create([cluster(1)]).await;
    hub.create([app.clone()]).await;
    let mut stream = watch(&hub, follow()).await;
    next(&mut stream).await;
    let agent = Agent::connect(&hub.sessions, cluster_uid(1));
    let mut told = until(&mut stream, "ClusterConnected").await;
    assert_eq!(told[0].cluster, "c1");
    // A second session takes the first one's place: nobody came and nobody went.
    let newer = Agent::connect(&hub.sessions, cluster_uid(1));
    drop(agent);
    let backend = Backend::new(hub.db.clone());
    let ill = report(&app, Health::Degraded);
    backend.report(cluster_uid(1), ill).await.unwrap();
    told.extend(until(&mut stream, "ApplicationDegraded").await);
    drop(newer);
    told.extend(until(&mut stream, "ClusterDisconnected").await);
    let reasons: Vec<_> = told.iter().map(|event| event.reason.as_str()).collect();
    let expected = [
        "ClusterConnected",
        "ApplicationDegraded",
        "ClusterDisconnected",
    ];
    assert_eq!(reasons, expected);
    let ill = &told[1];
    assert_eq!(
        (ill.object.as_str(), ill.r#type.as_str()),
        ("application/web-1", "Warning")
    );
    assert_eq!((ill.set.as_str(), ill.cluster.as_str()), ("web", "c1"));
}

#[tokio::test]
async fn filters_must_all_hold() {
    let hub = Hub::new().await;
    let run = "set/web run/0197 wave/dev cluster/c1";
    decide(&hub, "default", "set.create", "set/web").await;
    decide(&hub, "shop", "set.create", "set/web").await;
    decide(&hub, "default", "run.fail-member", run).await;
    decide(&hub, "default", "set.create", "set/other").await;
    let asked = |project: &str, set: &str, cluster: &str| wire::WatchEventsRequest {
        project: project.to_owned(),
        set: set.to_owned(),
        cluster: cluster.to_owned(),
        ..Default::default()
    };
    for (request, found) in [
        (asked("", "", ""), 4),
        (asked("default", "", ""), 3),
        (asked("", "web", ""), 3),
        (asked("default", "web", ""), 2),
        (asked("", "", "c1"), 1),
        (asked("shop", "", "c1"), 0),
    ] {
        let told = known(&hub, request.clone()).await;
        assert_eq!(reasons(&told).len(), found, "{request:?}");
        assert!(
            told[0].position.is_some(),
            "how far it is, whatever was asked for"
        );
    }
    hub.clock.wind(jiff::SignedDuration::from_hours(1));
    decide(&hub, "default", "set.delete", "set/web").await;
    let since_ms = hub.clock.now().as_millisecond() - 60_000;
    let told = known(
        &hub,
        wire::WatchEventsRequest {
            since_ms,
            ..Default::default()
        },
    )
    .await;
    assert_eq!(reasons(&told), ["SetDeleted"]);
}

#[tokio::test]
async fn a_watcher_goes_on_where_it_was_and_a_restart_is_told() {
    let hub = Hub::new().await;
    decide(&hub, "default", "set.create", "set/web").await;
    decide(&hub, "default", "set.change", "set/web").await;
    let told = known(&hub, wire::WatchEventsRequest::default()).await;
    let after = told[0].events[0].position.clone();
    let rest = wire::WatchEventsRequest {
        after,
        ..Default::default()
    };
    let told = known(&hub, rest.clone()).await;
    assert_eq!(reasons(&told), ["SetChanged"]);
    assert!(told.iter().all(|message| message.gap.is_none()), "{told:?}");

    let hub = hub.restart().await;
    decide(&hub, "default", "set.delete", "set/web").await;
    let told = known(&hub, rest).await;
    assert_eq!(reasons(&told), ["SetChanged", "SetDeleted"]);
    let gap = told[0].gap.as_ref().unwrap();
    assert_eq!(
        (gap.reason.as_str(), gap.decisions_known),
        ("HubRestarted", true)
    );
    assert!(gap.from_ms > 0 && gap.until_ms >= gap.from_ms, "{gap:?}");
}

#[tokio::test]
async fn who_asked_for_little_is_told_how_far_the_rest_is() {
    let hub = Hub::new().await;
    let request = wire::WatchEventsRequest {
        set: "nothing".to_owned(),
        ..follow()
    };
    let mut stream = watch(&hub, request).await;
    let first = next(&mut stream).await.position.unwrap();
    for _ in 0..21 {
        hub.write(|changes| {
            for n in 0..49 {
                let subject = format!("set/s{n}");
                let decision = Decision::by_system("default", "set.create", subject, String::new());
                changes.decide(decision);
            }
        })
        .await;
    }
    let message = next(&mut stream).await;
    assert_eq!(message.events, []);
    let behind = message.position.unwrap().sequence - first.sequence;
    assert!((1_024..=1_029).contains(&behind), "{behind}");
}
