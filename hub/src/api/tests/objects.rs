//! Objects of an application: asked for while the agent is there, and what stands in for it.

use std::sync::Arc;

use tidegate_model::{
    health::Health,
    ids::Generation,
    object::ObjectId,
    tree::{ObjectState, Objects, PAGE, Standing},
};

use super::*;
use crate::{
    link::message::Command,
    testing::fleet::{Fleet, MANIFEST},
};

fn ask(name: &str, page_token: &str) -> Request<wire::ListObjectsRequest> {
    ada(wire::ListObjectsRequest {
        project: String::new(),
        name: name.to_owned(),
        page_token: page_token.to_owned(),
    })
}

fn id(n: usize) -> ObjectId {
    ObjectId {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: format!("n{n:03}"),
    }
}

#[tokio::test]
async fn the_agent_is_asked_page_by_page() {
    let mut fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    let mut agent = fleet.agents.remove(0);
    let app = fleet
        .hub
        .db
        .read()
        .apps_in(cluster_uid(1))
        .next()
        .unwrap()
        .uid;
    let state = |n| ObjectState {
        id: id(n),
        version: "v1".to_owned(),
        standing: Standing::Drifted,
        health: Health::Degraded,
        message: "0 of 1 replicas".to_owned(),
        drifted: vec!["/spec/replicas".to_owned()],
    };
    let objects = Objects {
        generation: Generation(1),
        all: (0..=PAGE).map(state).collect::<Arc<[_]>>(),
    };
    let (answer, order) = tokio::join!(
        fleet.api.list_objects(ask("web-c1", "")),
        agent.answer_objects(objects.page(None))
    );
    assert_eq!(order, Command::ListObjects { app, after: None });
    let first = answer.unwrap().into_inner();
    assert_eq!((first.items.len(), first.not_live.as_str()), (PAGE, ""));
    assert_eq!((first.generation, first.total), (1, 101));
    let object = &first.items[0];
    assert_eq!(
        (object.standing(), object.health()),
        (wire::Standing::Drifted, wire::Health::Degraded)
    );
    assert_eq!(
        (object.message.as_str(), object.drifted.len()),
        ("0 of 1 replicas", 1)
    );

    let after = Some(id(PAGE - 1));
    let (answer, order) = tokio::join!(
        fleet
            .api
            .list_objects(ask("web-c1", &first.next_page_token)),
        agent.answer_objects(objects.page(after.as_ref()))
    );
    assert_eq!(order, Command::ListObjects { app, after });
    let rest = answer.unwrap().into_inner();
    assert_eq!((rest.items.len(), rest.next_page_token.as_str()), (1, ""));

    refused(
        fleet.api.list_objects(ask("web-c1", "nonsense")).await,
        Code::InvalidArgument,
        &["page token"],
    );
    refused(
        fleet.api.list_objects(ask("wbe", "")).await,
        Code::NotFound,
        &["no application \"wbe\""],
    );
}

#[tokio::test]
async fn what_the_agent_was_told_stands_in_for_it() {
    let mut fleet = Fleet::new(&[("a.yaml", MANIFEST)]).await;
    let mut agent = fleet.agents.remove(0);
    let old = async {
        // An agent of an older version says that it does not know the command.
        agent.answer(true, "").await
    };
    let (answer, _) = tokio::join!(fleet.api.list_objects(ask("web-c1", "")), old);
    assert!(answer.unwrap().into_inner().not_live.contains("too old"));
    drop(agent);
    let answer = fleet
        .api
        .list_objects(ask("web-c1", ""))
        .await
        .unwrap()
        .into_inner();
    assert!(
        answer.not_live.contains("no session"),
        "{}",
        answer.not_live
    );
    let [object] = &answer.items[..] else {
        panic!("{answer:#?}");
    };
    assert_eq!(object.object.as_ref().unwrap().name, "a");
    assert_eq!(
        (object.standing(), object.health()),
        (wire::Standing::Unspecified, wire::Health::Unknown)
    );
    assert_eq!(answer.total, 1);
}
