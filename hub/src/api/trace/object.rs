//! Objects as people name them, and the names that they may have meant.
//!
//! Pure. Kinds are guessed as Kubernetes guesses them (apimachinery, `UnsafeGuessKindToResource`):
//! the hub knows no cluster's discovery.

use tidegate_model::object::ObjectId;

/// Short names of built-in kinds, as `kubectl api-resources` lists them.
const SHORT: [(&str, &str); 27] = [
    ("cm", "ConfigMap"),
    ("crd", "CustomResourceDefinition"),
    ("crds", "CustomResourceDefinition"),
    ("csr", "CertificateSigningRequest"),
    ("cj", "CronJob"),
    ("deploy", "Deployment"),
    ("ds", "DaemonSet"),
    ("ep", "Endpoints"),
    ("ev", "Event"),
    ("hpa", "HorizontalPodAutoscaler"),
    ("ing", "Ingress"),
    ("limits", "LimitRange"),
    ("netpol", "NetworkPolicy"),
    ("no", "Node"),
    ("ns", "Namespace"),
    ("pc", "PriorityClass"),
    ("pdb", "PodDisruptionBudget"),
    ("po", "Pod"),
    ("pv", "PersistentVolume"),
    ("pvc", "PersistentVolumeClaim"),
    ("quota", "ResourceQuota"),
    ("rc", "ReplicationController"),
    ("rs", "ReplicaSet"),
    ("sa", "ServiceAccount"),
    ("sc", "StorageClass"),
    ("sts", "StatefulSet"),
    ("svc", "Service"),
];

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    kind: String,
    /// Group, or version and group.
    group: Option<String>,
    pub(super) name: String,
    namespace: Option<String>,
}

impl Asked {
    /// KIND or KIND.GROUP or KIND.VERSION.GROUP, a name, and a namespace or none.
    pub(super) fn new(kind: &str, name: &str, namespace: &str) -> Self {
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group.to_lowercase())),
            None => (kind, None),
        };
        Self {
            kind: kind.to_lowercase(),
            group,
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        }
    }

    /// Whether this is it. `default` is the namespace of objects that name none.
    pub(super) fn is(&self, id: &ObjectId, default: &str) -> bool {
        id.name == self.name && self.is_kind(id) && self.is_in(id, default)
    }

    fn is_in(&self, id: &ObjectId, default: &str) -> bool {
        let Some(namespace) = &self.namespace else {
            return true;
        };
        let own = [id.namespace.as_str(), default, "default"];
        own.into_iter().find(|name| !name.is_empty()) == Some(namespace)
    }

    fn is_kind(&self, id: &ObjectId) -> bool {
        let group = id.group.to_lowercase();
        let fits = self.group.as_ref().is_none_or(|asked| {
            // A version may stand before the group; the group of built-in kinds may be empty.
            *asked == group
                || asked.split_once('.').is_some_and(|(_, rest)| rest == group)
                || group.is_empty() && !asked.contains('.')
        });
        let kind = id.kind.to_lowercase();
        let short = SHORT
            .iter()
            .any(|(short, long)| *short == self.kind && *long == id.kind);
        fits && (short || self.kind == kind || self.kind == plural(&kind))
    }

    /// How near a name is to what was asked for, 0 to 100; 0 is not near at all.
    pub(super) fn nearness(&self, id: &ObjectId) -> u32 {
        let same_kind = self.is_kind(id);
        if id.name == self.name {
            return if same_kind { 100 } else { 90 };
        }
        // What a controller makes is called after it: a Pod after its Deployment.
        let made_by = self.name.strip_prefix(id.name.as_str());
        if made_by.is_some_and(|rest| rest.starts_with('-')) {
            return 80;
        }
        let ratio = similar::TextDiff::from_chars(id.name.as_str(), self.name.as_str()).ratio();
        match (same_kind, ratio) {
            (true, 0.8..) => 70,
            (true, 0.6..) => 60,
            (false, 0.85..) => 40,
            _ => 0,
        }
    }
}

fn plural(kind: &str) -> String {
    if ["endpoints"].contains(&kind) {
        return kind.to_owned();
    }
    match kind.as_bytes().last() {
        Some(b's') => format!("{kind}es"),
        Some(b'y') => format!("{}ies", &kind[..kind.len() - 1]),
        _ => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(group: &str, kind: &str, namespace: &str) -> ObjectId {
        ObjectId {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: "web".to_owned(),
        }
    }

    #[test]
    fn kinds_are_written_as_for_kubectl() {
        let deployment = id("apps", "Deployment", "shop");
        for kind in [
            "deployment",
            "Deployment",
            "deployments",
            "deploy",
            "deployments.apps",
            "deployment.apps",
            "deployments.v1.apps",
        ] {
            assert!(Asked::new(kind, "web", "").is(&deployment, ""), "{kind}");
        }
        for kind in [
            "deploymen",
            "deployments.batch",
            "deployments.v1.batch",
            "svc",
            "",
        ] {
            assert!(!Asked::new(kind, "web", "").is(&deployment, ""), "{kind}");
        }
        for (kind, object) in [
            ("ingresses", id("networking.k8s.io", "Ingress", "")),
            (
                "networkpolicies",
                id("networking.k8s.io", "NetworkPolicy", ""),
            ),
            ("endpoints", id("", "Endpoints", "")),
            ("services.v1", id("", "Service", "")),
        ] {
            assert!(Asked::new(kind, "web", "").is(&object, ""), "{kind}");
        }
    }

    #[test]
    fn an_object_without_a_namespace_is_in_that_of_its_application() {
        let asked = Asked::new("svc", "web", "shop");
        assert!(asked.is(&id("", "Service", "shop"), "other"));
        assert!(asked.is(&id("", "Service", ""), "shop"));
        assert!(!asked.is(&id("", "Service", ""), ""));
        assert!(!asked.is(&id("", "Service", "other"), "shop"));
        assert!(Asked::new("svc", "web", "default").is(&id("", "Service", ""), ""));
    }

    #[test]
    fn what_made_an_object_is_near_it() {
        let near = |kind, name| Asked::new(kind, name, "").nearness(&id("apps", "Deployment", ""));
        assert!(near("pod", "web-6d4cf56db6-x2x7k") >= 80);
        assert!(near("deployment", "wbe") > 0);
        assert!(near("service", "web") > near("deployment", "wbe"));
        assert_eq!(near("pod", "website"), 0);
        assert_eq!(near("deployment", "nothing-like-it"), 0);
    }
}
