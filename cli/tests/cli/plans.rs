//! What the canned hub says of rollouts to come, and the tests of the command that asks.

use tidegate_proto::v1 as wire;

use crate::world::World;

/// What the hub's clock shows: the page tells times by it, whatever the clock here says.
const NOW: i64 = 1_795_000_000_000;

/// `broken` cannot be planned as a whole, `shut` waits for windows that do not open.
pub(crate) fn plan(set: &str) -> wire::PlanResponse {
    let minute = 60_000;
    let wave = |name: &str, clusters: Vec<String>, begins_ms, ends_ms| wire::WaveOfPlan {
        name: name.to_owned(),
        at_once: 1,
        clusters,
        begins_ms,
        ends_ms,
        ..wire::WaveOfPlan::default()
    };
    let canary = wire::WaveOfPlan {
        soaks_ms: 10 * minute,
        analyses: vec!["3 samples of error-rate, one every 1m".to_owned()],
        ..wave("canary", vec!["dev-1".to_owned()], NOW, NOW + 12 * minute)
    };
    let fleet = (1..=40).map(|n| format!("prod-eu-{n}")).collect();
    let mut prod = wire::WaveOfPlan {
        at_once: 10,
        before: vec![
            "approval by 2 people of group sre (required), group release, not by its authors"
                .to_owned(),
            "allow window office (\"0 9 * * MON-FRI\" for 8h, Europe/Berlin)".to_owned(),
        ],
        asks_people: true,
        ..wave(
            "prod\u{1b}[2J",
            fleet,
            NOW + 15 * 60 * minute,
            NOW + 16 * 60 * minute,
        )
    };
    let mut plan = wire::RolloutPlan {
        project: "default".to_owned(),
        set: set.to_owned(),
        excluded: vec!["lab-1".to_owned()],
        ..wire::RolloutPlan::default()
    };
    match set {
        "broken" => {
            plan.problems = vec!["failed to plan the waves: no wave picks lab-1".to_owned()];
            return wire::PlanResponse {
                plans: vec![plan],
                now_ms: NOW,
            };
        }
        "shut" => (prod.begins_ms, prod.ends_ms) = (0, 0),
        _ => {}
    }
    plan.waves = vec![canary, prod];
    wire::PlanResponse {
        plans: vec![plan],
        now_ms: NOW,
    }
}

#[tokio::test]
async fn a_plan_says_when_it_is_done_and_what_that_rests_on() {
    let world = World::new();
    for (set, words) in [
        (
            "web",
            &["(in 16h), if whoever must approve does so at once"][..],
        ),
        ("shut", &["never: no window of wave prod"]),
    ] {
        let told = world.line(&format!("plan {set}")).await.ok();
        let one_line = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(one_line.contains(word), "{set}: {told}");
        }
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
    let told = world.line("plan web -o name").await.ok();
    let names: Vec<_> = told.lines().collect();
    assert_eq!(
        (names.len(), names[0], names[40]),
        (41, "cluster/dev-1", "cluster/prod-eu-40")
    );
    let told = world.line("plan web -o json").await.ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["plans"][0]["waves"][1]["atOnce"], 10);
}

#[tokio::test]
async fn files_are_planned_and_what_cannot_be_is_a_failure() {
    let world = World::new();
    world.file("web.yaml", "right");
    let ran = world.line("plan -f web.yaml --member-takes 90s").await;
    assert!(ran.out.contains("no wave picks lab-1"), "{ran:?}");
    assert!(ran.failed(1).contains("1 problems"));
    let asked = world.hub.only_request();
    assert!(
        asked.contains("PlanApplyRequest") && asked.contains("each_ms: 90000"),
        "{asked}"
    );
    world.line("plan").await.failed(2);
    world.line("plan web -f web.yaml").await.failed(2);
}
