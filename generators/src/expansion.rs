//! The result of an expansion: applications, and everything that kept others from being made.
//!
//! Says what failed so that nothing that failed is ever taken for something that vanished.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;
use tidegate_model::application::Application;

/// What a set expands to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expansion {
    /// By name; names are unique.
    pub applications: Vec<Application>,
    /// First sources of rows that were lost, then rows, both in order of generator and row, then
    /// names that several rows make.
    pub problems: Vec<Problem>,
    /// Applications may be missing here whose names are not known. While it is set, no application
    /// of the set may be deleted because it is not in `applications`.
    pub incomplete: bool,
    /// Names of applications that rows ask for but that could not be made. Those that exist must
    /// stay as they are.
    pub failed_names: BTreeSet<String>,
    /// Rows that were there after the selectors, failed ones included.
    pub rows: usize,
}

/// Something that kept an application, or all of a generator's, from being made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Path of the generator, for example `spec.generators[0].git`; empty when the set as a whole
    /// is concerned.
    pub generator: String,
    /// Index of the row among that generator's rows, after its selector; absent when no single row
    /// is concerned, or the row was lost before it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// What the row was made from, for people: `element 3`, `cluster dev-1`, `apps/x.yaml item 2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// Path of the field of the set, for example `spec.template.metadata.name`; empty when no
    /// single field is concerned.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.generator.is_empty() {
            parts.push(self.generator.clone());
        }
        if let Some(row) = self.row {
            parts.push(format!("row {row}"));
        }
        if !self.origin.is_empty() {
            parts.push(self.origin.clone());
        }
        if !self.field.is_empty() {
            parts.push(self.field.clone());
        }
        write!(f, "{}: {}", parts.join(", "), self.message)
    }
}
