//! The `WavePlan` document: a strategy that many sets name (design/waves.md, "Spec").
//!
//! Owns the shape and the checks that need no fleet. Never plans: `tidegate-waves` does, with the
//! strategy in the place of a set's own.

use serde::{Deserialize, Serialize};

use crate::{
    API_VERSION,
    application_set::{Metadata, default_project, strategy},
    dns,
    document::{self, DocumentError, Violation},
    manifest::Document,
    strategy::Strategy,
};

/// A whole document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WavePlan {
    /// `tidegate.dev/v1alpha1`.
    pub api_version: String,
    /// `WavePlan`.
    pub kind: String,
    /// Name, unique among the plans of its project, and labels.
    pub metadata: Metadata,
    /// What it says.
    pub spec: WavePlanSpec,
}

/// The body of a `WavePlan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WavePlanSpec {
    /// The project whose sets may name it.
    #[serde(default = "default_project")]
    pub project: String,
    /// How their releases reach their members.
    pub strategy: Strategy,
}

/// Its kind.
pub const KIND: &str = "WavePlan";

impl WavePlan {
    /// Reads a document and validates it. `file` is named in errors.
    ///
    /// # Errors
    /// Every problem with its line; the first one alone where the shape is wrong.
    pub fn from_document(document: &Document, file: &str) -> Result<Self, Vec<DocumentError>> {
        let plan: Self = document::parse(document, file).map_err(|error| vec![error])?;
        match document::locate(document, file, plan.validate()) {
            problems if problems.is_empty() => Ok(plan),
            problems => Err(problems),
        }
    }

    /// Everything that is wrong with the plan; empty when sets can use it.
    pub fn validate(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut wrong = |at: &str, message: String| found.push(Violation::new(at, message));
        if self.api_version != API_VERSION {
            let version = &self.api_version;
            wrong(
                "/apiVersion",
                format!("{version:?} is not known here; write {API_VERSION}"),
            );
        }
        if self.kind != KIND {
            let kind = &self.kind;
            wrong("/kind", format!("{kind:?} is not known here; write {KIND}"));
        }
        for (at, name) in [
            ("/metadata/name", &self.metadata.name),
            ("/spec/project", &self.spec.project),
        ] {
            if !dns::is_label(name) {
                let message = format!("name {name:?} is no DNS label; use {}", dns::LABEL_RULE);
                wrong(at, message);
            }
        }
        if !self.spec.strategy.wave_plan.is_empty() {
            let message = "a plan names no other plan; write its waves here";
            wrong("/spec/strategy/wavePlan", message.to_owned());
        }
        strategy(&self.spec.strategy, &mut found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Limits, read};

    fn plan(text: &str) -> Result<WavePlan, Vec<String>> {
        let documents = read(text, "plan.yaml", &Limits::default()).unwrap();
        WavePlan::from_document(&documents[0], "plan.yaml")
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    const HEAD: &str = "apiVersion: tidegate.dev/v1alpha1\nkind: WavePlan\n";

    #[test]
    fn a_plan_is_a_strategy_with_a_name() {
        let text =
            "metadata: {name: standard}\nspec: {strategy: {type: Waves, waves: [{name: dev}]}}\n";
        let plan = plan(&format!("{HEAD}{text}")).unwrap();
        assert_eq!(plan.spec.project, "default");
        assert_eq!(plan.spec.strategy.waves[0].name, "dev");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, wants) in [
            (
                "metadata: {name: Standard}\nspec:\n  strategy:\n    wavePlan: other\n",
                &[
                    "plan.yaml:3: metadata.name: name \"Standard\" is no DNS label",
                    "plan.yaml:6: spec.strategy.wavePlan: a plan names no other plan",
                ][..],
            ),
            (
                "metadata: {name: a}\nspec:\n  strategy: {type: Waves}\n",
                &["plan.yaml:5: spec.strategy.waves: type Waves has no waves"],
            ),
            (
                "metadata: {name: a}\nspec: {waves: []}\n",
                &["plan.yaml:4: spec.waves: unknown field `waves`"],
            ),
        ] {
            let problems = plan(&format!("{HEAD}{text}")).unwrap_err();
            assert_eq!(problems.len(), wants.len(), "{problems:?}");
            for (problem, want) in problems.iter().zip(wants) {
                assert!(problem.contains(want), "{problem}");
            }
        }
    }
}
