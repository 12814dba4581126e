//! An outage of a real cluster heals by itself and loses nothing.

use std::{net::TcpListener, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _, api::PostParams};
use tidegate_tests::harness::{Error, Fleet, require_real};
use tokio::time::{sleep, timeout};

use super::support::{SOON, apply, available, deployment, named, text};

#[tokio::test]
async fn an_outage_loses_nothing_and_heals() {
    let Some(binaries) = require_real("outages::an_outage_loses_nothing_and_heals") else {
        return;
    };
    let fleet = Fleet::start(&binaries, 1).await.unwrap();
    let cluster = &fleet.clusters()[0];
    let maps = Api::<ConfigMap>::namespaced(cluster.kube_client().unwrap(), "default");
    let map = ConfigMap {
        metadata: named("kept"),
        ..ConfigMap::default()
    };
    let before = maps.create(&PostParams::default(), &map).await.unwrap();

    cluster.pause().await.unwrap();
    let silent = timeout(Duration::from_secs(2), maps.get("kept")).await;
    assert!(silent.is_err(), "a paused server answered: {silent:?}");
    cluster.resume().unwrap();
    let after = timeout(SOON, maps.get("kept")).await.unwrap().unwrap();
    assert_eq!(after.resource_version(), before.resource_version());

    let url = cluster.url();
    cluster.stop().await.unwrap();
    assert!(matches!(cluster.pause().await, Err(Error::Missing { .. })));
    let refused = timeout(Duration::from_secs(10), maps.get("kept"))
        .await
        .unwrap();
    assert!(
        matches!(
            refused,
            Err(kube::Error::HyperError(_) | kube::Error::Service(_))
        ),
        "{refused:?}"
    );
    // A stranger takes the port meanwhile: the restart waits for it to leave.
    let port = url.rsplit_once(':').unwrap().1;
    let stranger = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let (started, ()) = futures::join!(cluster.start_again(), async {
        sleep(Duration::from_secs(3)).await;
        drop(stranger);
    });
    started.unwrap();
    assert_eq!(cluster.url(), url);
    let kept = cluster
        .kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}"])
        .await;
    assert_eq!(text(&kept.unwrap().stdout), before.uid().unwrap());

    // Controllers and node come back by themselves.
    apply(cluster, &deployment("after", "good:1", 1)).await;
    available(cluster, "after", 1).await;
}
