//! Tables without borders, as kubectl prints them.
//!
//! Owns fitting a table to the screen: a flexible column gives way, a name that is needed in full
//! never does. On a screen that is too narrow even so, each row becomes a block of `HEAD  value` lines.

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr as _;

use super::{Screen, block, rows::Row, text::Paint};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub head: &'static str,
    /// Whether it may be cut to fit.
    pub flexible: bool,
}

/// A column that is never cut.
pub const fn column(head: &'static str) -> Column {
    Column {
        head,
        flexible: false,
    }
}

/// A column that may be cut.
pub const fn flexible(head: &'static str) -> Column {
    Column {
        head,
        flexible: true,
    }
}

/// What a column that may be cut keeps at least, columns of the screen.
const LEAST: usize = 8;
/// Between two columns.
const GAP: u16 = 2;

/// A table in pieces.
#[derive(Debug, Default)]
pub struct Pieces {
    /// The line of headings; none where each row carries its own.
    pub head: Option<String>,
    /// Each thing, on one line or as a block.
    pub rows: Vec<String>,
}

impl Pieces {
    /// All of it.
    pub fn join(&self) -> String {
        match &self.head {
            Some(head) => {
                let lines = std::iter::once(head.as_str());
                let lines: Vec<_> = lines.chain(self.rows.iter().map(String::as_str)).collect();
                lines.join("\n")
            }
            None => self.rows.join("\n\n"),
        }
    }
}

/// The things as a table, each on at most `height` lines.
pub fn of<T: Row>(items: &[T], now_ms: i64, screen: Screen, height: usize) -> String {
    let (columns, rows) = cells(items, now_ms);
    fitted(&columns, &rows, screen, height)
}

/// The things as a table, piece by piece.
pub fn pieces<T: Row>(items: &[T], now_ms: i64, screen: Screen) -> Pieces {
    let (columns, rows) = cells(items, now_ms);
    if is_too_wide(&columns, &rows, screen) {
        let rows = rows.iter().map(|cells| block(&columns, cells, screen));
        return Pieces {
            head: None,
            rows: rows.collect(),
        };
    }
    let table = fitted(&columns, &rows, screen, 1);
    let mut lines = table.lines().map(str::to_owned);
    Pieces {
        head: lines.next(),
        rows: lines.collect(),
    }
}

/// Columns and cells. A column PROJECT comes first when some are of another than `default`.
fn cells<T: Row>(items: &[T], now_ms: i64) -> (Vec<Column>, Vec<Vec<String>>) {
    let foreign = items
        .iter()
        .filter_map(Row::project)
        .any(|project| project != "default");
    let mut columns = T::COLUMNS.to_vec();
    if foreign {
        columns.insert(0, column("PROJECT"));
    }
    let rows = items.iter().map(|item| {
        let mut cells = item.cells(now_ms);
        if foreign {
            cells.insert(0, super::text::or_dash(item.project().unwrap_or_default()));
        }
        cells
    });
    (columns, rows.collect())
}

/// Rows under headings if the screen is wide enough for that, else as blocks.
pub fn fitted(columns: &[Column], rows: &[Vec<String>], screen: Screen, height: usize) -> String {
    if is_too_wide(columns, rows, screen) {
        let blocks: Vec<_> = rows
            .iter()
            .map(|cells| block(columns, cells, screen))
            .collect();
        return blocks.join("\n\n");
    }
    let table = render(columns, rows, screen.width, height);
    if height == 1 {
        paint(&table, rows, screen.paint)
    } else {
        table
    }
}

/// Whether not even the least of it fits. Where nobody said how wide the screen is, what reads the
/// table may be a program, which gets lines whatever they hold.
fn is_too_wide(columns: &[Column], rows: &[Vec<String>], screen: Screen) -> bool {
    let least = columns.iter().enumerate().map(|(index, column)| {
        let cells = rows.iter().filter_map(|cells| cells.get(index));
        let widest = cells.map(|cell| cell.width()).max().unwrap_or(0);
        let widest = if column.flexible {
            widest.min(LEAST)
        } else {
            widest
        };
        widest.max(column.head.width())
    });
    let gaps = usize::from(GAP) * columns.len().saturating_sub(1);
    screen.narrow && least.sum::<usize>() + gaps > usize::from(screen.width)
}

/// One row as lines, each cell in full behind its heading.
fn block(columns: &[Column], cells: &[String], screen: Screen) -> String {
    let heads = columns.iter().map(|column| column.head.width()).max();
    let lines = columns.iter().zip(cells).flat_map(|(column, cell)| {
        block::field(column.head, cell, heads.unwrap_or(0), screen.width)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Rows under headings, at most `width` columns wide if the columns that may not be cut allow it.
/// `height` is how many lines a row may take.
pub fn render(columns: &[Column], rows: &[Vec<String>], width: u16, height: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    if columns.iter().any(|column| !column.head.is_empty()) {
        let mut head: comfy_table::Row = columns
            .iter()
            .map(|column| column.head)
            .collect::<Vec<_>>()
            .into();
        head.max_height(1);
        table.set_header(head);
    }
    for cells in rows {
        let mut row = comfy_table::Row::from(cells.iter().map(Cell::new).collect::<Vec<_>>());
        row.max_height(height);
        table.add_row(row);
    }
    let last = columns.len().saturating_sub(1);
    for (index, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(index) {
            shown.set_padding((0, if index == last { 0 } else { GAP }));
            if !column.flexible {
                shown.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    table.trim_fmt()
}

/// Colours the state words of a finished table, whose widths are settled without colour.
fn paint(table: &str, rows: &[Vec<String>], paint: Paint) -> String {
    if !paint.on {
        return table.to_owned();
    }
    let mut lines = table.lines();
    let mut painted: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for (line, cells) in lines.zip(rows) {
        let mut rest = line;
        let mut whole = String::new();
        for cell in cells {
            let Some(start) = rest.find(cell.as_str()) else {
                continue;
            };
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(cell.len());
            whole.push_str(before);
            whole.push_str(&paint.state(word));
            rest = after;
        }
        whole.push_str(rest);
        painted.push(whole);
    }
    painted.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn a_table_is_as_narrow_as_its_content() {
        let table = render(
            &[column("NAME"), flexible("MESSAGE")],
            &rows(&[&["web", "fine"], &["longer-name", "-"]]),
            80,
            1,
        );
        assert_eq!(
            table,
            "NAME         MESSAGE\nweb          fine\nlonger-name  -"
        );
    }

    #[test]
    fn the_flexible_column_gives_way_and_names_do_not() {
        let long = "this message is far too long to fit on a screen that is forty columns wide";
        let name = "a-name-of-some-length";
        let table = render(
            &[column("NAME"), flexible("MESSAGE")],
            &rows(&[&[name, long]]),
            40,
            1,
        );
        for line in table.lines() {
            assert!(line.chars().count() <= 40, "{line:?} is too wide");
        }
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(table.contains(name) && table.contains('…'), "{table}");
    }

    #[test]
    fn colour_does_not_move_columns() {
        let cells = rows(&[&["Failed-over", "Failed", "1s"]]);
        let columns = [column("NAME"), column("STATE"), column("AGE")];
        let table = render(&columns, &cells, 80, 1);
        let painted = paint(&table, &cells, Paint { on: true });
        let bare = painted.replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(bare, table);
        assert!(painted.contains("\x1b[31mFailed\x1b[0m"), "{painted:?}");
        assert!(painted.contains("Failed-over"), "{painted:?}");
    }
}
