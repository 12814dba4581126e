//! What becomes of each kind of record.

use tidegate_model::{health::Health, ids::Generation};

use super::*;
use crate::{
    audit::verify,
    backup::decoded,
    records::{AuditHead, AuditRecord},
    testing::{app, assigned, bundle, cluster, report, set},
};

const NOW: u64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(i64::try_from(NOW).unwrap()).unwrap()
}

fn epoch(term: u64) -> EpochRecord {
    EpochRecord {
        epoch: Epoch(term),
        holder: "hub".to_owned(),
        taken_at: Timestamp::UNIX_EPOCH,
    }
}

fn token(id: &str, used: bool) -> TokenRecord {
    TokenRecord {
        id: id.to_owned(),
        secret_hash: [0; 32],
        cluster: crate::testing::cluster_uid(1),
        expires_at: now(),
        used_at: used.then(now),
        created_by: "admin".to_owned(),
    }
}

fn backup(term: u64, generation: u64) -> (Records, AppRecord) {
    let web = set(1, "web", &serde_json::json!({}));
    let app = assigned(app(&web, 1, 1), generation, bundle("a"));
    let mut records = Records::new();
    put(&mut records, &epoch(term));
    put(&mut records, &cluster(1));
    put(&mut records, &web);
    put(&mut records, &app);
    put(
        &mut records,
        &ReportRecord {
            project: app.app.project.clone(),
            set: app.set,
            report: report(&app, Health::Healthy),
            received_at: now(),
            first_healthy_at: None,
        },
    );
    put(&mut records, &token("used", true));
    put(&mut records, &token("unused", false));
    let first = Decision::by(
        "admin",
        FLEET,
        "user.sign",
        "user/a".to_owned(),
        String::new(),
    );
    let (record, head) = audit::append(&audit::genesis(FLEET), &first, now());
    put(&mut records, &record);
    put(&mut records, &head);
    (records, app)
}

fn restored(records: &Records) -> (Records, State) {
    let state = decoded(records).unwrap();
    let term = next_term(&state, now(), 0);
    let records = rewrite(records, &state, term, now(), "about".to_owned());
    let state = decoded(&records).unwrap();
    (records, state)
}

#[test]
fn term_and_generations_are_above_all_that_the_lost_hub_can_have_reached() {
    for (term, generation) in [(3, 5), (NOW + 9, 5), (3, NOW + 9)] {
        let (records, app) = backup(term, generation);
        let (_, state) = restored(&records);
        let taken = state.epochs.iter().next().unwrap().epoch;
        let highest = state.app(app.uid).unwrap().generation;
        for least in [term, generation, NOW - 1] {
            assert!(taken.0 > least && highest.0 > least, "{taken} {highest}");
        }
        // The word itself is what it was: agents that hold it are in step.
        assert_eq!(state.app(app.uid).unwrap().assignment, app.assignment);
    }
    let (records, _) = backup(3, 5);
    let state = decoded(&records).unwrap();
    let asked = NOW * 2;
    assert_eq!(next_term(&state, now(), asked), Epoch(asked));
}

#[test]
fn what_only_the_time_of_the_backup_knew_is_left_out() {
    let (records, app) = backup(3, 5);
    let (rewritten, state) = restored(&records);
    assert!(state.reports.is_empty() && state.sources.is_empty());
    let tokens: Vec<_> = state.tokens.iter().map(|token| token.id.clone()).collect();
    assert_eq!(tokens, ["used"], "an unused token may have been used since");
    let waiting = state.restored(state.app(app.uid).unwrap()).unwrap();
    assert!(!waiting.record.astray);
    // Each key once, or a store would have the last.
    let mut keys: Vec<_> = rewritten.iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), rewritten.len());
}

#[test]
fn the_audit_chain_goes_on() {
    let (records, _) = backup(3, 5);
    let (rewritten, state) = restored(&records);
    let prefix = format!("/tidegate/v1/{}/", AuditRecord::KIND);
    let chain: Vec<_> = rewritten
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(key, value)| AuditRecord::decode(key, value).unwrap())
        .collect();
    assert_eq!(chain.len(), 2);
    assert_eq!(
        (chain[1].action.as_str(), chain[1].reason.as_str()),
        ("hub.restore", "about")
    );
    let head: &AuditHead = state.audit_heads.iter().next().unwrap();
    verify(&audit::genesis(FLEET), &chain, head).unwrap();
}

#[test]
fn a_backup_of_a_restored_hub_is_restored_as_any_other() {
    let (records, app) = backup(3, 5);
    let (once, state) = restored(&records);
    let first = state.app(app.uid).unwrap().generation;
    let (_, state) = restored(&once);
    assert!(state.app(app.uid).unwrap().generation > first);
    assert_eq!(state.restored.len(), 1);
    assert!(state.app(app.uid).unwrap().generation > Generation(0));
}
