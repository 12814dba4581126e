//! What came out of a backup is settled by what agents say, and by nothing else.

use tidegate_model::{
    ids::{Epoch, Generation},
    report::Report,
};

use super::*;
use crate::{
    backend::Backend,
    link::{port::LinkBackend as _, testing::Agent},
    records::ReportRecord,
    testing::{
        app, assigned, bundle, cluster_uid, report,
        world::{World, waves},
    },
};

/// The term that the restore took; the test's hub has a later one.
const TERM: u64 = 1_000;

/// A set that rolled `a` out to two clusters, in the records as a restore leaves them.
async fn restored() -> World {
    let mut world = World::new(&waves(&["dev", "prod"], &serde_json::json!({})), 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.connect();
    world.roll_out("a").await;
    let mut world = world.restart().await;
    age(&world).await;
    world.connect();
    world
}

/// Makes words and run those of a lost hub, and forgets what agents have said.
async fn age(world: &World) {
    let hub = &world.hub;
    let (apps, runs, reports) = {
        let state = hub.db.read();
        let apps: Vec<_> = world.apps();
        let runs: Vec<_> = state.runs.iter().map(|run| run.run.id).collect();
        let reports: Vec<_> = apps
            .iter()
            .filter_map(|app| state.report_of(app))
            .cloned()
            .collect();
        (apps, runs, reports)
    };
    hub.write(|changes| {
        let state = hub.db.read();
        for app in &apps {
            let mut aged = app.clone();
            if let Some(word) = &mut aged.assignment {
                word.epoch = Epoch(TERM - 1);
            }
            aged.generation = Generation(TERM);
            changes.update(state.app_row(app.uid).unwrap(), &aged);
            changes.create(&RestoredRecord {
                project: app.app.project.clone(),
                set: app.set,
                app: app.uid,
                term: Epoch(TERM),
                astray: false,
            });
        }
        for id in runs {
            let row = state.run(id).unwrap();
            let mut aged = RunRecord::clone(&row.record);
            aged.run.epoch = Epoch(TERM - 1);
            changes.update(row, &aged);
        }
        for report in &reports {
            changes.delete(report);
        }
    })
    .await;
}

async fn settle(world: &World) -> bool {
    let changes = {
        let state = world.hub.db.read();
        let set = world.set();
        pass(&state, &world.hub.evidence, &set, world.hub.clock.now())
    };
    let some = !changes.is_empty();
    world.hub.db.commit(changes).await.unwrap();
    some
}

async fn say(world: &World, report: Report) {
    let app = world
        .apps()
        .into_iter()
        .find(|app| app.uid == report.app)
        .unwrap();
    let record = ReportRecord {
        project: app.app.project.clone(),
        set: app.set,
        received_at: world.hub.clock.now(),
        first_healthy_at: None,
        report,
    };
    let known = world.hub.db.read().report_of(&app).cloned();
    world
        .hub
        .write(|changes| changes.upsert(known.as_ref(), &record))
        .await;
}

fn standings(world: &World) -> Vec<Standing> {
    let state = world.hub.db.read();
    world
        .apps()
        .iter()
        .map(|app| standing(&state, app))
        .collect()
}

fn said(world: &World) -> usize {
    let backend = Backend::new(world.hub.db.clone());
    [1, 2]
        .map(|n| backend.assignments(cluster_uid(n)).len())
        .iter()
        .sum()
}

fn is_asked(world: &World) -> bool {
    let state = world.hub.db.read();
    state.reissue(&world.set().record).is_some()
}

fn further(app: &AppRecord) -> Report {
    let word = assigned(app.clone(), 7, bundle("c"));
    report(&word, tidegate_model::health::Health::Healthy)
}

#[tokio::test]
async fn a_word_out_of_a_backup_is_not_said_before_its_agent_was_heard() {
    let mut world = restored().await;
    assert_eq!(standings(&world), [Standing::Waiting, Standing::Waiting]);
    assert_eq!(said(&world), 0);
    assert!(!settle(&world).await, "nobody has spoken");
    // The one agent holds exactly that.
    let first = world.apps().remove(0);
    say(
        &world,
        report(&first, tidegate_model::health::Health::Healthy),
    )
    .await;
    assert!(settle(&world).await);
    assert_eq!(standings(&world), [Standing::Given, Standing::Waiting]);
    assert_eq!(said(&world), 1);
    // A session that has confirmed nothing yet proves nothing either.
    let mut second = Agent::connect(&world.hub.sessions, cluster_uid(2));
    world.agents.pop();
    second.differ();
    assert!(!settle(&world).await);
    assert!(!is_asked(&world));
}

#[tokio::test]
async fn an_agent_that_is_further_keeps_what_it_runs_until_one_more_release_reaches_it() {
    let mut world = restored().await;
    let apps = world.apps();
    say(
        &world,
        report(&apps[0], tidegate_model::health::Health::Healthy),
    )
    .await;
    say(&world, further(&apps[1])).await;
    world.agents.iter_mut().for_each(Agent::confirm);
    assert!(settle(&world).await);
    assert_eq!(standings(&world), [Standing::Given, Standing::Astray]);
    assert_eq!(said(&world), 1, "what is astray is not taken back");
    assert!(is_asked(&world));
    let problems = problems(&world.hub.db.read(), &world.set().record);
    assert!(
        problems.len() == 1 && problems[0].contains("generation 7"),
        "{problems:?}"
    );
    assert!(!settle(&world).await, "asked once");
    // The release of the same content gives it a generation above all that were ever given.
    world.publish("a").await;
    world.settle().await;
    world.recover().await;
    world.recover().await;
    assert_eq!(
        world.run().state,
        RunState::Succeeded,
        "{:?}",
        world.members()
    );
    let second = world.apps().remove(1);
    assert!(
        second.generation > Generation(TERM),
        "{}",
        second.generation
    );
    assert_eq!(said(&world), 2);
    assert!(settle(&world).await);
    assert!(!is_settling(&world.hub.db.read(), &world.set().record));
}

#[tokio::test]
async fn an_agent_that_holds_nothing_is_astray_and_is_not_given_the_old_word() {
    let mut world = restored().await;
    world.agents.iter_mut().for_each(Agent::confirm);
    assert!(settle(&world).await);
    assert_eq!(standings(&world), [Standing::Astray, Standing::Astray]);
    assert_eq!(said(&world), 0, "what was removed would come to life again");
}

#[tokio::test]
async fn a_run_of_the_lost_hub_ends_where_its_words_are_held_by_nobody() {
    let mut world = World::new(&waves(&["dev", "prod"], &serde_json::json!({})), 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.connect();
    world.roll_out("a").await;
    world.publish("b").await;
    world.settle().await;
    assert!(!world.run().state.is_terminal(), "dev is not healthy yet");
    let mut world = world.restart().await;
    age(&world).await;
    world.connect();
    // While the one agent is silent the run waits, and neither fails nor goes on.
    world.settle().await;
    assert!(!world.run().state.is_terminal());
    let apps = world.apps();
    say(&world, further(&apps[0])).await;
    world.agents.iter_mut().for_each(Agent::confirm);
    assert!(settle(&world).await);
    assert_eq!(world.run().state, RunState::Superseded);
    assert!(is_asked(&world));
    world.replays().await;
}

#[tokio::test]
async fn a_run_that_began_after_the_restore_settles_it_without_another_release() {
    let mut world = restored().await;
    world.publish("b").await;
    world.settle().await;
    let apps = world.apps();
    say(&world, further(&apps[0])).await;
    say(&world, further(&apps[1])).await;
    world.agents.iter_mut().for_each(Agent::confirm);
    assert!(settle(&world).await);
    assert!(!is_asked(&world), "the run brings it by itself");
    assert!(!world.run().state.is_terminal());
}

#[tokio::test]
async fn a_tombstone_is_said_again() {
    let mut world = restored().await;
    let first = world.apps().remove(0);
    let mut buried = first.clone();
    buried.vanished = true;
    if let Some(word) = &mut buried.assignment {
        word.desired = tidegate_model::assignment::Desired::Tombstone { cascade: true };
    }
    let row = world.hub.db.read().app_row(first.uid).unwrap().clone();
    world
        .hub
        .write(|changes| changes.update(&row, &buried))
        .await;
    assert_eq!(said(&world), 1);
    world.agents.iter_mut().for_each(Agent::confirm);
    assert!(settle(&world).await);
    let state = world.hub.db.read();
    assert!(
        state.restored(&buried).is_none(),
        "there is nothing to settle"
    );
    let other = app(&world.set().record, 9, 1);
    assert_eq!(standing(&state, &other), Standing::Given);
}
