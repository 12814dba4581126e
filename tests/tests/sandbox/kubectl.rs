//! kubectl in a person's hands, on the sandbox's socket and on a real server: the same lines.
//!
//! Owns the commands and what of their output may differ: ages, addresses and prose.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::{Value, json};
use tidegate_sandbox::Sandbox;
use tidegate_tests::harness::{Fleet, require_real};
use tokio_util::sync::CancellationToken;

use super::{alone::start, lives::definition, writes::deployment};

/// Where kubectl's words go on a server.
struct Hands {
    kubectl: PathBuf,
    home: tempfile::TempDir,
    server: Vec<String>,
}

impl Hands {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .args(&self.server)
            .args(args)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("none"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str], input: &str, editor: &str) -> Output {
        let mut command = self.command(args);
        command.env("KUBE_EDITOR", editor);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }
}

/// What of an output is compared.
type Shown = fn(&str) -> String;

struct Step {
    args: &'static str,
    input: String,
    shown: Shown,
}

fn step(args: &'static str, input: &Value, shown: Shown) -> Step {
    let input = if input.is_null() {
        String::new()
    } else {
        input.to_string()
    };
    Step { args, input, shown }
}

fn documents(args: &'static str, input: &str, shown: Shown) -> Step {
    let input = input.to_owned();
    Step { args, input, shown }
}

fn all(text: &str) -> String {
    text.to_owned()
}

fn last(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}

