//! The form of a story file.
//!
//! Never does anything.

use std::{fs, io, path::Path, time::Duration};

use super::bed::Bed;

/// A story that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// The file's name.
    pub name: String,
    /// Its steps in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is done.
    pub verb: Verb,
    /// Lines that must be printed.
    pub expected: Vec<String>,
    /// The exit status it must have.
    pub status: i32,
    /// Where it is left out.
    pub unless: Option<Unless>,
}

/// A bed that a part of a story is not told on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unless {
    /// The bed.
    pub bed: Bed,
    /// What it cannot do.
    pub reason: String,
}

/// What a step does.
#[derive(Debug, PartialEq, Eq)]
pub enum Verb {
    /// Something with the stage.
    Stage(Vec<String>),
    /// A shell command.
    Shell {
        /// The command.
        command: String,
        /// How long it may take until it comes true.
        within: Duration,
    },
}

/// Why a file is no story.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("failed to read the story {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// A line is in no form that a story has.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Step {
    /// The step in one line.
    pub fn text(&self) -> String {
        match &self.verb {
            Verb::Stage(words) => format!("% {}", words.join(" ")),
            Verb::Shell { command, .. } => {
                format!("$ {}", command.lines().next().unwrap_or_default())
            }
        }
    }
}

impl Script {
    /// Reads a story.
    ///
    /// # Errors
    ///
    /// The first line that is no line of a story.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into());
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            file: name.clone(),
            source,
        })?;
        Self::parse(name, &text)
    }

    fn parse(name: String, text: &str) -> Result<Self, Error> {
        let mut steps: Vec<Step> = Vec::new();
        let mut unless = None;
        let at = |line, problem| Error::Line {
            file: name.clone(),
            line,
            problem,
        };
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let read = read_line(line, number, &mut unless, &mut steps);
            read.map_err(|problem| at(number, problem))?;
        }
        if unless.is_some() {
            return Err(at(text.lines().count(), "`% unless` without `% end`"));
        }
        Ok(Self { name, steps })
    }
}

fn read_line(
    line: &str,
    number: usize,
    unless: &mut Option<Unless>,
    steps: &mut Vec<Step>,
) -> Result<(), &'static str> {
    if let Some(condition) = line.strip_prefix("% unless ") {
        if unless.is_some() {
            return Err("`% unless` within another");
        }
        *unless = Some(condition_of(condition)?);
        return Ok(());
    }
    if line == "% end" {
        return unless.take().map(drop).ok_or("`% end` without `% unless`");
    }
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    if let Some(expected) = line.strip_prefix("> ") {
        let step = steps.last_mut().ok_or("output before the first command")?;
        step.expected.push(expected.to_owned());
        return Ok(());
    }
    if let Some(more) = line
        .strip_prefix("| ")
        .or_else(|| (line == "|").then_some(""))
    {
        let Some(Step {
            verb: Verb::Shell { command, .. },
            ..
        }) = steps.last_mut()
        else {
            return Err("`|` continues a command, and there is none");
        };
        command.push('\n');
        command.push_str(more);
        return Ok(());
    }
    if let Some(status) = line
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let step = steps
            .last_mut()
            .ok_or("an exit status before the first command")?;
        step.status = status.parse().map_err(|_| "the exit status is no number")?;
        return Ok(());
    }
    let verb = verb(line)?;
    steps.push(Step {
        line: number,
        unless: unless.clone(),
        verb,
        expected: Vec::new(),
        status: 0,
    });
    Ok(())
}

/// Reads `BED: reason`.
fn condition_of(text: &str) -> Result<Unless, &'static str> {
    let (bed, reason) = text
        .split_once(": ")
        .filter(|(_, reason)| !reason.trim().is_empty())
        .ok_or("`% unless` is followed by a bed, `: ` and the reason")?;
    Ok(Unless {
        bed: Bed::named(bed).ok_or("`% unless` names no bed: redb, etcd or sandbox")?,
        reason: reason.to_owned(),
    })
}

fn verb(line: &str) -> Result<Verb, &'static str> {
    if let Some(words) = line.strip_prefix("% ") {
        return Ok(Verb::Stage(
            words.split_whitespace().map(str::to_owned).collect(),
        ));
    }
    if let Some(command) = line.strip_prefix("$ ") {
        return Ok(Verb::Shell {
            command: command.to_owned(),
            within: Duration::ZERO,
        });
    }
    let (within, command) = line
        .strip_prefix('~')
        .and_then(|rest| rest.split_once("s $ "))
        .ok_or("a line begins with `# `, `% `, `$ `, `~30s $ `, `> `, `| ` or `[`")?;
    let seconds = within.parse().map_err(|_| "`~` is followed by seconds")?;
    Ok(Verb::Shell {
        command: command.to_owned(),
        within: Duration::from_secs(seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line() {
        let text = "# hello\n% fleet a b\n\n$ cat <<END\n| x\n| END\n> x\n[3]\n~5s $ true\n";
        let script = Script::parse("s".to_owned(), text).unwrap();
        assert_eq!(script.steps.len(), 3);
        assert_eq!(script.steps[1].status, 3);
        assert_eq!(script.steps[1].expected, ["x"]);
        let Verb::Shell { command, .. } = &script.steps[1].verb else {
            panic!("a command")
        };
        assert_eq!(command, "cat <<END\nx\nEND");
        let Verb::Shell { within, .. } = &script.steps[2].verb else {
            panic!("a command")
        };
        assert_eq!(*within, Duration::from_secs(5));
    }

    #[test]
    fn a_line_of_no_form_is_named() {
        let error = Script::parse("s".to_owned(), "# x\nhello\n").unwrap_err();
        assert!(error.to_string().starts_with("s:2: "), "{error}");
        assert!(Script::parse("s".to_owned(), "> x\n").is_err());
    }
    #[test]
    fn what_a_bed_cannot_do_is_left_out_with_its_reason() {
        let text = "$ a\n% unless sandbox: it cannot\n$ b\n% end\n$ c\n";
        let script = Script::parse("s".to_owned(), text).unwrap();
        let left_out: Vec<_> = script
            .steps
            .iter()
            .map(|step| step.unless.is_some())
            .collect();
        assert_eq!(left_out, [false, true, false]);
        let unless = script.steps[1].unless.as_ref().unwrap();
        assert_eq!(
            (unless.bed, unless.reason.as_str()),
            (Bed::Sandbox, "it cannot")
        );
        for wrong in [
            "% unless sandbox: it cannot\n$ b\n",
            "$ a\n% end\n",
            "% unless sandbox\n% end\n",
            "% unless sandbox: \n% end\n",
            "% unless moon: why not\n% end\n",
        ] {
            assert!(Script::parse("s".to_owned(), wrong).is_err(), "{wrong}");
        }
    }
}
