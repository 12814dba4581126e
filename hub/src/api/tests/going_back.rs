//! Rollbacks of some, to an earlier release, and what they say before.

use tidegate_model::{
    deny::PinRelease,
    health::Health,
    strategy::{DenyScope, Strategy},
};
use tidegate_store::BlobStore as _;

use super::*;
use crate::{
    records::{RunRecord, SetRecord},
    testing::fleet::{Fleet, MANIFEST},
};

/// Two releases, both all the way out.
async fn two_releases() -> Fleet {
    two_releases_by(Strategy::default()).await
}

async fn two_releases_by(strategy: Strategy) -> Fleet {
    let mut fleet = Fleet::with(&[("a.yaml", MANIFEST)], strategy).await;
    settle(&mut fleet).await;
    let new = MANIFEST.replace("one", "two");
    fleet.repository.commit(&[("a.yaml", &new)]);
    fleet.publish().await;
    settle(&mut fleet).await;
    let run = run(&fleet);
    assert_eq!(
        (run.run.state, run.run.release_number),
        (RunState::Succeeded, 2)
    );
    fleet
}

/// Everybody gets well, and stays so.
async fn settle(fleet: &mut Fleet) {
    for _ in 0..3 {
        fleet.report(Health::Healthy).await;
        fleet.publish().await;
        fleet.hub.clock.wind(jiff::SignedDuration::from_secs(60));
    }
}

fn run(fleet: &Fleet) -> RunRecord {
    let state = fleet.hub.db.read();
    let set = state.set("default", "web").unwrap();
    let id = set.record.latest_run.unwrap();
    RunRecord::clone(&state.run(id).unwrap().record)
}

fn back() -> wire::RollbackRequest {
    wire::RollbackRequest {
        set: "web".to_owned(),
        reason: "bad".to_owned(),
        ..Default::default()
    }
}

