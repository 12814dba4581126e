//! The only room that prints.
//!
//! Results go to standard output, progress and errors to standard error. Owns the choice between
//! tables, JSON, YAML and names, and whether there is a terminal to redraw or colour. Never asks the
//! hub.

pub mod age;
pub mod block;
pub mod differences;
pub mod manifest;
pub mod message;
pub mod progress;
pub mod rows;
pub mod sheet;
pub mod table;
pub mod text;

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::{
    args::Format,
    clock::Clock,
    error::Error,
    output::{
        message::Described,
        progress::Progress,
        rows::Row,
        table::Pieces,
        text::{Paint, plain},
    },
};

/// Columns of a screen that does not say how wide it is.
const DEFAULT_WIDTH: u16 = 80;
/// Lines of a screen that does not say how high it is.
const DEFAULT_HEIGHT: u16 = 24;

/// Where and how results are printed.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    format: Format,
    clock: Clock,
    screen: Screen,
    /// Lines of the view that the next redraw replaces.
    drawn: usize,
    progress: Progress,
}

/// What standard output is.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// It is a terminal: views are drawn anew instead of told line by line.
    pub terminal: bool,
    /// Somebody said how wide it is: what is wider may be laid out otherwise.
    pub narrow: bool,
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// How state words are coloured.
    pub paint: Paint,
}

impl Screen {
    /// What standard output is now. Colour needs a terminal and no `NO_COLOR` (no-color.org).
    fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let size = terminal.then(terminal_size::terminal_size).flatten();
        let height = size.map_or(DEFAULT_HEIGHT, |(_, height)| height.0);
        let columns = std::env::var("COLUMNS").ok();
        let told = width(columns.as_deref(), size.map(|(width, _)| width.0));
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = terminal && !dumb;
        Self {
            terminal,
            narrow: told.is_some(),
            width: told.unwrap_or(DEFAULT_WIDTH),
            height,
            paint: Paint {
                on: terminal && !no_colour,
            },
        }
    }
}

/// How wide the screen is, if `COLUMNS` or the terminal says so. A terminal that does not know says 0.
fn width(columns: Option<&str>, terminal: Option<u16>) -> Option<u16> {
    let columns = columns.and_then(|columns| columns.trim().parse().ok());
    columns
        .filter(|width| *width > 0)
        .or(terminal.filter(|width| *width > 0))
}

impl Output {
    /// Prints to the process's own streams.
    pub fn standard(format: Format, clock: Clock) -> Self {
        let (out, err) = (Box::new(io::stdout()), Box::new(io::stderr()));
        Self {
            progress: Progress::of_stderr(),
            ..Self::to(out, err, format, clock, Screen::of_stdout())
        }
    }

    /// Prints to these streams.
    pub fn to(
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
        format: Format,
        clock: Clock,
        screen: Screen,
    ) -> Self {
        Self {
            out,
            err,
            format,
            clock,
            screen,
            drawn: 0,
            progress: Progress::default(),
        }
    }

    /// How the user wants it.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What standard output is.
    pub fn screen(&self) -> Screen {
        self.screen
    }

    /// The time, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A list. `none` is said on standard error when a table would be empty.
    pub fn list<T: Row>(&mut self, items: &[T], none: &str) -> Result<(), Error> {
        match self.format {
            Format::Table if items.is_empty() => {
                self.note(none);
                Ok(())
            }
            Format::Table => {
                let table = table::of(items, self.now_ms(), self.screen, 1);
                self.line(&table)
            }
            Format::Name => items
                .iter()
                .try_for_each(|item| self.line(&plain(&item.name()))),
            Format::Json => self.json(&message::list(items)?),
            Format::Yaml => self.yaml(&message::list(items)?),
        }
    }

    /// One thing of a list, in full.
    pub fn item<T: Row>(&mut self, item: &T) -> Result<(), Error> {
        match self.format {
            Format::Table => {
                let items = std::slice::from_ref(item);
                let table = table::of(items, self.now_ms(), self.screen, usize::MAX);
                self.line(&table)?;
                let details: Vec<_> = item
                    .details()
                    .into_iter()
                    .map(|(heading, text)| vec![heading.to_owned(), text])
                    .collect();
                if details.is_empty() {
                    return Ok(());
                }
                let columns = [table::column(""), table::flexible("")];
                self.line(&table::render(
                    &columns,
                    &details,
                    self.screen.width,
                    usize::MAX,
                ))
            }
            _ => self.answer(item, &item.name(), String::new),
        }
    }

    /// An answer of the hub about the thing of this name (KIND/NAME). People read it as `text`, which
    /// may have several lines.
    pub fn answer<T: Described>(
        &mut self,
        answer: &T,
        name: &str,
        text: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        match self.format {
            Format::Table => self.line(&text()),
            Format::Name => self.line(&plain(name)),
            Format::Json => self.json(&message::value(answer)?),
            Format::Yaml => self.yaml(&message::value(answer)?),
        }
    }

