//! One thing and its neighbours on a page: fields, then sections, as `kubectl describe` has it.
//!
//! Owns the layout and the one document that stands for all of it in JSON and YAML. Never asks the
//! hub and never cuts: what does not fit is wrapped.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use super::{
    Screen, block, message,
    message::Described,
    rows::Row,
    table::{self, Column},
    text::{or_dash, plain},
};
use crate::error::Error;

/// What stands for nothing, as kubectl has it.
const NONE: &str = "<none>";
/// How far a section is indented, columns.
const INDENT: u16 = 2;
/// The most rows of a table; a thing may have thousands of neighbours, and a list shows them all.
const MOST_ROWS: usize = 50;

/// A page under way.
#[derive(Debug, Default)]
pub struct Sheet {
    name: String,
    parts: Vec<Part>,
    data: Map<String, Value>,
}

#[derive(Debug)]
enum Part {
    Fields(Vec<Vec<String>>),
    Rows {
        title: String,
        columns: Vec<Column>,
        rows: Vec<Vec<String>>,
        /// The command that lists what is left out.
        more: String,
    },
    Text {
        title: String,
        text: String,
    },
}

impl Sheet {
    /// A page about the thing of this name (KIND/NAME).
    pub fn new(name: &str) -> Self {
        Self {
            name: plain(name),
            ..Self::default()
        }
    }

    /// KIND/NAME.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What programs read: each message under its key.
    pub fn data(&self) -> &Map<String, Value> {
        &self.data
    }

    /// A line `label: value`.
    pub fn field(&mut self, label: &str, value: impl AsRef<str>) {
        let value = plain(value.as_ref());
        let value = if value.is_empty() { NONE } else { &value };
        let row = vec![format!("{label}:"), value.to_owned()];
        match self.parts.last_mut() {
            Some(Part::Fields(rows)) => rows.push(row),
            _ => self.parts.push(Part::Fields(vec![row])),
        }
    }

    /// A line for each value, the label before the first.
    pub fn fields(&mut self, label: &str, values: impl IntoIterator<Item = String>) {
        let mut values = values.into_iter();
        self.field(label, values.next().unwrap_or_default());
        for value in values {
            if let Some(Part::Fields(rows)) = self.parts.last_mut() {
                rows.push(vec![String::new(), or_dash(&value)]);
            }
        }
    }

    /// A section of rows under headings. `more` is the command that lists all of them.
    pub fn rows(&mut self, title: &str, columns: &[Column], rows: Vec<Vec<String>>, more: &str) {
        self.parts.push(Part::Rows {
            title: title.to_owned(),
            columns: columns.to_vec(),
            rows,
            more: more.to_owned(),
        });
    }

    /// A section of things, as `get` shows them.
    pub fn table<T: Row>(&mut self, title: &str, items: &[T], now_ms: i64, more: &str) {
        let rows = items.iter().map(|item| item.cells(now_ms)).collect();
        self.rows(title, T::COLUMNS, rows, more);
    }

    /// A section of text with lines of its own.
    pub fn text(&mut self, title: &str, text: &str) {
        self.parts.push(Part::Text {
            title: title.to_owned(),
            text: text.to_owned(),
        });
    }

    /// A message for programs.
    pub fn put<T: Described>(&mut self, key: &str, item: &T) -> Result<(), Error> {
        self.data.insert(key.to_owned(), message::value(item)?);
        Ok(())
    }

    /// Messages for programs.
    pub fn put_all<T: Described>(&mut self, key: &str, items: &[T]) -> Result<(), Error> {
        let values = items.iter().map(message::value);
        let values = values.collect::<Result<Vec<_>, _>>()?;
        self.data.insert(key.to_owned(), Value::Array(values));
        Ok(())
    }

    /// The page as people read it.
    pub fn render(&self, screen: Screen) -> String {
        let parts: Vec<_> = self.parts.iter().map(|part| part.render(screen)).collect();
        parts.join("\n")
    }
}

impl Part {
    fn render(&self, screen: Screen) -> String {
        match self {
            Self::Fields(rows) => {
                let labels = rows.iter().map(|row| row[0].width()).max().unwrap_or(0);
                let lines = rows
                    .iter()
                    .flat_map(|row| block::field(&row[0], &row[1], labels, screen.width));
                lines.collect::<Vec<_>>().join("\n")
            }
            Self::Rows { title, rows, .. } if rows.is_empty() => format!("{title}:  {NONE}"),
            Self::Rows {
                title,
                columns,
                rows,
                more,
            } => {
                let shown = &rows[..rows.len().min(MOST_ROWS)];
                let inner = Screen {
                    width: screen.width.saturating_sub(INDENT),
                    ..screen
                };
                let text = table::fitted(columns, shown, inner, usize::MAX);
                let rest = match rows.len() - shown.len() {
                    0 => String::new(),
                    hidden => format!("\n… and {hidden} more: `{more}` lists them"),
                };
                format!("{title}:\n{}", indented(&(text + &rest)))
            }
            Self::Text { title, text } if text.trim().is_empty() => format!("{title}:  {NONE}"),
            Self::Text { title, text } => format!("{title}:\n{}", indented(text)),
        }
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            let line = format!("{}{line}", " ".repeat(INDENT.into()));
            line.trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{table::column, text::Paint};

    fn screen(width: u16) -> Screen {
        Screen {
            terminal: false,
            narrow: false,
            width,
            height: 24,
            paint: Paint { on: false },
        }
    }

    #[test]
    fn fields_are_aligned_wrapped_and_never_cut() {
        let mut sheet = Sheet::new("set/web");
        sheet.field("Name", "web");
        sheet.fields("Labels", ["a=1".to_owned(), "b=2".to_owned()]);
        sheet.field("Problem", "");
        sheet.rows("Pins", &[column("APP")], Vec::new(), "");
        let text = sheet.render(screen(80));
        assert_eq!(
            text,
            "Name:     web\nLabels:   a=1\n          b=2\nProblem:  <none>\nPins:  <none>"
        );
        let long = "word ".repeat(40);
        let mut sheet = Sheet::new("set/web");
        sheet.field("Problem", &long);
        let text = sheet.render(screen(40));
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
        assert_eq!(text.matches("word").count(), 40, "{text}");
    }

    #[test]
    fn what_must_be_copied_is_never_broken() {
        let digest = format!("sha256:{}", "b".repeat(64));
        let mut sheet = Sheet::new("set/web");
        sheet.field("Name", "web");
        sheet.field("Content", &digest);
        let text = sheet.render(screen(80));
        assert_eq!(text, format!("Name:     web\nContent:\n  {digest}"));
        assert!(sheet.render(screen(20)).contains(&digest));
    }

    #[test]
    fn a_thing_with_thousands_of_neighbours_says_where_the_rest_is() {
        let mut sheet = Sheet::new("set/web");
        let rows = (0..60).map(|row| vec![row.to_string()]).collect();
        sheet.rows("Applications", &[column("NAME")], rows, "tidegate get apps");
        let text = sheet.render(screen(80));
        assert!(
            text.ends_with("  49\n  … and 10 more: `tidegate get apps` lists them"),
            "{text}"
        );
    }
}
