//! A line that says what takes so long, for a person in front of a terminal.
//!
//! Owns when it comes and goes: after a second, until there is a result. It stands on standard error
//! and is wiped out again, so that nothing of it is left among results, in files or in logs.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use super::{age::length, text::plain, width};

/// How long nobody is told anything, and how often the line is brought up to date then.
const PERIOD: Duration = Duration::from_secs(1);

/// The line. Clones are of the same one.
#[derive(Clone, Default)]
pub struct Progress {
    /// None where nobody looks.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    err: Box<dyn Write + Send>,
    width: usize,
    what: String,
    begun: Instant,
    running: bool,
    /// Whether the line stands on the screen.
    shown: bool,
}

impl Progress {
    /// On standard error, if that is a terminal that can wipe out a line.
    pub fn of_stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if dumb || !io::stderr().is_terminal() {
            return Self::default();
        }
        let size = terminal_size::terminal_size_of(io::stderr());
        let columns = width(None, size.map(|(width, _)| width.0)).unwrap_or(super::DEFAULT_WIDTH);
        Self::to(Box::new(io::stderr()), columns)
    }

    /// On a terminal that is so many columns wide.
    fn to(err: Box<dyn Write + Send>, width: u16) -> Self {
        let state = State {
            err,
            width: width.into(),
            what: String::new(),
            begun: Instant::now(),
            running: false,
            shown: false,
        };
        Self {
            shared: Some(Arc::new(Shared {
                state: Mutex::new(state),
                ended: Condvar::new(),
            })),
        }
    }

    /// From now on this is what is waited for: a phrase such as `waiting for the hub`.
    pub fn say(&self, what: &str) {
        self.say_every(what, PERIOD);
    }

    fn say_every(&self, what: &str, period: Duration) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        state.what = plain(what);
        if state.running {
            return;
        }
        state.running = true;
        state.begun = Instant::now();
        let shared = Arc::clone(shared);
        // What is waited for may keep the only thread of the runtime busy.
        thread::spawn(move || shared.tick(period));
    }

    /// Makes room for another line; the line comes back later.
    pub fn clear(&self) {
        if let Some(shared) = &self.shared {
            shared.lock().clear();
        }
    }

    /// There is a result: nothing is waited for any longer.
    pub fn end(&self) {
        if let Some(shared) = &self.shared {
            let mut state = shared.lock();
            state.running = false;
            state.clear();
            shared.ended.notify_all();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, period: Duration) {
        let mut state = self.lock();
        loop {
            let waited = self.ended.wait_timeout(state, period);
            let (next, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            if !state.running {
                return;
            }
            if waited.timed_out() {
                state.draw();
            }
        }
    }
}

impl State {
    /// That nobody sees it is no failure.
    fn draw(&mut self) {
        let ms = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let told = super::text::cut(
            &format!("{} … {}", self.what, length(ms)),
            self.width.saturating_sub(1),
        );
        let _ = write!(self.err, "\r{told}\x1b[K");
        let _ = self.err.flush();
        self.shown = true;
    }

    /// Back to the first column, then clear to the end of the line (ECMA-48 EL).
    fn clear(&mut self) {
        if self.shown {
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
            self.shown = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::Sheet;

    /// Waits for the line; it comes by the clock.
    fn wait_for(sheet: &Sheet, word: &str) {
        let begun = Instant::now();
        while !sheet.text().contains(word) {
            assert!(begun.elapsed() < Duration::from_secs(20), "no {word}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_line_comes_late_follows_what_is_said_and_is_wiped_out() {
        let sheet = Sheet::default();
        let progress = Progress::to(Box::new(sheet.clone()), 20);
        progress.say_every("waiting for a hub", Duration::from_millis(5));
        wait_for(&sheet, "\rwaiting for a hub …\x1b[K");
        progress.say_every("reading", Duration::from_millis(5));
        wait_for(&sheet, "\rreading … 0s\x1b[K");
        progress.end();
        let told = sheet.text();
        assert!(told.ends_with("\r\x1b[K"), "{told:?}");
        thread::sleep(Duration::from_millis(30));
        assert_eq!(sheet.text(), told, "it came back");
    }

    #[test]
    fn what_is_quick_is_not_talked_about() {
        let sheet = Sheet::default();
        let progress = Progress::to(Box::new(sheet.clone()), 80);
        progress.say("waiting");
        progress.clear();
        progress.end();
        assert_eq!(sheet.text(), "");
    }
}
