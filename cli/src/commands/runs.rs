//! Steering a run: `approve`, `reject`, `pause`, `resume`, `cancel`, `break-glass`, `retry`, `skip`.

use tidegate_proto::v1 as wire;

use crate::{
    args::{Approve, BreakGlass, Control, Skip, bare},
    connect::Hub,
    error::Error,
    output::{
        Output,
        rows::Row as _,
        text::{or_dash, plain},
    },
};

/// A verb, and how its success is told.
pub(super) type Verb = (wire::RunVerb, &'static str);

/// Start nothing new.
pub(super) const PAUSE: Verb = (wire::RunVerb::Pause, "is asked to pause");
/// Go on.
pub(super) const RESUME: Verb = (wire::RunVerb::Resume, "is asked to resume");
/// Stop for good.
pub(super) const CANCEL: Verb = (wire::RunVerb::Cancel, "is asked to cancel");

/// Try what failed again.
pub(super) const RETRY: Verb = (wire::RunVerb::Retry, "is asked to try again what failed");

pub(super) async fn approve(
    hub: &Hub,
    options: &Approve,
    rejects: bool,
    output: &mut Output,
) -> Result<(), Error> {
    let request = wire::ApproveRunRequest {
        run: Some(options.run.request()),
        wave: options.wave.clone().unwrap_or_default(),
        reason: options.reason.reason.clone(),
        content: options.content.clone().unwrap_or_default(),
        rejects,
    };
    let run = hub
        .call(async |fleet| fleet.approve_run(request).await)
        .await?;
    let wave = options
        .wave
        .as_ref()
        .map(|wave| format!(" for wave {wave}"))
        .unwrap_or_default();
    let done = if rejects { "rejected" } else { "approved" };
    told(&run, &format!("is {done}{wave}"), output)
}

pub(super) async fn control(
    hub: &Hub,
    options: &Control,
    (verb, done): Verb,
    output: &mut Output,
) -> Result<(), Error> {
    let request = wire::ControlRunRequest {
        run: Some(options.run.request()),
        verb: verb.into(),
        reason: options.reason.reason.clone(),
        cluster: String::new(),
    };
    let run = hub
        .call(async |fleet| fleet.control_run(request).await)
        .await?;
    told(&run, done, output)
}

pub(super) async fn break_glass(
    hub: &Hub,
    options: &BreakGlass,
    output: &mut Output,
) -> Result<(), Error> {
    let request = wire::BreakGlassRequest {
        run: Some(options.run.request()),
        reason: options.reason.reason.clone(),
    };
    let run = hub
        .call(async |fleet| fleet.break_glass(request).await)
        .await?;
    told(&run, "is asked to heed no window of its open wave", output)
}

pub(super) async fn skip(hub: &Hub, options: &Skip, output: &mut Output) -> Result<(), Error> {
    let cluster = bare(&options.cluster, "cluster").to_owned();
    let done = format!("is asked to leave cluster {} out", plain(&cluster));
    let request = wire::ControlRunRequest {
        run: Some(options.run.request()),
        verb: wire::RunVerb::Skip.into(),
        reason: options.reason.reason.clone(),
        cluster,
    };
    let run = hub
        .call(async |fleet| fleet.control_run(request).await)
        .await?;
    told(&run, &done, output)
}

fn told(run: &wire::Run, done: &str, output: &mut Output) -> Result<(), Error> {
    output.answer(run, &run.name(), || {
        format!(
            "{} of set {}, release {}, {done} ({})",
            plain(&run.name()),
            or_dash(&run.set),
            run.release,
            or_dash(&run.state)
        )
    })
}
