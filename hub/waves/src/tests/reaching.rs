//! What a strategy says of its rollbacks (whom, in which order, what is denied) and of its soaks.

use tidegate_model::{
    deny::Deny,
    duration::Span,
    health::Health,
    run::{MemberState, RequestVerb, RunState},
    strategy::{DenyScope, RollbackOn, RollbackOrder, RollbackScope, SoakMode, Strategy},
};

use crate::{
    AssignKind, BlockCode,
    tests::{
        agent::Kind,
        fixture::{Row, app, bundle, cluster, deployment, old, row, target, waves, world},
        world::World,
    },
};

/// Three waves of one cluster, of which the second gets content that does not work.
fn broken_in_the_middle(strategy: &Strategy) -> World {
    let rows = [
        row(1, "dev"),
        Row {
            kind: Kind::Degrades,
            ..row(2, "stage")
        },
        row(3, "prod"),
    ];
    let mut world = world(strategy, &rows);
    world.rounds_until(200, |world| world.run.state == RunState::RollingBack);
    world
}

fn three() -> Strategy {
    waves(&["dev", "stage", "prod"])
}

fn sent_back(world: &World) -> Vec<u64> {
    let back = world.assigned.iter();
    let back = back.filter(|(kind, _)| *kind == AssignKind::Revert);
    let number = |uid| (0..9).find(|n| app(*n) == uid).unwrap();
    back.map(|(_, assignment)| number(assignment.app)).collect()
}

#[test]
fn a_rollback_of_the_wave_leaves_those_before_it() {
    for (scope, back) in [
        (RollbackScope::Wave, vec![2]),
        (RollbackScope::Run, vec![2, 1]),
    ] {
        let mut strategy = three();
        strategy.rollback.scope = scope;
        let mut world = broken_in_the_middle(&strategy);
        world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
        assert_eq!(sent_back(&world), back, "{scope:?}");
        assert_eq!(world.pins.len(), back.len());
        let stays = world.state(0, cluster(1)) == MemberState::Soaked;
        assert_eq!(stays, scope == RollbackScope::Wave);
        // The content stays out all the same, and a person can take the rest back.
        if stays {
            world.ask(RequestVerb::Rollback);
            world.rounds_until(100, |world| sent_back(world) == [2, 1]);
            world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
        }
    }
}

#[test]
fn what_rests_on_an_earlier_wave_goes_back_with_it() {
    let mut strategy = three();
    strategy.rollback.scope = RollbackScope::Wave;
    strategy.waves[1].progress_deadline = Span::secs(60);
    strategy.waves[2].soak.time = Span::secs(3600);
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "stage"), row(3, "prod")]);
    world.rounds_until(200, |world| {
        world.run.state == RunState::Soaking && world.run.wave == 2
    });
    let truth = world.truth;
    let agent = world.agents.get_mut(&cluster(2)).unwrap();
    agent.set_health(app(2), Health::Progressing, truth);
    // Its agent does nothing about it, and everybody vouches for what they said.
    for _ in 0..60 {
        while world.deliver(cluster(2)) {}
        world.tick(5);
        for n in [1, 2, 3] {
            world.heartbeat(cluster(n));
        }
        world.settle();
    }
    assert_eq!(sent_back(&world), [3], "prod first");
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    assert_eq!(sent_back(&world), [3, 2], "and dev stays");
}

#[test]
fn in_reverse_order_an_earlier_wave_waits_for_the_later_ones() {
    let mut world = broken_in_the_middle(&three());
    world.settle();
    assert_eq!(sent_back(&world), [2]);
    let said = world.explain();
    let turn = said
        .iter()
        .find(|said| said.code == BlockCode::Turn)
        .unwrap();
    assert_eq!(turn.wave_name, "dev");
    assert!(turn.message.contains("nobody of wave stage is on the way"));
    assert!(said.iter().any(|said| said.wave_name == "stage"));
    while world.state(1, cluster(2)) != MemberState::Reverted {
        assert_eq!(sent_back(&world), [2]);
        world.round(5);
    }
    world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
    assert_eq!(sent_back(&world), [2, 1]);

    let mut strategy = three();
    strategy.rollback.order = RollbackOrder::Parallel;
    let mut world = broken_in_the_middle(&strategy);
    world.settle();
    assert_eq!(sent_back(&world), [2, 1]);
}

