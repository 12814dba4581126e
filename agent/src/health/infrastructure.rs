//! Health of what the cluster itself gives: claims, Services, namespaces, API extensions,
//! autoscalers and disruption budgets.

use serde_json::Value;

use super::{Assessment, Condition, Context, View};

pub(super) fn claim(view: View<'_>, context: &Context) -> Assessment {
    match view.text("/status/phase") {
        Some("Bound") => Assessment::healthy(),
        Some("Lost") => Assessment::degraded("its volume is lost"),
        // Binds when its first Pod is scheduled, which may be long after or never.
        _ if context.wait_for_first_consumer => Assessment::healthy(),
        _ => Assessment::progressing("the claim is not bound yet"),
    }
}

pub(super) fn service(view: View<'_>) -> Assessment {
    let balanced = view.text("/spec/type") == Some("LoadBalancer");
    if balanced && view.list("/status/loadBalancer/ingress").is_empty() {
        return Assessment::progressing("the load balancer has no address yet");
    }
    Assessment::healthy()
}

pub(super) fn namespace(view: View<'_>) -> Assessment {
    let deleted = view.text("/metadata/deletionTimestamp").is_some();
    if !deleted && view.text("/status/phase") != Some("Terminating") {
        return Assessment::healthy();
    }
    let remaining: Vec<_> = view
        .list("/status/conditions")
        .iter()
        .map(Condition)
        .filter(|condition| condition.is_true())
        .map(|condition| condition.text("message"))
        .collect();
    Assessment::degraded(
        format!("the namespace is being deleted {}", remaining.join("; ")).trim_end(),
    )
}

pub(super) fn definition(view: View<'_>) -> Assessment {
    if let Some(names) = view.condition("NamesAccepted").filter(|c| c.is_false()) {
        return Assessment::degraded(names.why());
    }
    match view.condition("Established") {
        Some(established) if established.is_true() => Assessment::healthy(),
        Some(established) if established.is_false() && established.reason() != "Installing" => {
            Assessment::degraded(established.why())
        }
        _ => Assessment::progressing("the definition is not established yet"),
    }
}

pub(super) fn api_service(view: View<'_>) -> Assessment {
    match view.condition("Available") {
        Some(available) if available.is_true() => Assessment::healthy(),
        Some(available) => Assessment::progressing(available.why()),
        None => Assessment::progressing("its availability is not known yet"),
    }
}

pub(super) fn disruption_budget(view: View<'_>) -> Assessment {
    // That no disruption is allowed now is news, not sickness.
    match view.integer("/status/observedGeneration") {
        Some(_) => Assessment::healthy(),
        None => Assessment::progressing("its controller has not seen it yet"),
    }
}

/// (condition, reason) pairs that say an autoscaler does not work.
const BROKEN_AUTOSCALER: [(&str, &str); 8] = [
    ("AbleToScale", "FailedGetScale"),
    ("AbleToScale", "FailedUpdateScale"),
    ("ScalingActive", "FailedGetResourceMetric"),
    ("ScalingActive", "FailedGetObjectMetric"),
    ("ScalingActive", "FailedGetPodsMetric"),
    ("ScalingActive", "FailedGetExternalMetric"),
    ("ScalingActive", "FailedComputeMetricsReplicas"),
    ("ScalingActive", "InvalidSelector"),
];

pub(super) fn autoscaler(view: View<'_>, context: &Context) -> Assessment {
    // autoscaling/v1 keeps the conditions as JSON in an annotation.
    let annotated: Vec<Value> = view
        .annotation("autoscaling.alpha.kubernetes.io/conditions")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let conditions: Vec<_> = view
        .list("/status/conditions")
        .iter()
        .chain(&annotated)
        .map(Condition)
        .collect();
    let broken = conditions.iter().find(|condition| {
        let pair = (condition.text("type"), condition.reason());
        condition.is_false() && BROKEN_AUTOSCALER.contains(&pair)
    });
    if let Some(broken) = broken {
        // Metrics of new Pods come minutes after the Pods.
        return Assessment::graced(broken.since(), context.now, broken.why());
    }
    let works = conditions.iter().any(|condition| {
        condition.is_true() && ["AbleToScale", "ScalingLimited"].contains(&condition.text("type"))
    });
    if works {
        Assessment::healthy()
    } else {
        Assessment::progressing("the autoscaler has not scaled yet")
    }
}
