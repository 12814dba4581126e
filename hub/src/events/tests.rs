//! Events of records that change, and of a hub that lives, dies and lives again.

use jiff::SignedDuration;
use serde_json::json;
use tidegate_model::{
    health::Health,
    object::ObjectId,
    report::{DriftItem, HeldPrune, Phase, Problem, Report},
    run::{Request, RequestVerb, WayBack},
};

use super::{log::Log, *};
use crate::{
    records::{AppRecord, ReportRecord, RunRecord, SourceRecord},
    testing::{
        Hub, app, assigned, bundle, cluster, report, set,
        world::{World, waves},
    },
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn subject() -> AppRecord {
    let web = set(1, "web", &json!({"type": "AllAtOnce"}));
    assigned(app(&web, 1, 1), 3, bundle("a"))
}

fn stored(report: Report) -> ReportRecord {
    ReportRecord {
        project: "default".to_owned(),
        set: subject().set,
        report,
        received_at: at(0),
        first_healthy_at: None,
    }
}

/// The reasons that this change of reports gives.
fn reasons(before: Option<&Report>, after: &Report, rolling: bool) -> Vec<&'static str> {
    let (before, after) = (before.cloned().map(stored), stored(after.clone()));
    let events = seen::reported(&subject(), before.as_ref(), &after, rolling);
    events.iter().map(|event| event.reason).collect()
}

#[test]
fn health_is_told_when_it_turns_and_not_while_it_stays() {
    let with = |health| report(&subject(), health);
    let (well, ill) = (with(Health::Healthy), with(Health::Degraded));
    let moving = with(Health::Progressing);
    assert_eq!(reasons(Some(&well), &ill, false), ["ApplicationDegraded"]);
    assert_eq!(reasons(Some(&ill), &ill, false), [""; 0]);
    assert_eq!(reasons(Some(&ill), &well, false), ["ApplicationHealthy"]);
    assert_eq!(reasons(Some(&moving), &well, false), ["ApplicationHealthy"]);
    assert_eq!(reasons(Some(&well), &moving, false), [""; 0]);
    assert_eq!(
        reasons(None, &with(Health::Missing), false),
        ["ApplicationMissing"]
    );
    // The ordinary way of a thousand applications is told by their run.
    assert_eq!(reasons(Some(&moving), &well, true), [""; 0]);
    assert_eq!(reasons(None, &well, true), [""; 0]);
    assert_eq!(reasons(Some(&ill), &well, true), ["ApplicationHealthy"]);
}

#[test]
fn what_cannot_be_applied_drifts_or_is_held_back_is_told_once() {
    let plain = report(&subject(), Health::Progressing);
    let mut failed = plain.clone();
    failed.phase = Phase::Failed;
    assert_eq!(reasons(Some(&plain), &failed, false), ["ApplyFailed"]);
    assert_eq!(reasons(Some(&failed), &failed, false), [""; 0]);
    let mut later = failed.clone();
    later.generation = later.generation.next();
    assert_eq!(reasons(Some(&failed), &later, false), ["ApplyFailed"]);

    let object = |name: &str| ObjectId {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    };
    let item = |name: &str, healed| DriftItem {
        object: object(name),
        fields: vec!["/data/colour".to_owned()],
        healed,
    };
    let mut drifted = plain.clone();
    drifted.drift = vec![item("a", false)];
    assert_eq!(
        reasons(Some(&plain), &drifted, false),
        ["ApplicationDrifted"]
    );
    assert_eq!(reasons(Some(&drifted), &drifted, false), [""; 0]);
    let mut more = drifted.clone();
    more.drift.push(item("b", true));
    let told = seen::reported(&subject(), Some(&stored(drifted)), &stored(more), false);
    assert_eq!(
        told[0].message,
        "ConfigMap b differs at /data/colour; put back"
    );
    assert!(!told[0].warning, "what was put back is no warning");

    let mut held = plain.clone();
    held.held_prune = Some(HeldPrune {
        count: 7,
        reason: "more than 30 %".to_owned(),
    });
    held.problems = vec![Problem {
        object: Some(object("a")),
        message: "forbidden".to_owned(),
    }];
    assert_eq!(reasons(Some(&plain), &held, false), ["DeletionHeld"]);
    assert_eq!(reasons(Some(&held), &held, false), [""; 0]);
}

