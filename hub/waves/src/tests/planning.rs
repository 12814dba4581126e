//! Who belongs to which wave (invariants 7 and 8).

use std::collections::BTreeSet;

use crate::{Candidate, PlanError, plan};
use proptest::prelude::{
    Just, ProptestConfig, Strategy as _, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use tidegate_model::{
    run::{MemberId, MemberState},
    strategy::{Amount, Limit, Order, Strategy, Unmatched, Wave},
};

use crate::tests::fixture::{Before, Row, app, candidates, cluster, labels, row, waves, world};

fn members(strategy: &Strategy, members: &[Candidate], wave: usize) -> Vec<MemberId> {
    plan(strategy, members, 1).unwrap().plan.waves[wave]
        .members
        .clone()
}

fn ids(wave: u32, clusters: &[u64]) -> Vec<MemberId> {
    clusters
        .iter()
        .map(|n| MemberId {
            wave,
            cluster: cluster(*n),
        })
        .collect()
}

#[test]
fn the_first_wave_that_picks_has_it_and_unmatched_ones_are_all_named() {
    let rows = [row(1, "dev"), row(2, "prod"), row(3, "lab"), row(4, "edge")];
    let mut strategy = waves(&["dev", "prod"]);
    let error = plan(&strategy, &candidates(&rows), 1).unwrap_err();
    let PlanError::Unmatched { clusters, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(clusters, &["c3", "c4"]);
    for word in ["c3, c4", "dev, prod", "strategy.unmatched", "select"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    strategy.unmatched = Unmatched::LastWave;
    assert_eq!(
        members(&strategy, &candidates(&rows), 1),
        ids(1, &[2, 3, 4])
    );
    strategy.unmatched = Unmatched::Exclude;
    let planned = plan(&strategy, &candidates(&rows), 1).unwrap();
    let excluded: BTreeSet<_> = planned.plan.excluded.iter().map(|id| id.cluster).collect();
    assert_eq!(excluded, [cluster(3), cluster(4)].into());
    assert!(planned.plan.excluded.iter().all(|id| id.wave == u32::MAX));
    assert!(!planned.placement.contains_key(&app(3)));
    strategy.unmatched = Unmatched::Error;
    strategy.waves[1] = Wave::named("rest");
    assert_eq!(members(&strategy, &candidates(&rows), 0), ids(0, &[1]));
    assert_eq!(members(&strategy, &candidates(&rows), 1).len(), 3);
}

#[test]
fn labels_order_as_integers_then_words_then_missing_then_by_name() {
    let rank = |n: u64, rank: Option<&str>| {
        let mut candidate = candidates(&[row(n, "dev")]).remove(0);
        candidate.cluster_labels = labels(&[("env", "dev")]);
        candidate
            .cluster_labels
            .extend(rank.map(|rank| ("rank".to_owned(), rank.to_owned())));
        candidate
    };
    let all = [
        rank(1, None),
        rank(2, Some("10")),
        rank(3, Some("9")),
        rank(4, Some("x")),
        rank(5, Some("9")),
        rank(6, Some("-1")),
    ];
    assert_eq!(
        members(&waves(&["dev"]), &all, 0),
        ids(0, &[6, 3, 5, 2, 4, 1])
    );
    let mut by_name = waves(&["dev"]);
    by_name.waves[0].order = Order::default();
    assert_eq!(members(&by_name, &all, 0), ids(0, &[1, 2, 3, 4, 5, 6]));
}

#[test]
fn a_limit_picks_by_seed_and_the_rest_falls_through() {
    let rows: Vec<_> = (1..=10).map(|n| row(n, "dev")).collect();
    let pick = |limit, seed| {
        let mut strategy = waves(&["dev", "rest"]);
        strategy.waves[1] = Wave::named("rest");
        strategy.waves[0].limit = Some(limit);
        let planned = plan(&strategy, &candidates(&rows), seed).unwrap().plan;
        assert_eq!(
            planned.waves[0].members.len() + planned.waves[1].members.len(),
            10
        );
        planned.waves[0]
            .members
            .iter()
            .map(|id| id.cluster)
            .collect::<BTreeSet<_>>()
    };
    let count = |n| Limit {
        count: Some(n),
        percent: None,
    };
    let percent = |n| Limit {
        count: None,
        percent: Some(n),
    };
    assert_eq!(pick(count(3), 1).len(), 3);
    assert_eq!(pick(count(30), 1).len(), 10);
    assert_eq!(pick(percent(25), 1).len(), 3, "rounded up");
    assert!(
        pick(count(2), 1).is_subset(&pick(count(3), 1)),
        "a higher limit only adds"
    );
    let picks: BTreeSet<_> = (0..20).map(|seed| pick(count(1), seed)).collect();
    assert!(picks.len() > 3, "the seed decides");
}

#[test]
fn concurrency_is_rounded_down_and_at_least_one() {
    for (amount, size, want) in [
        (None, 3, [1, 1]),
        (None, 9, [1, 2]),
        (Some(Amount::Percent(50)), 7, [3, 3]),
        (Some(Amount::Percent(1)), 7, [1, 1]),
        (Some(Amount::Count(5)), 3, [5, 5]),
    ] {
        let mut rows: Vec<_> = (0..size).map(|n| row(n, "dev")).collect();
        rows.extend((20..20 + size).map(|n| row(n, "prod")));
        let mut strategy = waves(&["dev", "prod"]);
        strategy
            .waves
            .iter_mut()
            .for_each(|wave| wave.max_concurrency = amount);
        let plan = plan(&strategy, &candidates(&rows), 1).unwrap().plan;
        let got: Vec<_> = plan.waves.iter().map(|wave| wave.concurrency).collect();
        assert_eq!(got, want, "{amount:?} of {size}");
    }
}

#[test]
fn application_labels_split_a_cluster_between_waves() {
    let rows = [
        row(1, "dev"),
        Row {
            app: 9,
            tier: "db",
            ..row(1, "dev")
        },
        row(2, "dev"),
    ];
    let mut strategy = waves(&["db", "web"]);
    for wave in &mut strategy.waves {
        wave.select.clusters.match_labels.clear();
        wave.select.applications.match_labels = labels(&[("tier", &wave.name)]);
    }
    let planned = plan(&strategy, &candidates(&rows), 1).unwrap();
    assert_eq!(planned.plan.waves[0].members, ids(0, &[1]));
    assert_eq!(planned.plan.waves[1].members, ids(1, &[1, 2]));
    assert_eq!(planned.placement[&app(9)].wave, 0);
}

#[test]
fn a_run_begins_with_what_is_known() {
    let mut same = row(1, "dev");
    same.before = Before::Target;
    let mut new = row(2, "dev");
    new.before = Before::Nothing;
    let mixed = Row {
        app: 9,
        ..row(1, "prod")
    };
    let world = world(&waves(&["dev"]), &[same.clone(), new]);
    assert_eq!(world.state(0, cluster(1)), MemberState::Unchanged);
    assert_eq!(world.state(0, cluster(2)), MemberState::Queued);
    let member = &world.members[&MemberId {
        wave: 0,
        cluster: cluster(1),
    }];
    let app = &member.apps[&app(1)];
    assert_eq!(
        (app.generation.unwrap().0, app.touched, app.name.as_str()),
        (3, false, "p/web-1")
    );
    assert_eq!(member.cluster_name, "c1");
    let world = crate::tests::fixture::world(
        &waves(&["dev"]),
        &[
            same,
            Row {
                env: "dev",
                ..mixed
            },
        ],
    );
    assert_eq!(
        world.state(0, cluster(1)),
        MemberState::Queued,
        "all applications move together"
    );
}

fn any_candidate() -> impl proptest::strategy::Strategy<Value = Candidate> {
    (
        0..12_u64,
        0..30_u64,
        prop_oneof!["dev", "prod", "lab"],
        proptest::option::of(-3..12_i64),
    )
        .prop_map(|(n, m, env, rank)| {
            let mut cluster_labels = labels(&[("env", &env)]);
            cluster_labels.extend(rank.map(|rank| ("rank".to_owned(), rank.to_string())));
            Candidate {
                cluster: cluster(n),
                cluster_name: format!("c{n}"),
                cluster_labels,
                app: app(m),
                app_labels: labels(&[("tier", if m % 2 == 0 { "web" } else { "db" })]),
            }
        })
}

/// One candidate an application, one set of labels a cluster.
fn consistent(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut known: Vec<Candidate> = Vec::new();
    for mut candidate in candidates {
        if known.iter().any(|other| other.app == candidate.app) {
            continue;
        }
        if let Some(other) = known
            .iter()
            .find(|other| other.cluster == candidate.cluster)
        {
            candidate.cluster_labels.clone_from(&other.cluster_labels);
        }
        known.push(candidate);
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Invariants 7 and 8: disjoint, complete, the same for every order of arrival.
    #[test]
    fn plans_are_partitions_and_do_not_depend_on_arrival(
        all in proptest::collection::vec(any_candidate(), 0..25),
        limit in proptest::option::of(1..5_u32),
        by_app in any::<bool>(),
        unmatched in prop_oneof![Just(Unmatched::LastWave), Just(Unmatched::Exclude)],
        seed in any::<u64>(),
    ) {
        let all = consistent(all);
        let mut strategy = waves(&["dev", "prod"]);
        strategy.unmatched = unmatched;
        strategy.waves[0].limit = limit.map(|count| Limit { count: Some(count), percent: None });
        if by_app {
            strategy.waves[0].select.applications.match_labels = labels(&[("tier", "web")]);
        }
        let planned = plan(&strategy, &all, seed).unwrap();
        let mut shuffled = all.clone();
        shuffled.reverse();
        shuffled.rotate_left(all.len() / 3);
        prop_assert_eq!(&planned, &plan(&strategy, &shuffled, seed).unwrap());

        let ids: Vec<_> = planned.plan.waves.iter().flat_map(|wave| wave.members.clone()).collect();
        let unique: BTreeSet<_> = ids.iter().cloned().collect();
        prop_assert_eq!(ids.len(), unique.len());
        prop_assert_eq!(unique, planned.placement.values().cloned().collect::<BTreeSet<_>>());
        let excluded: BTreeSet<_> = planned.plan.excluded.iter().map(|id| id.cluster).collect();
        for candidate in &all {
            let placed = planned.placement.get(&candidate.app);
            prop_assert!(placed.is_some() || excluded.contains(&candidate.cluster));
            if let Some(id) = placed {
                prop_assert_eq!(id.cluster, candidate.cluster);
            }
        }
        if let Some(limit) = limit {
            prop_assert!(planned.plan.waves[0].members.len() <= limit as usize);
        }
    }
}
