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

/// Why words are no selector.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "failed to read the selector {text:?}: {part:?} is no requirement; write k=v, k!=v, k, !k, \
     k in (a,b), k notin (a,b), k>1 or k<9, with commas between"
)]
pub struct SelectorWords {
    text: String,
    part: String,
}

impl std::str::FromStr for Selector {
    type Err = SelectorWords;

    /// As kubectl writes it on a command line.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = vec![String::new()];
        let mut depth = 0_u32;
        for letter in text.chars() {
            match letter {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            match parts.last_mut() {
                Some(last) if letter != ',' || depth > 0 => last.push(letter),
                _ => parts.push(String::new()),
            }
        }
        let read = |part: &String| {
            requirement(part.trim()).ok_or_else(|| SelectorWords {
                text: text.to_owned(),
                part: part.trim().to_owned(),
            })
        };
        Ok(Self {
            match_labels: BTreeMap::new(),
            match_expressions: parts.iter().map(read).collect::<Result<_, _>>()?,
        })
    }
}

fn requirement(text: &str) -> Option<Requirement> {
    let made = |key: &str, operator, values: Vec<String>| {
        let key = key.trim();
        let is_key =
            !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "()!=<>".contains(c));
        let is_value = |value: &String| {
            value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        (is_key && values.iter().all(is_value)).then(|| Requirement {
            key: key.to_owned(),
            operator,
            values,
        })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = text.split_once("!=") {
        return made(key, Operator::NotIn, one(value));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return made(key, Operator::In, one(value));
    }
    for (sign, operator) in [('>', Operator::Gt), ('<', Operator::Lt)] {
        if let Some((key, value)) = text.split_once(sign) {
            value.trim().parse::<i64>().ok()?;
            return made(key, operator, one(value));
        }
    }
    if let Some((head, values)) = text.split_once('(') {
        let values = values.strip_suffix(')')?.split(',');
        let values: Vec<_> = values.map(|value| value.trim().to_owned()).collect();
        let (key, word) = head.trim().split_once(char::is_whitespace)?;
        let operator = match word.trim() {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return None,
        };
        return made(key, operator, values);
    }
    match text.strip_prefix('!') {
        Some(key) => made(key, Operator::DoesNotExist, Vec::new()),
        None => made(text, Operator::Exists, Vec::new()),
    }
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
    fn words_are_read_as_kubectl_writes_them() {
        let eu: BTreeMap<_, _> = [("env", "prod"), ("rank", "7")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        for (text, matches) in [
            ("env=prod", true),
            ("env==prod", true),
            ("env!=prod", false),
            ("env in (dev, prod),rank>5", true),
            ("env notin (dev),!region", true),
            ("env,region", false),
            ("rank<7", false),
        ] {
            let selector: Selector = text.parse().unwrap();
            assert_eq!(selector.validate(), Ok(()), "{text}");
            assert_eq!(selector.matches(&eu), matches, "{text}");
        }
        for text in [
            "",
            "a b",
            "env in prod",
            "env=a=b",
            "rank>x",
            "env in (a",
            "a,",
        ] {
            let problem = text.parse::<Selector>().unwrap_err().to_string();
            assert!(problem.contains("k notin (a,b)"), "{text}: {problem}");
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
