//! Tokens traded, certificates renewed, and every refusal on record.

use jiff::SignedDuration;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tidegate_model::ids::ClusterUid;

use super::*;
use crate::{
    identity::token::Secrets,
    testing::{Hub, cluster, cluster_uid, csr},
};

/// A hub that waits for cluster 1, and the token that lets it in.
async fn hub() -> (Hub, Enroll, String) {
    let hub = Hub::new().await;
    hub.create([cluster(1)]).await;
    let token = mint(&hub, &hub.authority.fingerprint(), cluster_uid(1)).await;
    let enroll = Enroll::new(hub.db.clone(), Arc::clone(&hub.authority));
    (hub, enroll, token)
}

async fn mint(hub: &Hub, authority: &[u8; 32], cluster: ClusterUid) -> String {
    let expires = hub.clock.now() + SignedDuration::from_mins(5);
    let secrets = Secrets::random().unwrap();
    let (text, record) = token::mint(&secrets, authority, cluster, expires, "ada");
    hub.create([record]).await;
    text
}

fn order(token: &str) -> JoinOrder {
    JoinOrder {
        token: token.to_owned(),
        csr: csr(),
        kubernetes_uid: "k1".to_owned(),
    }
}

/// Refused as it should be, told so, on record, and nothing else written.
async fn refused(hub: &Hub, enroll: &Enroll, token: &str, why: &str) {
    let before = hub.audit(FLEET).await.len();
    let tokens: Vec<_> = hub.db.read().tokens.iter().cloned().collect();
    let clusters: Vec<_> = hub.db.read().clusters.iter().cloned().collect();
    let error = enroll.join(order(token)).await.unwrap_err();
    assert!(
        matches!(&error, EnrollError::Refused(text) if text.contains(why)),
        "{error:?}"
    );
    let audit = hub.audit(FLEET).await;
    let last = audit.last().unwrap();
    assert_eq!(audit.len(), before + 1, "{why}");
    assert_eq!(
        (
            last.actor.as_str(),
            last.action.as_str(),
            last.reason.contains(why)
        ),
        ("anonymous", "cluster.join-refused", true)
    );
    if let Some(secret) = token.split('.').nth(2) {
        assert!(
            !format!("{last:?}").contains(secret),
            "the secret is on record"
        );
    }
    assert_eq!(
        hub.db.read().tokens.iter().cloned().collect::<Vec<_>>(),
        tokens
    );
    assert_eq!(
        hub.db.read().clusters.iter().cloned().collect::<Vec<_>>(),
        clusters
    );
}

fn names(pem: &str) -> String {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    format!("{:?}", names.value.general_names)
}

#[tokio::test]
async fn a_token_is_traded_once_for_a_certificate_of_its_cluster() {
    let (hub, enroll, token) = hub().await;
    let joined = enroll.join(order(&token)).await.unwrap();
    assert_eq!(
        (joined.cluster, joined.name.as_str()),
        (cluster_uid(1), "c1")
    );
    let id = format!("spiffe://fleet.example.org/cluster/{}", cluster_uid(1));
    let san = names(&joined.certificate.certificate_pem);
    assert!(san.contains(&id) && !san.contains(','), "{san}");
    assert_eq!(joined.certificate.ca_pem, hub.authority.ca_pem());
    let row = hub.db.read().cluster(cluster_uid(1)).unwrap().clone();
    assert_eq!(row.record.kubernetes_uid.as_deref(), Some("k1"));
    assert!(row.record.joined);
    let last = hub.last_decision(FLEET).await;
    assert_eq!(
        (last.0.as_str(), last.1.as_str()),
        ("cluster/c1", "cluster.join")
    );
    refused(&hub, &enroll, &token, "it was used at").await;
}

#[tokio::test]
async fn what_is_not_the_token_lets_nobody_in() {
    let (hub, enroll, token) = hub().await;
    let parts: Vec<_> = token.split('.').collect();
    let wrong = [parts[0], parts[1], &"9".repeat(64), parts[3]].join(".");
    refused(&hub, &enroll, &wrong, "not known to this hub").await;
    let unknown = [parts[0], &"0".repeat(16), parts[2], parts[3]].join(".");
    refused(&hub, &enroll, &unknown, "not known to this hub").await;
    refused(&hub, &enroll, "letmein", "failed to read the join token").await;
    // After all that the right one is still good.
    enroll.join(order(&token)).await.unwrap();
}

#[tokio::test]
async fn another_hubs_token_lets_nobody_in() {
    let (hub, enroll, _) = hub().await;
    // Its record is here, as after a restored backup: only the authority tells.
    let foreign = mint(&hub, &[7; 32], cluster_uid(1)).await;
    refused(&hub, &enroll, &foreign, "not known to this hub").await;
}

