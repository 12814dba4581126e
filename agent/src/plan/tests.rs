//! Tests of planning.

use serde_json::json;
use tidegate_model::{bundle::OBJECT_TAG, ids::AppUid};
use uuid::Uuid;

use super::*;

fn item(object: Value) -> Item {
    Item {
        key: ObjectKey::of(&object).unwrap(),
        digest: Digest::of(OBJECT_TAG, &object),
        object,
    }
}

fn simple(api: &str, kind: &str, name: &str) -> Item {
    item(json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}}))
}

fn definition() -> Item {
    item(
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget"}}}),
    )
}

fn known(group: &str, _: &str, kind: &str) -> Known {
    match (group, kind) {
        ("example.com", _) => Known::Absent,
        ("metrics.k8s.io", _) => Known::Undiscovered,
        ("", "Namespace") | ("apiextensions.k8s.io" | "rbac.authorization.k8s.io", _) => {
            Known::Served(Scope::Cluster)
        }
        _ => Known::Served(Scope::Namespaced),
    }
}

fn plan(objects: &[Item], inventory: &Inventory) -> Plan {
    Plan::of(&Input {
        objects,
        owner: Owner {
            app: AppUid(Uuid::from_u128(1)),
            app_name: "demo/web",
            namespace: "shop",
        },
        agent_namespace: "tidegate-system",
        inventory,
        kinds: &known,
    })
}

fn names(plan: &Plan) -> Vec<String> {
    plan.targets
        .iter()
        .map(|target| target.id.to_string())
        .collect()
}

#[test]
fn reverse_order_in_the_content_becomes_the_right_order() {
    let plan = plan(
        &[
            simple("example.com/v1", "Widget", "w"),
            simple("apps/v1", "Deployment", "web"),
            definition(),
            simple("v1", "Namespace", "shop"),
        ],
        &Inventory::default(),
    );
    assert_eq!(
        names(&plan),
        [
            "Namespace shop",
            "CustomResourceDefinition.apiextensions.k8s.io widgets.example.com",
            "Deployment.apps shop/web",
            "Widget.example.com shop/w",
        ]
    );
    let needs = |i: usize| {
        plan.targets[i]
            .needs
            .iter()
            .map(|id| id.name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(needs(2), ["shop"]);
    assert_eq!(needs(3), ["widgets.example.com", "shop"]);
    assert!(plan.refused.is_empty() && plan.pending.is_empty());
}

#[test]
fn an_unknown_kind_waits_and_neither_of_its_names_is_a_leftover() {
    let mut inventory = Inventory::default();
    let widget = simple("example.com/v1", "Widget", "w");
    let mut namespaced = widget.key.id.clone();
    namespaced.namespace = "shop".to_owned();
    let gone = simple("v1", "ConfigMap", "old").key.id;
    inventory.enter([(&namespaced, "v1"), (&widget.key.id, "v1"), (&gone, "v1")]);
    let plan = plan(
        &[widget, simple("metrics.k8s.io/v1", "PodMetrics", "m")],
        &inventory,
    );
    assert!(plan.targets.is_empty());
    assert!(
        plan.pending[0]
            .1
            .contains("serves no kind Widget in example.com/v1")
    );
    assert!(plan.pending[1].1.contains("cannot be discovered"));
    assert_eq!(plan.leftovers, [gone]);
}

#[test]
fn one_object_under_two_spellings_is_refused_once_and_a_version_bump_prunes_nothing() {
    let mut inventory = Inventory::default();
    let old = ObjectId {
        namespace: "shop".into(),
        ..simple("apps/v1beta1", "Deployment", "web").key.id
    };
    inventory.enter([(&old, "v1beta1")]);
    let mut spelled = simple("apps/v1", "Deployment", "web");
    spelled.key.id.namespace = "shop".into();
    let with_namespace = item(json!({"apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole", "metadata": {"name": "r", "namespace": "stray"}}));
    let plan = plan(
        &[
            simple("apps/v1", "Deployment", "web"),
            spelled,
            with_namespace,
        ],
        &inventory,
    );
    assert_eq!(
        names(&plan),
        [
            "ClusterRole.rbac.authorization.k8s.io r",
            "Deployment.apps shop/web"
        ]
    );
    assert_eq!(plan.refused.len(), 1);
    assert!(plan.leftovers.is_empty());
}

#[test]
fn the_agents_own_state_is_out_of_reach() {
    let mut secret = simple("v1", "Secret", "tidegate-agent-state");
    secret.key.id.namespace = "tidegate-system".into();
    let plan = plan(&[secret], &Inventory::default());
    assert!(plan.targets.is_empty());
    assert!(plan.refused[0].1.contains("agent's own state"));
}

#[test]
fn users_of_a_definition_are_deleted_before_it_and_before_workloads() {
    let ids = [
        definition(),
        simple("apps/v1", "Deployment", "operator"),
        simple("example.com/v1", "Widget", "w"),
        simple("v1", "Namespace", "shop"),
    ]
    .map(|item| item.key.id);
    let kinds: Vec<Vec<String>> = deletion_order(ids)
        .into_iter()
        .map(|group| group.into_iter().map(|id| id.kind).collect())
        .collect();
    assert_eq!(
        kinds,
        [
            ["Widget"],
            ["Deployment"],
            ["CustomResourceDefinition"],
            ["Namespace"]
        ]
    );
}