/// Tables without ages and addresses.
fn table(text: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let digits = chars.by_ref().take_while(char::is_ascii_digit).count();
        let age = digits > 0 && digits < word.len() && word.ends_with(['s', 'm', 'h']);
        let address = word.starts_with("10.") || word.starts_with("192.0.2.");
        if age || address {
            "<own>".to_owned()
        } else {
            word.to_owned()
        }
    };
    let lines = text.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().map(word).collect();
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Heads and fields of an explanation; the sandbox keeps no prose.
fn fields(text: &str) -> String {
    let lines = text.lines().filter(|line| {
        let head = ["GROUP:", "KIND:", "VERSION:", "FIELD:"]
            .iter()
            .any(|it| line.starts_with(it));
        let field = line.starts_with("  ") && !line.starts_with("   ") && line.contains('\t');
        head || field
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a person wrote; the sandbox has no events.
fn described(text: &str) -> String {
    let lines = text.lines().filter(|line| {
        let heads = [
            "Name:",
            "Namespace:",
            "Selector:",
            "Status:",
            "StrategyType:",
        ];
        let written = ["Image:", "Port:", "Labels:"]
            .iter()
            .any(|it| line.contains(it));
        heads.iter().any(|it| line.starts_with(it)) || written
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines that a diff adds and removes, without what each server numbers by itself.
fn changed(text: &str) -> String {
    let lines = text.lines().filter(|line| {
        let change = line.starts_with(['+', '-']);
        change && !line.starts_with("---") && !line.starts_with("+++")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn web(image: &str) -> Value {
    let mut web = deployment("web", image);
    web["spec"]["replicas"] = json!(1);
    web["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    web
}

fn settings(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data})
}

/// Several documents: a `kind: List` is checked by OpenAPI v2, which the sandbox does not have.
fn set(items: &[Value]) -> String {
    let items: Vec<_> = items.iter().map(Value::to_string).collect();
    items.join("\n---\n")
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    })
}

fn applying() -> Vec<Step> {
    let first = set(&[
        web("nginx:1"),
        settings(&json!({"k": "v", "l": "w"})),
        service(),
    ]);
    let mut fewer = web("nginx:2");
    fewer["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "B", "value": "3"}]);
    let second = set(&[fewer, settings(&json!({"k": "v2"})), service()]);
    let mut unknown = web("nginx:1");
    unknown["spec"]["replica"] = json!(1);
    let image = "get deploy web -o jsonpath={.spec.template.spec.containers}";
    vec![
        documents("apply -f -", &first, all),
        documents("apply -f -", &first, all),
        documents("diff -f -", &second, changed),
        documents("apply -f - --dry-run=server", &second, all),
        documents("apply -f -", &second, all),
        step(image, &Value::Null, all),
        step("get cm settings -o jsonpath={.data}", &Value::Null, all),
        step("apply -f - --dry-run=server", &unknown, all),
        step("rollout status deploy/web", &Value::Null, last),
        step(
            "apply --server-side -f -",
            &settings(&json!({"k": "v3"})),
            all,
        ),
        step(
            "apply --server-side --force-conflicts -f -",
            &settings(&json!({"k": "v3"})),
            all,
        ),
        step("explain deployment.spec", &Value::Null, fields),
        step("explain pod.spec.containers", &Value::Null, fields),
        step("explain service --recursive", &Value::Null, fields),
    ]
}

fn by_hand() -> Vec<Step> {
    let none = &Value::Null;
    vec![
        step("set image deploy/web main=nginx:3", none, all),
        step("set env deploy/web C=4 B-", none, all),
        step("edit cm settings", none, all),
        step("edit cm settings -o json", none, all),
        step("get cm settings -o jsonpath={.data}", none, all),
        step(
            r#"patch deploy web -p {"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}"#,
            none,
            all,
        ),
        step(
            r#"patch cm settings --type=merge -p {"data":{"m":"x"}}"#,
            none,
            all,
        ),
        step(
            r#"patch cm settings --type=json -p [{"op":"remove","path":"/data/m"}]"#,
            none,
            all,
        ),
        step(
            "get deploy web -o jsonpath={.spec.template.spec.containers[*].name}",
            none,
            all,
        ),
        step("scale deploy web --replicas=3", none, all),
        step(
            "scale deploy web --replicas=2 --current-replicas=9",
            none,
            all,
        ),
        step(
            "scale deploy web --replicas=2 --current-replicas=3",
            none,
            all,
        ),
        step("rollout restart deploy/web", none, all),
        step("rollout status deploy/web", none, last),
        step(
            "wait deploy/web --for=condition=Available --timeout=60s",
            none,
            all,
        ),
        step("label cm settings a=b", none, all),
        step("annotate cm settings a=b", none, all),
        step("describe cm settings", none, all),
        step("describe deploy web", none, described),
        step("describe ns hands", none, described),
        step("get deploy,svc", none, table),
        step("get deploy -o wide", none, table),
        step("get cm settings --show-labels", none, table),
        step("get cm settings none", none, table),
        step("expose deploy web --name=other --port=80", none, all),
    ]
}

fn custom() -> Vec<Step> {
    let none = &Value::Null;
    let mut definition = definition();
    definition["spec"]["names"] = json!({"plural": "sprockets", "singular": "sprocket", "kind": "Sprocket", "listKind": "SprocketList"});
    definition["spec"]["group"] = json!("kubectl.example");
    definition["metadata"]["name"] = json!("sprockets.kubectl.example");
    definition["spec"]["versions"][0]["additionalPrinterColumns"] = json!([
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Wide", "type": "string", "priority": 1, "jsonPath": ".spec.name"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    let sprocket = |spec: Value| json!({"apiVersion": "kubectl.example/v1", "kind": "Sprocket", "metadata": {"name": "a"}, "spec": spec});
    vec![
        step("apply -f -", &definition, all),
        step(
            "wait crd/sprockets.kubectl.example --for=condition=Established --timeout=60s",
            none,
            all,
        ),
        step(
            "apply -f -",
            &sprocket(json!({"size": 1, "tags": ["a"]})),
            all,
        ),
        step(
            "apply -f -",
            &sprocket(json!({"tags": ["a", "b"], "name": "x"})),
            all,
        ),
        step(
            "apply --server-side --force-conflicts -f -",
            &sprocket(json!({"size": 2})),
            all,
        ),
        step("get sprockets", none, table),
        step("get sprockets -o wide", none, table),
        step("explain sprocket.spec", none, fields),
        step("delete sprocket --all", none, all),
        step("delete crd sprockets.kubectl.example", none, all),
    ]
}

fn named(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

fn deleting() -> Vec<Step> {
    let none = &Value::Null;
    vec![
        step("create -f -", &named("one"), all),
        step("create -f -", &named("one"), all),
        step("create -f -", &named("two"), all),
        step("replace -f -", &named("two"), all),
        step("delete cm one two settings --wait", none, all),
        step("delete svc,hpa --all", none, all),
        step("delete deploy web --cascade=foreground", none, all),
        step("get deploy", none, all),
    ]
}

fn words(hands: &Hands, step: &Step) -> String {
    // Split at blanks: no argument here has one.
    let args: Vec<&str> = step.args.split(' ').collect();
    let output = hands.run(&args, &step.input, "sed -i s/v3/v4/");
    let text = |bytes: &[u8]| (step.shown)(&String::from_utf8_lossy(bytes));
    let errors = String::from_utf8_lossy(&output.stderr);
    // Before it a real server prints the patch as Go prints a map.
    let errors = errors
        .split_once("strict decoding error")
        .map_or(&*errors, |(_, words)| words);
    let code = output.status.code();
    format!("{code:?}\n{}\n{errors}", text(&output.stdout))
}

/// A change appears in `kubectl get -w`.
fn watches(hands: &Hands) -> Vec<String> {
    let mut command = hands.command(&["get", "cm", "-w", "--field-selector=metadata.name=watched"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    let mut seen = Vec::new();
    let made = hands.run(&["create", "-f", "-"], &named("watched").to_string(), "");
    assert!(made.status.success(), "{made:?}");
    // Heads and the object, then each change of it.
    for change in [
        &[][..],
        &["patch", "cm", "watched", "-p", r#"{"data":{"k":"v"}}"#],
        &["delete", "cm", "watched"],
    ] {
        if !change.is_empty() {
            assert!(hands.run(change, "", "").status.success());
        }
        let wanted = if change.is_empty() { 2 } else { 1 };
        for _ in 0..wanted {
            let line = lines.recv_timeout(Duration::from_secs(60));
            seen.push(table(&line.unwrap()));
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap();
    seen
}

async fn served(sandbox: Sandbox, cancel: CancellationToken, kubectl: &Path) -> Hands {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(sandbox.serve(listener, cancel));
    Hands {
        kubectl: kubectl.to_owned(),
        home: tempfile::tempdir().unwrap(),
        server: vec![
            "--server".into(),
            server,
            "--namespace".into(),
            "hands".into(),
        ],
    }
}

#[tokio::test]
async fn kubectl_says_the_same_on_both() {
    let test = "kubectl::kubectl_says_the_same_on_both";
    let Some(binaries) = require_real(test) else {
        return;
    };
    let Some(kubectl) = binaries.kubectl.clone() else {
        return;
    };
    let fleet = Fleet::start(&binaries, 1).await.unwrap();
    let config = fleet.clusters()[0].kubeconfig().display().to_string();
    let (sandbox, _, _stop) = start("hands", Duration::from_millis(100));
    let cancel = CancellationToken::new();
    let _serving = cancel.clone().drop_guard();
    let on_sandbox = served(sandbox, cancel, &kubectl).await;
    let on_real = Hands {
        kubectl,
        home: tempfile::tempdir().unwrap(),
        server: vec![
            "--kubeconfig".into(),
            config,
            "--namespace".into(),
            "hands".into(),
        ],
    };
    let run = |hands: Hands| {
        tokio::task::spawn_blocking(move || {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hands"}});
            let made = hands.run(&["create", "-f", "-"], &namespace.to_string(), "");
            assert!(made.status.success(), "{made:?}");
            let mut said = Vec::new();
            for step in [applying(), by_hand(), custom(), deleting()]
                .into_iter()
                .flatten()
            {
                said.push((step.args, words(&hands, &step)));
            }
            said.push(("get -w", watches(&hands).join("\n")));
            said
        })
    };
    let (real, sandbox) = tokio::join!(run(on_real), run(on_sandbox));
    let pairs = real.unwrap().into_iter().zip(sandbox.unwrap());
    let differences = pairs.filter(|(real, sandbox)| real != sandbox);
    let differences: Vec<String> = differences
        .map(|((args, real), (_, sandbox))| {
            format!("kubectl {args}\n--- real:\n{real}\n--- sandbox:\n{sandbox}")
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n=====\n"));
}
