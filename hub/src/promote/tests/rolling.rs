//! What a step decides is what is stored: assignments, last known good, pins, denies, records.

use tidegate_model::{
    deny::PinRelease,
    ids::Generation,
    run::{CauseCode, Request, WayBack},
};

use super::*;
use crate::publish::inputs::{Inputs, Rest};

#[tokio::test]
async fn what_ran_healthy_through_its_wave_is_the_last_known_good() {
    let mut world = World::new(&json!({}), 2, 1).await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    for app in world.apps() {
        assert_eq!(
            (app.generation, app.release, app.last_good),
            (Generation(1), 1, None)
        );
        assert_eq!(app.assignment.unwrap().epoch, world.hub.db.epoch());
    }
    assert_eq!(world.set().record.last_succeeded, None);
    world.recover().await;
    for app in world.apps() {
        let good = app.last_good.unwrap();
        assert_eq!((good.bundle, good.release), (bundle("a"), 1));
    }
    assert_eq!(world.set().record.last_succeeded, Some(1));
    let audit = world.hub.audit("default").await;
    let run = world.run().id;
    let assign: Vec<_> = audit
        .iter()
        .filter(|record| record.action == "run.assign")
        .collect();
    assert_eq!(assign.len(), 2);
    let subject = format!("set/web run/{run} wave/all cluster/c1 application/web-1");
    assert!(
        assign.iter().any(|record| record.subject == subject),
        "{assign:?}"
    );
    assert!(audit.iter().any(|record| record.action == "run.finish"));
}

#[tokio::test]
async fn nothing_moves_without_evidence() {
    let mut world = World::new(&waves(&["dev", "prod"], &json!({})), 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    // Reports are stored, but no session says that they still hold.
    let backend = Backend::new(world.hub.db.clone());
    let app = world.apps().remove(0);
    backend
        .report(app.app.cluster, report(&app, Health::Healthy))
        .await
        .unwrap();
    for _ in 0..5 {
        world.hub.clock.wind(jiff::SignedDuration::from_secs(60));
        world.settle().await;
    }
    assert_eq!((world.run().wave, world.running()["web-2"]), (0, None));
    let state = world.hub.db.read().clone();
    let record = &state.runs.find(|_| true).unwrap().record;
    let now = world.hub.clock.now();
    let blocking = explain(
        &state,
        &world.hub.evidence,
        record,
        world.hub.db.epoch(),
        now,
    );
    assert!(
        blocking.iter().any(|cause| cause.cluster == "c1"),
        "{blocking:?}"
    );
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
}

#[tokio::test]
async fn a_rollback_pins_denies_and_says_so() {
    let mut world = World::new(&json!({}), 2, 1).await;
    world.roll_out("good").await;
    world.denied = [object(1)].into();
    world.publish("bad").await;
    world.settle().await;
    world.report(Health::Degraded).await;
    assert!(world.all_run("good"));
    for app in world.apps() {
        assert_eq!(
            (app.generation, app.release),
            (Generation(3), 1),
            "a new generation of release 1"
        );
    }
    let state = world.hub.db.read().clone();
    let run = world.run();
    let cause = run.cause.as_ref().unwrap().message.clone();
    for pin in state.pins.iter().map(|record| &record.pin) {
        assert_eq!(
            (pin.bundle, pin.bad, pin.run),
            (bundle("good"), bundle("bad"), run.id)
        );
        assert_eq!(
            (pin.actor.as_str(), pin.release),
            ("system", PinRelease::Changed)
        );
    }
    assert_eq!((state.pins.len(), state.denies.len()), (2, 1));
    assert_eq!(state.denies.iter().next().unwrap().deny, object(1));
    assert_eq!(run.cause.unwrap().code, CauseCode::Degraded);
    let audit = world.hub.audit("default").await;
    let pinned: Vec<_> = audit
        .iter()
        .filter(|record| record.action == "run.pin")
        .collect();
    assert_eq!(pinned.len(), 2);
    let digest = |name| bundle(name).to_string();
    let from_to =
        |record: &crate::records::AuditRecord| (record.before.clone(), record.after.clone());
    assert_eq!(from_to(pinned[0]), (digest("bad"), digest("good")));
    for action in ["run.breach", "run.rollback-begun", "run.revert", "run.deny"] {
        assert!(
            audit.iter().any(|record| record.action == action),
            "{action}"
        );
    }
    world.recover().await;
    assert_eq!(world.run().state, RunState::RolledBack);
    let audit = world.hub.audit("default").await;
    let end = audit.iter().rfind(|record| record.action == "run.finish");
    assert_eq!(end.unwrap().reason, format!("RolledBack: {cause}"));
    assert_eq!(
        world.set().record.last_succeeded,
        Some(1),
        "the bad one never succeeded"
    );
}

#[tokio::test]
async fn a_release_that_waited_behind_a_bad_one_does_not_undo_its_rollback() {
    let mut world = World::new(&json!({}), 2, 1).await;
    world.roll_out("good").await;
    world.publish("bad").await;
    world.settle().await;
    // Made before anybody knew, so no pin and no deny held it: it may be as bad.
    world.publish("bad and more").await;
    world.report(Health::Degraded).await;
    world.publish("as bad").await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::RolledBack);
    assert_eq!(world.run().release_number, 2, "no run of a later one began");
    assert!(world.all_run("good"));
    assert_eq!(world.set().record.void_through, 4);
    // One that is made now was held against the denies.
    world.publish("mended").await;
    world.settle().await;
    assert_eq!(world.run().release_number, 5);
}

