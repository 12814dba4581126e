//! Windows against an independent clock: offsets as they were published, minutes counted one by one.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use proptest::{prelude::Strategy, prop_assert, prop_assert_eq, proptest, sample::select};
use tidegate_model::{
    duration::Span,
    strategy::{Window, WindowKind},
};

use super::{Schedule, Windows};
use crate::invariants::window::covers as looks_covered;

pub(crate) fn recurring(kind: WindowKind, tz: &str, cron: &str, duration: &str) -> Window {
    let text = serde_json::json!({"kind": kind, "tz": tz, "cron": cron, "duration": duration});
    serde_json::from_value(text).unwrap()
}

fn once(tz: &str, start: &str, end: &str) -> Window {
    let text = serde_json::json!({"kind": "deny", "tz": tz, "start": start, "end": end});
    serde_json::from_value(text).unwrap()
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A zone around one change of its offset, in minutes, as the tz database's authors publish it.
struct Edge {
    zone: &'static str,
    at: &'static str,
    before: i64,
    after: i64,
}

const EDGES: &[Edge] = &[
    edge("Europe/Berlin", "2026-10-25T01:00:00Z", 120, 60),
    edge("Europe/Berlin", "2026-03-29T01:00:00Z", 60, 120),
    edge("America/New_York", "2026-03-08T07:00:00Z", -300, -240),
    edge("America/New_York", "2026-11-01T06:00:00Z", -240, -300),
    edge("Australia/Lord_Howe", "2026-04-04T15:00:00Z", 660, 630),
    edge("Australia/Lord_Howe", "2026-10-03T15:30:00Z", 630, 660),
    edge("Asia/Kathmandu", "2026-10-25T01:00:00Z", 345, 345),
    // Friday, 30 December 2011 did not happen there.
    edge("Pacific/Apia", "2011-12-30T10:00:00Z", -600, 840),
];

const fn edge(zone: &'static str, at: &'static str, before: i64, after: i64) -> Edge {
    Edge {
        zone,
        at,
        before,
        after,
    }
}

/// Minutes since 1970 at this instant, and what the wall clock shows in the same unit.
fn wall(edge: &Edge, minute: i64) -> i64 {
    let turn = utc(edge.at).as_second() / 60;
    minute
        + if minute < turn {
            edge.before
        } else {
            edge.after
        }
}

type Begins = fn(DateTime) -> bool;

/// Cron expressions with what they mean, and lengths in minutes.
const WINDOWS: &[(&str, Begins, i64)] = &[
    ("0 0 * * *", |t| (t.hour(), t.minute()) == (0, 0), 1440),
    ("30 1 * * *", |t| (t.hour(), t.minute()) == (1, 30), 60),
    ("30 2 * * *", |t| (t.hour(), t.minute()) == (2, 30), 30),
    ("0 2 * * *", |t| (t.hour(), t.minute()) == (2, 0), 60),
    ("15 1 * * *", |t| (t.hour(), t.minute()) == (1, 15), 150),
    ("0 22 * * *", |t| (t.hour(), t.minute()) == (22, 0), 480),
    ("*/20 * * * *", |t| t.minute() % 20 == 0, 10),
    (
        "0 18 * * FRI",
        |t| {
            let friday = t.weekday() == jiff::civil::Weekday::Friday;
            friday && (t.hour(), t.minute()) == (18, 0)
        },
        62 * 60,
    ),
    (
        "0 0 30 12 *",
        |t| (t.month(), t.day(), t.hour(), t.minute()) == (12, 30, 0, 0),
        1440,
    ),
];

/// Minutes on either side of an edge: the longest window that is open over it began in them.
const AROUND: i64 = 36 * 60;

/// Whether each minute around the edge is covered, by counting.
fn counted(edge: &Edge, begins: Begins, length: i64) -> Vec<(i64, bool)> {
    let turn = utc(edge.at).as_second() / 60;
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let first = turn - AROUND - 8 * 1440;
    let axis = first..turn + AROUND + 2 * 1440;
    let mut begun = vec![0];
    for minute in axis.clone() {
        let civil = epoch + SignedDuration::from_mins(minute);
        begun.push(begun.last().unwrap() + i64::from(begins(civil)));
    }
    let upto = |minute: i64| begun[usize::try_from((minute - first + 1).max(0)).unwrap()];
    (turn - AROUND..turn + AROUND)
        .map(|minute| {
            let shown = wall(edge, minute);
            (minute, upto(shown) > upto(shown - length))
        })
        .collect()
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

/// The minutes that are asked one by one: all that the offset's change could touch, those on either
/// side of each change of the truth, and of the rest every 17th, which meets each minute of the hour.
fn asked(edge: &Edge, truth: &[(i64, bool)]) -> Vec<usize> {
    let turn = utc(edge.at).as_second() / 60;
    let near = |n: usize| (truth[n].0 - turn).abs() <= 150;
    let changes = |n: usize| n > 0 && truth[n - 1].1 != truth[n].1;
    let all = 0..truth.len();
    all.filter(|n| near(*n) || changes(*n) || changes((n + 1) % truth.len()) || n % 17 == 0)
        .collect()
}

#[test]
fn every_edge_is_judged_as_the_wall_clock_says() {
    let (mut judged, mut changes) = (0, 0);
    for edge in EDGES {
        for (cron, begins, length) in WINDOWS {
            let window = recurring(WindowKind::Deny, edge.zone, cron, &format!("{length}m"));
            let schedule = Schedule::read(&window).unwrap();
            let truth = counted(edge, *begins, *length);
            for n in asked(edge, &truth) {
                let (minute, covered) = truth[n];
                let last = at(minute) + SignedDuration::from_millis(59_999);
                for time in [at(minute), last] {
                    assert_eq!(schedule.covers(time), covered, "{window} {time}");
                }
                judged += 1;
            }
            // From change to change: each is found, and none that is not there.
            let mut seen = at(truth[0].0);
            for pair in truth.windows(2).filter(|pair| pair[0].1 != pair[1].1) {
                let change = at(pair[1].0);
                assert_eq!(schedule.next_change(seen), Some(change), "{window} {seen}");
                let halfway = seen + change.duration_since(seen) / 2;
                assert_eq!(schedule.next_change(halfway), Some(change), "{window}");
                seen = change;
                changes += 1;
            }
            let end = at(truth.last().unwrap().0);
            let said = schedule.next_change(seen);
            assert!(said.is_none_or(|said| said > end), "{window} {said:?}");
        }
    }
    assert!(judged > 30_000 && changes > 1000, "{judged}, {changes}");
}

#[test]
fn a_daily_window_of_24_hours_never_ends_and_one_less_ends_every_day() {
    for edge in EDGES {
        let whole = recurring(WindowKind::Deny, edge.zone, "0 0 * * *", "24h");
        assert_eq!(
            Schedule::read(&whole).unwrap().next_change(utc(edge.at)),
            None
        );
        let short = recurring(WindowKind::Deny, edge.zone, "0 0 * * *", "23h59m");
        assert!(
            Schedule::read(&short)
                .unwrap()
                .next_change(utc(edge.at))
                .is_some()
        );
    }
}

#[test]
fn one_time_windows_end_where_the_wall_clock_says() {
    let table = [
        // The day of the change is an hour longer.
        (
            "2026-10-25T00:00",
            "2026-10-26",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        // Begins in the hour that is skipped.
        (
            "2026-03-29T02:30",
            "2026-03-29T04:00",
            "2026-03-29T01:00:00Z",
            "2026-03-29T02:00:00Z",
        ),
    ];
    for (start, end, opens, closes) in table {
        let schedule = Schedule::read(&once("Europe/Berlin", start, end)).unwrap();
        let begin = schedule.next_change(utc("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(begin, utc(opens));
        assert_eq!(schedule.next_change(begin), Some(utc(closes)));
        assert_eq!(schedule.next_change(utc(closes)), None);
    }
    // In the hour that is shown twice: inside twice.
    let schedule = Schedule::read(&once(
        "Europe/Berlin",
        "2026-10-25T02:15",
        "2026-10-25T02:45",
    ))
    .unwrap();
    let mut edges = Vec::new();
    let mut seen = utc("2026-10-24T00:00:00Z");
    while let Some(edge) = schedule.next_change(seen) {
        edges.push(edge.to_string());
        seen = edge;
    }
    let want = ["00:15", "00:45", "01:15", "01:45"].map(|time| format!("2026-10-25T{time}:00Z"));
    assert_eq!(edges, want);
}

#[test]
fn deny_wins_over_allow_and_any_allow_suffices() {
    let allow = recurring(WindowKind::Allow, "UTC", "0 9 * * *", "4h");
    let second = recurring(WindowKind::Allow, "UTC", "0 14 * * *", "4h");
    let deny = recurring(WindowKind::Deny, "UTC", "0 10 * * *", "1h");
    let all = [allow.clone(), deny.clone(), second.clone()];
    let windows = Windows::new(all.iter());
    let closed = |time: &str| windows.closed_by(utc(&format!("2026-05-05T{time}:00Z")));
    assert_eq!(closed("09:30"), Vec::<&Window>::new());
    assert_eq!(closed("10:30"), [&deny]);
    assert_eq!(closed("13:30"), [&allow, &second]);
    assert!(closed("14:30").is_empty());
    let next = |time: &str| {
        let next = windows.next_change(utc(&format!("2026-05-05T{time}:00Z")));
        next.unwrap().to_string()
    };
    assert_eq!(next("09:30"), "2026-05-05T10:00:00Z");
    assert_eq!(next("10:30"), "2026-05-05T11:00:00Z");
    assert_eq!(next("18:30"), "2026-05-06T09:00:00Z");
    assert!(Windows::new([].into_iter()).is_open(utc("2026-05-05T10:30:00Z")));
}

#[test]
fn what_cannot_be_read_keeps_closed() {
    for kind in [WindowKind::Allow, WindowKind::Deny] {
        let window = recurring(kind, "Mars/Olympus", "0 9 * * *", "4h");
        let windows = Windows::new([&window].into_iter());
        assert_eq!(windows.closed_by(utc("2026-05-05T10:30:00Z")), [&window]);
        assert_eq!(windows.next_change(utc("2026-05-05T10:30:00Z")), None);
    }
}

fn any_window() -> impl Strategy<Value = Window> {
    let minute = select(vec!["0", "30", "*/15", "7"]);
    let hour = select(vec!["*", "0", "1", "2", "23", "1-3", "*/5"]);
    let day = select(vec!["* * *", "* * SUN", "25 * *", "* 3,10 *", "1-7 * MON"]);
    let zone = select(vec![
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "UTC",
    ]);
    let length = select(vec![1_u64, 15, 45, 60, 90, 180, 1440, 1500]);
    (minute, hour, day, zone, length).prop_map(|(minute, hour, day, zone, length)| {
        let mut window = recurring(
            WindowKind::Deny,
            zone,
            &format!("{minute} {hour} {day}"),
            "1m",
        );
        window.duration = Some(Span::secs(length * 60));
        window
    })
}

proptest! {
    #[test]
    fn any_window_at_any_time_is_judged_as_the_wall_clock_says(
        window in any_window(),
        minute in 27_500_000..31_500_000_i64,
    ) {
        let schedule = Schedule::read(&window).unwrap();
        let covered = looks_covered(&window, at(minute));
        prop_assert_eq!(schedule.covers(at(minute)), covered);
        let change = schedule.next_change(at(minute));
        let end = change.map_or(minute + 500, |change| change.as_second() / 60);
        if let Some(change) = change {
            prop_assert_eq!(looks_covered(&window, change), !covered);
            prop_assert!(change > at(minute));
        }
        for between in (minute..end).rev().take(25).chain(minute..end.min(minute + 25)) {
            prop_assert_eq!(looks_covered(&window, at(between)), covered, "{}", at(between));
        }
    }
}