#[test]
fn problems_of_a_set_and_faults_of_a_source_are_told_when_they_are_new() {
    let fine = set(1, "web", &json!({"type": "AllAtOnce"}));
    let mut broken = fine.clone();
    broken.problems = vec!["a.yaml:1: bad".to_owned(), "b.yaml:2: worse".to_owned()];
    let told = seen::judged(Some(&fine), &broken, at(1)).unwrap();
    assert_eq!((told.reason, told.warning), ("RenderFailed", true));
    assert_eq!(told.message, "a.yaml:1: bad (and 1 more)");
    assert_eq!(seen::judged(Some(&broken), &broken, at(1)), None);
    let solved = seen::judged(Some(&broken), &fine, at(1)).unwrap();
    assert_eq!((solved.reason, solved.warning), ("ProblemsSolved", false));
    broken.problems = vec!["application web-1: a at main has not been fetched yet".to_owned()];
    assert_eq!(seen::judged(None, &broken, at(1)), None, "it is on its way");
    assert_eq!(seen::judged(Some(&broken), &fine, at(1)), None);
    broken.problems = vec!["promotion: no cluster".to_owned()];
    assert_eq!(
        seen::judged(None, &broken, at(1)).unwrap().reason,
        "PromotionBlocked"
    );

    let mut source = SourceRecord {
        source: tidegate_model::source::RepoRevision {
            repo_url: "https://git.example/web.git".to_owned(),
            revision: "main".to_owned(),
        },
        commit: None,
        checked_at: at(0),
        error: None,
    };
    let known = source.clone();
    assert_eq!(seen::fetched(None, &source), None);
    source.error = Some("no route".to_owned());
    let told = seen::fetched(Some(&known), &source).unwrap();
    assert_eq!(told.object, "source/https://git.example/web.git@main");
    assert_eq!(seen::fetched(Some(&source), &source), None);
}

fn note(second: i64, decision: &str) -> Event {
    let mut event = Event::seen(at(second), false, "Noted", About::default());
    decision.clone_into(&mut event.decision);
    event
}

#[test]
fn a_ring_keeps_the_newest_in_so_many_places_and_bytes() {
    let mut ring = ring::Ring::new(3, 1 << 20);
    for second in 0..5 {
        ring.push(note(second, ""));
    }
    let kept: Vec<_> = ring.after(0, 9).iter().map(|kept| kept.sequence).collect();
    assert_eq!(
        (kept, ring.last(), ring.before_first()),
        (vec![3, 4, 5], 5, 2)
    );
    assert_eq!(ring.lost(), Some(at(1)));
    assert_eq!(ring.after(4, 9).len(), 1);
    assert_eq!(ring.after(5, 9).len(), 0);
    assert_eq!(ring.after(2, 2).len(), 2);

    let mut ring = ring::Ring::new(100, 4_000);
    for second in 0..50 {
        ring.push(note(second, "").saying("x".repeat(900)));
    }
    let kept = ring.after(0, 99);
    let bytes: usize = kept.iter().map(|kept| kept.event.bytes()).sum();
    assert!((1..4).contains(&kept.len()) && bytes <= 4_000, "{bytes}");
    assert_eq!(kept.last().map(|kept| kept.sequence), Some(50));
}

fn life(epoch: u64, events: Vec<Event>) -> Log {
    let clock = crate::clock::Clock::default();
    let epoch = tidegate_model::ids::Epoch(epoch);
    let log = Log::sized(
        epoch,
        &clock,
        &[],
        &crate::state::State::default(),
        (3, 1 << 20),
    );
    log.append(events);
    log
}

