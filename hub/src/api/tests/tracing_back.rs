//! From an object back to its commit, over a real repository.

use tidegate_model::health::Health;

use super::*;
use crate::testing::fleet::{Fleet, MANIFEST};

const OTHER: &str = "# one\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n";

fn ask(kind: &str, name: &str, namespace: &str) -> Request<wire::GetTraceRequest> {
    ada(wire::GetTraceRequest {
        cluster: "c1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        project: String::new(),
    })
}

async fn trace(fleet: &Fleet, kind: &str, name: &str) -> wire::Trace {
    let answer = fleet
        .api
        .get_trace(ask(kind, name, ""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.items.len(), answer.more), (1, 0), "{answer:#?}");
    answer.items.into_iter().next().unwrap()
}

/// Everything is brought to its end: healthy, and for long enough.
async fn settle(fleet: &mut Fleet) {
    for _ in 0..3 {
        fleet.report(Health::Healthy).await;
        fleet.hub.clock.wind(jiff::SignedDuration::from_secs(60));
        fleet
            .agents
            .iter_mut()
            .for_each(crate::link::testing::Agent::confirm);
        fleet.publish().await;
    }
}

#[tokio::test]
async fn an_object_leads_to_the_commit_that_made_it_what_it_is() {
    let mut fleet = Fleet::new(&[("a.yaml", MANIFEST), ("b.yaml", OTHER)]).await;
    let first = fleet.newest_commit().await;
    settle(&mut fleet).await;
    let second = fleet
        .repository
        .commit(&[("a.yaml", &MANIFEST.replace("one", "two"))]);
    fleet.publish().await;
    settle(&mut fleet).await;

    let changed = trace(&fleet, "configmap", "a").await;
    assert_eq!(
        (changed.application.as_str(), changed.set.as_str()),
        ("web-c1", "web")
    );
    assert_eq!(changed.place, "a.yaml:1");
    let (release, since) = (
        changed.release.clone().unwrap(),
        changed.since.clone().unwrap(),
    );
    assert_eq!((release.number, since.number), (2, 2));
    let commit = since.commit.unwrap();
    assert_eq!(
        (commit.id.as_str(), commit.subject.as_str()),
        (second.as_str(), "change")
    );
    let (author, committer) = (commit.author.unwrap(), commit.committer.unwrap());
    assert_eq!(
        (author.name.as_str(), author.email.as_str()),
        ("a", "a@example.com")
    );
    assert!(author.at_ms > 0 && committer.at_ms > 0);
    assert!(!changed.since_may_be_older);
    assert!(changed.assigned_at_ms > 0 && !changed.run_id.is_empty());
    assert_eq!(changed.run_state, "Succeeded");
    assert_eq!(
        (changed.synced, changed.health()),
        (true, wire::Health::Healthy)
    );

    let unchanged = trace(&fleet, "cm", "other").await;
    assert_eq!(unchanged.place, "b.yaml:3");
    assert_eq!(unchanged.release.unwrap().number, 2);
    let since = unchanged.since.unwrap();
    assert_eq!((since.number, since.commit.unwrap().id), (1, first));
}

#[tokio::test]
async fn what_nobody_brings_is_said_with_what_is_near() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST), ("b.yaml", OTHER)]).await;
    let get = |request| fleet.api.get_trace(request);
    let pod = get(ask("pod", "other-6d4cf-x2x7k", "shop")).await;
    refused(
        pod,
        Code::NotFound,
        &[
            "pod/other-6d4cf-x2x7k to cluster c1 in namespace shop",
            "near it: ConfigMap other of application web-c1",
        ],
    );
    let wrong = get(ask("secret", "nothing", "")).await;
    refused(wrong, Code::NotFound, &["secret/nothing", "by hand"]);
    refused(
        get(ask("", "a", "")).await,
        Code::InvalidArgument,
        &["deployment/web"],
    );
    let mut elsewhere = ask("cm", "a", "");
    elsewhere.get_mut().cluster = "c9".to_owned();
    refused(get(elsewhere).await, Code::NotFound, &["no cluster \"c9\""]);
    let mut foreign = ask("cm", "a", "");
    foreign.get_mut().project = "shop".to_owned();
    refused(
        get(foreign).await,
        Code::NotFound,
        &["no application brings cm/a"],
    );
}

#[tokio::test]
async fn a_commit_that_is_no_longer_to_be_had_leaves_the_rest_of_the_answer() {
    let fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    std::fs::remove_dir_all(fleet.hub.dir.path().join("repositories")).unwrap();
    fleet.repository.hide(true);
    let trace = trace(&fleet, "cm", "a").await;
    let commit = trace.release.unwrap().commit.unwrap();
    assert!(
        !commit.error.is_empty() && commit.author.is_none(),
        "{commit:?}"
    );
    assert_eq!((commit.id.len(), trace.place.as_str()), (40, ""));
}
