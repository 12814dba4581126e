//! Two hubs on one etcd: one leads, the other stands by and takes over.

use std::time::Duration;

use tidegate_hub::runtime;
use tidegate_store::etcd::LEADER;
use tidegate_tests::harness::{self, Port, eventually, require_servers};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::hub::{get, in_etcd, init, serve};

const PATIENCE: Duration = Duration::from_mins(1);

/// A hub in this process.
struct Running {
    health: Port,
    _port: Port,
    cancel: CancellationToken,
    serving: JoinHandle<Result<(), runtime::Error>>,
}

impl Running {
    fn start(dir: &std::path::Path, etcd: &str) -> Self {
        let (port, health) = (Port::lease().unwrap(), Port::lease().unwrap());
        let mut flags = in_etcd(etcd);
        flags.push(format!("--listen=127.0.0.1:{}", port.number()));
        flags.push(format!("--health-listen=127.0.0.1:{}", health.number()));
        let cancel = CancellationToken::new();
        let (dir, ended) = (dir.to_owned(), cancel.clone());
        Self {
            health,
            _port: port,
            cancel,
            serving: tokio::spawn(async move { serve(&dir, &flags, ended).await }),
        }
    }

    /// Waits until its readiness says this.
    async fn says(&self, wanted: &str) -> String {
        eventually(wanted, PATIENCE, || async {
            let answer = get(self.health.number(), "/readyz").await?;
            if answer.contains(wanted) {
                Ok(answer)
            } else {
                Err(answer)
            }
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_standby_waits_for_the_leader_and_takes_over_when_it_ends() {
    let Some(binaries) = require_servers("a_standby_waits_for_the_leader") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), &in_etcd(server.url())).await.unwrap();
    let first = Running::start(dir.path(), server.url());
    first.says("200 OK").await;
    let second = Running::start(dir.path(), server.url());
    let answer = second.says("leads").await;
    assert!(
        answer.starts_with("HTTP/1.0 503") && answer.contains("standby: hub/"),
        "{answer}"
    );
    first.says("200 OK").await;
    first.cancel.cancel();
    first.serving.await.unwrap().unwrap();
    // Well within the lease: the first one gave it back.
    let handed = tokio::time::timeout(Duration::from_secs(10), second.says("200 OK")).await;
    assert!(handed.is_ok(), "the lease was not given back");
    second.cancel.cancel();
    second.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_leader_whose_lease_is_gone_steps_down() {
    let Some(binaries) = require_servers("a_leader_whose_lease_is_gone") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), &in_etcd(server.url())).await.unwrap();
    let first = Running::start(dir.path(), server.url());
    first.says("200 OK").await;
    let mut admin = etcd_client::Client::connect([server.url()], None)
        .await
        .unwrap();
    let lease = admin.get(LEADER, None).await.unwrap().kvs()[0].lease();
    admin.lease_client().revoke(lease).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, first.serving).await.unwrap();
    let error = ended.unwrap().unwrap_err();
    assert!(matches!(error, runtime::Error::LostLead), "{error}");
}

#[tokio::test]
async fn a_leader_that_etcd_does_not_answer_steps_down() {
    let Some(binaries) = require_servers("a_leader_that_etcd_does_not_answer") else {
        return;
    };
    let server = harness::Etcd::alone(&binaries).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), &in_etcd(server.url())).await.unwrap();
    let first = Running::start(dir.path(), server.url());
    first.says("200 OK").await;
    server.process().pause().await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, first.serving).await.unwrap();
    let error = ended.unwrap().unwrap_err();
    assert!(matches!(error, runtime::Error::LostLead), "{error}");
}