#[tokio::test]
async fn releases_that_queue_get_their_runs_in_order_and_others_only_the_newest() {
    for (newer, runs) in [("queue", vec![1, 2, 3, 4]), ("never", vec![1, 2, 4])] {
        let strategy = json!({"supersede": {"newer": newer}});
        let mut world = World::new(&strategy, 1, 1).await;
        world.roll_out("one").await;
        for content in ["two", "three", "four"] {
            world.publish(content).await;
            world.settle().await;
        }
        for _ in 0..3 {
            world.recover().await;
        }
        assert!(world.all_run("four"), "{newer}");
        let state = world.hub.db.read().clone();
        let mut told: Vec<_> = state
            .runs
            .iter()
            .map(|row| row.run.release_number)
            .collect();
        told.sort_unstable();
        assert_eq!(told, runs, "{newer}");
    }
}

#[tokio::test]
async fn a_person_takes_back_a_run_that_is_over() {
    let mut world = World::new(&json!({}), 1, 1).await;
    world.roll_out("good").await;
    world.roll_out("worse").await;
    let row = world.hub.db.read().run(world.run().id).unwrap().clone();
    let mut record = RunRecord::clone(&row.record);
    record.run.request = Some(Request {
        verb: RequestVerb::Rollback,
        actor: "ada".to_owned(),
        reason: "slow".to_owned(),
        way: WayBack::default(),
    });
    world
        .hub
        .write(|changes| changes.update(&row, &record))
        .await;
    world.settle().await;
    assert!(world.all_run("good"));
    let pin = world.hub.db.read().pins.iter().next().unwrap().pin.clone();
    assert_eq!((pin.actor.as_str(), pin.reason.as_str()), ("ada", "slow"));
    assert_eq!(pin.release, PinRelease::Converged);
    let audit = world.hub.audit("default").await;
    let begun = audit
        .iter()
        .find(|record| record.action == "run.rollback-begun")
        .unwrap();
    assert_eq!(
        (begun.actor.as_str(), begun.reason.contains("slow")),
        ("ada", true)
    );
}

fn gather(world: &World) -> tidegate_waves::Facts {
    let state = world.hub.db.read();
    let record = &state.runs.find(|_| true).unwrap().record;
    let (set, epoch) = (World::set_of(&state), world.hub.db.epoch());
    facts::gather(&state, &world.hub.evidence, &set, record, epoch)
}

