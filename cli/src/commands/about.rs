//! `version`, `completion`, `whoami`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;
use tidegate_proto::v1 as wire;

use crate::{
    args::Cli,
    connect::Hub,
    error::Error,
    output::{Output, rows::role, text::plain},
};

/// What `version` tells.
#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

pub(super) fn version(output: &mut Output) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    output.value(&Version { version }, &format!("tidegate {version}"))
}

pub(super) fn completion(shell: Shell, output: &mut Output) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut script);
    output.raw(&script)
}

pub(super) async fn whoami(hub: &Hub, output: &mut Output) -> Result<(), Error> {
    let answer = hub
        .call(async |fleet| fleet.who_am_i(wire::WhoAmIRequest {}).await)
        .await?;
    output.answer(&answer, &format!("user/{}", answer.name), || {
        let groups = match &answer.groups[..] {
            [] => String::new(),
            groups => format!(", in {}", plain(&groups.join(", "))),
        };
        format!(
            "{}, {} of {} at {}{groups}",
            plain(&answer.name),
            role(answer.role),
            plain(&answer.trust_domain),
            hub.address()
        )
    })
}
