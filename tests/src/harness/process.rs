//! Processes that end with the test.
//!
//! Owns starting, signalling and ending a process of the test bed: its output
//! goes to a log file, drop kills it by pid, and the kernel kills it when the
//! test process dies before it could. It never touches a process that it did
//! not start, and knows nothing of what the process does.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use super::{error::Error, wait::eventually};

mod keeper;

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 30;
/// Bytes of a log that an error looks at.
const TAIL_BYTES: u64 = 16 * 1024;

/// How long a signalled process may go on; its threads end their system calls first.
const PAUSE: Duration = Duration::from_secs(30);

/// Settings of the surroundings that must not leak into a test's processes:
/// a proxy would take even loopback connections of some clients.
const UNWANTED: [&str; 9] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "KUBECONFIG",
];

/// A signal that the harness sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stop running until [`Signal::Continue`]; connections stay open and silent.
    Pause,
    /// Run again.
    Continue,
    /// End in good order.
    Terminate,
    /// End now.
    Kill,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Pause => "STOP",
            Self::Continue => "CONT",
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
        }
    }
}

/// A command for `program` that the kernel kills when the test process ends,
/// in an environment without proxies and kubeconfigs of the machine.
///
/// Add arguments and variables to it, then hand it to [`Process::start`].
pub fn command_for(program: &Path) -> Command {
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    for name in UNWANTED {
        command.env_remove(name);
    }
    command
}

/// `setpriv` of util-linux sets the signal of a parent's death before it
/// becomes the program: the same pid, and no unsafe code here.
fn setpriv() -> Option<&'static str> {
    static USABLE: OnceLock<bool> = OnceLock::new();
    let usable = USABLE.get_or_init(|| {
        let tried = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let usable = tried.is_ok_and(|status| status.success());
        if !usable {
            eprintln!(
                "no setpriv with --pdeathsig (util-linux 2.33): a killed test leaves its servers running"
            );
        }
        usable
    });
    usable.then_some("setpriv")
}

/// A running process; dropped, it is killed and waited for.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    // Where this run's output begins in the log, which earlier runs may share.
    log_start: u64,
    child: Mutex<Child>,
}

impl Process {
    /// Starts `command`, with its output appended to `log`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the log cannot be written or the program not run.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self, Error> {
        Self::start_telling(name, command, log, None)
    }

    /// Starts `command` with its standard error there, or in `log` too.
    ///
    /// # Errors
    ///
    /// Those of [`Process::start`].
    pub fn start_telling(
        name: &str,
        mut command: Command,
        log: &Path,
        stderr: Option<Stdio>,
    ) -> Result<Self, Error> {
        let open = || {
            let output = File::options().create(true).append(true).open(log)?;
            let start = output.metadata()?.len();
            Ok((output.try_clone()?, output, start))
        };
        let (out, err, log_start) = open().map_err(Error::io(format!("open {}", log.display())))?;
        command.stdin(Stdio::null()).stdout(out);
        command.stderr(stderr.unwrap_or_else(|| err.into()));
        let child = keeper::spawn(command).map_err(Error::io(format!("start {name}")))?;
        let (name, log) = (name.to_owned(), log.to_owned());
        Ok(Self {
            name,
            pid: child.id(),
            log,
            log_start,
            child: Mutex::new(child),
        })
    }

    /// Its name, as given at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the operating system does not tell.
    pub fn status(&self) -> Result<Option<ExitStatus>, Error> {
        self.child()
            .try_wait()
            .map_err(Error::io(format!("look after {}", self.name)))
    }

    /// Fails with the end of its log if the process has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`], or [`Error::Io`] when the operating system does not tell.
    pub fn expect_running(&self) -> Result<(), Error> {
        match self.status()? {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                process: self.name.clone(),
                status,
                log: self.log.clone(),
                tail: self.log_tail(),
            }),
        }
    }

    /// Sends a signal, or nothing if the process has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the signal cannot be sent.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        // Until the child is waited for, its pid is nobody else's; the lock keeps it so.
        let mut child = self.child();
        let failed = Error::io(format!("send {} to {}", signal.name(), self.name));
        let sent = match child.try_wait() {
            Ok(Some(_ended)) => Ok(()),
            Ok(None) => send(signal, self.pid),
            Err(error) => Err(error),
        };
        sent.map_err(failed)
    }

    /// Stops the process from running until [`Signal::Continue`]. On return all
    /// its threads stand still: the signal alone reaches them one by one, and
    /// one that still runs could answer a request.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be signalled, [`Error::Ended`] when it has
    /// ended, [`Error::Deadline`] when a thread goes on.
    pub async fn pause(&self) -> Result<(), Error> {
        self.expect_running()?;
        self.signal(Signal::Pause)?;
        let what = format!("{} paused", self.name);
        eventually(&what, PAUSE, || async {
            match threads(self.pid).map_err(|error| error.to_string())? {
                states if states.iter().all(|state| matches!(state, 'T' | 't')) => Ok(()),
                states => Err(format!("threads in states {states:?}")),
            }
        })
        .await
    }

    /// Ends the process: in good order within `grace`, else at once.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be signalled.
    pub async fn end(&self, grace: Duration) -> Result<(), Error> {
        self.signal(Signal::Terminate)?;
        // A paused process would not even see that it shall end.
        self.signal(Signal::Continue)?;
        let gone = eventually("the end of the process", grace, || async {
            match self.status() {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err("it runs".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
        if gone.await.is_err() {
            self.signal(Signal::Kill)?;
            self.child()
                .wait()
                .map_err(Error::io(format!("wait for {}", self.name)))?;
        }
        Ok(())
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.log)?;
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(
                self.log_start.max(end.saturating_sub(TAIL_BYTES)),
            ))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
        };
        read().unwrap_or_else(|error| format!("(failed to read the log: {error})"))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = child.kill().and_then(|()| child.wait()) {
            eprintln!("failed to kill {} (pid {}): {error}", self.name, self.pid);
        }
    }
}

/// Whether a process with this id runs; one that has ended and is only not
/// waited for does not.
pub fn is_alive(pid: u32) -> bool {
    let state = state(&PathBuf::from(format!("/proc/{pid}/stat")));
    !matches!(state, Err(_) | Ok('Z' | 'X'))
}

/// The states of a process's threads.
fn threads(pid: u32) -> io::Result<Vec<char>> {
    fs::read_dir(format!("/proc/{pid}/task"))?
        .map(|thread| state(&thread?.path().join("stat")))
        .collect()
}

/// The state in a `stat` file of the kernel. It follows the name, which stands
/// in brackets and may contain anything.
fn state(stat: &Path) -> io::Result<char> {
    let text = fs::read_to_string(stat)?;
    let state = text
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.ok_or_else(|| io::Error::other(format!("no state in {}", stat.display())))
}

/// The shell's own `kill` sends any signal without unsafe code.
fn send(signal: Signal, pid: u32) -> io::Result<()> {
    let done = Command::new("sh")
        .args([
            "-c",
            "kill -s \"$0\" \"$1\"",
            signal.name(),
            &pid.to_string(),
        ])
        .output()?;
    if done.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&done.stderr).into_owned(),
        ))
    }
}

#[cfg(test)]
mod tests;
