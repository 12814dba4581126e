//! Many members: a step moves at most 30, and nothing opens before all are stored.

use std::collections::BTreeSet;

use crate::{Action, Effect, Step};
use tidegate_model::{
    run::{LastGood, RequestVerb, RunState},
    strategy::Strategy,
};

use crate::tests::fixture::{Row, app, cluster, row, world};

fn rows(clusters: u64, apps: u64) -> Vec<Row> {
    (0..clusters)
        .flat_map(|c| {
            (0..apps).map(move |a| Row {
                app: c * 1000 + a,
                ..row(c, "dev")
            })
        })
        .collect()
}

#[test]
fn a_hundred_members_take_several_steps_each_within_a_transaction() {
    let mut world = world(&Strategy::default(), &rows(100, 1));
    let mut steps = 0;
    while world.step() {
        let step = world.last.as_ref().unwrap();
        assert!(step.changed.len() <= Step::MAX_MEMBERS);
        assert!(step.changed.len() + step.effects.len() + 2 <= 100);
        steps += 1;
    }
    assert!(steps >= 4, "{steps}");
    assert_eq!(world.assigned.len(), 100);
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
    let good = world
        .apps
        .values()
        .filter(|app| app.last_good.as_ref().unwrap().release == 4);
    assert_eq!(good.count(), 100);
    world.ask(RequestVerb::Rollback);
    while world.step() {
        let step = world.last.as_ref().unwrap();
        assert!(step.changed.len() + step.effects.len() + 2 <= 100);
    }
    world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
    assert_eq!(world.pins.len(), 100);
}

#[test]
fn applications_of_one_cluster_move_together_however_many() {
    let mut world = world(&Strategy::default(), &rows(3, 50));
    while world.step() {
        let step = world.last.as_ref().unwrap();
        let assigned: BTreeSet<_> = step
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Assign(assign) => Some(assign.assignment.app),
                _ => None,
            })
            .collect();
        assert!(assigned.is_empty() || assigned.len() == 50);
    }
    assert_eq!(world.assigned.len(), 150);
    assert!(world.at_target().contains(&app(2049)));
}

#[test]
fn the_records_of_members_that_are_home_already_have_their_room() {
    // Each ran something else, and got what had been its last known good: nothing is to be written.
    let mut rows = rows(30, 1);
    rows.extend((0..12).map(|a| Row {
        app: 90_000 + a,
        ..row(9, "dev")
    }));
    let mut world = world(&Strategy::default(), &rows);
    // The last by name, so the first to go back.
    let big = cluster(9);
    let members = world.members.values_mut();
    for member in members.filter(|member| member.id.cluster != big) {
        for app in member.apps.values_mut() {
            app.last_good = app.target.bundle().map(|bundle| LastGood {
                bundle,
                policy: app.policy.clone(),
                namespace: app.namespace.clone(),
                release: 3,
            });
        }
    }
    world.rounds_until(60, |world| world.run.state == RunState::Succeeded);
    world.ask(RequestVerb::Rollback);
    let mut moves = 0;
    while world.step() {
        let step = world.last.as_ref().unwrap();
        let operations = step.changed.len() + step.effects.len() + 2;
        assert!(operations <= 100, "{operations}");
        let told = step.effects.iter().filter(|effect| {
            matches!(effect, Effect::Audit(audit) if audit.action == Action::Move && audit.member.is_some())
        });
        moves += told.count();
    }
    assert_eq!(moves, 29);
    world.rounds_until(60, |world| world.run.state == RunState::RolledBack);
}
