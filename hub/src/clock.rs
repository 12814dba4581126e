//! The one place of the hub that reads time and makes ids.
//!
//! Everything else takes both as values. Time never goes back within a process: a wall clock that
//! is set back stands still until it has caught up, so that no soak or window is shortened
//! (facts/promotion.md §2.4, invariant 39).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Source of time and ids. Cheap to clone; clones share the time that was last given out.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Arc<Mutex<Timestamp>>,
    shift: Option<Arc<Shift>>,
}

/// A test's word on how far from the wall clock this one is.
#[derive(Debug)]
struct Shift {
    file: PathBuf,
    by: Mutex<SignedDuration>,
}

/// Why a clock cannot be shifted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("failed to read the test clock {file}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("failed to read the test clock {file}: {text:?} is no duration such as -3600s")]
    NoDuration {
        /// The file.
        file: PathBuf,
        /// What it holds.
        text: String,
    },
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            last: Arc::new(Mutex::new(Timestamp::UNIX_EPOCH)),
            shift: None,
        }
    }
}

impl Clock {
    /// A clock that is as far from the wall clock as `file` says, which is looked at whenever it is
    /// asked: for tests that cannot wait. It still never goes back.
    pub fn shifted(file: &Path) -> Result<Self, Error> {
        let by = Mutex::new(read_shift(file)?);
        let file = file.to_owned();
        Ok(Self {
            shift: Some(Arc::new(Shift { file, by })),
            ..Self::default()
        })
    }

    /// The hub's time, in whole milliseconds: what is stored reads back as the same value.
    pub fn now(&self) -> Timestamp {
        let wall = match &self.shift {
            Some(shift) => shift.apply(wall()),
            None => wall(),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = wall.max(*last);
        *last
    }

    /// What certificates are dated with, which other machines judge: [`Clock::now`], but where a test
    /// shifted that the time that they all know.
    pub fn wall(&self) -> Timestamp {
        match &self.shift {
            Some(_) => wall(),
            None => self.now(),
        }
    }

    /// A new id: version 7, so that ids sort by the time they were made (RFC 9562).
    pub fn id(&self) -> Uuid {
        #[expect(clippy::disallowed_methods, reason = "this is the id source")]
        Uuid::now_v7()
    }
}

fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let wall = Timestamp::now();
    Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall)
}

impl Shift {
    /// A file that is being written anew is read as it was before.
    fn apply(&self, wall: Timestamp) -> Timestamp {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(read) = read_shift(&self.file) {
            *by = read;
        }
        wall.checked_add(*by).unwrap_or(wall)
    }
}

fn read_shift(file: &Path) -> Result<SignedDuration, Error> {
    let text = fs::read_to_string(file).map_err(|source| Error::Read {
        file: file.to_owned(),
        source,
    })?;
    text.trim().parse().map_err(|_| Error::NoDuration {
        file: file.to_owned(),
        text: text.trim().chars().take(40).collect(),
    })
}

#[cfg(test)]
impl Clock {
    /// Lets time pass for a test. From then on the clock stands, as one does that was set back,
    /// until it is wound again or the wall has caught up.
    pub(crate) fn wind(&self, by: jiff::SignedDuration) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Timestamp::UNIX_EPOCH) + by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_follows_its_file_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        let refused = Clock::shifted(&file).unwrap_err().to_string();
        assert!(
            refused.contains("failed to read the test clock"),
            "{refused}"
        );
        fs::write(&file, "yesterday").unwrap();
        let refused = Clock::shifted(&file).unwrap_err().to_string();
        assert!(
            refused.contains("\"yesterday\" is no duration"),
            "{refused}"
        );
        fs::write(&file, "-48h\n").unwrap();
        let clock = Clock::shifted(&file).unwrap();
        let near = |hours: i64| {
            let off = clock.now().duration_since(clock.wall()) - SignedDuration::from_hours(hours);
            off.abs() < SignedDuration::from_mins(1)
        };
        assert!(near(-48));
        fs::write(&file, "-24h").unwrap();
        assert!(near(-24));
        for torn in ["", "-2"] {
            fs::write(&file, torn).unwrap();
            assert!(near(-24), "{torn:?}");
        }
        fs::write(&file, "-48h").unwrap();
        assert!(near(-24), "it went back");
    }
}