#[tokio::test]
async fn an_expired_token_lets_nobody_in() {
    let (hub, enroll, token) = hub().await;
    hub.clock.wind(SignedDuration::from_mins(5));
    refused(&hub, &enroll, &token, "it expired at").await;
}

#[tokio::test]
async fn the_token_of_a_removed_cluster_lets_nobody_in() {
    let (hub, enroll, token) = hub().await;
    let row = hub.db.read().cluster(cluster_uid(1)).unwrap().clone();
    hub.write(|changes| changes.delete(&row)).await;
    refused(&hub, &enroll, &token, "was removed; make a new token").await;
}

#[tokio::test]
async fn a_bad_request_does_not_cost_the_token() {
    let (hub, enroll, token) = hub().await;
    let before = hub.revision().await;
    let bad = JoinOrder {
        csr: b"no request".to_vec(),
        ..order(&token)
    };
    let error = enroll.join(bad).await.unwrap_err();
    assert!(matches!(error, EnrollError::Invalid(_)), "{error:?}");
    assert_eq!(hub.revision().await, before);
    enroll.join(order(&token)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_joins_with_one_token_exactly_one_wins() {
    let (hub, enroll, token) = hub().await;
    let joins = (0..8).map(|_| {
        let (enroll, order) = (enroll.clone(), order(&token));
        tokio::spawn(async move { enroll.join(order).await })
    });
    let joins: Vec<_> = joins.collect();
    let (mut won, mut lost) = (0, 0);
    for join in joins {
        match join.await.unwrap() {
            Ok(_) => won += 1,
            Err(EnrollError::Refused(why)) if why.contains("it was used") => lost += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((won, lost), (1, 7));
    let actions: Vec<_> = hub
        .audit(FLEET)
        .await
        .into_iter()
        .map(|record| record.action)
        .collect();
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!(
        (count("cluster.join"), count("cluster.join-refused")),
        (1, 7)
    );
    assert!(
        hub.db
            .read()
            .tokens
            .iter()
            .all(|token| token.used_at.is_some())
    );
}

#[tokio::test]
async fn a_trade_that_lost_the_race_is_decided_on_what_won() {
    // Both were decided on the same view: the store must let only one in.
    let (hub, _, token) = hub().await;
    let (authority, now) = (hub.authority.fingerprint(), hub.clock.now());
    let trade = || trade(&hub.db.read(), &authority, &order(&token), now);
    let (first, second) = (trade(), trade());
    assert!(first.0.is_ok() && second.0.is_ok());
    hub.db.commit(first.1).await.unwrap();
    assert!(matches!(
        hub.db.commit(second.1).await,
        Err(db::Error::Conflict { .. })
    ));
    assert!(trade().0.unwrap_err().contains("it was used"));
}

#[tokio::test]
async fn a_live_identity_renews_for_itself_and_a_removed_one_does_not() {
    let (hub, enroll, token) = hub().await;
    enroll.join(order(&token)).await.unwrap();
    let renewed = enroll.renew(cluster_uid(1), csr()).await.unwrap();
    let id = format!("spiffe://fleet.example.org/cluster/{}", cluster_uid(1));
    assert!(names(&renewed.certificate_pem).contains(&id));
    let last = hub.last_decision(FLEET).await;
    assert_eq!(
        (last.0.as_str(), last.1.as_str()),
        ("cluster/c1", "cluster.renew")
    );
    let bad = enroll.renew(cluster_uid(1), Vec::new()).await.unwrap_err();
    assert!(matches!(bad, EnrollError::Invalid(_)), "{bad:?}");

    let row = hub.db.read().cluster(cluster_uid(1)).unwrap().clone();
    hub.write(|changes| changes.delete(&row)).await;
    let error = enroll.renew(cluster_uid(1), csr()).await.unwrap_err();
    assert!(
        matches!(&error, EnrollError::Refused(why) if why.contains("removed")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_was_ordered_anew_is_made_later_even_in_the_same_moment() {
    let (hub, enroll, token) = hub().await;
    // The clock stands: everything here happens at one time.
    let joined = enroll.join(order(&token)).await.unwrap().certificate;
    let row = hub.db.read().cluster(cluster_uid(1)).unwrap().clone();
    let (record, changes) = crate::rotation::order(&row, "ada", "", hub.clock.now());
    hub.db.commit(changes).await.unwrap();
    let least = record.renew_before.unwrap();
    let renewed = enroll.renew(cluster_uid(1), csr()).await.unwrap();
    assert!(begins(&joined) < least);
    assert!(begins(&renewed) >= least);
}

fn begins(certificate: &Certificate) -> Timestamp {
    let der = CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    Timestamp::from_second(parsed.validity().not_before.timestamp()).unwrap()
}