#[tokio::test]
async fn facts_tell_what_is_gone_and_since_when_nobody_was_heard() {
    let mut world = World::new(&json!({}), 3, 1).await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    let begun = world.hub.clock.now();
    let mut world = world.restart().await;
    world.hub.clock.wind(jiff::SignedDuration::from_secs(100));
    let gone = world.hub.db.read().cluster(cluster_uid(3)).unwrap().clone();
    let app = world.apps().remove(1);
    let row = world.hub.db.read().apps.get(&app.key()).unwrap().clone();
    world
        .hub
        .write(|changes| {
            changes.delete(&gone);
            changes.update(
                &row,
                &AppRecord {
                    vanished: true,
                    ..app.clone()
                },
            );
        })
        .await;
    world.agents = vec![Agent::connect(&world.hub.sessions, cluster_uid(1))];
    let known = gather(&world);
    let of = |n| &known.clusters[&cluster_uid(n)];
    assert_eq!(of(1).unreachable_since, None);
    assert_eq!(
        of(2).unreachable_since,
        Some(begun),
        "no longer than this hub listens"
    );
    assert_eq!((of(2).removed, of(3).removed), (false, true));
    assert!(of(2).apps[&app.uid].removed);
    let first = &of(1).apps[&world.apps()[0].uid];
    assert_eq!(
        (first.highest, first.evidence.is_none()),
        (Generation(1), true)
    );
    assert_eq!((known.newer_release, known.newer_run), (None, false));
}

#[tokio::test]
async fn facts_join_the_report_with_the_session_that_confirms_it() {
    let mut world = World::new(&json!({}), 1, 1).await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    let backend = Backend::new(world.hub.db.clone());
    let one = world.apps().remove(0);
    backend
        .report(cluster_uid(1), report(&one, Health::Healthy))
        .await
        .unwrap();
    let stored = world.hub.clock.now();
    world.hub.clock.wind(jiff::SignedDuration::from_secs(7));
    world.agents[0].confirm();
    let seen = gather(&world).clusters[&cluster_uid(1)].apps[&one.uid]
        .evidence
        .clone()
        .unwrap();
    assert_eq!(
        (seen.received_at, seen.first_healthy_at),
        (stored, Some(stored))
    );
    assert_eq!(
        (seen.confirmed_at, seen.fresh),
        (world.hub.clock.now(), true)
    );
    world.publish("b").await;
    assert_eq!(gather(&world).newer_release, Some(2));
}

#[tokio::test]
async fn a_run_that_brings_out_what_was_released_asks_for_no_publication() {
    let mut world = World::new(&waves(&["dev"], &json!({"soak": {"time": "10m"}})), 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "dev").await;
    world.connect();
    let inputs = |world: &World| {
        let state = world.hub.db.read();
        Inputs::of(&state, state.set("default", "web").unwrap())
    };
    world.publish("a").await;
    assert!(world.pass().await && world.pass().await, "a run begins");
    let quiet: BTreeMap<_, _> = world
        .apps()
        .iter()
        .map(|app| (app.uid, bundle("a")))
        .collect();
    let objected = Rest::new(inputs(&world), BTreeMap::new());
    let released = Rest::new(inputs(&world), quiet.clone());
    let other = quiet.keys().map(|app| (*app, bundle("b"))).collect();
    let other = Rest::new(inputs(&world), other);
    world.settle().await;
    assert!(!objected.holds(&inputs(&world)), "the brake looks again");
    assert!(!other.holds(&inputs(&world)), "it is something else");
    assert!(released.holds(&inputs(&world)));
    let revision = world.hub.revision().await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::Soaking);
    assert!(world.hub.revision().await > revision);
    assert!(released.holds(&inputs(&world)), "evidence is no content");
}
