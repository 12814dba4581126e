//! Both sides over random histories of a bad network: messages lost, repeated and replayed, sessions
//! cut, failover to another hub, an old one that still speaks.
//!
//! Whatever happens, the agent never accepts an older generation or obeys a lower epoch; and once
//! the network is well again, it holds exactly the hub's last words and the hub knows exactly what
//! the agent sees.

use proptest::prelude::*;
use tidegate_hub::link::session::Facts as _;
use tidegate_model::{assignment::StateRow, report::StatusRow};

use super::{
    model::row,
    sim::{APPS, Sim, Step},
};

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..APPS).prop_map(Step::Assign),
        1 => (0..APPS).prop_map(Step::Remove),
        1 => Just(Step::Retire),
        1 => (0..APPS).prop_map(Step::Forgets),
        1 => (0..APPS).prop_map(Step::Loses),
        1 => Just(Step::Failover),
        1 => Just(Step::OldHub),
        2 => any::<usize>().prop_map(Step::Replay),
        1 => any::<usize>().prop_map(Step::Rogue),
        1 => Just(Step::Cut),
        1 => Just(Step::Restart),
        10 => Just(Step::Up),
        10 => Just(Step::Down),
        2 => Just(Step::LoseUp),
        2 => Just(Step::LoseDown),
        1 => Just(Step::RepeatUp),
        1 => Just(Step::RepeatDown),
        6 => any::<bool>().prop_map(Step::Work),
        3 => (0..APPS, any::<bool>()).prop_map(|(app, healthy)| Step::See(app, healthy)),
        3 => (0_u64..15).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_converge_whatever_is_lost_repeated_or_replayed(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut sim = Sim::new();
        for step in steps {
            sim.step(step);
        }
        prop_assert!(
            sim.settle(),
            "hub {:?} {:?}, agent {:?} {:?}, confirmed {}",
            sim.store.assignments.values().map(row).collect::<Vec<_>>(),
            sim.store.status_rows(),
            sim.cluster.held,
            sim.cluster.reports.values().map(StatusRow::from).collect::<Vec<_>>(),
            sim.confirmed,
        );
        // What was removed is forgotten with the next session, if the hub knows all that is held.
        let stranger = |row: &StateRow| !sim.store.assignments.contains_key(&row.app) && !sim.is_removed(row);
        if !sim.cluster.held.values().any(stranger) {
            sim.connect(false);
            prop_assert!(sim.settle());
            prop_assert!(!sim.cluster.held.values().any(|row| sim.is_removed(row)));
        }
    }
}
