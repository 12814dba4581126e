//! Plans of rollouts: over what is there, over documents, and with the times of the latest run.

use tidegate_store::BlobStore as _;

use super::*;
use crate::testing::{
    fleet::{Fleet, MANIFEST, following},
    world::{World, waves},
};

async fn told(api: &FleetApi, set: &str) -> Result<wire::PlanResponse, Status> {
    let request = wire::PlanRequest {
        set: set.to_owned(),
        ..wire::PlanRequest::default()
    };
    api.plan(ada(request))
        .await
        .map(tonic::Response::into_inner)
}

fn shape(plan: &wire::RolloutPlan) -> Vec<(&str, Vec<&str>)> {
    let waves = plan.waves.iter();
    waves
        .map(|wave| {
            let clusters = wave.clusters.iter().map(String::as_str);
            (wave.name.as_str(), clusters.collect())
        })
        .collect()
}

#[tokio::test]
async fn waves_are_told_in_their_order_with_gates_and_times() {
    let gates = json!({
        "soak": {"time": "10m"},
        "healthWindow": "30s",
        "gates": {
            "before": [
                {"approval": {"minApprovals": 2, "separationOfDuties": true,
                    "approvers": [{"group": "sre", "required": true}, {"user": "kim"}]}},
                {"window": {"kind": "deny", "name": "never", "tz": "UTC", "cron": "0 0 1 1 *", "duration": "1m"}},
            ],
            "after": [{"approval": {}}],
        },
        "analysis": [{"name": "errors", "http": {"url": "http://m/"}, "pass": "< 1", "count": 3}],
    });
    let world = World::new(&waves(&["dev", "prod"], &gates), 3, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.label(3, "prod").await;
    let answer = told(&world.hub.api(), "web").await.unwrap();
    let plan = &answer.plans[0];
    assert_eq!(
        shape(plan),
        [("dev", vec!["c1"]), ("prod", vec!["c2", "c3"])]
    );
    let prod = &plan.waves[1];
    assert_eq!(
        prod.before,
        [
            "approval by 2 people of group sre (required), user kim, not by its authors",
            "deny window never (\"0 0 1 1 *\" for 1m, UTC)",
        ]
    );
    assert_eq!(prod.after, ["approval by 1 person"]);
    assert_eq!(prod.analyses, ["3 samples of errors, one every 1m"]);
    assert!(prod.asks_people);
    // 30 s for everybody at once, and 10 minutes of soak, which takes longer than three samples.
    let dev = &plan.waves[0];
    let took = |wave: &wire::WaveOfPlan| wave.ends_ms - wave.begins_ms;
    assert_eq!((took(dev), took(prod), prod.at_once), (630_000, 630_000, 2));
    assert_eq!(
        (dev.begins_ms, prod.begins_ms),
        (answer.now_ms, dev.ends_ms)
    );
    assert_eq!(plan.problems, [""; 0]);
    let asked = |each_ms| wire::PlanRequest {
        set: "web".to_owned(),
        each_ms,
        ..wire::PlanRequest::default()
    };
    let api = world.hub.api();
    let slower = api.plan(ada(asked(45_000))).await.unwrap().into_inner();
    assert_eq!(took(&slower.plans[0].waves[0]), 675_000);
    refused(
        api.plan(ada(asked(-1))).await,
        Code::InvalidArgument,
        &["each_ms"],
    );
}

#[tokio::test]
async fn who_is_picked_by_no_wave_is_a_problem_of_the_plan() {
    let world = World::new(&waves(&["dev"], &json!({})), 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "lab").await;
    let answer = told(&world.hub.api(), "web").await.unwrap();
    let plan = &answer.plans[0];
    assert!(
        plan.problems.concat().contains("no wave picks c2"),
        "{plan:?}"
    );
    refused(
        told(&world.hub.api(), "nope").await,
        Code::NotFound,
        &["no set nope"],
    );
}

#[tokio::test]
async fn documents_are_planned_before_they_are_applied() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    let file = |document: &tidegate_model::application_set::ApplicationSet| wire::SourceFile {
        name: format!("{}.json", document.metadata.name),
        content: serde_json::to_vec(document).unwrap(),
    };
    let plan = |files| {
        fleet
            .api
            .plan_apply(ada(wire::PlanApplyRequest { files, each_ms: 0 }))
    };
    let kept = async || {
        let revision = fleet.hub.revision().await;
        (revision, fleet.hub.blobs.list().await.unwrap())
    };
    let before = kept().await;
    let mut other = following(9, "other", &fleet.repository).document;
    let answer = plan(vec![file(&other)]).await.unwrap().into_inner();
    assert_eq!(shape(&answer.plans[0]), [("all", vec!["c1", "c2"])]);
    assert_eq!(answer.plans[0].waves[0].at_once, 2);
    other.spec.template.spec.source.repo_url = "nonsense".to_owned();
    let wrong = plan(vec![file(&other)]).await;
    refused(wrong, Code::InvalidArgument, &["other.json"]);
    refused(plan(Vec::new()).await, Code::InvalidArgument, &[]);
    assert_eq!(before, kept().await, "a plan left something behind");
}
