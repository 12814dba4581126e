//! Stories: text files that use Tidegate as people do, on real clusters, and say what they see.
//!
//! Owns the telling: [`script`] reads a file, [`stage`] sets up clusters, hub, agents and a Git
//! repository, and this module does one line after the other. A story speaks through the command
//! line, kubectl and Git; it knows no type of the product.
//!
//! ```text
//! # A comment.
//! % fleet dev-1:env=dev prod-1:env=prod     something done to the stage
//! $ tidegate get sets -o name               a shell command that must succeed
//! > applicationset/default/web              what it prints; `…` stands for anything
//! [3]                                       or the exit status that it must have
//! ~30s $ k dev-1 get deployment web         the same, asked again until it is so
//! $ cat > file <<END                        lines after `| ` belong to the command
//! | text
//! | END
//! % prometheus start                        a workload that serves the files in `served`, and a
//!                                           Prometheus that scrapes its /metrics; `kill` ends both
//! % unless sandbox: it calls no webhooks    what follows is left out on that bed, for this reason,
//! % end                                     up to here
//! ```
//!
//! A story is told on several beds ([`bed`]), by the same words.

pub mod bed;
pub mod pattern;
pub mod proxy;
pub mod script;
pub mod stage;

use std::{fmt, path::Path, time::Duration};

use tokio::time::Instant;

pub use self::stage::product;
use self::{
    bed::Bed,
    script::{Script, Step, Verb},
    stage::Stage,
};
use crate::harness::{Binaries, Error};

/// Why a story does not end as it is told.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file is no story.
    #[error(transparent)]
    Script(#[from] script::Error),
    /// The stage could not be set or changed.
    #[error("{file}:{line}: {source}")]
    Stage {
        /// The story.
        file: String,
        /// The line.
        line: usize,
        /// What went wrong.
        source: Error,
    },
    /// Something else was seen.
    #[error("{file}:{line}: {command}\n{what}")]
    Seen {
        /// The story.
        file: String,
        /// The line.
        line: usize,
        /// The command.
        command: String,
        /// What was expected and what was seen.
        what: Seen,
    },
}

/// What a command came to, beside what was expected.
#[derive(Debug)]
pub struct Seen {
    expected_status: i32,
    expected: Vec<String>,
    status: i32,
    stdout: String,
    stderr: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "expected exit status {} and:", self.expected_status)?;
        for line in &self.expected {
            writeln!(f, "  > {line}")?;
        }
        writeln!(f, "came to exit status {} and:", self.status)?;
        for line in self.stdout.lines() {
            writeln!(f, "  > {line}")?;
        }
        for line in self.stderr.lines() {
            writeln!(f, "  ! {line}")?;
        }
        Ok(())
    }
}

/// Tells the story in `file` to its end, on this bed.
///
/// # Errors
///
/// The first line that does not come true, with what was seen instead and the last words of the
/// hub and the agents.
pub async fn tell(binaries: &Binaries, bed: Bed, file: &Path) -> Result<(), String> {
    let script = Script::read(file).map_err(|error| error.to_string())?;
    let mut stage = Stage::new(binaries, bed).map_err(|error| error.to_string())?;
    match play(&script, bed, &mut stage).await {
        Ok(()) => Ok(()),
        Err(failure) => Err(format!("on {bed}: {failure}\n{}", stage.last_words())),
    }
}

async fn play(script: &Script, bed: Bed, stage: &mut Stage) -> Result<(), Failure> {
    let begun = Instant::now();
    for step in &script.steps {
        let at = begun.elapsed().as_secs_f32();
        // Progress, for whoever watches a long test.
        eprint!("{at:6.1} s  {bed} {}:{}: ", script.name, step.line);
        if let Some(unless) = step.unless.as_ref().filter(|unless| unless.bed == bed) {
            eprintln!("left out: {}", unless.reason);
            continue;
        }
        eprintln!("{}", step.text());
        match &step.verb {
            Verb::Stage(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                stage.act(&words).await.map_err(|source| Failure::Stage {
                    file: script.name.clone(),
                    line: step.line,
                    source,
                })?;
            }
            Verb::Shell { command, within } => {
                shell(stage, step, command, *within)
                    .await
                    .map_err(|what| Failure::Seen {
                        file: script.name.clone(),
                        line: step.line,
                        command: command.clone(),
                        what,
                    })?;
            }
        }
    }
    Ok(())
}

/// Runs a command until it comes to what the step expects, at least once, for `within` at most.
async fn shell(stage: &Stage, step: &Step, command: &str, within: Duration) -> Result<(), Seen> {
    let begun = Instant::now();
    loop {
        let (status, stdout, stderr) = stage.shell(command).await;
        let fits = status == step.status && pattern::fits(&step.expected, &stdout);
        if fits {
            return Ok(());
        }
        if begun.elapsed() >= within {
            return Err(Seen {
                expected_status: step.status,
                expected: step.expected.clone(),
                status,
                stdout,
                stderr,
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
