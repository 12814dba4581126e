//! Where things stand in traces, and numbers that move when something happens.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_model::{
    assignment::Assignment, digest::Digest, health::Health, ids::ReleaseId, release::SourceCommit,
    run::RunState, source::RepoRevision,
};
use uuid::Uuid;

use super::places;
use crate::{
    backend::Backend,
    link::{
        port::{Ack, AckOutcome, LinkBackend as _},
        testing::Agent,
    },
    records::{AppRecord, Record as _, ReleaseRecord},
    state::State,
    testing::{Hub, world::World},
};

/// The value of a metric of this hub.
fn number(world: &World, name: &str) -> f64 {
    let db = &world.hub.db;
    let text = db.metrics().text(Some((db, &world.hub.evidence))).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    value.trim().parse().unwrap()
}

fn holds(world: &World, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        let found = number(world, name);
        assert!(
            (found - value).abs() < 0.5,
            "{name} is {found}, not {value}"
        );
    }
}

fn assignments(world: &World) -> Vec<Assignment> {
    let apps = world.apps().into_iter();
    apps.filter_map(|app| app.assignment).collect()
}

fn places_of(world: &World) -> BTreeMap<String, Option<String>> {
    let state = world.hub.db.read();
    assignments(world)
        .iter()
        .map(|last| {
            let place = places::assignment(&state, last);
            (
                last.app_name.clone(),
                place.map(|place| place.traceparent()),
            )
        })
        .collect()
}

#[tokio::test]
async fn an_assignment_stands_below_its_wave_and_still_does_after_a_restart() {
    let mut world = World::new(&json!({}), 3, 2).await;
    world.connect();
    world.publish("one").await;
    world.settle().await;
    {
        let state = world.hub.db.read();
        let run = state.run(world.run().id).unwrap();
        let run = places::run(&state, &run.record).unwrap();
        let wave = places::wave(&run, world.run().id, 0);
        for last in assignments(&world) {
            let place = places::assignment(&state, &last).unwrap();
            assert_eq!((place.trace, place.parent), (run.trace, Some(wave.span)));
        }
    }
    let before = places_of(&world);
    let distinct: std::collections::BTreeSet<_> = before.values().collect();
    assert_eq!((before.len(), distinct.len()), (6, 6));
    let world = world.restart().await;
    assert_eq!(places_of(&world), before);
}

#[tokio::test]
async fn applications_of_one_cluster_stand_below_the_waves_that_brought_them() {
    let select = |tier: &str| json!({"applications": {"matchLabels": {"tier": tier}}});
    let wave = |tier: &str| json!({"name": tier, "maxConcurrency": "100%", "select": select(tier)});
    let strategy = json!({"type": "Waves", "waves": [wave("back"), wave("front")]});
    let mut world = World::new(&strategy, 2, 2).await;
    let tier = |name: &str| match name {
        "web-1" | "web-3" => 1,
        _ => 0,
    };
    for app in world.apps() {
        let row = world.hub.db.read().apps.get(&app.key()).unwrap().clone();
        let mut app = AppRecord::clone(&app);
        let label = ["back", "front"][tier(&app.app.name)];
        app.app.labels.insert("tier".to_owned(), label.to_owned());
        world.hub.write(|changes| changes.update(&row, &app)).await;
    }
    world.publish("one").await;
    world.settle().await;
    // One wave after the other.
    world.recover().await;
    world.recover().await;
    let state = world.hub.db.read();
    let id = world.run().id;
    let run = places::run(&state, &state.run(id).unwrap().record).unwrap();
    let last = assignments(&world);
    assert_eq!(last.len(), 4);
    for last in last {
        let place = places::assignment(&state, &last).unwrap();
        let name = last.app_name.rsplit('/').next().unwrap();
        let wave = places::wave(&run, id, tier(name));
        assert_eq!(place.parent, Some(wave.span), "{}", last.app_name);
    }
}

#[tokio::test]
async fn of_a_large_wave_some_clusters_are_traced_with_all_their_applications() {
    let mut world = World::new(&json!({}), 150, 2).await;
    world.connect();
    world.publish("one").await;
    world.settle().await;
    let state = world.hub.db.read();
    let mut clusters: BTreeMap<_, Vec<bool>> = BTreeMap::new();
    for last in assignments(&world) {
        let traced = places::assignment(&state, &last).is_some();
        clusters.entry(last.cluster).or_default().push(traced);
    }
    assert!(clusters.values().all(|apps| apps[0] == apps[1]));
    let traced = clusters.values().filter(|apps| apps[0]).count();
    assert!((25..80).contains(&traced), "{traced} of {}", clusters.len());
}

fn source(repo: &str, commit: &str) -> SourceCommit {
    SourceCommit {
        source: RepoRevision {
            repo_url: format!("https://git.example.com/{repo}"),
            revision: "main".to_owned(),
        },
        commit: commit.to_owned(),
    }
}

async fn release(hub: &Hub, number: u64, sources: &[SourceCommit]) -> ReleaseRecord {
    let release = ReleaseRecord {
        project: "default".to_owned(),
        id: ReleaseId(Uuid::from_u128(number.into())),
        set: tidegate_model::ids::SetUid(Uuid::from_u128(1)),
        number,
        content: Digest::from_bytes([1; 32]),
        entries: Digest::from_bytes([2; 32]),
        sources: sources.to_vec(),
        set_version: 1,
        cause: "test".to_owned(),
        authors: Vec::new(),
        created_at: hub.clock.now(),
    };
    hub.create([release.clone()]).await;
    release
}

