//! A node without containers, played on a real API server.
//!
//! Owns the loop that binds Pods, reports their status and finishes their
//! deletion, and the knobs that script it. What a Pod shall look like is decided
//! in `behavior` and written by `status`, both without I/O. It runs nothing,
//! serves no logs, and keeps going through outages of the server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
    runtime::{
        WatchStreamExt as _, reflector,
        utils::Backoff,
        watcher::{self, watcher},
    },
};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use self::behavior::{Action, PodState, decide, observed};
use super::{error::Error, wait::eventually};

mod behavior;
mod node;
mod status;

/// Name of the one node.
const NODE: &str = "node-1";
/// Field manager of what the node writes, as that of a real one.
const MANAGER: &str = "kubelet";
/// How long the server may take for one request before the next pass asks again.
const REQUEST: Duration = Duration::from_secs(5);
/// Pause after a failure; short, so that a healed outage is noticed at once.
const RETRY: Duration = Duration::from_millis(200);
/// The longest time without a pass.
const PERIOD: Duration = Duration::from_secs(5);
/// Requests under way at the same time.
const WIDTH: usize = 8;

/// How the node treats Pods from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Script {
    delay: Duration,
    held: bool,
    flap: Option<Duration>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(100),
            held: false,
            flap: None,
        }
    }
}

/// The scripted node of one cluster. It makes Pods ready 100 ms after they
/// appear; Pods that run to completion succeed then.
///
/// A container whose image name ends in `bad` (`bad:1`, `example.org/app-bad:2`)
/// crash-loops: waiting `CrashLoopBackOff`, `restartCount` growing, not ready.
///
/// It lives on the runtime that started the fleet, and ends when dropped.
#[derive(Debug)]
pub struct FakeKubelet {
    script: watch::Sender<Script>,
    registered: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl FakeKubelet {
    /// Starts the node on the current runtime.
    pub(crate) fn start(client: Client) -> Self {
        let (script, knobs) = watch::channel(Script::default());
        let (registration, registered) = watch::channel(false);
        let task = tokio::spawn(async move {
            while node::register(&client).await.is_err() {
                sleep(RETRY).await;
            }
            registration.send_replace(true);
            Node {
                client,
                knobs,
                memory: BTreeMap::new(),
            }
            .run()
            .await;
        });
        Self {
            script,
            registered,
            task,
        }
    }

    /// Waits until the Node object exists and is ready.
    pub(crate) async fn until_registered(&self, within: Duration) -> Result<(), Error> {
        eventually("the node registered", within, || async {
            let registered = *self.registered.borrow();
            registered
                .then_some(())
                .ok_or_else(|| "it is not".to_owned())
        })
        .await
    }

    /// Pods become ready this long after they appear.
    pub fn set_delay(&self, delay: Duration) {
        self.script.send_modify(|script| script.delay = delay);
    }

    /// No Pod becomes ready or succeeds any more; those that are ready stay so.
    pub fn hold(&self) {
        self.script.send_modify(|script| script.held = true);
    }

    /// Ends [`FakeKubelet::hold`].
    pub fn release(&self) {
        self.script.send_modify(|script| script.held = false);
    }

    /// Ready Pods lose their readiness and win it back, each time after `period`.
    pub fn flap(&self, period: Duration) {
        self.script.send_modify(|script| script.flap = Some(period));
    }

    /// Ends [`FakeKubelet::flap`]: Pods become ready and stay so.
    pub fn settle(&self) {
        self.script.send_modify(|script| script.flap = None);
    }
}

impl Drop for FakeKubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the node remembers of a Pod.
struct Memory {
    bound_at: Instant,
    state: PodState,
    state_since: Instant,
    // What was done last, and on which version: until the Pod's next version is
    // seen, doing it again would tell the server nothing new.
    done: Option<(String, Action)>,
}

struct Node {
    client: Client,
    knobs: watch::Receiver<Script>,
    memory: BTreeMap<String, Memory>,
}

impl Node {
    /// Tends the cluster's Pods until the handle is dropped.
    async fn run(mut self) {
        let (pods, writer) = reflector::store::<Pod>();
        let all = Api::<Pod>::all(self.client.clone());
        let events = watcher(all, watcher::Config::default())
            .backoff(Steady)
            .reflect(writer);
        let mut events = std::pin::pin!(events);
        let mut nap = RETRY;
        loop {
            tokio::select! {
                event = events.next() => if event.is_none() { return },
                changed = self.knobs.changed() => if changed.is_err() { return },
                () = sleep(nap) => {}
            }
            nap = self.pass(&pods.state()).await;
        }
    }

