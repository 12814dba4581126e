//! `audit log`, `audit verify`, `audit export` and `audit replay`.
//!
//! Owns which chains are checked and what is told of them. Whether a chain holds is decided by the
//! function by which the hub makes it.

mod chain;
mod export;
mod replay;

use std::collections::BTreeSet;

use serde::Serialize;
use tidegate_proto::v1 as wire;

use self::{
    chain::{Checked, check},
    export::export,
    replay::replay,
};
pub(super) use self::{export::verify as verify_file, replay::replay_file};
use super::{
    list::{audit, list},
    watch::watch,
};
use crate::{
    args::{AuditCommand, AuditLog, AuditVerify, Format},
    connect::Hub,
    error::Error,
    output::{Output, text::plain},
};

/// The chain of what belongs to no project.
const FLEET: &str = "_";
/// Where sets are whose document names no project.
const DEFAULT: &str = "default";

pub(super) async fn run(
    hub: &Hub,
    command: &AuditCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        AuditCommand::Log(options) => log(hub, options, output).await,
        AuditCommand::Verify(options) => verify(hub, options, output).await,
        AuditCommand::Export(options) => export(hub, options, output).await,
        AuditCommand::Replay(options) => replay(hub, options, output).await,
    }
}

async fn log(hub: &Hub, options: &AuditLog, output: &mut Output) -> Result<(), Error> {
    let project = options.project.clone().unwrap_or_default();
    let all = audit(hub, &project, 0).await?;
    let mut end = all.last().map_or(0, |record| record.sequence);
    let mut records = all;
    select(&mut records, options, output.now_ms());
    let none = format!("no such decision in project {}", or_default(options));
    if !options.watching.watch {
        return output.list(&records, &none);
    }
    if records.is_empty() {
        output.note(&none);
    }
    let mut filter = options.clone();
    filter.limit = None;
    let look = async |before: &[wire::AuditRecord]| {
        // Only what came since is asked for: records never change.
        let mut new = audit(hub, &project, end).await?;
        end = new.last().map_or(end, |record| record.sequence);
        select(&mut new, &filter, 0);
        Ok([before, new.as_slice()].concat())
    };
    let first = records.clone();
    watch(&options.watching, records, &first, look, output).await
}

fn or_default(options: &AuditLog) -> &str {
    options.project.as_deref().unwrap_or(DEFAULT)
}

/// Keeps what the options ask for.
fn select(records: &mut Vec<wire::AuditRecord>, options: &AuditLog, now_ms: i64) {
    let since = options.since.map_or(i64::MIN, |since| since.at_ms(now_ms));
    let fits = |pattern: &Option<crate::args::Pattern>, word: &str| {
        pattern.as_ref().is_none_or(|it| it.is_match(word))
    };
    records.retain(|record| {
        record.at_ms >= since
            && fits(&options.actor, &record.actor)
            && fits(&options.action, &record.action)
    });
    let limit = options.limit.map_or(usize::MAX, |limit| limit as usize);
    records.drain(..records.len().saturating_sub(limit));
}

/// What is refused before a hub is asked.
pub(super) fn check_options(command: &AuditCommand) -> Result<(), Error> {
    match command {
        AuditCommand::Verify(options)
            if !options.noted.is_empty() && options.project.is_none() && options.file.is_none() =>
        {
            Err(Error::Usage(
                "--noted is of one chain: say of which with --project".to_owned(),
            ))
        }
        _ => Ok(()),
    }
}

/// What `-o json` and `-o yaml` print.
#[derive(Serialize)]
struct Answer<'a> {
    items: &'a [Checked],
}

async fn verify(hub: &Hub, options: &AuditVerify, output: &mut Output) -> Result<(), Error> {
    let projects = match &options.project {
        Some(project) => BTreeSet::from([project.clone()]),
        None => projects(hub).await?,
    };
    let mut chains = Vec::new();
    for project in projects {
        chains.push(check(hub, &project, &options.noted, &mut |_| {}).await?);
    }
    show(&chains, output)?;
    judge(&chains)
}

/// Fails where a chain does not hold.
fn judge(chains: &[Checked]) -> Result<(), Error> {
    let broken = chains.iter().filter_map(|chain| chain.problem.as_deref());
    let broken: Vec<_> = broken.collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::Audit(format!(
        "{}\nsomebody changed what the hub stored, or what answers is not the hub: keep a copy \
         (`tidegate audit export`), compare it with a backup of the hub's store, and look who \
         could write there",
        broken.join("\n")
    )))
}

/// Every project that can be found out: sets are the only things that belong to one.
async fn projects(hub: &Hub) -> Result<BTreeSet<String>, Error> {
    let sets: Vec<wire::ApplicationSet> = list(hub, wire::ListRequest::default()).await?;
    let known = [FLEET, DEFAULT].map(str::to_owned);
    Ok(known
        .into_iter()
        .chain(sets.into_iter().map(|set| set.project))
        .collect())
}

fn show(chains: &[Checked], output: &mut Output) -> Result<(), Error> {
    match output.format() {
        Format::Table => chains
            .iter()
            .try_for_each(|chain| output.line(&in_words(chain))),
        Format::Name => chains
            .iter()
            .try_for_each(|chain| output.line(&format!("audit/{}", plain(&chain.project)))),
        Format::Json | Format::Yaml => output.value(&Answer { items: chains }, ""),
    }
}

/// The end stands on a line of its own, where it can be copied from.
fn in_words(chain: &Checked) -> String {
    let project = plain(&chain.project);
    let holds = match &chain.problem {
        None => "the chain holds".to_owned(),
        Some(_) => format!("the chain is broken at record {}", chain.broken_at),
    };
    let records = chain.records;
    let end = match chain.end.as_str() {
        "" => String::new(),
        end => format!("; what fits ends with\n  {end}"),
    };
    format!("project {project}: {records} records fit, {holds}{end}")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn options(arguments: &str) -> AuditLog {
        let line = format!("tidegate audit log {arguments}");
        match Cli::try_parse_from(line.split_whitespace())
            .unwrap()
            .command
        {
            Command::Audit(AuditCommand::Log(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn filters_must_all_hold_and_the_newest_are_kept() {
        let record = |sequence, at_ms, actor: &str, action: &str| wire::AuditRecord {
            sequence,
            at_ms,
            actor: actor.to_owned(),
            action: action.to_owned(),
            ..wire::AuditRecord::default()
        };
        let all = [
            record(1, 1_000, "kim", "set.create"),
            record(2, 3_600_000, "kim", "run.approve"),
            record(3, 5_000_000, "lee", "run.pause"),
            record(4, 7_200_000, "kim", "run.cancel"),
        ];
        let kept = |arguments: &str| {
            let mut records = all.to_vec();
            select(&mut records, &options(arguments), 7_200_000);
            records.iter().map(|it| it.sequence).collect::<Vec<_>>()
        };
        assert_eq!(kept(""), [1, 2, 3, 4]);
        assert_eq!(kept("--since 1h"), [2, 3, 4]);
        assert_eq!(kept("--actor kim"), [1, 2, 4]);
        assert_eq!(kept("--action run.*"), [2, 3, 4]);
        assert_eq!(kept("--action run"), [0_u64; 0]);
        assert_eq!(kept("--actor kim --action run.* --limit 1"), [4]);
    }
}