#[tokio::test]
async fn a_release_belongs_to_the_commit_that_is_new_in_it() {
    let hub = Hub::new().await;
    let (old, other) = (source("a", "1"), source("b", "1"));
    let new = source("a", "2");
    let first = release(&hub, 1, &[old.clone(), other.clone()]).await;
    let second = release(&hub, 2, &[new.clone(), other.clone()]).await;
    let third = release(&hub, 3, &[new.clone(), other.clone()]).await;
    let far = release(&hub, 9, std::slice::from_ref(&new)).await;
    let state: State = hub.db.read().clone();
    let of = |source: &SourceCommit| places::commit(&source.source, &source.commit);
    assert_eq!(places::news(&state, &first), [&old, &other]);
    assert_eq!(places::news(&state, &second), [&new]);
    let place = places::release(&state, &second);
    assert_eq!(
        (place.trace, place.parent),
        (of(&new).trace, Some(of(&new).span))
    );
    // Nothing new: the set or a cluster changed. And nothing is guessed without the one before.
    for release in [third, far] {
        let place = places::release(&state, &release);
        assert_eq!(place.parent, None);
        assert_ne!(place.trace, of(&new).trace);
    }
}

#[tokio::test]
async fn what_is_taken_back_stays_in_the_trace_of_its_run_and_is_counted() {
    let mut world = World::new(&json!({}), 2, 1).await;
    world.roll_out("good").await;
    holds(
        &world,
        &[
            ("tidegate_hub_assignments_total", 2.0),
            ("tidegate_hub_application_healthy_delay_seconds_count", 2.0),
            ("tidegate_hub_wave_duration_seconds_count", 1.0),
            (
                "tidegate_hub_finished_runs_total{outcome=\"Succeeded\"}",
                1.0,
            ),
            ("tidegate_hub_applications{health=\"Healthy\"}", 2.0),
            ("tidegate_hub_agents_connected", 2.0),
            ("tidegate_hub_leader", 1.0),
        ],
    );
    let waited = number(&world, "tidegate_hub_wave_duration_seconds_sum");
    assert!(waited >= 60.0, "{waited}: the clock was wound in between");

    world.publish("bad").await;
    world.settle().await;
    world.report(Health::Degraded).await;
    holds(&world, &[("tidegate_hub_runs{state=\"RollingBack\"}", 1.0)]);
    let run = world.run();
    {
        let state = world.hub.db.read();
        let place = places::run(&state, &state.run(run.id).unwrap().record).unwrap();
        for last in assignments(&world) {
            let found = places::assignment(&state, &last).unwrap();
            assert_eq!(found.trace, place.trace);
        }
    }
    world.recover().await;
    assert_eq!(world.run().state, RunState::RolledBack);
    holds(
        &world,
        &[
            ("tidegate_hub_assignments_total", 6.0),
            ("tidegate_hub_wave_duration_seconds_count", 2.0),
            (
                "tidegate_hub_finished_runs_total{outcome=\"RolledBack\"}",
                1.0,
            ),
            ("tidegate_hub_runs{state=\"RolledBack\"}", 1.0),
            ("tidegate_hub_runs{state=\"Succeeded\"}", 0.0),
            ("tidegate_hub_pins", 2.0),
        ],
    );
}

#[tokio::test]
async fn a_wave_that_was_open_before_this_hub_began_is_not_timed() {
    let strategy = crate::testing::world::waves(&["dev", "prod"], &json!({}));
    let mut world = World::new(&strategy, 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.publish("one").await;
    world.settle().await;
    for _ in 0..10 {
        if world.run().wave == 1 {
            break;
        }
        world.report(Health::Healthy).await;
        world.hub.clock.wind(jiff::SignedDuration::from_secs(60));
        world.agents.iter_mut().for_each(Agent::confirm);
        world.pass().await;
    }
    assert_eq!(world.run().wave, 1);
    let before = number(&world, "tidegate_hub_wave_duration_seconds_count");
    assert!(before >= 1.0, "the first wave was seen from its beginning");
    let mut world = world.restart().await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
    holds(
        &world,
        &[
            ("tidegate_hub_wave_duration_seconds_count", 0.0),
            (
                "tidegate_hub_finished_runs_total{outcome=\"Succeeded\"}",
                1.0,
            ),
        ],
    );
}

#[tokio::test]
async fn a_rejection_is_counted_once_and_shown_while_it_stands() {
    let mut world = World::new(&json!({}), 1, 1).await;
    world.connect();
    world.publish("one").await;
    world.settle().await;
    let last = assignments(&world).remove(0);
    let backend = Backend::new(world.hub.db.clone());
    for _ in 0..2 {
        let ack = Ack {
            app: last.app,
            generation: last.generation,
            digest: last.digest(),
            outcome: AckOutcome::Rejected {
                reason: "full".to_owned(),
            },
        };
        backend.ack(last.cluster, ack).await.unwrap();
    }
    holds(
        &world,
        &[
            ("tidegate_hub_rejected_assignments_total", 1.0),
            ("tidegate_hub_applications_rejected", 1.0),
            ("tidegate_hub_applications{health=\"Unknown\"}", 1.0),
        ],
    );
}