    /// Does what there is to do now; returns when to look again at the latest.
    async fn pass(&mut self, pods: &[Arc<Pod>]) -> Duration {
        let now = Instant::now();
        let script = self.knobs.borrow_and_update().clone();
        let mut nap = PERIOD;
        let mut due = Vec::new();
        self.memory.retain(|uid, _| {
            pods.iter()
                .any(|pod| pod.metadata.uid.as_ref() == Some(uid))
        });
        for pod in pods {
            let (Some(uid), Some(version)) = (pod.uid(), pod.resource_version()) else {
                continue;
            };
            let memory = self.recall(uid, pod, now);
            let (action, look) = decide(
                pod,
                now - memory.bound_at,
                now - memory.state_since,
                &script,
            );
            nap = nap.min(look.unwrap_or(PERIOD));
            if let Some(done) = action.map(|action| (version, action))
                && memory.done.as_ref() != Some(&done)
            {
                due.push((pod.clone(), done));
            }
        }
        let client = &self.client;
        let outcomes: Vec<_> = stream::iter(due)
            .map(|(pod, done)| async move {
                let succeeded = act(client, &pod, &done.1).await;
                (pod, done, succeeded)
            })
            .buffer_unordered(WIDTH)
            .collect()
            .await;
        for (pod, done, succeeded) in outcomes {
            if !succeeded {
                nap = nap.min(RETRY);
            } else if let Some(memory) = pod.uid().and_then(|uid| self.memory.get_mut(&uid)) {
                memory.done = Some(done);
            }
        }
        nap
    }

    fn recall(&mut self, uid: String, pod: &Pod, now: Instant) -> &Memory {
        let state = observed(pod);
        let memory = self.memory.entry(uid).or_insert_with(|| Memory {
            bound_at: now,
            state: state.clone(),
            state_since: now,
            done: None,
        });
        if memory.state != state {
            memory.state = state;
            memory.state_since = now;
        }
        memory
    }
}

/// Does it, and tells whether the server accepted it. A refusal means that the
/// Pod has changed or the server is away; a later pass sees which.
async fn act(client: &Client, pod: &Pod, action: &Action) -> bool {
    let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    let work = async {
        match action {
            Action::Bind => bind(&pods, &name).await,
            Action::Remove => {
                let same = Preconditions {
                    uid: pod.uid(),
                    resource_version: None,
                };
                let now = DeleteParams::default().grace_period(0).preconditions(same);
                pods.delete(&name, &now).await.map(drop)
            }
            Action::Report(state) => {
                let status = status::status(pod, state, &status::now());
                // The uid keeps it from a namesake that took the Pod's place.
                let patch = json!({"metadata": {"uid": pod.uid()}, "status": status});
                let params = PatchParams {
                    field_manager: Some(MANAGER.into()),
                    ..<_>::default()
                };
                pods.patch_status(&name, &params, &Patch::Merge(patch))
                    .await
                    .map(drop)
            }
        }
    };
    matches!(timeout(REQUEST, work).await, Ok(Ok(())))
}

async fn bind(pods: &Api<Pod>, name: &str) -> kube::Result<()> {
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(NODE.to_owned()),
            ..ObjectReference::default()
        },
    };
    let answer = pods
        .create_subresource::<_, serde_json::Value>(
            "binding",
            name,
            &PostParams::default(),
            &binding,
        )
        .await;
    answer.map(drop)
}

/// The same pause after each failure of the watch.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(RETRY)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}
