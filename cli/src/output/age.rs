//! Ages as kubectl shows them: two units at most, one when the second says little.

use jiff::Timestamp;

/// Time from `at_ms` to `now_ms`; `-` for never (0). A time ahead of this clock is `0s`.
pub fn age(at_ms: i64, now_ms: i64) -> String {
    if at_ms == 0 {
        "-".to_owned()
    } else {
        length(now_ms.saturating_sub(at_ms))
    }
}

/// A moment in full, UTC and how long ago or ahead it is; `never` for 0.
pub fn moment(at_ms: i64, now_ms: i64) -> String {
    let Ok(at) = Timestamp::from_second(at_ms.div_euclid(1000)) else {
        return age(at_ms, now_ms);
    };
    match at_ms {
        0 => "never".to_owned(),
        ahead if ahead > now_ms => format!("{at} (in {})", length(ahead - now_ms)),
        past => format!("{at} ({} ago)", age(past, now_ms)),
    }
}

/// A day, milliseconds.
const DAY: i64 = 86_400_000;

/// The time of day, UTC, of a moment of today; of any other the day and the minute.
pub fn clock(at_ms: i64, now_ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(at_ms) else {
        return age(at_ms, now_ms);
    };
    let at = at.to_string();
    let (day, time) = at.split_once('T').unwrap_or((&at, ""));
    if at_ms.div_euclid(DAY) == now_ms.div_euclid(DAY) {
        format!("{}Z", time.get(..8).unwrap_or(time))
    } else {
        let (day, time) = (day.get(5..).unwrap_or(day), time.get(..5).unwrap_or(time));
        format!("{day} {time}")
    }
}

/// A length of time, given in milliseconds.
pub fn length(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        _ => two(days / 365, 'y', days % 365, 'd'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_get_coarser_as_they_grow() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (330, "5m30s"),
            (600, "10m"),
            (10_799, "179m"),
            (12_000, "3h20m"),
            (90_000, "25h"),
            (183_600, "2d3h"),
            (8_640_000, "100d"),
            (63_158_400, "2y1d"),
        ] {
            assert_eq!(length(seconds * 1000), text, "{seconds} s");
        }
    }

    #[test]
    fn a_moment_is_told_in_full_and_by_its_distance() {
        let at = 1_700_000_000_999;
        assert_eq!(moment(0, at), "never");
        assert_eq!(moment(at, at + 90_000), "2023-11-14T22:13:20Z (90s ago)");
        assert_eq!(moment(at, at - 60_000), "2023-11-14T22:13:20Z (in 60s)");
        assert_eq!(moment(i64::MIN, at), age(i64::MIN, at));
    }

    #[test]
    fn the_day_is_told_where_it_is_another() {
        let at = 1_700_000_000_999;
        assert_eq!(clock(at, at + 3_600_000), "22:13:20Z");
        assert_eq!(clock(at, at + 7_200_000), "11-14 22:13");
        assert_eq!(clock(i64::MIN, at), age(i64::MIN, at));
    }

    #[test]
    fn never_is_not_long_ago() {
        assert_eq!(age(0, 1_000_000), "-");
        assert_eq!(age(999_000, 1_000_000), "1s");
        assert_eq!(age(i64::MIN, i64::MAX).chars().last(), Some('d'));
    }
}
