//! Every command on every way that does not lead to the hub: the code, and words that help.
//!
//! The table is held against the command line itself, so that a command without a row is found.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use clap::CommandFactory as _;
use tidegate::{args::Cli, config::Config};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

use crate::{
    pki::{Authority, Valid},
    world::{Ran, World, configure, ran},
};

/// What a command needs.
enum Needs {
    /// A hub that answers.
    Hub,
    /// Nobody, and why: it must work wherever the configuration leads.
    Nobody(&'static str),
    /// Nobody, and why it is not tried here.
    Apart(&'static str),
}

use Needs::{Apart, Hub, Nobody};

const PURE: &str = "computes from files of this machine";
const SELF: &str = "speaks of this program alone";
const FILE: &str = "reads or writes the configuration file alone";

/// Each command, with arguments that are fine.
const COMMANDS: &[(&str, &str, Needs)] = &[
    ("apply", "-f set.yaml", Hub),
    ("expand", "-f set.yaml", Nobody(PURE)),
    ("render", "objects", Nobody(PURE)),
    ("get", "sets", Hub),
    ("get", "apps --watch", Hub),
    ("describe", "set web", Hub),
    ("diff", "web", Hub),
    ("plan", "web", Hub),
    ("events", "--set web", Hub),
    ("events", "--follow", Hub),
    ("release diff", "web 7 8", Hub),
    ("trace", "cm/a --cluster c", Hub),
    ("tree", "web-1", Hub),
    ("why", "web-1", Hub),
    ("delete set", "web --reason x", Hub),
    ("delete waveplan", "standard --reason x", Hub),
    ("run watch", "--set web", Hub),
    ("run explain", "--set web", Hub),
    ("run approve", "--set web", Hub),
    ("run reject", "--set web --reason x", Hub),
    ("run pause", "--set web", Hub),
    ("run resume", "--set web", Hub),
    ("run cancel", "--set web", Hub),
    ("run break-glass", "--set web --reason x", Hub),
    ("run retry", "--set web", Hub),
    ("run skip", "--set web --cluster c", Hub),
    ("rollback", "web --reason x", Hub),
    ("unpin", "web --reason x", Hub),
    ("refresh", "web", Hub),
    ("sync", "--set web", Hub),
    ("hold approve", "3f9a --reason x", Hub),
    ("wait", "set web --for healthy", Hub),
    ("cluster list", "", Hub),
    ("cluster join-token", "new --ca-out made", Hub),
    ("cluster label", "new a=b", Hub),
    ("cluster rotate", "new", Hub),
    ("cluster rotate", "new --wait", Hub),
    ("cluster remove", "new", Hub),
    ("release list", "", Hub),
    ("release show", "web/7", Hub),
    ("audit log", "", Hub),
    ("audit verify", "", Hub),
    ("audit export", "", Hub),
    ("audit replay", "", Hub),
    ("user create", "lee --role viewer --out made", Hub),
    ("config get-contexts", "", Nobody(FILE)),
    ("config current-context", "", Nobody(FILE)),
    ("config use-context", "test", Nobody(FILE)),
    ("config delete-context", "test", Nobody(FILE)),
    ("config rename-context", "test other", Nobody(FILE)),
    ("config view", "", Nobody(FILE)),
    ("config add", "second.yaml --as second", Nobody(FILE)),
    ("whoami", "", Hub),
    (
        "up",
        "",
        Apart("brings up a hub of its own, as its own tests do"),
    ),
    (
        "down",
        "",
        Apart("ends and deletes what `up` made, as its own tests do"),
    ),
    ("version", "", Nobody(SELF)),
    ("completion", "bash", Nobody(SELF)),
];

const SET: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: ApplicationSet
metadata: {name: web}
spec:
  generators: [{clusters: {}}]
  template:
    metadata: {name: 'web-{{.name}}'}
    spec:
      source: {repoURL: 'https://git.example/web.git', targetRevision: main, path: web}
      destination: {name: '{{.name}}', namespace: web}
";

/// Every command that has none below it.
pub(crate) fn leaves() -> Vec<String> {
    fn walk(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for inner in command.get_subcommands() {
            let path = format!("{path} {}", inner.get_name());
            if inner.get_subcommands().next().is_none() {
                found.push(path.trim().to_owned());
            }
            walk(inner, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), "", &mut found);
    found
}

#[test]
fn every_command_has_a_row() {
    let mut rows: Vec<_> = COMMANDS.iter().map(|(path, ..)| *path).collect();
    rows.dedup();
    let (mut leaves, mut known) = (leaves(), rows);
    leaves.sort();
    known.sort_unstable();
    assert_eq!(leaves, known, "add a row to COMMANDS for each command");
    for (path, _, needs) in COMMANDS {
        if let Nobody(why) | Apart(why) = needs {
            assert!(!why.is_empty(), "{path}: say why it needs no hub");
        }
    }
}

/// A way that does not lead to the hub.
struct Way {
    name: &'static str,
    /// The configuration file's text.
    config: String,
    /// What is on the command line too.
    option: &'static str,
    code: i32,
    /// What must be told; FILE stands for the configuration file.
    words: Vec<String>,
}

/// The command in a directory of its own.
async fn try_one(world: &World, way: &Way, path: &str, arguments: &str) -> (Ran, PathBuf) {
    let directory = tempfile::tempdir_in(world.directory.path()).unwrap().keep();
    let config = directory.join("config.yaml");
    fs::write(&config, &way.config).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(directory.join("second.yaml"), &way.config).unwrap();
    fs::write(directory.join("set.yaml"), SET).unwrap();
    fs::create_dir(directory.join("objects")).unwrap();
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    fs::write(directory.join("objects/a.yaml"), object).unwrap();
    let line = format!("{path} {arguments} {}", way.option);
    let line: Vec<_> = line.split_whitespace().collect();
    let mut command = world.command(&line);
    command
        .current_dir(&directory)
        .env("TIDEGATE_CONFIG", &config);
    (ran(&mut command).await, config)
}

async fn hold(world: &World, way: &Way) {
    let rows = COMMANDS.iter().map(|(path, arguments, needs)| async move {
        if matches!(needs, Apart(_)) {
            return;
        }
        let (ran, config) = try_one(world, way, path, arguments).await;
        let what = format!("{} over {}: {ran:#?}", path, way.name);
        match needs {
            Apart(_) => {}
            Nobody(_) => {
                // The one command that speaks to nobody and yet shows the context that is named.
                let shows_it = !way.option.is_empty() && *path == "config current-context";
                assert_eq!(ran.code, if shows_it { 2 } else { 0 }, "{what}");
            }
            Hub => {
                assert_eq!(ran.code, way.code, "{what}");
                assert!(ran.err.starts_with("error: failed to"), "{what}");
                assert_eq!(ran.out, "", "{what}");
                for word in &way.words {
                    let word = word.replace("FILE", &config.display().to_string());
                    assert!(ran.err.contains(&word), "no {word:?} in {what}");
                }
                let made = config.with_file_name("made");
                assert!(!made.exists(), "{what} left a file");
            }
        }
    });
    for row in rows {
        row.await;
    }
    assert_eq!(world.hub.requests(), 0, "{}", way.name);
}

/// The configuration with another address.
fn leading_to(world: &World, server: &str) -> String {
    let mut config = Config::load(&world.config).unwrap();
    server.clone_into(&mut config.contexts[0].server);
    config.to_yaml(&world.config).unwrap()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_hub_that_is_dead() {
    let world = World::new();
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://localhost:{}", dead.local_addr().unwrap().port());
    drop(dead);
    let way = Way {
        name: "a dead hub",
        config: leading_to(&world, &server),
        option: "",
        code: 5,
        words: words(&[
            &server,
            "refused",
            "`tidegate-hub serve` running there",
            "--server",
        ]),
    };
    hold(&world, &way).await;
}

#[tokio::test]
async fn a_certificate_of_the_user_that_has_expired() {
    let world = World::new();
    let old = world.authority.person("kim", Valid::Expired);
    let path = world.directory.path().join("old.yaml");
    configure(&path, &world.server(), &world.authority.pem, old);
    let way = Way {
        name: "an expired certificate",
        config: fs::read_to_string(&path).unwrap(),
        option: "",
        code: 4,
        words: words(&[
            "context \"test\"",
            "it expired on 2021-01-01T00:00:00Z",
            "tidegate user create",
        ]),
    };
    hold(&world, &way).await;
}

#[tokio::test]
async fn a_certificate_of_the_hub_that_has_expired() {
    let authority = Authority::new("tidegate");
    let hub = authority.hub("localhost", Valid::Expired);
    let world = World::with(authority, hub);
    let way = Way {
        name: "an expired hub",
        config: fs::read_to_string(&world.config).unwrap(),
        option: "",
        code: 5,
        words: words(&[
            &world.server(),
            "its certificate expired on 2021-01-01T00:00:00Z",
            "must be renewed",
            "clock",
        ]),
    };
    hold(&world, &way).await;
}

#[tokio::test]
async fn a_context_that_there_is_not() {
    let world = World::new();
    let way = Way {
        name: "a wrong context",
        config: fs::read_to_string(&world.config).unwrap(),
        option: "--context nowhere",
        code: 2,
        words: words(&["\"nowhere\"", "FILE", "it has test", "config use-context"]),
    };
    hold(&world, &way).await;
}

/// Something that answers each connection with these bytes, once it has been spoken to.
async fn answering(bytes: &'static [u8]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                if stream.read(&mut asked).await.is_ok() {
                    let _ = stream.write_all(bytes).await;
                }
            });
        }
    });
    (server, task)
}

#[tokio::test]
async fn a_port_where_a_web_server_answers() {
    let world = World::new();
    let (server, task) = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let way = Way {
        name: "plain HTTP",
        config: leading_to(&world, &server),
        option: "",
        code: 5,
        words: words(&[&server, "does not speak TLS", "gRPC port", "--server"]),
    };
    hold(&world, &way).await;
    task.abort();
}

#[tokio::test]
async fn a_port_where_something_hangs_up() {
    let world = World::new();
    let (server, task) = answering(b"").await;
    let way = Way {
        name: "something that hangs up",
        config: leading_to(&world, &server),
        option: "",
        code: 5,
        words: words(&[&server, "`tidegate-hub serve` running there", "--server"]),
    };
    hold(&world, &way).await;
    task.abort();
}
