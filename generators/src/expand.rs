//! The one entry point: a set and its inputs to applications and problems.
//!
//! One bad row, file or generator never stops another; too many rows stop everything. Never
//! deletes: what is missing in the result is missing for a reason that is said.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    application::{Application, Provenance},
    application_set::ApplicationSet,
};

use crate::{
    application::ApplicationTemplate,
    destination::Destinations,
    expansion::{Expansion, Problem},
    generator,
    inputs::Inputs,
    row::{Row, Rows},
};

/// Expands `set`, which has been validated, with `inputs`.
///
/// The result depends on the content of the arguments alone, not on the order of the clusters,
/// directories or files in them.
#[must_use = "problems that nobody reads are applications that nobody misses"]
pub fn expand(set: &ApplicationSet, inputs: &Inputs<'_>) -> Expansion {
    let entries = set.spec.generators.iter().enumerate();
    let all: Vec<_> = entries
        .map(|(index, entry)| generator::rows(index, entry, inputs))
        .collect();
    let rows = all.iter().map(|rows| rows.kept.len()).sum();
    if let Some(problem) = too_many(set, &all) {
        return Expansion {
            problems: vec![problem],
            incomplete: true,
            rows,
            ..Expansion::default()
        };
    }
    let mut template = match ApplicationTemplate::new(set) {
        Ok(template) => template,
        Err(problems) => {
            let mut result = Collected::default();
            result.lose(&all);
            for (field, message) in problems {
                result.incomplete = true;
                result.problems.push(Problem {
                    field,
                    message,
                    ..Problem::default()
                });
            }
            return result.finish(rows);
        }
    };
    let destinations = Destinations::new(inputs.clusters);
    let mut result = Collected::default();
    result.lose(&all);
    for Rows {
        generator, kept, ..
    } in all
    {
        for (index, row) in kept.into_iter().enumerate() {
            result.row(&mut template, &generator, index, row, &destinations);
        }
    }
    result.finish(rows)
}

fn too_many(set: &ApplicationSet, all: &[Rows]) -> Option<Problem> {
    let limit = set.spec.max_applications as usize;
    let mut total = 0;
    let over = all.iter().find(|rows| {
        total += rows.kept.len();
        total > limit
    })?;
    let count = over.kept.len();
    let sum: usize = all.iter().map(|rows| rows.kept.len()).sum();
    let generator = over.generator.clone();
    Some(Problem {
        message: format!(
            "it makes {count} rows, all generators together {sum}, more than the {limit} of \
             spec.maxApplications; nothing was expanded. Narrow its selector or patterns, or raise \
             spec.maxApplications if so many are meant"
        ),
        generator,
        field: "spec.maxApplications".to_owned(),
        ..Problem::default()
    })
}

/// What has been made so far.
#[derive(Default)]
struct Collected {
    /// Every row that asked for a name, in order.
    claims: BTreeMap<String, Vec<Claim>>,
    problems: Vec<Problem>,
    incomplete: bool,
}

/// A row that asked for a name.
struct Claim {
    generator: String,
    row: usize,
    origin: String,
    /// Absent when the row failed.
    application: Option<Application>,
}

impl Collected {
    /// What generators could not turn into rows: nobody knows which names that were.
    fn lose(&mut self, all: &[Rows]) {
        for rows in all {
            for lost in &rows.lost {
                self.incomplete = true;
                self.problems.push(Problem {
                    generator: rows.generator.clone(),
                    row: None,
                    origin: lost.origin.clone(),
                    field: lost.field.clone(),
                    message: lost.message.clone(),
                });
            }
        }
    }

    fn row(
        &mut self,
        template: &mut ApplicationTemplate<'_>,
        generator: &str,
        index: usize,
        row: Row,
        destinations: &Destinations<'_>,
    ) {
        let Row {
            origin,
            params,
            inputs: versions,
        } = row;
        let provenance = Provenance {
            generator: generator.to_owned(),
            row: u32::try_from(index).unwrap_or(u32::MAX),
            inputs: versions,
        };
        let (name, application) = match template.render(&params, provenance, destinations) {
            Ok(application) => (application.name.clone(), Some(application)),
            Err(failure) => {
                for (field, message) in failure.problems {
                    self.problems.push(Problem {
                        generator: generator.to_owned(),
                        row: Some(index),
                        origin: origin.clone(),
                        field,
                        message,
                    });
                }
                let Some(name) = failure.name else {
                    self.incomplete = true;
                    return;
                };
                (name, None)
            }
        };
        self.claims.entry(name).or_default().push(Claim {
            generator: generator.to_owned(),
            row: index,
            origin,
            application,
        });
    }

    fn finish(mut self, rows: usize) -> Expansion {
        let mut applications = Vec::new();
        let mut failed_names = BTreeSet::new();
        for (name, mut claims) in std::mem::take(&mut self.claims) {
            if claims.len() > 1 {
                // Which of them is meant nobody knows, so none is made and none is deleted.
                self.duplicates(&name, &claims);
                failed_names.insert(name);
                continue;
            }
            match claims.pop().and_then(|claim| claim.application) {
                Some(application) => applications.push(application),
                None => drop(failed_names.insert(name)),
            }
        }
        Expansion {
            applications,
            problems: self.problems,
            incomplete: self.incomplete,
            failed_names,
            rows,
        }
    }

    fn duplicates(&mut self, name: &str, claims: &[Claim]) {
        for (at, claim) in claims.iter().enumerate() {
            let mut others: Vec<_> = claims
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, it)| format!("{} row {} ({})", it.generator, it.row, it.origin))
                .collect();
            let more = others.len().saturating_sub(NAMED_RIVALS);
            others.truncate(NAMED_RIVALS);
            if more > 0 {
                others.push(format!("{more} more"));
            }
            let others = others.join(", ");
            self.problems.push(Problem {
                generator: claim.generator.clone(),
                row: Some(claim.row),
                origin: claim.origin.clone(),
                field: "spec.template.metadata.name".to_owned(),
                message: format!(
                    "the name {name:?} is also made by {others}; make the name depend on what \
                     tells the rows apart"
                ),
            });
        }
    }
}

/// Rows that one message about a duplicate name lists.
const NAMED_RIVALS: usize = 3;

#[cfg(test)]
mod tests;
