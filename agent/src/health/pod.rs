//! Health of a Pod.

use serde_json::Value;

use super::{Assessment, Context, View};

pub(super) fn pod(view: View<'_>, context: &Context) -> Assessment {
    match view.text("/status/phase") {
        Some("Succeeded") => return Assessment::healthy(),
        Some("Failed") => {
            let why = view.text("/status/message").or(view.text("/status/reason"));
            return Assessment::degraded(why.unwrap_or("the Pod failed"));
        }
        _ => {}
    }
    if let Some(why) = stuck_container(view) {
        return Assessment::degraded(why);
    }
    if let Some(scheduled) = view.condition("PodScheduled")
        && scheduled.is_false()
        && scheduled.reason() == "Unschedulable"
    {
        // An autoscaler may be bringing a node.
        return Assessment::graced(scheduled.since(), context.now, scheduled.why());
    }
    if view.text("/status/phase") != Some("Running") {
        return Assessment::progressing("the Pod has not started yet");
    }
    if view
        .text("/spec/restartPolicy")
        .is_some_and(|policy| policy != "Always")
    {
        return Assessment::progressing("the Pod runs to completion");
    }
    match view.condition("Ready") {
        Some(ready) if ready.is_true() => Assessment::healthy(),
        ready => match restarted_container(view) {
            Some(why) => Assessment::degraded(why),
            None => Assessment::progressing(
                ready.map_or("the Pod is not ready yet".to_owned(), super::Condition::why),
            ),
        },
    }
}

fn containers(view: View<'_>) -> impl Iterator<Item = &Value> {
    let init = view.list("/status/initContainerStatuses").iter();
    init.chain(view.list("/status/containerStatuses"))
}

/// A container that waits for a reason that does not go away by waiting.
fn stuck_container(view: View<'_>) -> Option<String> {
    containers(view).find_map(|container| {
        let waiting = View(container.pointer("/state/waiting")?);
        let reason = waiting.text("/reason")?;
        let stuck = reason.starts_with("Err")
            || reason.ends_with("Error")
            || reason.ends_with("BackOff")
            || reason == "InvalidImageName";
        stuck.then(|| {
            let name = View(container).text("/name").unwrap_or_default();
            let message = waiting.text("/message").unwrap_or_default();
            format!("container {name}: {reason} {message}")
                .trim_end()
                .to_owned()
        })
    })
}

/// A container that has ended before and is not ready again.
fn restarted_container(view: View<'_>) -> Option<String> {
    view.list("/status/containerStatuses")
        .iter()
        .find_map(|container| {
            let container = View(container);
            let ended = View(container.0.pointer("/lastState/terminated")?);
            let name = container.text("/name").unwrap_or_default();
            let reason = ended.text("/reason").unwrap_or("ended");
            let code = ended.count("/exitCode");
            let restarts = container.count("/restartCount");
            (!container.flag("/ready")).then(|| {
                format!("container {name}: {reason} with exit code {code}, {restarts} restarts")
            })
        })
}
