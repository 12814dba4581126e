//! Argo CD's `RollingSync` read as waves, against the conformance data of its controller (the data's
//! README says where it is from), apart from the differences that are named here with their reason.

use std::{collections::BTreeMap, fs, io::Write as _, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tidegate_model::strategy::{Amount, Strategy, Unmatched};

use crate::{
    Candidate, plan,
    tests::fixture::{app, cluster},
    validate,
};

/// Cases in which we differ on purpose: all of them are refused when the set is written.
const REFUSED: [(&str, &str); 4] = [
    ("In with no values selects none", "nobody means that"),
    ("maxUpdate abc with WWWW", "it is read as 1 there"),
    ("maxUpdate 150% with WWWW", "it is read as 100% there"),
    ("maxUpdate -1 with WWWW", "it is read as 0 there"),
];

/// There an operator other than In and `NotIn` makes the condition invalid and still selects.
const OURS: &str = "Exists is invalid";

#[derive(Deserialize)]
struct Data {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    input: Input,
    #[serde(default)]
    applications: Vec<Application>,
    expected: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    #[serde(default)]
    strategy: Value,
    #[serde(default)]
    applications: Vec<Application>,
    #[serde(default)]
    allowed: Vec<String>,
    #[serde(default)]
    step_index_by_app: BTreeMap<String, u32>,
}

#[derive(Clone, Deserialize)]
struct Application {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The cases of a kind, or none after saying that they are not there.
fn cases(test: &str, kind: &str, files: [&str; 2]) -> Vec<Case> {
    let root = std::env::var_os("TIDEGATE_CONFORMANCE_DIR").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let root = root.unwrap_or(beside).join("applicationset");
    let mut found = Vec::new();
    for file in files.map(|name| root.join(name)) {
        let Ok(text) = fs::read_to_string(&file) else {
            let skipped = format!("skipped rolling_sync::{test}: no {}", file.display());
            writeln!(std::io::stderr(), "{skipped}; set TIDEGATE_CONFORMANCE_DIR").ok();
            continue;
        };
        let data: Data = serde_json::from_str(&text).expect("conformance data that can be read");
        let cases = data.cases.into_iter().filter(|case| case.kind == kind);
        found.extend(cases);
    }
    found
}

fn is_refused(case: &Case) -> bool {
    let strategy = serde_json::from_value::<Strategy>(case.input.strategy.clone());
    strategy.map_or(true, |strategy| validate(&strategy).is_err())
}

/// The strategy, unless it is one that we refuse.
fn strategy(case: &Case) -> Option<Strategy> {
    if REFUSED.iter().any(|(name, _)| case.name == *name) {
        assert!(is_refused(case), "{}", case.name);
        return None;
    }
    let mut strategy: Strategy = serde_json::from_value(case.input.strategy.clone()).unwrap();
    // There they are never synced.
    strategy.unmatched = Unmatched::Exclude;
    Some(strategy)
}

fn candidates(applications: &[Application]) -> Vec<Candidate> {
    let each = (1..).zip(applications);
    each.map(|(n, application)| Candidate {
        cluster: cluster(n),
        cluster_name: application.name.clone(),
        cluster_labels: BTreeMap::new(),
        app: app(n),
        app_labels: application.labels.clone(),
    })
    .collect()
}

#[test]
fn an_application_is_in_the_wave_of_its_step() {
    let files = ["rollout-steps.json", "derived-rollout.json"];
    for case in cases("an_application_is_in_the_wave", "rollout_steps", files) {
        let Some(strategy) = strategy(&case).filter(|_| !case.name.starts_with(OURS)) else {
            continue;
        };
        let mut applications = case.applications.clone();
        applications.extend(case.input.applications.clone());
        let planned = plan(&strategy, &candidates(&applications), 1).unwrap();
        let wave = |n: u64| planned.placement.get(&app(n)).map(|id| id.wave);
        let found: BTreeMap<_, _> = (1..)
            .zip(&applications)
            .filter_map(|(n, application)| Some((application.name.clone(), wave(n)?)))
            .collect();
        let wanted = serde_json::to_value(found).unwrap();
        assert_eq!(wanted, case.expected["stepIndexByApp"], "{}", case.name);
    }
}

#[test]
fn as_many_are_under_way_as_max_update_says() {
    let files = ["rollout-maxupdate.json", "derived-rollout.json"];
    for case in cases("as_many_are_under_way", "rollout_promote", files) {
        let all = &case.input.step_index_by_app;
        let states: Vec<_> = case.expected.as_array().unwrap().iter().collect();
        let is = |state: &Value, name: &str| state["status"] == name;
        // Of one step that is open, as many wait as there can.
        let open = !all.is_empty() && all.len() == case.input.allowed.len();
        if !open || states.is_empty() || states.iter().any(|it| is(it, "Healthy")) {
            continue;
        }
        let Some(strategy) = strategy(&case) else {
            continue;
        };
        let under_way = states.iter().filter(|it| !is(it, "Waiting")).count();
        let named = |name: &String| Application {
            name: name.clone(),
            labels: BTreeMap::new(),
        };
        let applications: Vec<_> = all.keys().map(named).collect();
        let planned = plan(&strategy, &candidates(&applications), 1).unwrap();
        let waits = !strategy.as_waves().waves[0].gates.before.is_empty();
        let wave = &planned.plan.waves[0];
        let ours = if waits { 0 } else { wave.concurrency };
        assert_eq!(ours, under_way, "{}", case.name);
    }
}

#[test]
fn steps_stop_at_the_first_failure_and_a_person_opens_what_nobody_may_update() {
    let strategy: Strategy = serde_json::from_value(serde_json::json!({
        "type": "RollingSync",
        "rollingSync": {"steps": [{"maxUpdate": "0%"}, {"maxUpdate": 2}, {}]},
        "deletionOrder": "AllAtOnce",
    }))
    .unwrap();
    let waves = strategy.as_waves().waves;
    let names: Vec<_> = waves.iter().map(|wave| wave.name.as_str()).collect();
    assert_eq!(names, ["step-1", "step-2", "step-3"]);
    let gates: Vec<_> = waves.iter().map(|wave| wave.gates.before.len()).collect();
    assert_eq!(gates, [1, 0, 0]);
    assert!(waves.iter().all(|wave| wave.failure_budget.max.is_zero()));
    let concurrencies = waves.iter().map(|wave| wave.max_concurrency.unwrap());
    let all = Amount::Percent(100);
    assert!(concurrencies.eq([all, Amount::Count(2), all]));
    // What runs is frozen as waves.
    assert_eq!(strategy.as_waves().as_waves(), strategy.as_waves());
    assert_eq!(validate(&strategy), Ok(()));
}