/// The seconds of everything that somebody at this position is still told, and the gap before.
fn rest(log: &Log, after: Option<&Position>) -> (Vec<i64>, Option<Gap>) {
    let (mut position, mut gap) = log.resume(after);
    let mut seconds = Vec::new();
    loop {
        let (kept, behind, overrun) = log.read(&position, 2);
        gap = gap.or(overrun);
        if kept.is_empty() {
            return (seconds, gap);
        }
        seconds.extend(
            kept.iter()
                .map(|kept| kept.event.at.as_second() - 1_700_000_000),
        );
        position = behind;
    }
}

fn position_of(log: &Log, sequence: u64) -> Position {
    let start = Position {
        sequence: sequence - 1,
        ..log.resume(None).0
    };
    log.read(&start, 1).1
}

#[test]
fn whoever_comes_back_to_the_same_hub_is_told_the_rest_or_that_it_is_gone() {
    let log = life(7, vec![note(1, ""), note(2, "d/2"), note(3, "")]);
    let seen = position_of(&log, 2);
    assert_eq!(
        (seen.epoch, seen.decision.as_str(), seen.at),
        (7, "d/2", Some(at(2)))
    );
    assert_eq!(rest(&log, Some(&seen)), (vec![3], None));
    log.append(vec![note(4, ""), note(5, "")]);
    assert_eq!(rest(&log, Some(&seen)), (vec![3, 4, 5], None));
    log.append(vec![note(6, "")]);
    let (told, gap) = rest(&log, Some(&seen));
    let gap = gap.unwrap();
    assert_eq!((told, gap.why), (vec![4, 5, 6], Why::Overrun));
    assert_eq!((gap.from, gap.until), (Some(at(2)), Some(at(4))));
    assert_eq!(
        gap.to_string(),
        "events between 2023-11-14T22:13:22Z and 2023-11-14T22:13:24Z are not known any more: more \
         happened than the hub keeps"
    );
}

#[test]
fn a_later_hub_goes_on_after_the_last_decision_that_it_knows() {
    let before = life(7, vec![note(1, "d/1"), note(2, ""), note(3, "d/3")]);
    let after = life(8, vec![note(1, "d/1"), note(3, "d/3"), note(9, "")]);
    let (told, gap) = rest(&after, Some(&position_of(&before, 2)));
    let gap = gap.unwrap();
    assert_eq!(told, [3, 9]);
    assert_eq!((gap.why, gap.from), (Why::HubRestarted, Some(at(2))));
    assert!(gap.decisions_known, "{gap}");
    assert!(
        gap.to_string()
            .starts_with("what agents and sources told between"),
        "{gap}"
    );
    assert_eq!(rest(&after, Some(&position_of(&before, 3))).0, [9]);

    let stranger = Position {
        decision: "d/2".to_owned(),
        ..position_of(&before, 2)
    };
    let (told, gap) = rest(&after, Some(&stranger));
    let gap = gap.unwrap();
    assert_eq!(told, [1, 3, 9], "all that is known");
    assert!(
        !gap.decisions_known && gap.to_string().starts_with("events between"),
        "{gap}"
    );

    let early = Position {
        decision: String::new(),
        ..stranger
    };
    let (told, gap) = rest(&after, Some(&early));
    assert_eq!((told, gap.unwrap().decisions_known), (vec![1, 3, 9], true));
}

#[test]
fn no_decision_is_found_in_what_was_only_seen() {
    let mut ring = ring::Ring::new(3, 1 << 20);
    ring.push(note(1, "d/1"));
    ring.push(note(2, ""));
    assert_eq!(ring.find("d/1").unwrap().sequence, 1);
    assert!(ring.find("").is_none());
}

/// Everything that a hub knows.
fn all(hub: &Hub) -> Vec<Kept> {
    let log = hub.db.events();
    let (position, _) = log.resume(None);
    log.read(&position, usize::MAX).0
}

fn decisions(kept: &[Kept]) -> Vec<Event> {
    let events = kept.iter().map(|kept| Event::clone(&kept.event));
    events.filter(|event| !event.decision.is_empty()).collect()
}

