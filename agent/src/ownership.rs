//! Whose a live object is: before we take it over, and before we delete it.
//!
//! Pure. A delete needs two of three proofs (label, annotation, uid in the inventory), because
//! operators copy labels to their children and people restore objects under old names
//! (facts "agent-reconcile" 1.16, E37). Never decides from absence.

use serde_json::Value;
use tidegate_model::{
    ids::AppUid,
    names::{ANNOTATION_APP, LABEL_APP_ID},
};

/// What speaks for a live object being ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// It carries the label with the application's uid.
    pub label: bool,
    /// It carries the annotation with the application's name.
    pub annotation: bool,
    /// It is the very object we applied: the inventory has its uid.
    pub uid: bool,
}

impl Proof {
    /// The proofs that `live` is the object of `app` that the inventory knows under `recorded`.
    pub fn of(live: &Value, app: AppUid, app_name: &str, recorded: Option<&str>) -> Self {
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
        Self {
            label: owner_label(live).is_some_and(|label| label == app.to_string()),
            annotation: mark(live, "annotations", ANNOTATION_APP) == Some(app_name),
            uid: uid.is_some() && uid == recorded,
        }
    }

    /// Two of three.
    pub fn holds(self) -> bool {
        u8::from(self.label) + u8::from(self.annotation) + u8::from(self.uid) >= 2
    }
}

/// What another application of this cluster has to do with an object that carries its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It declares the object: it keeps it.
    Declared,
    /// It is held here and no longer declares it: the object may change hands.
    Dropped,
    /// This agent holds no such application, so nobody can say.
    Unknown,
}

/// Whether we may apply onto a live object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// It is ours already.
    Ours,
    /// Nobody's: taken over (the policy `AdoptIfNoOwner`).
    Free,
    /// Another application of this cluster has let it go: it changes hands without a delete.
    Transfer,
    /// Somebody else's; the text says whose.
    Foreign(String),
}

/// Marks of other tools that reconcile objects: (map in metadata, key, tool).
const FOREIGN_MARKS: [(&str, &str, &str); 7] = [
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
    ("labels", "argocd.argoproj.io/instance", "Argo CD"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("annotations", "meta.helm.sh/release-name", "Helm"),
    (
        "annotations",
        "config.k8s.io/owning-inventory",
        "cli-utils or Config Sync",
    ),
    (
        "labels",
        "applyset.kubernetes.io/part-of",
        "kubectl apply sets",
    ),
    ("labels", "kapp.k14s.io/app", "kapp"),
];

/// Decides whether `app` may apply onto `live`. `claim` tells about other applications.
pub fn adoption(live: &Value, app: AppUid, claim: impl Fn(AppUid) -> Claim) -> Adoption {
    if let Some(label) = owner_label(live) {
        let owner = label.parse::<AppUid>();
        return match owner.map(|owner| (owner, claim(owner))) {
            Ok((owner, _)) if owner == app => Adoption::Ours,
            Ok((_, Claim::Dropped)) => Adoption::Transfer,
            Ok((owner, Claim::Declared)) => {
                let name = mark(live, "annotations", ANNOTATION_APP).unwrap_or_default();
                Adoption::Foreign(format!("application {name} ({owner}) declares it too"))
            }
            _ => Adoption::Foreign(format!(
                "it belongs to application {label}, which this agent does not hold; remove the label {LABEL_APP_ID} to give it away"
            )),
        };
    }
    for (map, key, tool) in FOREIGN_MARKS {
        if let Some(value) = mark(live, map, key) {
            return Adoption::Foreign(format!("{tool} owns it ({key}: {value})"));
        }
    }
    match controller(live) {
        Some(owner) => Adoption::Foreign(format!("{owner} controls it")),
        None => Adoption::Free,
    }
}

/// `Kind name` of the controller in the owner references: its children are never ours.
pub fn controller(live: &Value) -> Option<String> {
    let references = live.pointer("/metadata/ownerReferences")?.as_array()?;
    let controller = references
        .iter()
        .find(|reference| reference.get("controller").and_then(Value::as_bool) == Some(true))?;
    let text = |field: &str| {
        controller
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    Some(format!("{} {}", text("kind"), text("name")))
}

/// The value of our label on a live object.
pub fn owner_label(live: &Value) -> Option<&str> {
    mark(live, "labels", LABEL_APP_ID)
}

/// A label or annotation.
pub(crate) fn mark<'a>(live: &'a Value, map: &str, key: &str) -> Option<&'a str> {
    live.get("metadata")?.get(map)?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const APP: AppUid = AppUid(Uuid::from_u128(1));
    const OTHER: AppUid = AppUid(Uuid::from_u128(2));

    fn object(app: AppUid, name: &str, uid: &str) -> Value {
        json!({"metadata": {
            "uid": uid,
            "labels": {"tidegate.dev/app-id": app.to_string()},
            "annotations": {"tidegate.dev/app": name},
        }})
    }

    #[test]
    fn a_delete_needs_two_of_three_proofs() {
        let holds = |live: &Value, uid: Option<&str>| Proof::of(live, APP, "demo/web", uid).holds();
        assert!(holds(&object(APP, "demo/web", "u1"), Some("u1")));
        // Restored from a backup under a new uid; label removed by hand; renamed project.
        assert!(holds(&object(APP, "demo/web", "u2"), Some("u1")));
        assert!(holds(&object(OTHER, "demo/web", "u1"), Some("u1")));
        assert!(holds(&object(APP, "demo/old", "u1"), Some("u1")));
        // One proof is none: a copied label, a copied annotation, a uid whose marks are gone.
        assert!(!holds(&object(APP, "demo/old", "u2"), Some("u1")));
        assert!(!holds(&object(OTHER, "demo/web", "u2"), Some("u1")));
        assert!(!holds(&json!({"metadata": {"uid": "u1"}}), Some("u1")));
        assert!(!holds(&json!({"metadata": {"uid": "u2"}}), None));
        assert!(!holds(&json!({"metadata": {}}), None));
    }

    #[test]
    fn what_others_own_is_not_taken() {
        let nobody = |_| Claim::Unknown;
        assert_eq!(adoption(&object(APP, "", "u"), APP, nobody), Adoption::Ours);
        assert_eq!(
            adoption(&json!({"metadata": {}}), APP, nobody),
            Adoption::Free
        );
        for (map, key, tool) in FOREIGN_MARKS {
            let live = json!({"metadata": {map: {key: "x"}}});
            let Adoption::Foreign(why) = adoption(&live, APP, nobody) else {
                panic!("{key} was not respected");
            };
            assert!(why.contains(tool) && why.contains(key));
        }
        let child = json!({"metadata": {"ownerReferences": [
            {"kind": "ReplicaSet", "name": "web-1", "controller": true}]}});
        assert_eq!(
            adoption(&child, APP, nobody),
            Adoption::Foreign("ReplicaSet web-1 controls it".to_owned())
        );
        let mut owned = child;
        owned["metadata"]["ownerReferences"][0]["controller"] = json!(false);
        assert_eq!(adoption(&owned, APP, nobody), Adoption::Free);
    }

    #[test]
    fn between_our_applications_the_owner_keeps_what_it_declares() {
        let live = object(OTHER, "demo/other", "u");
        assert_eq!(adoption(&live, APP, |_| Claim::Dropped), Adoption::Transfer);
        for claim in [Claim::Declared, Claim::Unknown] {
            assert!(matches!(
                adoption(&live, APP, |_| claim),
                Adoption::Foreign(_)
            ));
        }
    }
}
