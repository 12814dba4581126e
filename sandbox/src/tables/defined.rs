//! The columns that a definition adds (`additionalPrinterColumns`), and how Go prints what their
//! paths find (apiextensions `tableconvertor`).

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Number, Value, json};

use super::cells::{moment, since};
use crate::json_path::JsonPath;

/// A column of a definition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PrinterColumn {
    pub(super) name: String,
    pub(super) ty: String,
    pub(super) format: String,
    pub(super) priority: i64,
    path: JsonPath,
}

/// The columns of a version: up to the first whose path cannot be read, as the server has them.
pub(crate) fn printer_columns(said: &Value) -> Vec<PrinterColumn> {
    let age = json!([{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]);
    let rows = said.as_array().filter(|it| !it.is_empty());
    let rows = rows.or(age.as_array()).into_iter().flatten();
    rows.map_while(|row| {
        let text = |field: &str| row[field].as_str().unwrap_or_default();
        Some(PrinterColumn {
            name: text("name").to_owned(),
            ty: text("type").to_owned(),
            format: text("format").to_owned(),
            priority: row["priority"].as_i64().unwrap_or(0),
            path: JsonPath::read(text("jsonPath"))?,
        })
    })
    .collect()
}

impl PrinterColumn {
    /// The cell of an object; nothing where the path finds nothing or something of another type.
    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let Some(value) = self.path.find(object) else {
            return Value::Null;
        };
        let owned = matches!(value, Cow::Owned(_));
        match (&*self.ty, &*value) {
            ("string", value) => json!(printed(value)),
            // A whole number that the path itself says is of a Go type that only prints.
            (_, Value::Number(number)) if owned && !number.is_f64() => Value::Null,
            ("integer", Value::Number(number)) => whole(number),
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.into_owned(),
            ("date", Value::String(text)) => match &**text {
                "" | "null" => json!("<unknown>"),
                _ if moment(&value).is_none() => json!("<invalid>"),
                _ => json!(since(&value, now)),
            },
            _ => Value::Null,
        }
    }
}

/// Without what is behind the point.
fn whole(number: &Number) -> Value {
    let cut = || {
        let text = format!("{:.0}", number.as_f64()?.trunc());
        text.parse::<i64>().ok()
    };
    json!(number.as_i64().or_else(cut))
}

fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => general(float),
            None => number.to_string(),
        },
        Value::Bool(it) => it.to_string(),
        // Go keeps JSON fit for HTML.
        value => value
            .to_string()
            .replace('&', r"\u0026")
            .replace('<', r"\u003c")
            .replace('>', r"\u003e"),
    }
}

/// A float as Go's `%v` writes it.
fn general(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return float.to_string();
    }
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}
