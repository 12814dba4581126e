//! A row: the parameters that one application is made from, and where they came from.
//!
//! Never rendered again: what a parameter holds is text, whatever braces are in it.

use serde_json::{Map, Value};
use tidegate_model::application::InputVersion;

/// One row of a generator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What it was made from, for people.
    pub(crate) origin: String,
    pub(crate) params: Map<String, Value>,
    /// What it was made from, with versions.
    pub(crate) inputs: Vec<InputVersion>,
}

/// The rows of one generator.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Path of the generator, for example `spec.generators[0].git`.
    pub(crate) generator: String,
    pub(crate) kept: Vec<Row>,
    /// Rows, or sources of rows, that were lost.
    pub(crate) lost: Vec<Lost>,
}

/// Why a row, or all rows of a source, could not be made.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) origin: String,
    pub(crate) field: String,
    pub(crate) message: String,
}
