//! Runs every case on both servers and compares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidegate_sandbox::{Options, Sandbox};
use tidegate_tests::harness::{Fleet, require_real};
use tokio_util::sync::CancellationToken;

use super::{
    applies, columns, discovers,
    exceptions::{EXCEPTIONS, Exception},
    lives, parameters, patches, reads,
    recorder::{Case, Recorder},
    refuses, rules, tables, watching, writes,
};

/// What stands where a server says nothing.
const ABSENT: &str = "<absent>";

#[tokio::test]
async fn every_case_gives_the_same_on_the_sandbox_and_on_a_real_server() {
    let test = "suite::every_case_gives_the_same_on_the_sandbox_and_on_a_real_server";
    let Some(binaries) = require_real(test) else {
        return;
    };
    // Before the others, which make the sandbox forget what a watch asks for.
    let first = [watching::CASES, tables::WATCHED].concat();
    let cases: Vec<Case> = [
        writes::CASES,
        applies::CASES,
        lives::CASES,
        discovers::CASES,
        patches::CASES,
        tables::CASES,
        columns::CASES,
        parameters::CASES,
        reads::CASES,
        refuses::CASES,
        rules::CASES,
    ]
    .concat();
    let fleet = Fleet::start(&binaries, 1).await.unwrap();
    let real = fleet.clusters()[0].kube_client().unwrap();
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let sandbox = Sandbox::new(Options::named("conformance"));
    tokio::spawn(sandbox.clone().run(cancel));
    let sandbox = kube::Client::new(sandbox, "default");
    let (mut on_real, mut on_sandbox) = (BTreeMap::new(), BTreeMap::new());
    for cases in [&first, &cases, watching::LAST] {
        let (real, sandbox) = futures::join!(run(&real, cases), run(&sandbox, cases));
        on_real.extend(real);
        on_sandbox.extend(sandbox);
    }
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for name in on_real.keys() {
        let mut found = Vec::new();
        differences(&on_real[name], &on_sandbox[name], "", &mut found);
        for (at, real, sandbox) in found {
            let place = format!("{name}{at}");
            match EXCEPTIONS.iter().position(|it| covers(it, &place)) {
                Some(known) => drop(used.insert(known)),
                None => wrong.push(format!(
                    "{place}\n   real:    {real}\n   sandbox: {sandbox}"
                )),
            }
        }
    }
    let idle = (0..EXCEPTIONS.len()).filter(|index| !used.contains(index));
    wrong.extend(idle.map(|index| {
        let exception = &EXCEPTIONS[index];
        format!("nothing differs at {} any more: remove it", exception.at)
    }));
    assert!(
        wrong.is_empty(),
        "{} differences\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn run(client: &kube::Client, cases: &[Case]) -> BTreeMap<&'static str, Value> {
    let runs = cases.iter().map(|(name, case)| async move {
        let mut recorder = Recorder::new(client.clone(), name).await;
        case(&mut recorder).await;
        let answers = recorder.finish();
        (*name, answers.into_iter().collect())
    });
    futures::future::join_all(runs).await.into_iter().collect()
}

/// Whether an exception is about a place; `*` stands for anything.
fn covers(exception: &Exception, place: &str) -> bool {
    let mut rest = place;
    let mut parts = exception.at.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    let mut open = false;
    for part in parts {
        open = part.is_empty();
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    open || rest.is_empty()
}

fn differences(real: &Value, sandbox: &Value, at: &str, found: &mut Vec<(String, Value, Value)>) {
    match (real, sandbox) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let below = format!("{at}/{}", key.replace('/', "~1"));
                let side = |map: &serde_json::Map<String, Value>| {
                    // No answer has this text, so that null and nothing differ.
                    map.get(key).cloned().unwrap_or_else(|| json!(ABSENT))
                };
                differences(&side(a), &side(b), &below, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{at}/{index}"), found);
            }
        }
        _ if real != sandbox => found.push((at.to_owned(), real.clone(), sandbox.clone())),
        _ => {}
    }
}
