//! Rules of definitions: their columns (apiextensions `ValidateCustomResourceColumnDefinition`).

use serde_json::{Value, json};

use super::pods::{list, text};
use crate::answer::Cause;

/// Types of columns.
const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];

/// What is wrong with the columns of a definition's versions.
pub(super) fn columns(spec: &Value) -> Vec<Cause> {
    let field = "additionalPrinterColumns";
    let said = || list(spec, "versions").map(|(_, version)| &version[field]);
    let first = said().next();
    if let Some(first) = first.filter(|first| said().all(|it| it == *first)) {
        // What all versions share, the server keeps, and names, above them.
        return rows(&format!("spec.{field}"), first);
    }
    let versions = list(spec, "versions");
    versions
        .flat_map(|(index, version)| {
            let at = format!("spec.versions[{index}].{field}");
            rows(&at, &version[field])
        })
        .collect()
}

fn rows(at: &str, said: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, row) in said.as_array().into_iter().flatten().enumerate() {
        let at = |field: &str| format!("{at}[{index}].{field}");
        if text(row, "name").is_empty() {
            causes.push(Cause::required(&at("name"), ""));
        }
        let (ty, types) = (text(row, "type"), TYPES.join(","));
        let words = format!("must be one of {types}");
        if ty.is_empty() {
            causes.push(Cause::required(&at("type"), &words));
        } else if !TYPES.contains(&ty) {
            causes.push(Cause::invalid(&at("type"), &json!(ty), &words));
        }
        let path = text(row, "jsonPath");
        if path.is_empty() {
            causes.push(Cause::required(&at("JSONPath"), ""));
        } else if !path.starts_with('.') {
            let words = "must be a simple json path starting with .";
            causes.push(Cause::invalid(&at("JSONPath"), &json!(path), words));
        }
    }
    causes
}
