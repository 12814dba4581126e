//! Claims, Services, Ingress, namespaces, API extensions, autoscalers, budgets, custom resources.

use super::*;

fn conditions(conditions: &[Value]) -> Value {
    json!({ "conditions": conditions })
}

#[test]
fn claim() {
    let rows = [
        (json!({}), json!({"phase": "Bound"}), Healthy),
        (json!({}), json!({"phase": "Pending"}), Progressing),
        (json!({}), json!({}), Progressing),
        (json!({}), json!({"phase": "Lost"}), Degraded),
    ];
    table("v1", "PersistentVolumeClaim", &rows);
    let first = Context {
        wait_for_first_consumer: true,
        ..context()
    };
    let pending = |phase: &str| {
        let live = object(
            "v1",
            "PersistentVolumeClaim",
            &json!({}),
            &json!({ "phase": phase }),
        );
        assess(&live, &first).health
    };
    assert_eq!((pending("Pending"), pending("Lost")), (Healthy, Degraded));
}

#[test]
fn service() {
    let balanced = json!({"type": "LoadBalancer"});
    let rows = [
        (json!({"type": "ClusterIP"}), json!({}), Healthy),
        (json!({"type": "NodePort"}), json!({}), Healthy),
        (json!({"type": "ExternalName"}), json!({}), Healthy),
        (balanced.clone(), json!({"loadBalancer": {}}), Progressing),
        (
            balanced.clone(),
            json!({"loadBalancer": {"ingress": []}}),
            Progressing,
        ),
        (
            balanced,
            json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}),
            Healthy,
        ),
    ];
    table("v1", "Service", &rows);
}

#[test]
fn ingress() {
    let rows = [
        (
            json!({}),
            json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}),
            Healthy,
        ),
        (json!({}), json!({"loadBalancer": {}}), Healthy),
        (json!({}), json!({}), Healthy),
    ];
    table("networking.k8s.io/v1", "Ingress", &rows);
}

#[test]
fn namespace() {
    let rows = [
        (json!({}), json!({"phase": "Active"}), Healthy),
        (json!({}), json!({}), Healthy),
        (json!({}), json!({"phase": "Terminating"}), Degraded),
        (
            json!({}),
            json!({"phase": "Terminating", "conditions": [
            condition("NamespaceContentRemaining", "True", "SomeResourcesRemain")]}),
            Degraded,
        ),
    ];
    table("v1", "Namespace", &rows);
    let mut live = object("v1", "Namespace", &json!({}), &rows[3].1);
    live["metadata"]["deletionTimestamp"] = json!(A_MINUTE_AGO);
    let found = assess(&live, &context());
    assert!(
        found.health == Degraded && found.message.contains("words"),
        "{found:?}"
    );
}

#[test]
fn definition() {
    let named = condition("NamesAccepted", "True", "NoConflicts");
    let rows = [
        (
            json!({}),
            conditions(&[
                named.clone(),
                condition("Established", "True", "InitialNamesAccepted"),
            ]),
            Healthy,
        ),
        (
            json!({}),
            conditions(&[
                named.clone(),
                condition("Established", "False", "Installing"),
            ]),
            Progressing,
        ),
        (
            json!({}),
            conditions(std::slice::from_ref(&named)),
            Progressing,
        ),
        (json!({}), json!({}), Progressing),
        (
            json!({}),
            conditions(&[named, condition("Established", "False", "NotAccepted")]),
            Degraded,
        ),
        (
            json!({}),
            conditions(&[condition("NamesAccepted", "False", "MultipleNamesConflict")]),
            Degraded,
        ),
    ];
    table("apiextensions.k8s.io/v1", "CustomResourceDefinition", &rows);
}

