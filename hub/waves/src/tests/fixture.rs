//! Fleets, releases and strategies to begin with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use crate::{AppStart, Begin, Candidate, Planned, plan, start};
use jiff::Timestamp;
use serde_json::json;
use tidegate_model::{
    assignment::{Assignment, Desired},
    deny::Deny,
    digest::Digest,
    duration::Span,
    ids::{AppUid, ClusterUid, Epoch, Generation, ReleaseId, RunId, SetUid},
    object::ObjectId,
    policy::Policy,
    release::{EntryContent, Release, ReleaseEntry, content_id},
    run::LastGood,
    strategy::{
        Analysis, ApprovalGate, Condition, DenyScope, Gate, Order, PrometheusQuery, Strategy,
        StrategyType, Wave,
    },
};

use crate::tests::{
    agent::{Agent, Kind},
    world::{App, Doorman, Meter, Session, World},
};

macro_rules! id {
    ($name:ident, $kind:ident, $tag:literal) => {
        pub(crate) fn $name(n: u64) -> $kind {
            static FIRST: LazyLock<[$kind; 8]> = LazyLock::new(|| std::array::from_fn(make));
            fn make(n: usize) -> $kind {
                let bytes = Digest::of($tag, &n.into());
                let bytes: [u8; 16] = bytes.as_bytes()[..16].try_into().unwrap();
                serde_json::from_value(json!(uuid_text(u128::from_be_bytes(bytes)))).unwrap()
            }
            let n = usize::try_from(n).unwrap();
            FIRST.get(n).copied().unwrap_or_else(|| make(n))
        }
    };
}

fn uuid_text(n: u128) -> String {
    let hex = format!("{n:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

id!(cluster, ClusterUid, "cluster");
id!(app, AppUid, "app");
id!(run_id, RunId, "run");
id!(set_id, SetUid, "set");
id!(release_id, ReleaseId, "release");

pub(crate) fn bundle(name: &str) -> Digest {
    Digest::of("bundle", &json!(name))
}

/// What a bundle holds: a Deployment of its own, and a `ConfigMap` that every bundle has alike; and
/// the bundle itself.
pub(crate) fn objects(bundle: Digest) -> Vec<Deny> {
    let config = Deny {
        object: object("", "ConfigMap"),
        content: Digest::of("object", &json!("the same everywhere")),
    };
    vec![deployment(bundle), config, Deny::whole(bundle)]
}

/// What going back from one bundle to another denies.
pub(crate) fn denied(bad: Digest, good: Digest, scope: DenyScope) -> Vec<Deny> {
    let kept = objects(good);
    let differs = objects(bad).into_iter().filter(|it| !kept.contains(it));
    let whole = scope == DenyScope::Release;
    differs.filter(|it| it.is_whole() == whole).collect()
}

/// What of a bundle must be denied at least.
pub(crate) fn telling(bundle: Digest, scope: DenyScope) -> Deny {
    match scope {
        DenyScope::Content => deployment(bundle),
        DenyScope::Release => Deny::whole(bundle),
    }
}

/// The Deployment of a bundle.
pub(crate) fn deployment(bundle: Digest) -> Deny {
    Deny {
        object: object("apps", "Deployment"),
        content: bundle,
    }
}

fn object(group: &str, kind: &str) -> ObjectId {
    ObjectId {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
    }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + secs).unwrap()
}

/// What ran before the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Nothing,
    /// Other content that ran well.
    Old,
    /// Other content of which nobody knows whether it ran well.
    Unproven,
    /// The release's content.
    Target,
    /// The release's content, which no wave has proven; other content ran well before it.
    Resumed,
}

/// One application of a fleet.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) cluster: u64,
    pub(crate) app: u64,
    pub(crate) env: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) before: Before,
    pub(crate) kind: Kind,
    pub(crate) rendered: bool,
}

/// An application with old content that ran well and good new content.
pub(crate) fn row(cluster: u64, env: &'static str) -> Row {
    Row {
        cluster,
        app: cluster,
        env,
        tier: "web",
        before: Before::Old,
        kind: Kind::Good,
        rendered: true,
    }
}

pub(crate) fn target(row: &Row) -> Digest {
    bundle(&format!("{:?} {}", row.kind, row.app))
}

pub(crate) fn old(row: &Row) -> Digest {
    bundle(&format!("old {}", row.app))
}

pub(crate) fn candidates(rows: &[Row]) -> Vec<Candidate> {
    let candidate = |row: &Row| Candidate {
        cluster: cluster(row.cluster),
        cluster_name: format!("c{}", row.cluster),
        cluster_labels: labels(&[("env", row.env), ("rank", &row.cluster.to_string())]),
        app: app(row.app),
        app_labels: labels(&[("tier", row.tier)]),
    };
    rows.iter().map(candidate).collect()
}

pub(crate) fn release(rows: &[Row]) -> Release {
    let mut entries: Vec<_> = rows
        .iter()
        .map(|row| ReleaseEntry {
            app: app(row.app),
            name: format!("web-{}", row.app),
            cluster: cluster(row.cluster),
            content: if row.rendered {
                EntryContent::Bundle(target(row))
            } else {
                EntryContent::Unrendered {
                    cause: "kustomization.yaml:3: no such file".to_owned(),
                }
            },
            policy: Policy::default(),
            namespace: "shop".to_owned(),
            prune_approved: false,
        })
        .collect();
    entries.sort_by_key(|entry| entry.app);
    Release {
        id: release_id(4),
        set: set_id(1),
        number: 4,
        content: content_id(&entries),
        entries,
        sources: Vec::new(),
        set_version: 1,
        cause: "git".to_owned(),
        authors: vec!["ada@example.com".to_owned()],
        created_at: at(-10),
    }
}

