//! Clusters come with a token and go with their session.

use super::*;
use crate::{
    backend::Backend,
    enroll::Enroll,
    link::{
        port::{AgentFacts, EnrollBackend as _, JoinOrder, LinkBackend as _},
        testing::Agent,
    },
    records::ClusterRecord,
};

fn token_for(name: &str) -> wire::CreateJoinTokenRequest {
    wire::CreateJoinTokenRequest {
        cluster: name.to_owned(),
        ..Default::default()
    }
}

fn labels(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn remove(name: &str, reason: &str) -> Request<wire::RemoveClusterRequest> {
    ada(wire::RemoveClusterRequest {
        cluster: name.to_owned(),
        reason: reason.to_owned(),
    })
}

#[tokio::test]
async fn a_token_registers_its_cluster_and_lets_it_in() {
    let hub = Hub::new().await;
    let api = hub.api();
    let request = wire::CreateJoinTokenRequest {
        labels: labels(&[("env", "dev")]).into_iter().collect(),
        servers: vec!["https://10.0.0.1".to_owned()],
        ..token_for("paris")
    };
    let answer = api
        .create_join_token(ada(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.ca_pem, hub.authority.ca_pem());
    let hour = hub.clock.now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(answer.expires_at_ms, hour.as_millisecond());
    let record = hub.db.read().cluster_named("paris").unwrap().clone();
    assert_eq!(
        (record.joined, record.cluster.uid.to_string()),
        (false, answer.cluster_uid)
    );
    assert_eq!(record.cluster.labels, labels(&[("env", "dev")]));

    let enroll = Enroll::new(hub.db.clone(), Arc::clone(&hub.authority));
    let order = JoinOrder {
        token: answer.token,
        csr: csr(),
        kubernetes_uid: "k".to_owned(),
    };
    assert_eq!(enroll.join(order).await.unwrap().name, "paris");
    // A second token is for the same cluster and adds to what is known.
    let more = wire::CreateJoinTokenRequest {
        labels: labels(&[("tier", "1")]).into_iter().collect(),
        ..token_for("paris")
    };
    api.create_join_token(ada(more)).await.unwrap();
    let again = hub.db.read().cluster_named("paris").unwrap().clone();
    assert_eq!(
        again.cluster.labels,
        labels(&[("env", "dev"), ("tier", "1")])
    );
    assert_eq!(
        (again.cluster.uid, again.joined),
        (record.cluster.uid, true)
    );
}

#[tokio::test]
async fn tokens_that_cannot_be_meant_are_refused() {
    let hub = Hub::new().await;
    let mut known = cluster(1);
    known.cluster.servers = vec!["https://10.0.0.1".to_owned()];
    hub.create([known]).await;
    let before = hub.revision().await;
    let api = hub.api();
    let week = 7 * 24 * 3_600_000;
    let long = wire::CreateJoinTokenRequest {
        ttl_ms: week + 1,
        ..token_for("a")
    };
    refused(
        api.create_join_token(ada(long)).await,
        Code::InvalidArgument,
        &["7 days"],
    );
    let name = token_for("Not/AName");
    refused(
        api.create_join_token(ada(name)).await,
        Code::InvalidArgument,
        &["Not/AName"],
    );
    let fact = labels(&[("fact.tidegate.dev/region", "eu")])
        .into_iter()
        .collect();
    let fact = wire::CreateJoinTokenRequest {
        labels: fact,
        ..token_for("a")
    };
    refused(
        api.create_join_token(ada(fact)).await,
        Code::InvalidArgument,
        &["fact.tidegate.dev/"],
    );
    let servers = vec!["https://10.0.0.1".to_owned()];
    let alias = wire::CreateJoinTokenRequest {
        servers,
        ..token_for("a")
    };
    refused(
        api.create_join_token(ada(alias)).await,
        Code::AlreadyExists,
        &["10.0.0.1", "c1"],
    );
    assert_eq!(hub.revision().await, before);
}

#[tokio::test]
async fn labels_are_people_s_and_facts_are_not() {
    let hub = Hub::new().await;
    hub.create([cluster(1)]).await;
    let api = hub.api();
    let label = |set: &[(&str, &str)], remove: &[&str]| wire::LabelClusterRequest {
        cluster: "c1".to_owned(),
        set: labels(set).into_iter().collect(),
        remove: remove.iter().map(|key| (*key).to_owned()).collect(),
    };
    let request = label(&[("env", "prod")], &["rank"]);
    let answer = api
        .label_cluster(ada(request.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.labels.into_iter().collect::<Vec<_>>(),
        [("env".to_owned(), "prod".to_owned())]
    );
    let last = hub.audit(FLEET).await.pop().unwrap();
    assert_eq!(
        (last.before.as_str(), last.after.as_str()),
        (r#"{"rank":"1"}"#, r#"{"env":"prod"}"#)
    );
    let revision = hub.revision().await;
    api.label_cluster(ada(request)).await.unwrap();
    assert_eq!(hub.revision().await, revision, "the same again is no write");
    for request in [
        label(&[("fact.tidegate.dev/x", "1")], &[]),
        label(&[], &["fact.tidegate.dev/x"]),
    ] {
        refused(
            api.label_cluster(ada(request)).await,
            Code::InvalidArgument,
            &["fact.tidegate.dev/x"],
        );
    }
    let unknown = wire::LabelClusterRequest {
        cluster: "c9".to_owned(),
        ..Default::default()
    };
    refused(
        api.label_cluster(ada(unknown)).await,
        Code::NotFound,
        &["no cluster c9"],
    );
}

#[tokio::test]
async fn removing_a_cluster_ends_its_session_and_leaves_a_record() {
    let hub = Hub::new().await;
    hub.create([cluster(1), cluster(2)]).await;
    let api = hub.api();
    api.create_join_token(ada(token_for("c1"))).await.unwrap();
    api.create_join_token(ada(token_for("c2"))).await.unwrap();
    let [agent, other] = [1, 2].map(|n| Agent::connect(&hub.sessions, cluster_uid(n)));
    refused(
        api.remove_cluster(remove("c1", "  ")).await,
        Code::InvalidArgument,
        &["reason"],
    );
    assert_eq!(agent.revoked(), None, "nothing ends before it is written");
    api.remove_cluster(remove("c1", "scrapped")).await.unwrap();
    assert!(agent.revoked().unwrap().contains("removed from the fleet"));
    assert_eq!(other.revoked(), None);
    let state = hub.db.read().clone();
    assert!(state.cluster(cluster_uid(1)).is_none());
    let tokens: Vec<_> = state.tokens.iter().map(|token| token.cluster).collect();
    assert_eq!(
        tokens,
        [cluster_uid(2)],
        "its tokens are gone, the other's are not"
    );
    let last = hub.audit(FLEET).await.pop().unwrap();
    let told = (
        last.actor.as_str(),
        last.action.as_str(),
        last.subject.as_str(),
        last.reason.as_str(),
    );
    assert_eq!(told, ("ada", "cluster.remove", "cluster/c1", "scrapped"));
    refused(
        api.remove_cluster(remove("c1", "again")).await,
        Code::NotFound,
        &["no cluster c1"],
    );
}

#[tokio::test]
async fn a_cluster_with_any_number_of_tokens_can_be_removed() {
    let hub = Hub::new().await;
    hub.create([cluster(1)]).await;
    let api = hub.api();
    for _ in 0..120 {
        api.create_join_token(ada(token_for("c1"))).await.unwrap();
    }
    api.remove_cluster(remove("c1", "scrapped")).await.unwrap();
    assert!(hub.db.read().cluster_named("c1").is_none());
}

fn rotate(name: &str) -> Request<wire::RotateClusterRequest> {
    ada(wire::RotateClusterRequest {
        cluster: name.to_owned(),
        reason: "laptop".to_owned(),
    })
}

/// An agent of cluster 1 opens a session with a certificate whose life begins then.
async fn greet(hub: &Hub, begins: jiff::Timestamp) {
    let facts = AgentFacts {
        kubernetes_uid: "k1".to_owned(),
        version: "0.1.0".to_owned(),
        agent_uid: "a".to_owned(),
        boot_id: "b".to_owned(),
        capabilities: Vec::new(),
        labels: std::collections::BTreeMap::new(),
    };
    let backend = Backend::new(hub.db.clone());
    let greeted = backend.hello(cluster_uid(1), Some(begins), facts);
    greeted.await.unwrap();
}

#[tokio::test]
async fn a_rotation_is_recorded_stands_and_is_done_when_the_new_certificate_is_seen() {
    let hub = Hub::new().await;
    hub.create([cluster(1)]).await;
    let api = hub.api();
    let ordered = api.rotate_cluster(rotate("c1")).await.unwrap().into_inner();
    assert!(ordered.rotating && !ordered.connected);
    let (actor, action, subject) = hub.last_decision(FLEET).await;
    assert_eq!(
        (actor.as_str(), action.as_str(), subject.as_str()),
        ("ada", "cluster.rotate", "cluster/c1")
    );
    let revision = hub.revision().await;
    api.rotate_cluster(rotate("c1")).await.unwrap();
    assert_eq!(hub.revision().await, revision, "the same again is no write");

    let hub = hub.restart().await;
    let api = hub.api();
    let look = async || {
        let request = wire::ListRequest {
            name: "c1".to_owned(),
            ..Default::default()
        };
        let list = api.list_clusters(ada(request)).await.unwrap();
        list.into_inner().items.remove(0)
    };
    let least = {
        let state = hub.db.read();
        let record = &state.cluster(cluster_uid(1)).unwrap().record;
        record.renew_before.unwrap()
    };
    greet(&hub, least - jiff::SignedDuration::from_secs(1)).await;
    let seen = look().await;
    assert!(seen.rotating && seen.refused_before_ms == 0, "{seen:?}");
    greet(&hub, least).await;
    let seen = look().await;
    assert!(!seen.rotating, "{seen:?}");
    assert_eq!(seen.refused_before_ms, least.as_millisecond());
    let (actor, action, _) = hub.last_decision(FLEET).await;
    assert_eq!(
        (actor.as_str(), action.as_str()),
        ("cluster/c1", "cluster.rotated")
    );
}

#[tokio::test]
async fn there_is_nothing_to_rotate_where_nobody_joined() {
    let hub = Hub::new().await;
    let unjoined = ClusterRecord {
        joined: false,
        ..cluster(1)
    };
    hub.create([unjoined]).await;
    let api = hub.api();
    refused(
        api.rotate_cluster(rotate("c1")).await,
        Code::FailedPrecondition,
        &["has no agent yet", "join-token c1"],
    );
    refused(
        api.rotate_cluster(rotate("c9")).await,
        Code::NotFound,
        &["c9"],
    );
}
