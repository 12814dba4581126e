//! Sets and what holds them: deletion, pins, denies, holds, sources.

use super::*;
use crate::records::{DenyRecord, SetRecord};

fn unpin(set: &str, app: &str) -> Request<wire::UnpinRequest> {
    let (set, app) = (set.to_owned(), app.to_owned());
    ada(wire::UnpinRequest {
        project: String::new(),
        set,
        app,
        reason: "mended".to_owned(),
    })
}

fn denied(set: &SetRecord, n: usize) -> DenyRecord {
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("o{n}")}, "data": {}});
    DenyRecord {
        project: set.project.clone(),
        set: set.uid,
        deny: tidegate_model::deny::deny_of(&manifest).unwrap(),
    }
}

/// A set with so many pinned applications and denied objects, beside another set with one each.
async fn held_back(pins: u128, denies: usize) -> Hub {
    let hub = Hub::new().await;
    let [web, other] = [(1, "web"), (2, "other")].map(|(n, name)| set(n, name, &json!({})));
    hub.create([cluster(1)]).await;
    hub.create([web.clone(), other.clone()]).await;
    hub.create((1..=pins).map(|n| app(&web, n, 1))).await;
    hub.create([app(&other, 1, 1)]).await;
    hub.create((1..=pins).map(|n| pinned(&hub, &web, n))).await;
    hub.create([pinned(&hub, &other, 1)]).await;
    hub.create((0..denies).map(|n| denied(&web, n))).await;
    hub.create([denied(&other, 0)]).await;
    hub
}

#[tokio::test]
async fn one_application_is_unpinned_or_all_of_a_set() {
    let hub = held_back(3, 2).await;
    let api = hub.api();
    let one = api.unpin(unpin("web", "web-2")).await.unwrap().into_inner();
    assert_eq!(
        (one.applications, one.denies_lifted),
        (vec!["web-2".to_owned()], 0)
    );
    assert_eq!(
        (hub.db.read().pins.len(), hub.db.read().denies.len()),
        (3, 3)
    );
    let words = ["nothing of set web is pinned under that name"];
    refused(
        api.unpin(unpin("web", "web-2")).await,
        Code::NotFound,
        &words,
    );
    let all = api.unpin(unpin("web", "")).await.unwrap().into_inner();
    assert_eq!((all.applications.len(), all.denies_lifted), (2, 2));
    assert_eq!(
        (hub.db.read().pins.len(), hub.db.read().denies.len()),
        (1, 1),
        "the other set's stay"
    );
    let last = hub.audit("default").await.pop().unwrap();
    let told = (
        last.actor.as_str(),
        last.action.as_str(),
        last.subject.as_str(),
        last.reason.as_str(),
    );
    assert_eq!(told, ("ada", "set.unpin", "set/web web-1,web-3", "mended"));
    let revision = hub.revision().await;
    refused(
        api.unpin(unpin("web", "")).await,
        Code::NotFound,
        &["nothing of set web is pinned or denied"],
    );
    refused(
        api.unpin(unpin("nope", "")).await,
        Code::NotFound,
        &["no set nope in project default"],
    );
    let silent = wire::UnpinRequest {
        set: "other".to_owned(),
        ..Default::default()
    };
    refused(
        api.unpin(ada(silent)).await,
        Code::InvalidArgument,
        &["unpin needs a reason"],
    );
    assert_eq!(hub.revision().await, revision);
}

#[tokio::test]
async fn a_fleet_of_pins_and_denies_is_lifted_by_one_call() {
    let hub = held_back(130, 170).await;
    let answer = hub
        .api()
        .unpin(unpin("web", ""))
        .await
        .unwrap()
        .into_inner();
    let names: std::collections::BTreeSet<_> = answer.applications.iter().collect();
    assert_eq!(
        (names.len(), answer.applications.len(), answer.denies_lifted),
        (130, 130, 170)
    );
    assert_eq!(
        (hub.db.read().pins.len(), hub.db.read().denies.len()),
        (1, 1)
    );
}

