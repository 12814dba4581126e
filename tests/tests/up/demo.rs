//! A fleet of `tidegate up` in a folder of its own, and commands beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tidegate_tests::{
    harness::{Process, Signal, command_for, eventually},
    story::stage::product,
};

/// How long a fleet may take for whatever it is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A folder for one fleet, and the program.
pub(crate) struct Demo {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Demo {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            program: product("tidegate").unwrap(),
        }
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where `up` keeps the fleet, unless told otherwise.
    pub(crate) fn fleet(&self) -> PathBuf {
        self.folder().join("tidegate-demo")
    }

    /// The program with these arguments, in the folder, as somebody without any configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command_for(&self.program);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env("HOME", self.folder())
            .env_remove("XDG_CONFIG_HOME");
        for name in ["TIDEGATE_CONFIG", "TIDEGATE_CONTEXT", "TIDEGATE_SERVER"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it to its end, which comes within [`PATIENCE`] one way or the other.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let command = self.command(arguments);
        let mut bounded = Command::new("timeout");
        bounded
            .arg(PATIENCE.as_secs().to_string())
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(self.folder());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bounded.env(name, value),
                None => bounded.env_remove(name),
            };
        }
        bounded.output().unwrap()
    }

    /// The summary of `up --once -o json` with these arguments besides.
    pub(crate) fn once(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["up", "--once", "-o", "json"], arguments].concat());
        assert!(output.status.success(), "{}", told(&output));
        // Nothing but one document.
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panicked(&output))
    }

    /// Starts it, its words in a file of their own.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        let mut logs = (0..).map(|number| self.folder().join(format!("told-{number}")));
        let log = logs.find(|log| !log.exists()).unwrap();
        Process::start("tidegate up", self.command(arguments), &log).unwrap()
    }

    /// What holds settings in a simulated cluster, as somebody who has its kubeconfig sees them.
    pub(crate) async fn config_maps(&self, cluster: &str) -> Api<ConfigMap> {
        let kubeconfig = Kubeconfig::read_from(self.fleet().join("kubeconfig")).unwrap();
        let select = KubeConfigOptions {
            context: Some(cluster.to_owned()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &select)
            .await
            .unwrap();
        Api::default_namespaced(Client::try_from(config).unwrap())
    }

    /// A hub's command in the fleet.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let config = self.fleet().join("config.yaml");
        command.env("TIDEGATE_CONFIG", config).output().unwrap()
    }
}

/// Waits until the process has told this.
pub(crate) async fn hear(process: &Process, words: &str) -> String {
    let heard = eventually(words, PATIENCE, || async {
        process
            .expect_running()
            .map_err(|error| error.to_string())?;
        let told = fs::read_to_string(process.log()).map_err(|error| error.to_string())?;
        if told.contains(words) {
            return Ok(told);
        }
        Err(told)
    });
    heard.await.unwrap()
}

/// Asks it to end and waits for its exit code.
pub(crate) async fn end(process: &Process, signal: Signal) -> Option<i32> {
    process.signal(signal).unwrap();
    let ended = eventually("the end of up", PATIENCE, || async {
        match process.status() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
    ended.await.unwrap().code()
}

/// What a command said, for messages.
pub(crate) fn told(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn panicked(output: &Output) -> Value {
    Value::String(told(output))
}
