//! What the tests of the test bed share: objects, kubectl, waiting.

use std::{process::Output, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{Api, api::ListParams};
use serde_json::json;
use tidegate_tests::harness::{Cluster, User, eventually};

/// Time that anything on an idle cluster may take on a busy machine.
pub(super) const SOON: Duration = Duration::from_mins(1);

pub(super) fn deployment(name: &str, image: &str, replicas: u32) -> String {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    })
    .to_string()
}

pub(super) async fn apply(cluster: &Cluster, manifest: &str) {
    let arguments = ["apply", "--server-side", "-f", "-"];
    let output = cluster
        .kubectl_as(User::Admin, &arguments, manifest)
        .await
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

pub(super) async fn available(cluster: &Cluster, name: &str, replicas: i32) {
    let deployments = Api::<Deployment>::namespaced(cluster.kube_client().unwrap(), "default");
    eventually(&format!("{name} available"), SOON, || async {
        let status = deployments
            .get_status(name)
            .await
            .map_err(|e| e.to_string())?
            .status;
        let there = status.as_ref().and_then(|status| status.available_replicas);
        if there == Some(replicas) {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await
    .unwrap();
}

pub(super) async fn pods(cluster: &Cluster, selector: &str) -> Vec<Pod> {
    let pods = Api::<Pod>::namespaced(cluster.kube_client().unwrap(), "default");
    pods.list(&ListParams::default().labels(selector))
        .await
        .unwrap()
        .items
}

pub(super) fn condition(pod: &Pod, kind: &str) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .map(|c| c.status.clone())
}

pub(super) fn named(name: &str) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta {
        name: Some(name.to_owned()),
        ..<_>::default()
    }
}

pub(super) async fn kubectl_as(cluster: &Cluster, user: User, arguments: &[&str]) -> Output {
    cluster.kubectl_as(user, arguments, "").await.unwrap()
}

pub(super) async fn succeeds(cluster: &Cluster, arguments: &[&str]) {
    let output = cluster.kubectl(arguments).await.unwrap();
    assert!(
        output.status.success(),
        "kubectl {arguments:?}: {}",
        text(&output.stderr)
    );
}

pub(super) fn assert_forbidden(error: kube::Error) {
    let kube::Error::Api(status) = error else {
        panic!("{error}")
    };
    assert_eq!(status.code, 403, "{status}");
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
