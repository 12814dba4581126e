//! Argo CD's progressive sync, read as waves.
//!
//! Owns what is written under `strategy.rollingSync` and what it means here. Never plans.
//!
//! The source of what it means there: `applicationset/progressivesync/progressive_sync.go` of Argo
//! CD 3.3 and its page "Progressive Syncs". Where the two differ, docs/waves.md says so.

use serde::{Deserialize, Serialize};

use super::{
    Amount, ApprovalGate, BudgetMode, FailureBudget, Gate, Select, Strategy, StrategyType, Wave,
};
use crate::selector::{Requirement, Selector};

/// The steps of a `RollingSync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollingSync {
    /// In order.
    #[serde(default)]
    pub steps: Vec<RollingStep>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollingStep {
    /// Labels of the generated applications; all must hold, none selects everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
    /// How many at once: everybody when absent, nobody before a person says so when 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_update: Option<Amount>,
}

impl RollingSync {
    /// The steps as waves, named `step-1` and so on.
    pub fn waves(&self) -> Vec<Wave> {
        let steps = self.steps.iter().enumerate();
        steps
            .map(|(index, step)| step.wave(&format!("step-{}", index + 1)))
            .collect()
    }
}

impl RollingStep {
    fn wave(&self, name: &str) -> Wave {
        let mut wave = Wave::named(name);
        wave.select = Select {
            clusters: Selector::default(),
            applications: Selector {
                match_expressions: self.match_expressions.clone(),
                ..Selector::default()
            },
        };
        // As many as are under way may fail there; the run stops at the first that did.
        wave.failure_budget = FailureBudget {
            max: Amount::Count(0),
            mode: BudgetMode::Fast,
        };
        match self.max_update {
            Some(amount) if amount.is_zero() => {
                let gate = ApprovalGate::default();
                wave.gates.before.push(Gate::Approval(gate));
                wave.max_concurrency = Some(Amount::Percent(100));
            }
            amount => wave.max_concurrency = Some(amount.unwrap_or(Amount::Percent(100))),
        }
        wave
    }
}

impl Strategy {
    /// The strategy as it is carried out: steps of a `RollingSync` are waves.
    #[must_use]
    pub fn as_waves(&self) -> Self {
        match (self.kind, &self.rolling_sync) {
            (StrategyType::RollingSync, Some(rolling)) => Self {
                kind: StrategyType::Waves,
                waves: rolling.waves(),
                rolling_sync: None,
                ..self.clone()
            },
            _ => self.clone(),
        }
    }
}