#[test]
fn who_is_cut_off_holds_no_earlier_wave_up() {
    let mut world = world(&three(), &[row(1, "dev"), row(2, "stage"), row(3, "prod")]);
    world.rounds_until(200, |world| world.run.state == RunState::Succeeded);
    world.disconnect(cluster(3));
    world.settle();
    world.ask(RequestVerb::Rollback);
    world.settle();
    // Prod's word is written, and nobody waits for it.
    assert_eq!(sent_back(&world), [3, 2]);
    world.rounds_until(20, |world| sent_back(world) == [3, 2, 1]);
}

#[test]
fn a_deny_of_the_release_lets_everything_else_through() {
    for scope in [DenyScope::Content, DenyScope::Release] {
        let mut strategy = three();
        strategy.rollback.deny = scope;
        let mut world = broken_in_the_middle(&strategy);
        world.rounds_until(100, |world| world.run.state == RunState::RolledBack);
        let bad = target(&Row {
            kind: Kind::Degrades,
            ..row(2, "stage")
        });
        let whole = scope == DenyScope::Release;
        assert_eq!(world.denied.contains(&Deny::whole(bad)), whole);
        assert_eq!(world.denied.contains(&deployment(bad)), !whole);
        assert_eq!(world.denied.len(), 2);
        assert!(!world.denied.contains(&Deny::whole(old(&row(2, "stage")))));
    }
    assert!(Deny::whole(bundle("x")).is_whole() && !deployment(bundle("x")).is_whole());
}

fn soaking(clock: SoakMode) -> World {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[0].soak.time = Span::secs(300);
    strategy.waves[0].soak.clock = clock;
    strategy.rollback.on = vec![RollbackOn::Manual];
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.rounds_until(100, |world| world.run.state == RunState::Soaking);
    for _ in 0..40 {
        world.round(5);
    }
    assert_eq!((world.run.state, world.run.wave), (RunState::Soaking, 0));
    world
}

/// How long it takes to prod from here.
fn left(world: &mut World) -> u64 {
    let begun = world.truth.as_secs();
    world.rounds_until(200, |world| world.run.wave == 1);
    world.truth.as_secs() - begun
}

#[test]
fn an_unbroken_soak_begins_anew_after_each_break() {
    let break_off: [fn(&mut World); 3] = [
        |world| {
            let truth = world.truth;
            let agent = world.agents.get_mut(&cluster(1)).unwrap();
            agent.set_health(app(1), Health::Progressing, truth);
            world.round(5);
            let truth = world.truth;
            let agent = world.agents.get_mut(&cluster(1)).unwrap();
            agent.set_health(app(1), Health::Healthy, truth);
        },
        |world| {
            world.ask(RequestVerb::Pause);
            world.round(5);
            world.ask(RequestVerb::Resume);
        },
        |world| {
            world.disconnect(cluster(1));
            world.round(5);
            world.reconnect(cluster(1));
        },
    ];
    for broken in break_off {
        let mut plain = soaking(SoakMode::Continuous);
        assert!(left(&mut plain) <= 110, "200 of 300 s are over");
        let mut world = soaking(SoakMode::HealthyOnly);
        broken(&mut world);
        assert!(left(&mut world) <= 170, "the clock stood");
        let mut world = soaking(SoakMode::Continuous);
        broken(&mut world);
        assert!(left(&mut world) >= 295, "it begins anew");
    }
}

#[test]
fn a_break_between_two_reports_shows_in_what_the_agent_says() {
    let mut world = soaking(SoakMode::Continuous);
    // Unwell and well again before anybody looked.
    let truth = world.truth;
    let agent = world.agents.get_mut(&cluster(1)).unwrap();
    agent.set_health(app(1), Health::Progressing, truth);
    agent.set_health(app(1), Health::Healthy, truth);
    agent.tell(app(1), truth);
    assert!(left(&mut world) >= 265);
}
