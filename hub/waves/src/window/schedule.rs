//! One window, read: its zone and its stretches of wall clock time.
//!
//! Owns the arithmetic of the wall clock. Everything is asked of civil times first, in which there
//! are no gaps and no repetitions, and brought to instants one stretch of constant offset after the
//! other.

use std::sync::LazyLock;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{TimeZone, TimeZoneDatabase},
};
use tidegate_model::{duration::Span, strategy::Window};

use crate::mutant::{self, Mutant};

/// The field of a window and what is wrong with it.
pub(crate) type Problem = (&'static str, String);

/// The zones that are built in: the answer does not depend on what a host has installed.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
/// Stretches that follow one another without a gap before "it never ends" is the answer.
const MOST_STRETCHES: usize = 4000;
/// What a cron expression is made of.
const FIELDS: &str =
    "minute, hour, day of month, month and day of week, for example \"0 18 * * FRI\"";
/// Changes of a zone's offset that are looked at: a century.
const MOST_OFFSETS: usize = 200;

/// A window that can be asked.
#[derive(Debug)]
pub(crate) struct Schedule {
    zone: TimeZone,
    times: Times,
}

#[derive(Debug)]
enum Times {
    Recurring {
        cron: Box<Cron>,
        length: SignedDuration,
    },
    Once {
        start: DateTime,
        end: DateTime,
    },
}

impl Schedule {
    /// Reads a window; everything that is wrong with it otherwise.
    pub(crate) fn read(window: &Window) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let zone = zone(&window.tz);
        if zone.is_none() {
            problems.push(("tz", unknown_zone(&window.tz)));
        }
        let recurs = window.cron.is_some() || window.duration.is_some();
        let once = window.start.is_some() || window.end.is_some();
        let times = match (recurs, once) {
            (true, false) => recurring(window),
            (false, true) => one_time(window),
            (true, true) => Err(vec![(
                "",
                "it has both cron and duration, and start and end; keep one of the two forms"
                    .to_owned(),
            )]),
            (false, false) => Err(vec![(
                "",
                "it says no time; write cron and duration, or start and end".to_owned(),
            )]),
        };
        let times = times.map_err(|more| problems.extend(more));
        match (zone, times) {
            (Some(zone), Ok(times)) => Ok(Self { zone, times }),
            _ => Err(problems),
        }
    }

    /// What is wrong with a window that can be read: it names a day that does not exist.
    pub(crate) fn emptiness(&self) -> Option<Problem> {
        let Times::Recurring { cron, .. } = &self.times else {
            return None;
        };
        // A leap day returns within eight years.
        let since = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
        let problem = format!("{} names no day that exists; write {FIELDS}", cron.as_str());
        let never = cron.find_next_occurrence(&since, true).is_err();
        never.then_some(("cron", problem))
    }

    /// Whether it covers this instant.
    pub(crate) fn covers(&self, at: Timestamp) -> bool {
        let shown = if mutant::on(Mutant::OffsetOfAnHourAgo) {
            let offset = self.zone.to_offset(at - SignedDuration::from_hours(1));
            offset.to_datetime(at)
        } else {
            self.zone.to_datetime(at)
        };
        self.times.cover(shown)
    }

    /// The first instant after `at` when it covers and did not, or the other way round; `None` if
    /// there is none in sight.
    pub(crate) fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let before = self.covers(at);
        let mut seen = at;
        for _ in 0..MOST_OFFSETS {
            // Until the offset changes, the wall clock runs like time itself.
            let offset = self.zone.to_offset(seen);
            let turn = self.zone.following(seen).next().map(|t| t.timestamp());
            let change = self.times.next_change(offset.to_datetime(seen));
            if change.is_none() && matches!(self.times, Times::Recurring { .. }) {
                return None;
            }
            let change = change.and_then(|civil| offset.to_timestamp(civil).ok());
            seen = match (change, turn) {
                (Some(change), Some(turn)) => change.min(turn),
                (one, other) => one.or(other)?,
            };
            if self.covers(seen) != before {
                return Some(seen);
            }
        }
        None
    }
}

impl Times {
    fn cover(&self, civil: DateTime) -> bool {
        match self {
            Self::Recurring { .. } => self.stretch_over(civil).is_some_and(|end| civil < end),
            Self::Once { start, end } => (*start..*end).contains(&civil),
        }
    }

