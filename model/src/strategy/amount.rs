//! Numbers and shares of a wave's members.
//!
//! Owns how they are written and rounded. Never says what they are for.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number or a percentage: `3` or `"25%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred, 0 to 100.
    Percent(u32),
}

impl Amount {
    /// Of `total`, rounded down.
    pub fn floor(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => total * percent as usize / 100,
        }
    }

    /// Of `total`, rounded down, at least 1.
    pub fn floor_at_least_one(self, total: usize) -> usize {
        self.floor(total).max(1)
    }

    /// Of `total`, rounded up, at least 1.
    pub fn ceil_at_least_one(self, total: usize) -> usize {
        let n = match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (total * percent as usize).div_ceil(100),
        };
        n.max(1)
    }

    /// Nobody.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as 2, or a percentage such as \"25%\"")
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Amount, E> {
                u32::try_from(n)
                    .map(Amount::Count)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(n), &self))
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Amount, E> {
                u64::try_from(n)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
                    .and_then(|n| self.visit_u64(n))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                let percent = text
                    .strip_suffix('%')
                    .and_then(|digits| digits.parse().ok());
                percent
                    .filter(|percent| *percent <= 100)
                    .map(Amount::Percent)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_or_percentages() {
        let read = |text| serde_json::from_str::<Amount>(text);
        assert_eq!(read("3").unwrap(), Amount::Count(3));
        assert_eq!(read("\"25%\"").unwrap(), Amount::Percent(25));
        assert!(read("0").unwrap().is_zero());
        assert!(read("\"0%\"").unwrap().is_zero());
        for bad in ["-1", "4294967296", "\"101%\"", "\"-1%\"", "\"x\"", "1.5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn concurrency_rounds_down_and_health_rounds_up() {
        assert_eq!(Amount::Percent(25).floor_at_least_one(7), 1);
        assert_eq!(Amount::Percent(50).floor_at_least_one(7), 3);
        assert_eq!(Amount::Percent(5).floor(19), 0);
        assert_eq!(Amount::Percent(5).floor(20), 1);
        assert_eq!(Amount::Percent(90).ceil_at_least_one(11), 10);
        assert_eq!(Amount::Percent(1).ceil_at_least_one(0), 1);
        assert_eq!(Amount::Percent(100).ceil_at_least_one(7), 7);
    }
}
