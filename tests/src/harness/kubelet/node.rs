//! The Node object of the fake kubelet.
//!
//! Owns registering a node that the controllers take for a ready one. It knows
//! nothing of Pods.

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{MANAGER, NODE, status::now};

/// Makes the node, or makes an existing one ready. May be repeated.
pub(super) async fn register(client: &Client) -> kube::Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    let fresh = Node {
        metadata: kube::api::ObjectMeta {
            name: Some(NODE.to_owned()),
            labels: Some([("kubernetes.io/hostname".to_owned(), NODE.to_owned())].into()),
            ..<_>::default()
        },
        ..Node::default()
    };
    match nodes.create(&PostParams::default(), &fresh).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        other => drop(other?),
    }
    let by = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // Admission taints a new node until the node lifecycle controller, which
    // does not run here, has seen it ready.
    nodes
        .patch(NODE, &by, &Patch::Merge(json!({"spec": {"taints": null}})))
        .await?;
    let room = json!({"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"});
    let status = json!({"status": {
        "capacity": room,
        "allocatable": room,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "the fake kubelet is ready",
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
        }],
    }});
    nodes
        .patch_status(NODE, &by, &Patch::Merge(status))
        .await
        .map(drop)
}