    /// The end of the stretch that began last, at `civil` or before.
    fn stretch_over(&self, civil: DateTime) -> Option<DateTime> {
        match self {
            Self::Recurring { cron, length } => cron
                .find_previous_occurrence(&civil, true)
                .ok()?
                .checked_add(*length)
                .ok(),
            Self::Once { end, .. } => Some(*end),
        }
    }

    /// The first wall clock time after `civil` at which a stretch begins, or the last one ends.
    fn next_change(&self, civil: DateTime) -> Option<DateTime> {
        match self {
            Self::Once { start, end } => [*start, *end].into_iter().find(|edge| *edge > civil),
            Self::Recurring { cron, .. } if !self.cover(civil) => {
                cron.find_next_occurrence(&civil, false).ok()
            }
            Self::Recurring { .. } => {
                let mut end = self.stretch_over(civil)?;
                for _ in 0..MOST_STRETCHES {
                    match self.stretch_over(end)? {
                        later if later > end => end = later,
                        _ => return Some(end),
                    }
                }
                None
            }
        }
    }
}

/// The zone of this name.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

fn unknown_zone(name: &str) -> String {
    let wanted = name.to_ascii_lowercase().replace(' ', "_");
    let distance = |known: &str| {
        let known = known.to_ascii_lowercase();
        // A city alone is meant often enough.
        let city = known.rsplit('/').next().unwrap_or(&known);
        strsim::damerau_levenshtein(&known, &wanted).min(strsim::damerau_levenshtein(city, &wanted))
    };
    let nearest = ZONES
        .available()
        .map(|known| (distance(known.as_str()), known.as_str().to_owned()))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| format!("did you mean {known}? "));
    format!(
        "no time zone has the name {name:?}; {}write an IANA name such as Europe/Berlin, or UTC",
        nearest.unwrap_or_default()
    )
}

fn recurring(window: &Window) -> Result<Times, Vec<Problem>> {
    let mut problems = Vec::new();
    let cron = window.cron.as_deref().map_or_else(
        || {
            Err(
                "it is missing; say when the window begins, for example \"0 18 * * FRI\""
                    .to_owned(),
            )
        },
        read_cron,
    );
    let length = match window.duration {
        None => Err("it is missing; say how long the window is, for example 2h".to_owned()),
        Some(Span(length)) if length.is_zero() => {
            Err("it must be at least 1m; a window of no length covers nothing".to_owned())
        }
        Some(Span(length)) if length.subsec_nanos() != 0 || length.as_secs() % 60 != 0 => {
            Err("it must be whole minutes; that is as fine as cron is".to_owned())
        }
        Some(Span(length)) => SignedDuration::try_from(length).map_err(|error| error.to_string()),
    };
    match (cron, length) {
        (Ok(cron), Ok(length)) => Ok(Times::Recurring {
            cron: Box::new(cron),
            length,
        }),
        (cron, length) => {
            problems.extend(cron.err().map(|problem| ("cron", problem)));
            problems.extend(length.err().map(|problem| ("duration", problem)));
            Err(problems)
        }
    }
}

/// A cron expression of five fields. Names of days and months are read; seconds and years are not.
pub(crate) fn read_cron(text: &str) -> Result<Cron, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    parser
        .parse(text)
        .map_err(|error| format!("{text:?} is no cron expression ({error}); write {FIELDS}"))
}

fn one_time(window: &Window) -> Result<Times, Vec<Problem>> {
    let read = |field, text: &Option<String>| match text {
        None => Err((
            field,
            "it is missing; a window that is there once has a start and an end".to_owned(),
        )),
        Some(text) => read_civil(text).map_err(|problem| (field, problem)),
    };
    match (read("start", &window.start), read("end", &window.end)) {
        (Ok(start), Ok(end)) if start < end => Ok(Times::Once { start, end }),
        (Ok(start), Ok(end)) => Err(vec![(
            "end",
            format!("{end} is not after the start, {start}; the window covers nothing"),
        )]),
        (start, end) => Err(start.err().into_iter().chain(end.err()).collect()),
    }
}

fn read_civil(text: &str) -> Result<DateTime, String> {
    let example = "write wall clock time of the window's zone, for example 2026-12-20T18:00";
    let time = text
        .split_once(['T', 't', ' '])
        .map_or("", |(_, time)| time);
    if time.contains(['Z', 'z', '+', '-', '[']) {
        return Err(format!(
            "{text:?} has an offset, and tz says the zone; {example}"
        ));
    }
    text.parse()
        .map_err(|error| format!("{text:?} is no date and time ({error}); {example}"))
}
