//! The hub's clock may step (invariant 39); a crash may happen anywhere (invariant 38).

use tidegate_model::{duration::Span, run::RunState};

use crate::tests::{
    fixture::{row, waves, world},
    world::World,
};

fn soaking() -> World {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[0].soak.time = Span::secs(300);
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.rounds_until(60, |world| world.run.state == RunState::Soaking);
    world
}

fn until_prod(mut world: World, at_round: usize, jump: i64) -> u64 {
    let start = world.truth.as_secs();
    for round in 0..400 {
        if world.run.wave == 1 {
            return world.truth.as_secs() - start;
        }
        if round == at_round {
            world.jump(jump);
        }
        world.round(5);
    }
    panic!("prod never opened: {:#?}", world.explain());
}

#[test]
fn a_step_back_of_the_clock_never_shortens_a_soak() {
    let plain = until_prod(soaking(), 1000, 0);
    assert!((300..330).contains(&plain), "{plain}");
    for jump in [-1, -30, -200, -3600, -86_400] {
        let stepped = until_prod(soaking(), 20, jump);
        assert!(stepped >= 300, "{jump}: {stepped}");
        assert!(
            stepped <= plain + 120,
            "{jump}: the run froze for {stepped}s"
        );
    }
}

#[test]
fn a_step_forward_counts_no_more_than_a_minute() {
    let stepped = until_prod(soaking(), 20, 86_400);
    assert!(stepped >= 240, "{stepped}");
}

#[test]
fn a_step_back_lets_nobody_time_out_and_nothing_through() {
    let mut world = world(&waves(&["dev", "prod"]), &[row(1, "dev"), row(2, "prod")]);
    world.settle();
    let start = world.truth.as_secs();
    world.jump(-3600);
    world.rounds_until(100, |world| world.run.wave == 1);
    assert!(world.truth.as_secs() - start >= 30);
    world.jump(-3600);
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn the_same_time_again_changes_nothing() {
    let mut world = soaking();
    for _ in 0..20 {
        let before = (world.run.clone(), world.members.clone());
        world.settle();
        assert_eq!(before, (world.run.clone(), world.members.clone()));
        world.round(7);
    }
}

#[test]
fn a_quiet_run_is_written_no_more_often_than_its_heartbeat() {
    let mut world = soaking();
    world.round(5);
    let mut writes = 0;
    for _ in 0..24 {
        let before = world.run.clone();
        world.round(5);
        writes += u32::from(before != world.run);
    }
    assert!((1..=5).contains(&writes), "{writes} in two minutes");
}
