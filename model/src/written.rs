//! What a user may write: documents told apart by their kind.
//!
//! Never knows what a kind demands; each reads its own.

use crate::{
    application_set::ApplicationSet,
    document::DocumentError,
    manifest::Document,
    wave_plan::{self, WavePlan},
};

/// A document that was read and is right by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// An `ApplicationSet`.
    Set(Box<ApplicationSet>),
    /// A `WavePlan`.
    Plan(Box<WavePlan>),
}

impl Written {
    /// Reads a document as what it says it is. `file` is named in errors.
    ///
    /// # Errors
    /// Every problem with its line; the first one alone where the shape is wrong.
    pub fn from_document(document: &Document, file: &str) -> Result<Self, Vec<DocumentError>> {
        let kind = document.value.get("kind").and_then(|kind| kind.as_str());
        if kind == Some(wave_plan::KIND) {
            let plan = WavePlan::from_document(document, file)?;
            return Ok(Self::Plan(Box::new(plan)));
        }
        let set = ApplicationSet::from_document(document, file)?;
        Ok(Self::Set(Box::new(set)))
    }
}
