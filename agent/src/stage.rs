//! In which order kinds are applied (facts "agent-reconcile" 1.2); deletes go the other way round.
//!
//! Matches by group and kind, never by kind alone: anyone may name a kind `Service`.

/// One stage. Stages are applied in order; objects of one stage at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Namespaces.
    Namespaces,
    /// Definitions of kinds; the next stage waits until they are established and discovered.
    Definitions,
    /// Classes, service accounts and roles. Roles before bindings: a binding is allowed only to
    /// one who holds what the role grants, so the role must be there to be checked.
    Identities,
    /// Bindings, quotas, configuration, storage, services.
    Configuration,
    /// What runs Pods, and what watches over it.
    Workloads,
    /// Custom resources, routes, aggregated APIs: users of what the stages before started.
    Users,
    /// Admission: a webhook whose backend is in the same set would refuse its own backend.
    Admission,
}

/// The stage of a kind.
pub fn stage_of(group: &str, kind: &str) -> Stage {
    match (group, kind) {
        ("", "Namespace") => Stage::Namespaces,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Stage::Definitions,
        ("", "ServiceAccount")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "Role")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "StorageClass" | "VolumeAttributesClass" | "CSIDriver")
        | ("node.k8s.io", "RuntimeClass")
        | ("networking.k8s.io", "IngressClass")
        | ("gateway.networking.k8s.io", "GatewayClass")
        | ("snapshot.storage.k8s.io", "VolumeSnapshotClass")
        | ("resource.k8s.io", "DeviceClass") => Stage::Identities,
        (
            "",
            "ResourceQuota"
            | "LimitRange"
            | "ConfigMap"
            | "Secret"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "Service"
            | "Endpoints",
        )
        | ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding")
        | ("networking.k8s.io", "NetworkPolicy")
        | ("discovery.k8s.io", "EndpointSlice") => Stage::Configuration,
        ("", "Pod" | "ReplicationController" | "PodTemplate")
        | ("apps" | "batch", _)
        | ("policy", "PodDisruptionBudget")
        | ("autoscaling", "HorizontalPodAutoscaler") => Stage::Workloads,
        ("admissionregistration.k8s.io", _) => Stage::Admission,
        _ => Stage::Users,
    }
}

/// Whether deleting an object of this kind can destroy what no manifest brings back: data, or
/// everything inside it.
pub fn is_protected(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        (
            "",
            "Namespace" | "PersistentVolume" | "PersistentVolumeClaim"
        ) | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("apps", "StatefulSet")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_before_what_needs_it() {
        let order = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("rbac.authorization.k8s.io", "Role"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("apps", "Deployment"),
            ("example.com", "Widget"),
            (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration",
            ),
        ];
        assert!(order.is_sorted_by(|a, b| stage_of(a.0, a.1) < stage_of(b.0, b.1)));
        // A kind of the same name in another group is somebody else's.
        assert_eq!(stage_of("serving.knative.dev", "Service"), Stage::Users);
        assert!(!is_protected("example.com", "Namespace"));
    }
}
