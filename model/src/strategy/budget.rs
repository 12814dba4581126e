//! How many members of a wave may fail, and what is risked to learn it.
//!
//! Owns the document: a number or a share alone, or with its mode.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, value::MapAccessDeserializer},
};

use super::Amount;

/// How many members of a wave may fail before the run stops: `0`, `"5%"`, or `{max: "5%", mode:
/// fast}`. A share is of the wave's planned members and rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureBudget {
    /// So many may fail.
    pub max: Amount,
    /// What is risked.
    pub mode: BudgetMode,
}

impl Default for FailureBudget {
    fn default() -> Self {
        Self {
            max: Amount::Count(0),
            mode: BudgetMode::Strict,
        }
    }
}

/// What a wave risks beyond its budget (facts/promotion.md §2.4, 12 and 13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetMode {
    /// One failure beyond the budget at most: no more members are under way than could fail, so a
    /// budget of 0 goes member by member, whatever the concurrency.
    #[default]
    Strict,
    /// As many as are under way at once: the concurrency alone decides how many are assigned.
    Fast,
}

impl Serialize for FailureBudget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.mode == BudgetMode::Strict {
            self.max.serialize(serializer)
        } else {
            let Self { max, mode } = *self;
            Written { max, mode }.serialize(serializer)
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default = "none")]
    max: Amount,
    #[serde(default)]
    mode: BudgetMode,
}

fn none() -> Amount {
    Amount::Count(0)
}

impl<'de> Deserialize<'de> for FailureBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FailureBudget;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a percentage such as \"5%\", or {max, mode}")
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<FailureBudget, E> {
                Amount::deserialize(de::value::U64Deserializer::new(n)).map(strict)
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<FailureBudget, E> {
                Amount::deserialize(de::value::I64Deserializer::new(n)).map(strict)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FailureBudget, E> {
                Amount::deserialize(de::value::StrDeserializer::new(text)).map(strict)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<FailureBudget, A::Error> {
                let Written { max, mode } = Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FailureBudget { max, mode })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn strict(max: Amount) -> FailureBudget {
    FailureBudget {
        max,
        mode: BudgetMode::Strict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_an_amount_or_an_amount_with_its_mode() {
        let read = |text| serde_json::from_str::<FailureBudget>(text);
        let budget = |max, mode| FailureBudget { max, mode };
        for (text, want) in [
            ("0", budget(Amount::Count(0), BudgetMode::Strict)),
            ("\"5%\"", budget(Amount::Percent(5), BudgetMode::Strict)),
            (
                r#"{"max":2,"mode":"fast"}"#,
                budget(Amount::Count(2), BudgetMode::Fast),
            ),
            (
                r#"{"max":0,"mode":"fast"}"#,
                budget(Amount::Count(0), BudgetMode::Fast),
            ),
        ] {
            let known = read(text).unwrap();
            assert_eq!(known, want, "{text}");
            assert_eq!(serde_json::to_string(&known).unwrap(), text);
        }
        assert_eq!(read(r#"{"mode": "fast"}"#).unwrap().max, Amount::Count(0));
        for bad in [
            "-1",
            "\"x\"",
            "true",
            r#"{"amount": 1}"#,
            r#"{"mode": "loose"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
