//! Reconciling at once: who is asked, what is told, what is recorded.

use super::*;
use crate::link::message::Command;

fn sync(set: &str, name: &str, cluster: &str) -> Request<wire::SyncApplicationsRequest> {
    ada(wire::SyncApplicationsRequest {
        project: String::new(),
        set: set.to_owned(),
        name: name.to_owned(),
        cluster: cluster.to_owned(),
    })
}

#[tokio::test]
async fn agents_are_asked_and_those_that_cannot_be_are_named() {
    let mut world = World::new(&waves(&["dev"], &json!({})), 1, 1).await;
    world.label(1, "dev").await;
    world.connect();
    world.publish("a").await;
    world.settle().await;
    let api = world.hub.api();
    let app = world.apps().remove(0).uid;
    let mut agent = world.agents.remove(0);
    let (answer, command) = tokio::join!(
        api.sync_applications(sync("web", "", "")),
        agent.answer(true, "")
    );
    assert_eq!(command, Command::SyncNow(app));
    let items = answer.unwrap().into_inner().items;
    let told: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item.name.as_str(),
                item.cluster.as_str(),
                item.error.as_str(),
            )
        })
        .collect();
    assert_eq!(told, [("web-1", "c1", "")]);
    let last = world.hub.audit("default").await.pop().unwrap();
    assert_eq!(
        (
            last.actor.as_str(),
            last.action.as_str(),
            last.subject.as_str()
        ),
        ("ada", "application.sync", "set/web")
    );

    let (answer, _) = tokio::join!(
        api.sync_applications(sync("", "web-1", "")),
        agent.answer(false, "it holds no such application")
    );
    let items = answer.unwrap().into_inner().items;
    assert!(
        items[0].error.contains("it holds no such application"),
        "{items:?}"
    );
    drop(agent);
    let answer = api.sync_applications(sync("", "", "c1")).await.unwrap();
    let items = answer.into_inner().items;
    assert!(items[0].error.contains("no session"), "{items:?}");
}

#[tokio::test]
async fn everything_at_once_and_nothing_at_all_are_refused() {
    let hub = Hub::new().await;
    let api = hub.api();
    hub.create([cluster(1)]).await;
    hub.create([app(&set(1, "web", &json!({})), 1, 1)]).await;
    let everything = api.sync_applications(sync("", "", "")).await;
    refused(everything, Code::InvalidArgument, &["name an application"]);
    for (set, name, cluster) in [("nope", "", ""), ("", "", "c1")] {
        let answer = api.sync_applications(sync(set, name, cluster)).await;
        refused(
            answer,
            Code::NotFound,
            &["no application of project default fits"],
        );
    }
    assert!(hub.audit("default").await.is_empty());
}
