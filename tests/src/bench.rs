//! Benchmarks of what ships: a table for people, one JSON document for programs.
//!
//! Owns what every benchmark says and how it is printed. Nothing here asserts a speed: figures are
//! compared with those of the same machine.

pub mod fleet;
pub mod hub;
pub mod up;
pub mod waves;
pub mod wire;

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use serde_json::Value;

/// Why there is no figure.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a benchmark came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub bench: &'static str,
    /// Each measurement; all have the same columns.
    pub rows: Vec<serde_json::Map<String, Value>>,
    /// The figures that are compared, by name; the unit is the name's end.
    pub values: BTreeMap<&'static str, f64>,
}

impl Report {
    /// A report without a measurement yet.
    pub fn new(bench: &'static str) -> Self {
        Self {
            bench,
            rows: Vec::new(),
            values: BTreeMap::new(),
        }
    }

    /// Adds a measurement.
    pub fn row(&mut self, columns: impl IntoIterator<Item = (&'static str, Value)>) {
        let row = columns.into_iter();
        self.rows
            .push(row.map(|(name, value)| (name.to_owned(), value)).collect());
    }

    /// Sets a figure, rounded to thousandths.
    pub fn value(&mut self, name: &'static str, value: f64) {
        self.values.insert(name, round(value));
    }

    /// The table and the figures, for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        if let Some(first) = self.rows.first() {
            let names: Vec<_> = first.keys().cloned().collect();
            let cells = self.rows.iter().map(|row| row.values().map(cell).collect());
            let lines: Vec<Vec<String>> = [names].into_iter().chain(cells).collect();
            let width = |column: usize| {
                let cells = lines.iter().filter_map(|line| line.get(column));
                cells.map(String::len).max().unwrap_or(0)
            };
            for line in &lines {
                let padded = line.iter().enumerate();
                let padded: Vec<_> = padded
                    .map(|(column, cell)| format!("{cell:>width$}", width = width(column)))
                    .collect();
                let _ = writeln!(text, "{}", padded.join("  "));
            }
            text.push('\n');
        }
        for (name, value) in &self.values {
            let _ = writeln!(text, "{name:<24} {value}");
        }
        text
    }
}

fn cell(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// To thousandths.
pub fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The smallest value that so many of a hundred do not exceed; NaN of nothing.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// Memory of a process, MiB: the most it ever had resident.
///
/// # Errors
///
/// When the system does not say.
pub fn peak_rss_mib(pid: u32) -> Result<f64, Error> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.ok_or(format!("{path} tells no VmHWM"))?.parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        let told: Vec<_> = [1, 50, 90, 99].map(|it| percentile(&values, it)).to_vec();
        assert_eq!(told, [1.0, 3.0, 5.0, 5.0]);
        assert!(percentile(&[], 50).is_nan());
    }

    #[test]
    fn a_table_has_a_line_for_each_row_and_each_figure() {
        let mut report = Report::new("x");
        report.row([("run", 1.into()), ("seconds", 2.5.into())]);
        report.value("single_s", 2.5);
        assert_eq!(
            report.table(),
            "run  seconds\n  1      2.5\n\nsingle_s                 2.5\n"
        );
    }
}
