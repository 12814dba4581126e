//! Tables without borders, as kubectl prints them.
//!
//! Owns fitting a table to the screen: a flexible column gives way, a name that is needed in full
//! never does.

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, presets};

use super::{Screen, rows::Row, text::Paint};

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

/// The things as a table, each on at most `height` lines. A column PROJECT comes first when some are
/// of another than `default`.
pub fn of<T: Row>(items: &[T], now_ms: i64, screen: Screen, height: usize) -> String {
    let foreign = items
        .iter()
        .filter_map(Row::project)
        .any(|project| project != "default");
    let mut columns = T::COLUMNS.to_vec();
    if foreign {
        columns.insert(0, column("PROJECT"));
    }
    let rows: Vec<_> = items
        .iter()
        .map(|item| {
            let mut cells = item.cells(now_ms);
            if foreign {
                cells.insert(0, super::text::or_dash(item.project().unwrap_or_default()));
            }
            cells
        })
        .collect();
    paint(
        &render(&columns, &rows, screen.width, height),
        &rows,
        screen.paint,
    )
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
        table.set_header(columns.iter().map(|column| column.head));
    }
    for cells in rows {
        let mut row = comfy_table::Row::from(cells.iter().map(Cell::new).collect::<Vec<_>>());
        row.max_height(height);
        table.add_row(row);
    }
    let last = columns.len().saturating_sub(1);
    for (index, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(index) {
            shown.set_padding((0, if index == last { 0 } else { 2 }));
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