async fn ask(
    fleet: &Fleet,
    request: wire::RollbackRequest,
) -> Result<wire::RollbackResponse, Status> {
    let answer = fleet.api.rollback(ada(request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn foretold(fleet: &Fleet, request: wire::RollbackRequest) -> Vec<wire::RollbackChange> {
    let seen = async || {
        let blobs = fleet.hub.blobs.list().await.unwrap();
        (fleet.hub.revision().await, blobs)
    };
    let before = seen().await;
    let request = wire::RollbackRequest {
        dry_run: true,
        ..request
    };
    let answer = ask(fleet, request).await.unwrap();
    assert_eq!(seen().await, before, "a dry run wrote something");
    answer.changes
}

fn assigned(fleet: &Fleet) -> Vec<String> {
    let state = fleet.hub.db.read();
    let bundles = state.apps.iter().map(|app| {
        let last = app.assignment.as_ref().unwrap();
        last.bundle().unwrap().to_string()
    });
    bundles.collect()
}

#[tokio::test]
async fn what_is_foretold_comes_and_nothing_is_written_before() {
    let mut fleet = two_releases().await;
    let now = assigned(&fleet);
    let one = wire::RollbackRequest {
        clusters: vec!["c2".to_owned()],
        pin_release: "manual".to_owned(),
        ..back()
    };
    let told = foretold(&fleet, one.clone()).await;
    let [change] = &told[..] else {
        panic!("{told:#?}")
    };
    assert_eq!(
        (
            change.app.as_str(),
            change.cluster.as_str(),
            change.wave.as_str()
        ),
        ("web-c2", "c2", "all")
    );
    assert_eq!((change.pinned, change.left.as_str()), (true, ""));
    assert!(now.contains(&change.from) && !now.contains(&change.to));
    assert_eq!(change.denied, ["ConfigMap a"]);

    ask(&fleet, one).await.unwrap();
    fleet.publish().await;
    let after = assigned(&fleet);
    assert_eq!(after.iter().filter(|run| **run == change.to).count(), 1);
    assert_eq!(after.iter().filter(|run| **run == change.from).count(), 1);
    settle(&mut fleet).await;
    assert_eq!(run(&fleet).run.state, RunState::RolledBack);
    let state = fleet.hub.db.read().clone();
    let pins: Vec<_> = state.pins.iter().map(|pin| pin.pin.release).collect();
    assert_eq!(pins, [PinRelease::Manual]);
    assert_eq!(state.denies.iter().count(), 1);
    // The other can follow, and both are home then.
    let rest = foretold(&fleet, back()).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].cluster, "c1");
}

#[tokio::test]
async fn a_deny_of_the_release_keeps_exactly_that_out_and_for_good() {
    let mut strategy = Strategy::default();
    strategy.rollback.deny = DenyScope::Release;
    let mut fleet = two_releases_by(strategy).await;
    let bad = assigned(&fleet).remove(0);
    let request = wire::RollbackRequest {
        pin_release: "changed".to_owned(),
        ..back()
    };
    let told = foretold(&fleet, request.clone()).await;
    assert_eq!((told.len(), told[0].denied.len()), (2, 1));
    assert!(told[0].denied[0].starts_with("Bundle"), "{told:?}");
    ask(&fleet, request).await.unwrap();
    fleet.publish().await;
    settle(&mut fleet).await;
    assert_eq!(run(&fleet).run.state, RunState::RolledBack);
    let known: Vec<_> = fleet.hub.db.read().denies.iter().cloned().collect();
    assert!(known.len() == 1 && known[0].deny.is_whole(), "{known:?}");
    assert_eq!(known[0].deny.content.to_string(), bad);

    // A label makes it other content, which a deny of objects would not see.
    let two = MANIFEST.replace("one", "two");
    let again = two.replace("{name: a}", "{name: a, labels: {sha: new}}");
    fleet.repository.commit(&[("a.yaml", &again)]);
    fleet.publish().await;
    settle(&mut fleet).await;
    let done = run(&fleet).run;
    assert_eq!((done.state, done.release_number), (RunState::Succeeded, 3));
    // The pins are gone, and what was taken back is still denied.
    fleet.repository.commit(&[("a.yaml", &two)]);
    fleet.publish().await;
    let state = fleet.hub.db.read().clone();
    let set = state.set("default", "web").unwrap();
    assert_eq!((state.pins.len(), set.record.last_release), (0, 3));
    let held: Vec<_> = state.holds_of(&set.record).collect();
    assert_eq!(held.len(), 2);
    let message = &held[0].record.message;
    assert!(
        message.contains("exactly what was rolled back"),
        "{message}"
    );
}

#[tokio::test]
async fn everybody_goes_to_the_release_that_is_named() {
    let mut fleet = two_releases().await;
    let three = MANIFEST.replace("one", "three");
    fleet.repository.commit(&[("a.yaml", &three)]);
    fleet.publish().await;
    settle(&mut fleet).await;
    assert_eq!(run(&fleet).run.release_number, 3);
    let first = wire::RollbackRequest {
        to_release: 1,
        ..back()
    };
    let told = foretold(&fleet, first.clone()).await;
    assert_eq!(told.len(), 2);
    let plain = foretold(&fleet, back()).await;
    assert_ne!(told[0].to, plain[0].to, "release 2 is what ran well last");
    ask(&fleet, first).await.unwrap();
    fleet.publish().await;
    assert_eq!(assigned(&fleet), [told[0].to.clone(), told[1].to.clone()]);
    settle(&mut fleet).await;
    assert_eq!(run(&fleet).run.state, RunState::RolledBack);
    let state = fleet.hub.db.read().clone();
    let known: Vec<_> = state.apps.iter().map(|app| app.release).collect();
    assert_eq!(known, [1, 1]);
    assert_eq!(state.pins.iter().count(), 2);
    // The same content under a new commit is held.
    let again = three.replace("{name: a}", "{name: a, labels: {sha: new}}");
    fleet.repository.commit(&[("a.yaml", &again)]);
    fleet.publish().await;
    assert_eq!(
        fleet
            .hub
            .db
            .read()
            .set("default", "web")
            .unwrap()
            .record
            .last_release,
        3
    );
    let words = ["went back already", "goes nowhere else"];
    let second = wire::RollbackRequest {
        to_release: 2,
        ..back()
    };
    let answer = ask(&fleet, second).await;
    assert!(answer.is_err());
    let message = answer.unwrap_err().message().to_owned();
    assert!(words.iter().any(|word| message.contains(word)), "{message}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_what_can() {
    let fleet = two_releases().await;
    let with = |change: fn(&mut wire::RollbackRequest)| {
        let mut request = back();
        change(&mut request);
        request
    };
    let (found, input) = (Code::NotFound, Code::InvalidArgument);
    let cases = [
        (
            with(|r| r.to_release = 9),
            found,
            "tidegate release list --set web",
        ),
        (
            with(|r| r.wave = "canary".to_owned()),
            found,
            "no wave canary; it has all",
        ),
        (
            with(|r| r.clusters = vec!["edge".to_owned()]),
            found,
            "cluster edge is not in run",
        ),
        (
            with(|r| r.selector = "env=mars".to_owned()),
            found,
            "has the labels env=mars",
        ),
        (
            with(|r| r.selector = "env in".to_owned()),
            input,
            "k notin (a,b)",
        ),
        (
            with(|r| r.pin_release = "never".to_owned()),
            input,
            "converged, changed or manual",
        ),
    ];
    for dry_run in [false, true] {
        for (request, code, word) in cases.clone() {
            let request = wire::RollbackRequest { dry_run, ..request };
            refused(ask(&fleet, request).await, code, &[word]);
        }
    }
    let row = fleet.hub.db.read().set("default", "web").unwrap().clone();
    let record = SetRecord {
        last_release: 30,
        ..SetRecord::clone(&row.record)
    };
    fleet
        .hub
        .write(|changes| changes.update(&row, &record))
        .await;
    let words = ["release 1 of set web held is gone", "the last 10 releases"];
    let request = with(|r| r.to_release = 1);
    refused(ask(&fleet, request).await, Code::FailedPrecondition, &words);
}