/// A person asks for it.
async fn go_back(world: &World) {
    let row = {
        let state = world.hub.db.read();
        state.run(world.run().id).unwrap().clone()
    };
    let mut record = RunRecord::clone(&row.record);
    record.run.request = Some(Request {
        verb: RequestVerb::Rollback,
        actor: "ada".to_owned(),
        reason: "bad image".to_owned(),
        way: WayBack::default(),
    });
    let write = world.hub.write(|changes| changes.update(&row, &record));
    write.await;
}

#[tokio::test]
async fn a_run_that_fails_is_told_from_beginning_to_end_and_again_by_the_next_hub() {
    let strategy = waves(&["dev", "prod"], &json!({"progressDeadline": "30m"}));
    let mut world = World::new(&strategy, 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.connect();
    world.roll_out("good").await;
    world.publish("bad").await;
    world.settle().await;
    world.report(Health::Degraded).await;
    go_back(&world).await;
    world.settle().await;
    world.hub.clock.wind(SignedDuration::from_secs(1));
    world.recover().await;

    let told = all(&world.hub);
    let reasons: Vec<_> = told.iter().map(|kept| kept.event.reason).collect();
    for reason in [
        "RunStarted",
        "WaveOpened",
        "WaveSucceeded",
        "RunSucceeded",
        "ApplicationDegraded",
        "RollbackStarted",
        "Pinned",
        "ApplicationHealthy",
        "RolledBack",
    ] {
        assert!(reasons.contains(&reason), "no {reason} in {reasons:?}");
    }
    let sequences: Vec<_> = told.iter().map(|kept| kept.sequence).collect();
    assert_eq!(sequences, (1..=told.len() as u64).collect::<Vec<_>>());
    let positions: Vec<_> = told
        .iter()
        .map(|kept| world.hub.db.events().position(kept))
        .collect();

    let world = world.restart().await;
    let known = all(&world.hub);
    assert_eq!(decisions(&known), decisions(&told), "in the same order");
    // From wherever somebody was, the rest comes, whole and once.
    for (index, position) in positions.iter().enumerate() {
        let log = world.hub.db.events();
        let (begin, gap) = log.resume(Some(position));
        assert!(gap.unwrap().decisions_known);
        let rest = log.read(&begin, usize::MAX).0;
        assert_eq!(
            decisions(&rest),
            decisions(&told[index + 1..]),
            "after {index}"
        );
    }
}

#[tokio::test]
async fn an_application_of_a_decision_is_known_with_its_set_and_cluster() {
    let hub = Hub::new().await;
    let web = set(1, "web", &json!({"type": "AllAtOnce"}));
    hub.create([cluster(1)]).await;
    let record = app(&web, 1, 1);
    hub.create([record.clone()]).await;
    let row = hub.db.read().app_row(record.uid).unwrap().clone();
    hub.write(|changes| {
        changes.delete(&row);
        changes.decide(crate::changes::Decision::by_system(
            "default",
            "application.forget",
            "application/web-1".to_owned(),
            "its row is gone".to_owned(),
        ));
    })
    .await;
    let told = all(&hub).pop().unwrap();
    let about = &told.event.about;
    assert_eq!((about.set.as_str(), about.cluster.as_str()), ("web", "c1"));
}

#[tokio::test]
async fn of_one_transaction_decisions_come_first_and_then_what_is_seen() {
    let hub = Hub::new().await;
    let web = set(1, "web", &json!({"type": "AllAtOnce"}));
    hub.create([web.clone()]).await;
    let row = hub.db.read().set("default", "web").unwrap().clone();
    let mut broken = web;
    broken.problems = vec!["a.yaml:1: bad".to_owned()];
    hub.write(|changes| {
        changes.update(&row, &broken);
        for action in ["set.change", "set.refresh"] {
            let subject = "set/web".to_owned();
            changes.decide(crate::changes::Decision::by_system(
                "default",
                action,
                subject,
                String::new(),
            ));
        }
    })
    .await;
    let told = all(&hub);
    let reasons: Vec<_> = told.iter().map(|kept| kept.event.reason).collect();
    assert_eq!(reasons, ["SetChanged", "RefreshRequested", "RenderFailed"]);
    // What is seen stands behind the last decision: so a later hub tells what followed that.
    assert_eq!(told[2].decision, told[1].decision);
}
