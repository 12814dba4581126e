//! Durations as people write them in Kubernetes files: `90s`, `15m`, `1h30m`.
//!
//! Never reads a clock.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written with units `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    /// `n` seconds.
    pub const fn secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// Whole milliseconds.
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// Reads `1h30m`, `90s`, `250ms`, `2d`, `0`. At most ten years, so that sums cannot overflow.
    pub fn parse(text: &str) -> Result<Self, ParseSpanError> {
        let wrong = || ParseSpanError(text.chars().take(40).collect());
        if text == "0" {
            return Ok(Self::default());
        }
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let millis: u64 = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            let number: u64 = number.parse().map_err(|_| wrong())?;
            total = number
                .checked_mul(millis)
                .and_then(|n| n.checked_add(total))
                .ok_or_else(wrong)?;
            rest = tail;
        }
        if text.is_empty() || total > 3650 * 86_400_000 {
            return Err(wrong());
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

/// Why a text is not a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to read duration {0:?}: write it as 90s, 15m or 1h30m")]
pub struct ParseSpanError(String);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_printed_shortest() {
        for (text, printed) in [
            ("90s", "1m30s"),
            ("15m", "15m"),
            ("1h30m", "1h30m"),
            ("0", "0s"),
            ("250ms", "250ms"),
            ("2d", "2d"),
        ] {
            assert_eq!(Span::parse(text).unwrap().to_string(), printed);
        }
        for bad in [
            "",
            "5",
            "m",
            "1x",
            "-1s",
            "99999999999999999999s",
            "9999999d",
        ] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }
}