#[test]
fn autoscaler() {
    let able = condition("AbleToScale", "True", "ReadyForNewScale");
    let rows = [
        (
            json!({}),
            conditions(&[
                able.clone(),
                condition("ScalingActive", "True", "ValidMetricFound"),
            ]),
            Healthy,
        ),
        (
            json!({}),
            conditions(&[condition("ScalingLimited", "True", "TooFewReplicas")]),
            Healthy,
        ),
        (json!({}), json!({}), Progressing),
        (
            json!({}),
            conditions(&[
                able.clone(),
                recent("ScalingActive", "False", "FailedGetResourceMetric"),
            ]),
            Progressing,
        ),
        (
            json!({}),
            conditions(&[
                able.clone(),
                condition("ScalingActive", "False", "FailedGetResourceMetric"),
            ]),
            Degraded,
        ),
        (
            json!({}),
            conditions(&[
                able.clone(),
                condition("ScalingActive", "False", "InvalidSelector"),
            ]),
            Degraded,
        ),
        (
            json!({}),
            conditions(&[condition("AbleToScale", "False", "FailedGetScale")]),
            Degraded,
        ),
        (
            json!({}),
            conditions(&[able, condition("ScalingActive", "False", "ScalingDisabled")]),
            Healthy,
        ),
    ];
    table("autoscaling/v2", "HorizontalPodAutoscaler", &rows);
}

#[test]
fn disruption_budget() {
    let seen = |conditions: Value| json!({"observedGeneration": 2, "conditions": conditions});
    let rows = [
        (
            json!({}),
            seen(json!([condition(
                "DisruptionAllowed",
                "True",
                "SufficientPods"
            )])),
            Healthy,
        ),
        (
            json!({}),
            seen(json!([condition(
                "DisruptionAllowed",
                "False",
                "InsufficientPods"
            )])),
            Healthy,
        ),
        (json!({}), seen(json!([])), Healthy),
        (json!({}), json!({}), Progressing),
    ];
    table("policy/v1", "PodDisruptionBudget", &rows);
}

#[test]
fn api_service() {
    let rows = [
        (
            json!({}),
            conditions(&[condition("Available", "True", "Passed")]),
            Healthy,
        ),
        (
            json!({}),
            conditions(&[condition("Available", "False", "MissingEndpoints")]),
            Progressing,
        ),
        (
            json!({}),
            conditions(&[condition("Available", "Unknown", "")]),
            Progressing,
        ),
        (json!({}), json!({}), Progressing),
    ];
    table("apiregistration.k8s.io/v1", "APIService", &rows);
}

#[test]
fn custom_resource() {
    let rows = [
        (
            json!({}),
            conditions(&[condition("Ready", "True", "")]),
            Healthy,
        ),
        (
            json!({}),
            conditions(&[condition("Available", "True", "")]),
            Healthy,
        ),
        (
            json!({}),
            conditions(&[condition("Ready", "Unknown", "")]),
            Progressing,
        ),
        (
            json!({}),
            conditions(&[recent("Ready", "False", "Waiting")]),
            Progressing,
        ),
        (
            json!({}),
            conditions(&[condition("Ready", "False", "Waiting")]),
            Degraded,
        ),
        (
            json!({}),
            conditions(&[
                condition("Ready", "True", ""),
                condition("Stalled", "True", ""),
            ]),
            Degraded,
        ),
        (
            json!({}),
            conditions(&[
                condition("Ready", "True", ""),
                condition("Reconciling", "True", ""),
            ]),
            Progressing,
        ),
        (
            json!({}),
            conditions(&[condition("Other", "False", "")]),
            Healthy,
        ),
        (json!({}), json!({}), Healthy),
    ];
    table("example.com/v1", "Widget", &rows);
}

#[test]
fn a_new_custom_resource_is_given_time_for_its_first_condition() {
    let mut live = object(
        "example.com/v1",
        "Widget",
        &json!({}),
        &json!({"phase": "New"}),
    );
    live["metadata"]["creationTimestamp"] = json!("2030-01-01T11:59:55Z");
    let found = assess(&live, &context());
    assert_eq!(found.health, Progressing);
    assert_eq!(found.recheck, Some("2030-01-01T12:00:05Z".parse().unwrap()));
    // A kind without a status has no controller that would speak.
    let plain = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}});
    assert_eq!(assess(&plain, &context()).health, Healthy);
}
