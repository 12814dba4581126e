//! The `values` of a generator: extra parameters, each a template over the generator's own row.
//!
//! Never over each other: that would make their order matter and their size explode.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    row::{Lost, Row, Rows},
    template::{Data, Template},
};

/// The templates of a generator's values.
pub(crate) struct Values(Vec<(String, Template)>);

impl Values {
    /// Reads the templates; those that cannot be read are reported in `rows`.
    pub(crate) fn new(values: &BTreeMap<String, String>, rows: &mut Rows) -> Option<Self> {
        let mut templates = Vec::new();
        for (key, text) in values {
            match Template::new(text) {
                Ok(template) => templates.push((key.clone(), template)),
                Err(error) => rows.lost.push(Lost {
                    field: field(&rows.generator, key),
                    message: error.to_string(),
                    ..Lost::default()
                }),
            }
        }
        (templates.len() == values.len()).then_some(Self(templates))
    }

    /// Adds `row` with its values to `rows`, or says why it is lost.
    pub(crate) fn add(&mut self, mut row: Row, rows: &mut Rows) {
        if !self.0.is_empty() {
            let data = Data::new(&row.params);
            let mut values = Map::new();
            for (key, template) in &mut self.0 {
                match template.render(&data) {
                    Ok(text) => drop(values.insert(key.clone(), Value::String(text))),
                    Err(error) => {
                        rows.lost.push(Lost {
                            origin: row.origin,
                            field: field(&rows.generator, key),
                            message: error.to_string(),
                        });
                        return;
                    }
                }
            }
            row.params
                .insert("values".to_owned(), Value::Object(values));
        }
        rows.kept.push(row);
    }
}

fn field(generator: &str, key: &str) -> String {
    format!("{generator}.values.{key}")
}