    /// One state of something that is followed: JSON on one line, YAML as one document.
    pub fn state<T: Described>(&mut self, state: &T) -> Result<(), Error> {
        match self.format {
            Format::Json | Format::Yaml => self.document(&message::value(state)?),
            Format::Table | Format::Name => Ok(()),
        }
    }

    /// The things as rows of one table.
    pub fn pieces<T: Row>(&self, items: &[T]) -> Pieces {
        table::pieces(items, self.now_ms(), self.screen)
    }

    /// One of several documents: JSON on one line, YAML after a mark.
    pub fn document(&mut self, value: &serde_json::Value) -> Result<(), Error> {
        match self.format {
            Format::Yaml => {
                self.line("---")?;
                self.yaml(value)
            }
            _ => self.line(&value.to_string()),
        }
    }

    /// Something that is no message of the API; people read it as `text`.
    pub fn value(&mut self, value: &impl Serialize, text: &str) -> Result<(), Error> {
        match self.format {
            Format::Table | Format::Name => self.line(text),
            Format::Json => self.json(value),
            Format::Yaml => self.yaml(value),
        }
    }

    /// What is told while there is no result yet.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.progress.end();
        Ok(self.out.write_all(bytes)?)
    }

    /// A line of the result.
    pub fn line(&mut self, line: &str) -> Result<(), Error> {
        self.progress.end();
        Ok(writeln!(self.out, "{line}")?)
    }

    /// A line of progress. That nobody reads it is no failure.
    pub fn note(&mut self, line: &str) {
        self.progress.clear();
        let _ = writeln!(self.err, "{line}");
        // On a screen the note stands below the view, which is no longer where it was.
        self.drawn = 0;
    }

    /// Replaces the view that the last call drew.
    pub fn redraw(&mut self, lines: &[String]) -> Result<(), Error> {
        self.progress.end();
        if self.drawn > 0 {
            // Up to the view's first line, then clear to the end of the screen (ECMA-48 CPL, ED).
            write!(self.out, "\x1b[{}F\x1b[J", self.drawn)?;
        }
        for line in lines {
            self.line(line)?;
        }
        self.drawn = lines.len();
        Ok(self.out.flush()?)
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.progress.end();
        self.out.flush()
    }

    /// Tells why the command failed, unless there is nobody to tell.
    pub fn error(&mut self, error: &Error) {
        self.progress.end();
        if !error.is_silent() {
            let _ = self.out.flush();
            let lines: Vec<_> = error.to_string().lines().map(text::harmless).collect();
            let _ = writeln!(self.err, "error: {}", lines.join("\n"));
        }
    }

    fn json(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let text =
            serde_json::to_string_pretty(value).map_err(|error| Error::Print(error.to_string()))?;
        self.line(&text)
    }

    fn yaml(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_yaml::to_string(value).map_err(|error| Error::Print(error.to_string()))?;
        self.raw(text.as_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written, for a test to look at.
    #[derive(Clone, Default)]
    pub(super) struct Sheet(Arc<Mutex<Vec<u8>>>);

    impl Write for Sheet {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .map_err(|_| io::Error::other("poisoned"))?
                .write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sheet {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn output(out: &Sheet, err: &Sheet) -> Output {
        let screen = Screen {
            terminal: true,
            narrow: true,
            width: 80,
            height: 24,
            paint: Paint { on: false },
        };
        let (out, err) = (Box::new(out.clone()), Box::new(err.clone()));
        Output::to(out, err, Format::Table, Clock::default(), screen)
    }

    #[test]
    fn a_view_is_drawn_over_the_one_before() {
        let (out, err) = (Sheet::default(), Sheet::default());
        let mut output = output(&out, &err);
        output.redraw(&["a".to_owned(), "b".to_owned()]).unwrap();
        output.redraw(&["c".to_owned()]).unwrap();
        assert_eq!(out.text(), "a\nb\n\x1b[2F\x1b[Jc\n");
    }

    #[test]
    fn a_note_ends_the_view_above_it() {
        let (out, err) = (Sheet::default(), Sheet::default());
        let mut output = output(&out, &err);
        output.redraw(&["a".to_owned()]).unwrap();
        output.note("trying again");
        output.redraw(&["b".to_owned()]).unwrap();
        assert_eq!(out.text(), "a\nb\n");
        assert_eq!(err.text(), "trying again\n");
    }

    #[test]
    fn an_error_is_told_without_what_could_steer_a_terminal() {
        let (out, err) = (Sheet::default(), Sheet::default());
        let mut output = output(&out, &err);
        output.error(&Error::Input(
            "a.yaml:1: bad\n  b.yaml:2: \x1b[2Jworse".to_owned(),
        ));
        assert_eq!(
            err.text(),
            "error: a.yaml:1: bad\n  b.yaml:2: \u{fffd}[2Jworse\n"
        );
    }
}
