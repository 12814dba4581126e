//! What happens at the canned hub, and how `events` tells it: in order, once, through a hub that goes
//! away.

use std::pin::Pin;

use tidegate_proto::v1 as wire;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::{data::RUN, watching::Watched, world::World};

pub(crate) type Messages =
    Pin<Box<dyn Stream<Item = Result<wire::WatchEventsResponse, Status>> + Send>>;

/// 14 November 2023, 22:13:20 UTC.
const THEN: i64 = 1_700_000_000_000;

fn event(sequence: u64, reason: &str, object: &str, message: &str) -> wire::Event {
    let warning = ["ClusterDisconnected", "ApplicationDegraded"].contains(&reason);
    let at_ms = THEN + i64::try_from(sequence).unwrap() * 1_000;
    wire::Event {
        position: Some(wire::EventPosition {
            epoch: 7,
            sequence,
            decision: format!("default/{sequence}"),
            at_ms,
        }),
        at_ms,
        r#type: if warning { "Warning" } else { "Normal" }.to_owned(),
        reason: reason.to_owned(),
        project: "default".to_owned(),
        set: "web".to_owned(),
        run_id: RUN.to_owned(),
        object: object.to_owned(),
        message: message.to_owned(),
        ..wire::Event::default()
    }
}

fn all() -> Vec<wire::Event> {
    vec![
        event(1, "RunStarted", "set/web", "release 7 is new"),
        event(2, "WaveOpened", "set/web", "wave canary opens"),
        event(
            3,
            "ApplicationDegraded",
            "application/web-prod-eu-central-1",
            "Deployment web: its pods do not become ready\n\u{1b}[31mred",
        ),
        event(4, "ClusterDisconnected", "cluster/dev", "its session ended"),
    ]
}

fn message(events: Vec<wire::Event>, gap: Option<(&str, &str)>) -> wire::WatchEventsResponse {
    wire::WatchEventsResponse {
        position: events.last().and_then(|event| event.position.clone()),
        events,
        gap: gap.map(|(reason, message)| wire::EventGap {
            reason: reason.to_owned(),
            message: message.to_owned(),
            from_ms: THEN,
            until_ms: THEN + 60_000,
            decisions_known: false,
        }),
    }
}

const GONE: &str = "events between then and now are not known any more: the hub was restarted";

/// Set `cut` loses its hub after two events; whoever comes back has missed some. Set `ends` waits after
/// two for the end of its hub; whoever comes back has missed none.
pub(crate) fn watched(request: &wire::WatchEventsRequest) -> Messages {
    let all = all();
    let messages = match (request.set.as_str(), &request.after) {
        ("nothing", _) => vec![Ok(message(Vec::new(), None))],
        ("cut", None) => vec![
            Ok(message(all[..2].to_vec(), None)),
            Err(Status::unavailable("the hub drains")),
        ],
        ("cut", Some(after)) if after.sequence == 2 => {
            vec![Ok(message(all[2..].to_vec(), Some(("HubRestarted", GONE))))]
        }
        ("ends", None) => vec![Ok(message(all[..2].to_vec(), None))],
        ("ends", Some(after)) if after.sequence == 2 => {
            vec![Ok(message(all[2..].to_vec(), None))]
        }
        ("cut" | "ends", Some(after)) => {
            vec![Err(Status::aborted(format!("asked after {after:?}")))]
        }
        _ => {
            let beginning = "events before then are not known any more: this hub began then";
            vec![
                Ok(message(all[..3].to_vec(), Some(("Beginning", beginning)))),
                Ok(message(all[3..].to_vec(), None)),
            ]
        }
    };
    // A hub that was told to go on ends a stream only with its life.
    if request.follow && messages.iter().all(Result::is_ok) {
        return Box::pin(tokio_stream::iter(messages).chain(tokio_stream::pending()));
    }
    Box::pin(tokio_stream::iter(messages))
}

