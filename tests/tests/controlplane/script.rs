//! The fake kubelet does what its script says, on a real cluster.

use std::time::Duration;

use tidegate_tests::harness::{Cluster, Fleet, eventually, require_real};
use tokio::time::{Instant, sleep};

use super::support::{SOON, apply, condition, deployment, pods, succeeds};

#[tokio::test]
async fn the_node_follows_its_script() {
    let Some(binaries) = require_real("script::the_node_follows_its_script") else {
        return;
    };
    let fleet = Fleet::start(&binaries, 1).await.unwrap();
    let cluster = &fleet.clusters()[0];
    a_hold_keeps_pods_from_being_ready(cluster).await;
    flapping_pods_fall_and_rise(cluster).await;
    a_delay_is_waited_for(cluster).await;
}

async fn a_hold_keeps_pods_from_being_ready(cluster: &Cluster) {
    cluster.kubelet().hold();
    apply(cluster, &deployment("scripted", "good:1", 1)).await;
    until(cluster, "a pod", |ready| ready.len() == 1).await;
    let scheduled = [
        "wait",
        "pod",
        "--selector=app=scripted",
        "--for=condition=PodScheduled",
    ];
    succeeds(cluster, &[&scheduled[..], &["--timeout=60s"]].concat()).await;
    // That nothing happens can only be seen by waiting: far longer than a pod
    // needs without the hold.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(ready(cluster).await, [false]);

    let released = Instant::now();
    cluster.kubelet().release();
    until(cluster, "the pod ready", |ready| ready == [true]).await;
    assert!(
        released.elapsed() < Duration::from_secs(5),
        "{:?}",
        released.elapsed()
    );
}

async fn flapping_pods_fall_and_rise(cluster: &Cluster) {
    cluster.kubelet().flap(Duration::from_millis(300));
    for _ in 0..2 {
        until(cluster, "the pod's fall", |ready| ready == [false]).await;
        until(cluster, "the pod's rise", |ready| ready == [true]).await;
    }
    cluster.kubelet().settle();
    until(cluster, "the pod ready for good", |ready| ready == [true]).await;
}

async fn a_delay_is_waited_for(cluster: &Cluster) {
    let delay = Duration::from_secs(3);
    cluster.kubelet().set_delay(delay);
    let asked = Instant::now();
    succeeds(cluster, &["scale", "deployment/scripted", "--replicas=2"]).await;
    until(cluster, "a second pod ready", |ready| ready == [true, true]).await;
    assert!(
        asked.elapsed() >= delay,
        "ready after {:?}",
        asked.elapsed()
    );
}

async fn ready(cluster: &Cluster) -> Vec<bool> {
    let pods = pods(cluster, "app=scripted").await;
    pods.iter()
        .map(|pod| condition(pod, "Ready").as_deref() == Some("True"))
        .collect()
}

async fn until(cluster: &Cluster, what: &str, level: impl Fn(&[bool]) -> bool) {
    let level = &level;
    eventually(what, SOON, || async move {
        let ready = ready(cluster).await;
        if level(&ready) {
            Ok(())
        } else {
            Err(format!("{ready:?}"))
        }
    })
    .await
    .unwrap();
}