#[tokio::test]
async fn deleting_a_set_is_recorded_once_with_its_reason() {
    let hub = held_back(3, 0).await;
    let api = hub.api();
    let delete = |reason: &str| {
        let reason = reason.to_owned();
        ada(wire::DeleteApplicationSetRequest {
            name: "web".to_owned(),
            reason,
            ..Default::default()
        })
    };
    refused(
        api.delete_application_set(delete("")).await,
        Code::InvalidArgument,
        &["needs a reason"],
    );
    let answer = api
        .delete_application_set(delete("unused"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.applications, 3);
    assert!(hub.db.read().set("default", "web").unwrap().record.deleting);
    assert!(
        !hub.db
            .read()
            .set("default", "other")
            .unwrap()
            .record
            .deleting
    );
    let told = hub.last_decision("default").await;
    assert_eq!(told, ("ada".into(), "set.delete".into(), "set/web".into()));
    let revision = hub.revision().await;
    api.delete_application_set(delete("again")).await.unwrap();
    assert_eq!(hub.revision().await, revision);
    let unknown = wire::DeleteApplicationSetRequest {
        name: "nope".to_owned(),
        reason: "x".to_owned(),
        ..Default::default()
    };
    refused(
        api.delete_application_set(ada(unknown)).await,
        Code::NotFound,
        &["no set nope"],
    );
}

#[tokio::test]
async fn a_hold_is_let_through_by_a_person_if_it_can_be() {
    let hub = Hub::new().await;
    let web = set(1, "web", &json!({}));
    hub.create([web.clone()]).await;
    hub.create([held(&hub, &web, "h1", true), held(&hub, &web, "h2", false)])
        .await;
    let api = hub.api();
    let approve = |id: &str| {
        let (id, reason) = (id.to_owned(), "meant so".to_owned());
        ada(wire::ApproveHoldRequest { id, reason })
    };
    refused(
        api.approve_hold(approve("h9")).await,
        Code::NotFound,
        &["no hold h9", "tidegate get holds"],
    );
    let words = [
        "renders to nothing",
        "an approval does not open this",
        "tidegate unpin",
    ];
    refused(
        api.approve_hold(approve("h2")).await,
        Code::FailedPrecondition,
        &words,
    );
    let answer = api.approve_hold(approve("h1")).await.unwrap().into_inner();
    assert_eq!(answer.hold.unwrap().id, "h1");
    let record = hub
        .db
        .read()
        .holds
        .find(|hold| hold.id == "h1")
        .unwrap()
        .record
        .clone();
    assert_eq!(record.approved_by.as_deref(), Some("ada"));
    let last = hub.audit("default").await.pop().unwrap();
    assert_eq!(
        (last.actor.as_str(), last.action.as_str()),
        ("ada", "hold.approve")
    );
    assert_eq!(last.after, bundle("empty").to_string());
    let revision = hub.revision().await;
    api.approve_hold(approve("h1")).await.unwrap();
    assert_eq!(hub.revision().await, revision);
    let silent = wire::ApproveHoldRequest {
        id: "h1".to_owned(),
        ..Default::default()
    };
    refused(
        api.approve_hold(ada(silent)).await,
        Code::InvalidArgument,
        &["needs a reason"],
    );
}

#[tokio::test]
async fn a_refresh_tells_where_each_source_stands() {
    let hub = Hub::new().await;
    let mut web = set(1, "web", &json!({}));
    let gone = format!("file://{}/gone", hub.dir.path().display());
    web.document.spec.template.spec.source.repo_url = gone.clone();
    hub.create([web]).await;
    let refresh = |set: &str| {
        ada(wire::RefreshRequest {
            set: set.to_owned(),
            ..Default::default()
        })
    };
    let api = hub.api();
    refused(
        api.refresh(refresh("nope")).await,
        Code::NotFound,
        &["no set nope in project default"],
    );
    refused(
        api.refresh(refresh("")).await,
        Code::InvalidArgument,
        &["names no set"],
    );
    let answer = api.refresh(refresh("web")).await.unwrap().into_inner();
    let [source] = &answer.sources[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (source.repo_url.as_str(), source.commit.as_str()),
        (gone.as_str(), "")
    );
    assert!(!source.error.is_empty());
    assert_eq!(hub.db.read().sources.len(), 1, "the failure is on record");
}
