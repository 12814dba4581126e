//! Whether a claim waits for its first consumer: the one question of health that needs a second
//! object.

use serde_json::Value;
use tidegate_model::object::ObjectId;

use crate::cluster::Cluster;

/// True for a pending claim whose storage class binds only when a Pod is scheduled.
pub(crate) async fn waits_for_consumer(cluster: &Cluster, live: &Value) -> bool {
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str);
    let pending_claim = text("/kind") == Some("PersistentVolumeClaim")
        && text("/apiVersion") == Some("v1")
        && text("/status/phase") == Some("Pending");
    if !pending_claim {
        return false;
    }
    let Some(class) = text("/spec/storageClassName").filter(|class| !class.is_empty()) else {
        return false;
    };
    let discovery = cluster.discovery();
    let Some(kind) = discovery.kind("storage.k8s.io", "v1", "StorageClass") else {
        return false;
    };
    let id = ObjectId {
        group: "storage.k8s.io".to_owned(),
        kind: "StorageClass".to_owned(),
        namespace: String::new(),
        name: class.to_owned(),
    };
    // A class that cannot be read is taken for one that binds at once: the claim then counts as
    // progressing, never as healthy.
    let Ok(Some(class)) = cluster.get(kind, &id).await else {
        return false;
    };
    class.get("volumeBindingMode").and_then(Value::as_str) == Some("WaitForFirstConsumer")
}