#[tokio::test]
async fn what_is_known_is_a_list_and_what_is_not_is_said_beside_it() {
    let world = World::new();
    let ran = world.line("events --set web").await;
    assert_eq!(
        ran.err,
        "events before then are not known any more: this hub began then\n"
    );
    let out = ran.ok();
    assert!(out.starts_with("TIME "), "{out}");
    assert_eq!(out.lines().count(), 5, "{out}");
    let names = world.line("events -o name").await.ok();
    assert_eq!(names, "event/7-1\nevent/7-2\nevent/7-3\nevent/7-4\n");
    let ran = world.line("events --set nothing").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, "no such event is known\n");
    // What was before is not asked for.
    let ran = world.line("events --since 1h").await;
    assert!(!ran.err.contains("began then"), "{ran:?}");
}

#[tokio::test]
async fn the_hub_is_asked_for_what_the_options_say() {
    let world = World::new();
    let line = "events -p shop --set web --cluster dev --since 2023-11-14";
    world.line(line).await.ok();
    let asked = world.hub.only_request();
    for word in [
        "project: \"shop\"",
        "set: \"web\"",
        "cluster: \"dev\"",
        "since_ms: 1699920000000",
        "follow: false",
        "after: None",
    ] {
        assert!(asked.contains(word), "no {word} in {asked}");
    }
}

#[tokio::test]
async fn a_hub_that_goes_away_is_followed_without_telling_anything_twice() {
    let world = World::new();
    let mut watched = Watched::start(&world, "events -f --set cut");
    assert!(watched.next().await.starts_with("TIME "));
    for reason in ["RunStarted", "WaveOpened"] {
        let line = watched.next().await;
        assert!(line.contains(reason), "{line}");
    }
    assert_eq!(watched.told().await, "trying again: the hub drains");
    assert_eq!(watched.next().await, GONE);
    for reason in ["ApplicationDegraded", "ClusterDisconnected"] {
        let line = watched.next().await;
        assert!(line.contains(reason), "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
    let (code, told) = watched.interrupt().await;
    assert_eq!((code, told.as_str()), (130, "error: interrupted\n"));
    assert_eq!(world.hub.requests(), 2);
}

#[tokio::test]
async fn followed_as_json_each_is_a_document_and_so_is_a_gap() {
    let world = World::new();
    let mut watched = Watched::start(&world, "events -w --set cut -o json");
    let mut found = Vec::new();
    for _ in 0..5 {
        let line: serde_json::Value = serde_json::from_str(&watched.next().await).unwrap();
        found.push(match line.get("gap") {
            Some(gap) => gap["reason"].clone(),
            None => line["reason"].clone(),
        });
    }
    let expected = [
        "RunStarted",
        "WaveOpened",
        "HubRestarted",
        "ApplicationDegraded",
        "ClusterDisconnected",
    ];
    assert_eq!(found, expected);
    watched.interrupt().await;
}

#[tokio::test]
async fn a_real_end_of_the_hub_is_waited_out_and_its_refusals_are_not() {
    let mut world = World::new();
    let mut watched = Watched::start(&world, "events -f -o name --set ends");
    assert_eq!(watched.next().await, "event/7-1");
    assert_eq!(watched.next().await, "event/7-2");
    world.stop().await;
    let told = watched.told().await;
    assert!(told.starts_with("trying again: "), "{told}");
    world.start_again();
    assert_eq!(watched.next().await, "event/7-3");
    assert_eq!(watched.next().await, "event/7-4");
    watched.interrupt().await;
    let told = world.line("events --set forbidden -f").await.failed(4);
    assert!(told.contains("needs an operator"), "{told}");
    let told = world.line("events -f --timeout 1s").await.failed(6);
    assert!(told.contains("stopped following after 1s"), "{told}");
    let told = world.line("events --timeout 1s").await;
    assert_eq!(told.code, 2, "{told:?}");
}