fn current(row: &Row) -> Option<Assignment> {
    let bundle = match row.before {
        Before::Nothing => return None,
        Before::Old | Before::Unproven => old(row),
        Before::Target | Before::Resumed => target(row),
    };
    Some(Assignment {
        cluster: cluster(row.cluster),
        app: app(row.app),
        app_name: format!("p/web-{}", row.app),
        generation: Generation(3),
        epoch: Epoch(6),
        desired: Desired::Run {
            bundle,
            policy: Policy::default(),
            namespace: "shop".to_owned(),
            run: run_id(0),
            prune_approved: false,
        },
    })
}

fn last_good(row: &Row) -> Option<LastGood> {
    let good = LastGood {
        bundle: old(row),
        policy: Policy::default(),
        namespace: "shop".to_owned(),
        release: 3,
    };
    matches!(row.before, Before::Old | Before::Resumed).then_some(good)
}

/// A fleet of which nothing is cut off, at the moment when a run begins.
pub(crate) fn world(strategy: &Strategy, rows: &[Row]) -> World {
    let planned: Planned = plan(strategy, &candidates(rows), 1).unwrap();
    let starts = rows.iter().map(|row| {
        let start = AppStart {
            name: format!("p/web-{}", row.app),
            current: current(row),
            last_good: last_good(row),
        };
        (app(row.app), start)
    });
    let (run, members) = start(&Begin {
        id: run_id(1),
        epoch: Epoch(7),
        now: at(0),
        release: &release(rows),
        strategy,
        planned: &planned,
        apps: &starts.collect(),
    });
    let mut world = World {
        now: at(-600),
        truth: std::time::Duration::from_secs(1000),
        run,
        members,
        apps: BTreeMap::new(),
        sessions: BTreeMap::new(),
        agents: BTreeMap::new(),
        kinds: rows.iter().map(|row| (target(row), row.kind)).collect(),
        newer_release: None,
        newer_run: false,
        measured: BTreeMap::new(),
        answers: BTreeMap::new(),
        doorman: Doorman::Yes,
        provider: Some(Meter::Good),
        back: rows.iter().filter_map(earlier).collect(),
        pins: Vec::new(),
        denies: Vec::new(),
        audits: Vec::new(),
        assigned: Vec::new(),
        log: Vec::new(),
        denied: BTreeSet::new(),
        taken_back: BTreeSet::new(),
        last: None,
        steps: 0,
        premises: BTreeMap::new(),
        true_soak: std::time::Duration::ZERO,
        strict_truth: true,
    };
    populate(&mut world, rows);
    world
}

/// What the release before the last one that ran well brought; it had no application 5.
fn earlier(row: &Row) -> Option<(AppUid, LastGood)> {
    let good = LastGood {
        bundle: bundle(&format!("older {}", row.app)),
        policy: Policy::default(),
        namespace: "shop".to_owned(),
        release: 2,
    };
    (row.app != 5).then(|| (app(row.app), good))
}

/// The hub's records, and agents that have long since applied what ran before.
fn populate(world: &mut World, rows: &[Row]) {
    for row in rows {
        let known = App {
            cluster: Some(cluster(row.cluster)),
            highest: Generation(if row.before == Before::Nothing { 0 } else { 3 }),
            current: current(row),
            last_good: last_good(row),
            ..App::default()
        };
        world.apps.insert(app(row.app), known);
        world
            .sessions
            .insert(cluster(row.cluster), Session::default());
        world.agents.insert(cluster(row.cluster), Agent::default());
    }
    let clusters: Vec<_> = world.sessions.keys().copied().collect();
    for cluster in clusters {
        for _ in 0..5 {
            world.work(cluster);
        }
        while world.deliver(cluster) {}
    }
    world.truth += std::time::Duration::from_mins(10);
    world.now = at(0);
}

/// Waves by the label `env`, in this order.
pub(crate) fn waves(envs: &[&str]) -> Strategy {
    let wave = |env: &&str| {
        let mut wave = Wave::named(env);
        wave.select.clusters.match_labels = labels(&[("env", env)]);
        wave.order = Order {
            by_label: "rank".to_owned(),
        };
        wave
    };
    Strategy {
        kind: StrategyType::Waves,
        waves: envs.iter().map(wave).collect(),
        ..Strategy::default()
    }
}

/// Less than 10 is good, more than 20 is bad; a sample every 10 seconds.
pub(crate) fn analysis(name: &str) -> Analysis {
    Analysis {
        name: name.to_owned(),
        prometheus: Some(PrometheusQuery {
            server: "http://prometheus:9090".to_owned(),
            query: "errors".to_owned(),
        }),
        http: None,
        pass: Condition::parse("< 10").ok(),
        fail: Condition::parse("> 20").ok(),
        interval: Span::secs(10),
        count: 1,
        inconclusive_limit: 0,
    }
}

pub(crate) fn approval() -> Vec<Gate> {
    vec![Gate::Approval(ApprovalGate::default())]
}

/// A gate that somebody is asked about; a `limit` is an alarm by a number.
pub(crate) fn asked_gate(name: &str, kind: &str) -> Gate {
    let mut spec = json!({"name": name, "interval": "30s"});
    match (kind, name) {
        ("webhook", _) => spec["url"] = json!("http://board"),
        ("alarmClear", "limit") => {
            spec["http"] = json!({"url": "http://errors"});
            spec["fires"] = json!("> 20");
        }
        ("alarmClear", _) => {
            spec["prometheus"] = json!({"server": "http://prom", "query": "ALERTS"});
        }
        _ => {
            spec["http"] = json!({"url": "http://errors"});
            spec["pass"] = json!("< 10");
        }
    }
    serde_json::from_value(json!({kind: spec})).unwrap()
}
