//! Our rules against the conformance data of health assessors (its README says where it is from).
//!
//! The built-in kinds must agree case by case, apart from the differences that are named here with
//! their reason. Kinds with scripts of their own upstream are judged by standard conditions here;
//! for those the agreement is pinned, so that it can only grow.

use std::{collections::BTreeMap, fs, io::Write as _, path::PathBuf};

use serde::Deserialize;
use tidegate_model::health::Health;

use super::*;

/// Cases in which we differ on purpose.
const DIFFERENT: [(&str, &str); 1] = [(
    "builtin/pod-running-restart-never-with-ignore-annotation.yaml",
    "Argo CD's own annotation is not read; ours is tidegate.dev/health",
)];

/// Of the cases of script-assessed kinds, at least so many agree.
const SCRIPTED_AGREE: usize = 261;
/// Of those that are assessed as Degraded, at most so many pass for Healthy here.
const SCRIPTED_MISSED: usize = 141;

#[derive(Deserialize)]
struct Data {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    object: Value,
    expected: Health,
}

/// The cases, or `None` after saying that they are not there.
fn cases(test: &str) -> Option<Vec<Case>> {
    let root = std::env::var_os("TIDEGATE_CONFORMANCE_DIR").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let file = root.unwrap_or(beside).join("health/health.json");
    let Ok(text) = fs::read_to_string(&file) else {
        let mut stderr = std::io::stderr();
        writeln!(
            stderr,
            "skipped {test}: no {}; set TIDEGATE_CONFORMANCE_DIR",
            file.display()
        )
        .ok();
        return None;
    };
    let data: Data = serde_json::from_str(&text).expect("conformance data that can be read");
    assert!(!data.cases.is_empty());
    Some(data.cases)
}

fn ours(case: &Case) -> Health {
    let context = Context {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        applied_generation: None,
        wait_for_first_consumer: false,
    };
    assess(&case.object, &context).health
}

#[test]
fn built_in_kinds_agree() {
    let Some(cases) = cases("health::conformance::built_in_kinds_agree") else {
        return;
    };
    let wrong: Vec<_> = cases
        .iter()
        .filter(|case| case.id.starts_with("builtin/"))
        .filter(|case| !DIFFERENT.iter().any(|(id, _)| *id == case.id))
        .filter(|case| ours(case) != case.expected)
        .map(|case| format!("{}: {} instead of {}", case.id, ours(case), case.expected))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (id, reason) in DIFFERENT {
        let case = cases.iter().find(|case| case.id == id);
        assert!(
            case.is_some_and(|case| ours(case) != case.expected),
            "{id} agrees now: {reason}"
        );
    }
}

#[test]
fn script_assessed_kinds_agree_no_less_than_before() {
    let Some(cases) = cases("health::conformance::script_assessed_kinds_agree_no_less_than_before")
    else {
        return;
    };
    let mut pairs: BTreeMap<(Health, Health), usize> = BTreeMap::new();
    for case in cases.iter().filter(|case| !case.id.starts_with("builtin/")) {
        *pairs.entry((case.expected, ours(case))).or_default() += 1;
    }
    let agree: usize = pairs
        .iter()
        .filter(|((a, b), _)| a == b)
        .map(|(_, n)| n)
        .sum();
    let missed = pairs
        .get(&(Health::Degraded, Health::Healthy))
        .copied()
        .unwrap_or_default();
    assert!(agree >= SCRIPTED_AGREE, "only {agree} agree: {pairs:?}");
    assert!(
        missed <= SCRIPTED_MISSED,
        "{missed} sick ones pass for healthy: {pairs:?}"
    );
}
