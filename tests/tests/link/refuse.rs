//! What must be refused: each with its reason at the end that has to act.

use std::time::Duration;

use tidegate_agent::identity::Identity;
use tidegate_hub::link::port::{AckOutcome, Alarm};
use tidegate_model::{digest::Digest, ids::Epoch};
use tidegate_proto::v1::{
    self as wire, agent_link_client::AgentLinkClient, agent_message, hub_message,
};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as TlsIdentity},
};

use super::{
    agent::{self, FakeCluster},
    hub::{FakeHub, Serving},
    model::{FIRST, SECOND, app, eventually, run, until},
};

/// A client that says what it likes.
async fn raw(
    serving: &Serving,
    identity: &Identity,
    ca_pem: &str,
) -> Result<AgentLinkClient<Channel>, String> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca_pem))
        .identity(TlsIdentity::from_pem(
            &identity.certificate_pem,
            &identity.key_pem,
        ));
    let endpoint = Endpoint::from_shared(serving.url())
        .unwrap()
        .tls_config(tls)
        .unwrap();
    let channel = endpoint
        .connect()
        .await
        .map_err(|error| format!("{error:?}"))?;
    Ok(AgentLinkClient::new(channel))
}

fn rejections(hub: &FakeHub) -> Vec<(u64, String)> {
    let records = hub.records();
    let rejected = records.acks.iter().filter_map(|ack| match &ack.outcome {
        AckOutcome::Rejected { reason } => Some((ack.generation.0, reason.clone())),
        AckOutcome::Accepted => None,
    });
    rejected.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lower_hub_epoch() {
    let hub = FakeHub::new();
    hub.store("one");
    hub.assign(run(FIRST, 1, 1, "one"));
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k1");
    cluster.state().epoch = Epoch(6);
    let agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    until("the agent to say why", || {
        agent.last_end().contains("it lost its term")
    })
    .await;
    assert!(agent.last_end().contains("epoch 5") && agent.last_end().contains("epoch 6"));
    let stale = Alarm::StaleHub {
        seen: Epoch(6),
        own: Epoch(5),
    };
    until("the hub's alarm", || hub.records().alarms.contains(&stale)).await;
    assert!(cluster.state().held.is_empty() && cluster.state().epoch == Epoch(6));
    assert!(!serving.sessions.live(FIRST).connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_generation() {
    let hub = FakeHub::new();
    hub.store("one");
    hub.assign(run(FIRST, 1, 3, "one"));
    hub.assign(run(FIRST, 2, 1, "one"));
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k1");
    cluster.hold(&run(FIRST, 1, 5, "newer"));
    let _agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    let rejected = eventually("the rejection", || rejections(&hub).pop()).await;
    assert_eq!(rejected.0, 3);
    assert!(
        rejected.1.contains("older than generation 5"),
        "{}",
        rejected.1
    );
    until("the other application", || {
        cluster.generation(app(2)) == Some(1)
    })
    .await;
    assert_eq!(cluster.generation(app(1)), Some(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_is_damaged_in_the_hub_until_it_is_mended() {
    let hub = FakeHub::new();
    let [_, object] = hub.store("one");
    hub.store("two");
    let good = hub.records().blobs.insert(object, b"{}".to_vec()).unwrap();
    hub.assign(run(FIRST, 1, 1, "one"));
    hub.assign(run(FIRST, 2, 1, "two"));
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k1");
    let _agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    let rejected = eventually("the rejection", || rejections(&hub).pop()).await;
    assert!(
        rejected.1.contains(&object.digest.to_string()) && rejected.1.contains("damaged"),
        "{}",
        rejected.1
    );
    until("the other application", || {
        cluster.generation(app(2)) == Some(1)
    })
    .await;
    assert_eq!(cluster.generation(app(1)), None);
    hub.records().blobs.insert(object, good);
    until("the retry", || cluster.generation(app(1)) == Some(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_whose_digest_is_wrong_on_arrival() {
    let hub = FakeHub::new();
    let [bundle, _] = hub.store("one");
    hub.assign(run(FIRST, 1, 1, "one"));
    let serving = hub.serve_lies(5).await;
    let cluster = FakeCluster::new("k1");
    let agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    let rejected = eventually("the rejection", || rejections(&hub).pop()).await;
    let empty = Digest::of("bundle", &serde_json::json!([]));
    for part in [
        bundle.digest.to_string(),
        empty.to_string(),
        "damaged on the way".to_owned(),
    ] {
        assert!(
            rejected.1.contains(&part),
            "{part} is not in {}",
            rejected.1
        );
    }
    assert!(cluster.state().accepted.is_empty() && cluster.state().objects.is_empty());
    assert!(
        agent.link.status().connected,
        "one bad application ended the session"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_of_another_cluster() {
    let hub = FakeHub::new();
    let [bundle, object] = hub.store("secret");
    hub.assign(run(SECOND, 1, 1, "secret"));
    let own = hub.store("own");
    hub.assign(run(FIRST, 2, 1, "own"));
    let serving = hub.serve(5).await;
    let first = hub.identity(FIRST);
    let mut client = raw(&serving, &first, &first.ca_pem).await.unwrap();
    let name = |blob: &tidegate_hub::link::port::BlobRef| wire::BlobRef {
        kind: if *blob == bundle || *blob == own[0] {
            wire::BlobKind::Bundle
        } else {
            wire::BlobKind::Object
        }
        .into(),
        digest: blob.digest.to_string(),
    };
    for foreign in [bundle, object] {
        // Together with one of its own: nothing is served.
        let blobs = vec![name(&own[0]), name(&foreign)];
        let status = client
            .fetch_blobs(wire::FetchBlobsRequest { blobs })
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(
            status.message().contains(&foreign.digest.to_string()),
            "{}",
            status.message()
        );
        assert!(
            hub.records()
                .alarms
                .contains(&Alarm::ForeignBlob { blob: foreign })
        );
    }
    let blobs = own.iter().map(name).collect();
    let mut chunks = client
        .fetch_blobs(wire::FetchBlobsRequest { blobs })
        .await
        .unwrap()
        .into_inner();
    let mut last = 0;
    while let Some(chunk) = chunks.message().await.unwrap() {
        last += usize::from(chunk.last);
    }
    assert_eq!(last, 2, "its own are served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_hub_and_no_certificate() {
    let (hub, other) = (FakeHub::new(), FakeHub::new());
    let serving = hub.serve(5).await;
    let stranger = other.identity(FIRST);
    // TLS 1.3 tells the client at its first read, so the refusal shows at the connection or the call.
    let refused = match raw(&serving, &stranger, hub.authority.ca_pem()).await {
        Ok(mut client) => {
            let request = wire::FetchBlobsRequest { blobs: Vec::new() };
            client.fetch_blobs(request).await.is_err()
        }
        Err(_) => true,
    };
    assert!(refused, "a certificate of another authority was good");

    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(hub.authority.ca_pem()));
    let endpoint = Endpoint::from_shared(serving.url())
        .unwrap()
        .tls_config(tls)
        .unwrap();
    let mut nobody = AgentLinkClient::new(endpoint.connect().await.unwrap());
    let status = nobody
        .fetch_blobs(wire::FetchBlobsRequest { blobs: Vec::new() })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_cluster_brings_that_clusters_orders_only() {
    let hub = FakeHub::new();
    hub.store("one");
    hub.assign(run(FIRST, 1, 1, "one"));
    hub.assign(run(SECOND, 2, 1, "one"));
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k2");
    let _agent = agent::start(&serving.url(), hub.identity(SECOND), &cluster);
    until("its own", || cluster.generation(app(2)) == Some(1)).await;
    until("evidence", || {
        serving.sessions.live(SECOND).confirmed.is_some()
    })
    .await;
    assert_eq!(cluster.generation(app(1)), None);
    assert!(!serving.sessions.live(FIRST).connected);
    // A report on another cluster's application is left alone.
    cluster.hold(&run(FIRST, 1, 1, "one"));
    let before = serving.sessions.live(SECOND).confirmed;
    until("later evidence", || {
        serving.sessions.live(SECOND).confirmed > before
    })
    .await;
    assert!(!hub.records().reports.contains_key(&app(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_kubernetes_cluster_under_one_identity() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let identity = hub.identity(FIRST);
    let first = agent::start(&serving.url(), identity.clone(), &FakeCluster::new("k1"));
    until("the first", || first.link.status().connected).await;
    let second = agent::start(&serving.url(), identity, &FakeCluster::new("k2"));
    until("the second to say why", || {
        second.last_end().contains("join token for this cluster")
    })
    .await;
    let alarm = Alarm::SecondCluster {
        bound: "k1".into(),
        given: "k2".into(),
    };
    until("the alarm", || hub.records().alarms.contains(&alarm)).await;
    assert!(
        first.link.status().connected,
        "the impostor took the session down"
    );
    assert!(
        hub.records()
            .hellos
            .iter()
            .all(|(_, facts)| facts.kubernetes_uid == "k1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_of_two_sessions_of_one_cluster() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let (identity, cluster) = (hub.identity(FIRST), FakeCluster::new("k1"));
    let older = agent::start(&serving.url(), identity.clone(), &cluster);
    until("the older", || older.link.status().connected).await;
    let newer = agent::start(&serving.url(), identity, &cluster);
    until("the newer", || newer.link.status().connected).await;
    until("the older to say why", || {
        older.last_end().contains("newer session")
    })
    .await;
    assert!(serving.sessions.live(FIRST).connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_message_ends_its_own_session_and_says_why() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let bystander = agent::start(
        &serving.url(),
        hub.identity(SECOND),
        &FakeCluster::new("k2"),
    );
    until("the bystander", || bystander.link.status().connected).await;
    let first = hub.identity(FIRST);
    let mut client = raw(&serving, &first, &first.ca_pem).await.unwrap();
    let (send, messages) = tokio::sync::mpsc::channel(4);
    let stream = tokio_stream::wrappers::ReceiverStream::new(messages);
    let hello = wire::Hello {
        protocol_min: 1,
        protocol_max: 1,
        kubernetes_uid: "k1".into(),
        state_root: Digest::of("state-root", &serde_json::json!([])).to_string(),
        ..wire::Hello::default()
    };
    let message = |message| wire::AgentMessage {
        message: Some(message),
    };
    send.send(message(agent_message::Message::Hello(hello)))
        .await
        .unwrap();
    let mut answers = client.session(stream).await.unwrap().into_inner();
    let welcome = answers.message().await.unwrap().unwrap();
    assert!(
        matches!(welcome.message, Some(hub_message::Message::Welcome(_))),
        "{welcome:?}"
    );
    let report = wire::Report {
        digest: "x".repeat(2 << 20),
        ..wire::Report::default()
    };
    send.send(message(agent_message::Message::Report(report)))
        .await
        .unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Some(hub_message::Message::Refused(refused)) =
                answers.message().await.unwrap().unwrap().message
            {
                return refused.reason;
            }
        }
    });
    let reason = end.await.unwrap();
    assert!(reason.contains("too large"), "{reason}");
    assert!(bystander.link.status().connected);
    until("its place to be free", || {
        !serving.sessions.live(FIRST).connected
    })
    .await;
}
