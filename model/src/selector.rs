//! Label selectors: Kubernetes' own, plus Gt and Lt for numbered labels.
//!
//! Never looks a label up anywhere but in the map it is given.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Selects label maps. Empty selects everything; all parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// Labels that must be there with exactly this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with: at least one for In and `NotIn`, none for Exists and
    /// `DoesNotExist`, one integer for Gt and Lt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// There, with one of the values.
    In,
    /// Not there, or with none of the values.
    NotIn,
    /// There.
    Exists,
    /// Not there.
    DoesNotExist,
    /// An integer above the value.
    Gt,
    /// An integer below the value.
    Lt,
}

/// Why a selector cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to use the requirement on label {key:?}: {problem}")]
pub struct SelectorError {
    key: String,
    problem: &'static str,
}

impl Selector {
    /// Checks the number and form of the values.
    pub fn validate(&self) -> Result<(), SelectorError> {
        self.match_expressions.iter().try_for_each(|requirement| {
            let problem = match requirement.operator {
                Operator::In | Operator::NotIn if requirement.values.is_empty() => {
                    "In and NotIn need at least one value"
                }
                Operator::Exists | Operator::DoesNotExist if !requirement.values.is_empty() => {
                    "Exists and DoesNotExist take no values"
                }
                Operator::Gt | Operator::Lt
                    if requirement.values.len() != 1
                        || requirement.values[0].parse::<i64>().is_err() =>
                {
                    "Gt and Lt need exactly one integer"
                }
                _ if requirement.key.is_empty() => "the key is empty",
                _ => return Ok(()),
            };
            Err(SelectorError {
                key: requirement.key.clone(),
                problem,
            })
        })
    }

    /// Whether `labels` are selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(labels))
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

impl Requirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = labels.get(&self.key);
        let compare = |keep: fn(i64, i64) -> bool| {
            let number = label.and_then(|value| value.parse().ok());
            let bound = self.values.first().and_then(|value| value.parse().ok());
            number
                .zip(bound)
                .is_some_and(|(number, bound)| keep(number, bound))
        };
        match self.operator {
            Operator::In => label.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => label.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::Gt => compare(|number, bound| number > bound),
            Operator::Lt => compare(|number, bound| number < bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(key: &str, operator: Operator, values: &[&str]) -> Selector {
        let values = values.iter().map(|&v| v.to_owned()).collect();
        Selector {
            match_expressions: vec![Requirement {
                key: key.to_owned(),
                operator,
                values,
            }],
            ..Selector::default()
        }
    }

    #[test]
    fn every_operator() {
        let labels = BTreeMap::from([
            ("rank".to_owned(), "10".to_owned()),
            ("env".to_owned(), "prod".to_owned()),
        ]);
        for (key, operator, values, want) in [
            ("env", Operator::In, &["dev", "prod"][..], true),
            ("env", Operator::In, &["dev"], false),
            ("nope", Operator::In, &["dev"], false),
            ("env", Operator::NotIn, &["dev"], true),
            ("nope", Operator::NotIn, &["dev"], true),
            ("env", Operator::NotIn, &["prod"], false),
            ("env", Operator::Exists, &[], true),
            ("nope", Operator::Exists, &[], false),
            ("nope", Operator::DoesNotExist, &[], true),
            ("rank", Operator::Gt, &["9"], true),
            ("rank", Operator::Gt, &["10"], false),
            ("rank", Operator::Lt, &["11"], true),
            ("env", Operator::Lt, &["11"], false),
        ] {
            let it = selector(key, operator, values);
            assert_eq!(it.validate(), Ok(()));
            assert_eq!(it.matches(&labels), want, "{key} {operator:?} {values:?}");
        }
        assert!(Selector::default().matches(&labels));
    }

    #[test]
    fn wrong_values_are_refused() {
        for it in [
            selector("a", Operator::In, &[]),
            selector("a", Operator::Exists, &["x"]),
            selector("a", Operator::Gt, &["x"]),
            selector("a", Operator::Lt, &[]),
            selector("", Operator::Exists, &[]),
        ] {
            assert!(it.validate().is_err(), "{it:?}");
        }
    }
}
